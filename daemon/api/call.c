/* SPDX-License-Identifier: MIT */
#include "api/call.h"

#include "api/pretty.h"
#include "balance/balance.h"
#include "base/parse.h"
#include "model/valid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool call_query(struct call *call, const struct query_rule *rules, size_t count)
{
	struct query_error error;

	if (call->raw_query.len == 0)
		return true;
	int r = query_parse(call->raw_query, rules, count, &call->scratch, &call->query, &error);
	if (r == 0)
		return true;
	problem(call->response,
	        r == -EMSGSIZE ? "target-too-long"
	        : r == -ENOENT ? "unknown-parameter"
	                       : "invalid-parameter",
	        "'%.*s' %s", (int)(error.name.len < 100 ? error.name.len : 100), error.name.data,
	        error.what);
	return false;
}

bool call_no_query(struct call *call)
{
	static const struct query_rule rules[] = {[PARAM_PRETTY] = QUERY_PRETTY};

	return call_query(call, rules, ARRAY_LEN(rules));
}

bool call_is_pretty(const struct call *call)
{
	return call->raw_query.len > 0 && pretty_is_wanted(call->raw_query);
}

bool call_text(struct call *call, const struct query_item *item, struct str *ret)
{
	int r = scratch_decode(&call->scratch, item->raw, true, ret);

	if (r == 0)
		return true;
	if (r == -EMSGSIZE)
		problem(call->response, "target-too-long", "the query is too long");
	else
		problem(call->response, "invalid-parameter",
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
	problem(call->response, "invalid-parameter",
	        "%s must be a whole number from %" PRIu64 " to %" PRIu64 ", not '%.*s'",
	        rules[rule].name, least, most, (int)(text.len < 40 ? text.len : 40), text.data);
	return false;
}

void meta_filter_keep(struct meta_filter *filter, const struct call *call)
{
	for (size_t i = 0; i < filter->count; i++) {
		filter->pair[i].key = call_kept(call, filter->pair[i].key);
		filter->pair[i].value = call_kept(call, filter->pair[i].value);
	}
}

bool call_meta_filter(struct call *call, unsigned rule, struct meta_filter *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < call->query.count; i++) {
		const struct query_item *item = &call->query.item[i];

		if (item->rule != rule)
			continue;
		if (ret->count == PICK_FILTER_MAX) {
			problem(call->response, "invalid-parameter",
			        "more than %d filters on metadata", PICK_FILTER_MAX);
			return false;
		}
		if (!call_text(call, item, &ret->pair[ret->count].value))
			return false;
		ret->pair[ret->count++].key = item->suffix;
	}
	return true;
}

/** As much of a wrong name as is worth showing. */
static int shown(struct str name)
{
	return (int)(name.len < 80 ? name.len : 80);
}

bool call_path_is_valid(struct call *call)
{
	if (!valid_service_name(call->service)) {
		problem(call->response, "invalid-service",
		        "a service name is 1-%d of A-Z a-z 0-9 . _ - and starts with a letter or "
		        "digit, not '%.*s'",
		        SERVICE_NAME_MAX, shown(call->service), call->service.data);
		return false;
	}
	if (call->id.data != NULL && !valid_instance_id(call->id)) {
		problem(call->response, "invalid-id",
		        "an instance id is 1-%d printable ASCII characters without space, not "
		        "'%.*s'",
		        INSTANCE_ID_MAX, shown(call->id), call->id.data);
		return false;
	}
	return true;
}

void call_refuse(struct call *call, int error)
{
	if (error == -ENOENT)
		problem(call->response, "not-registered",
		        "'%.*s' of service '%.*s' is not registered: register it again",
		        (int)call->id.len, call->id.data, (int)call->service.len,
		        call->service.data);
	else if (error == -ESTALE)
		problem(call->response, "precondition-failed",
		        "'%.*s' of service '%.*s' is not registered, or has changed since it was "
		        "as If-Match says: %.*s",
		        (int)call->id.len, call->id.data, (int)call->service.len,
		        call->service.data, shown(call->request->if_match),
		        call->request->if_match.data);
	else
		problem_errno(call->response, error);
}

static bool skip_word(struct str *text, const char *word)
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
	if (!skip_word(&type, "application/json"))
		return false;
	if (skip_word(&type, ";")) {
		if (!skip_word(&type, "charset=utf-8") && !skip_word(&type, "charset=\"utf-8\""))
			return false;
	}
	(void)skip_word(&type, ""); /* blanks at the end */
	return type.len == 0;
}

bool call_body_is_json(struct call *call)
{
	struct str type = call->request->content_type;

	if (is_json(type))
		return true;
	problem(call->response, "unsupported-media-type",
	        "the body must be sent with Content-Type: application/json, not '%.*s' (with curl: "
	        "-H 'Content-Type: application/json')",
	        (int)(type.len < 80 ? type.len : 80), type.len > 0 ? type.data : "");
	return false;
}

bool call_conditions(struct call *call, struct command *command)
{
	struct str tag = call->request->if_match;

	if (tag.data == NULL)
		return true;
	command->must_exist = true;
	if (str_equal(tag, STR("*")))
		return true;
	if (tag.len > 2 && tag.data[0] == '"' && tag.data[tag.len - 1] == '"' &&
	    parse_u64((struct str){tag.data + 1, tag.len - 2}, 1, INT64_MAX,
	              &command->revision_is) == 0)
		return true;
	problem(call->response, "invalid-condition",
	        "If-Match must be the instance's revision in double quotes, or *, not '%.*s'",
	        (int)(tag.len < 80 ? tag.len : 80), tag.data);
	return false;
}

void call_refuse_body(struct call *call, int r, struct field_errors *errors)
{
	if (r == -EINVAL)
		problem_fields(call->response, errors);
	else if (r == -EBADMSG)
		problem(call->response, "malformed-json", "the body is not JSON as expected: %s",
		        errors->text);
	else
		problem_errno(call->response, r);
}

void call_seen(struct call *call, const struct snapshot *snapshot)
{
	call->response->revision = snapshot_revision(snapshot);
}

void call_tell_held(struct call *call, const struct service *service)
{
	int64_t ms = registry_held_ms(call->api->registry, service);

	if (ms > 0)
		response_header(call->response, HEADER_EXPIRY_HELD, "%" PRId64, ms);
}

enum api_result call_answer(struct call *call, unsigned status, const char *content_type)
{
	/* What is JSON ends in a newline, for those who read it at a terminal. */
	if (call->response->blob == NULL && call->response->stream == NULL &&
	    content_type != NULL && strcmp(content_type, TYPE_JSON) == 0)
		buf_put_char(&call->response->body, '\n');
	call->response->status = status;
	call->response->content_type = content_type;
	return API_DONE;
}
