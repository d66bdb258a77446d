/* SPDX-License-Identifier: MIT */
#include "api/call.h"

#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

bool call_query(struct call *call, const struct query_rule *rules, size_t count)
{
	struct query_error error;

	if (call->match.query.len == 0)
		return true;
	int r = query_parse(call->match.query, rules, count, &call->scratch, &call->query, &error);
	if (r == 0)
		return true;
	problem(call->response,
	        r == -EMSGSIZE ? PROBLEM_TARGET_TOO_LONG
	        : r == -ENOENT ? PROBLEM_UNKNOWN_PARAMETER
	                       : PROBLEM_INVALID_PARAMETER,
	        "'%.*s' %s", STR_SHOWN(error.name, 100), error.what);
	return false;
}

bool call_no_query(struct call *call)
{
	static const struct query_rule rules[] = {[PARAM_PRETTY] = QUERY_PRETTY};

	return call_query(call, rules, ARRAY_LEN(rules));
}

bool call_text(struct call *call, const struct query_item *item, struct str *ret)
{
	int r = scratch_decode(&call->scratch, item->raw, true, ret);

	if (r == 0)
		return true;
	if (r == -EMSGSIZE)
		problem(call->response, PROBLEM_TARGET_TOO_LONG, "the query is too long");
	else
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "a value of the query is badly percent-encoded");
	return false;
}

bool call_number(struct call *call, const struct query_rule *rules, unsigned rule, uint64_t least,
                 uint64_t most, uint64_t *ret)
{
	const struct query_item *item = query_get(&call->query, rule);
	struct str text;

	if (item == NULL)
		return true;
	if (!call_text(call, item, &text))
		return false;
	if (parse_u64(text, least, most, ret) == 0)
		return true;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s must be a whole number from %" PRIu64 " to %" PRIu64 ", not '%.*s'",
	        rules[rule].name, least, most, STR_SHOWN(text, 40));
	return false;
}

static bool type_skip_word(struct str *text, const char *word)
{
	size_t len = strlen(word);

	while (text->len > 0 && (text->data[0] == ' ' || text->data[0] == '\t')) {
		text->data++;
		text->len--;
	}
	if (text->len < len || strncasecmp(text->data, word, len) != 0)
		return false;
	text->data += len;
	text->len -= len;
	return true;
}

/** application/json, with no parameter but charset=utf-8. */
static bool is_json(struct str type)
{
	if (!type_skip_word(&type, "application/json"))
		return false;
	if (type_skip_word(&type, ";")) {
		if (!type_skip_word(&type, "charset=utf-8") &&
		    !type_skip_word(&type, "charset=\"utf-8\""))
			return false;
	}
	(void)type_skip_word(&type, ""); /* blanks at the end */
	return type.len == 0;
}

bool call_body_is_json(struct call *call)
{
	struct str type = api_header(call->request, STR("content-type"));

	if (is_json(type))
		return true;
	problem(call->response, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
	        "the body must be sent with Content-Type: application/json, not '%.*s' (with curl: "
	        "-H 'Content-Type: application/json')",
	        STR_SHOWN(type, 80));
	return false;
}

enum api_result call_answer(struct call *call, unsigned status, const char *content_type)
{
	/* JSON ends in a newline, for readers at a terminal. */
	if (call->response->blob == NULL && call->response->lent.data == NULL &&
	    call->response->stream == NULL && content_type != NULL &&
	    strcmp(content_type, TYPE_JSON) == 0)
		buf_put_char(&call->response->body, '\n');
	call->response->status = status;
	call->response->content_type = content_type;
	return API_DONE;
}
