/* SPDX-License-Identifier: MIT */
#include "api/call.h"

#include "api/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct str trim(struct str text)
{
	while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
		text.data++;
		text.len--;
	}
	while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/** Cuts the next trimmed element before @p separator off @p list. */
static bool next_element(struct str *list, char separator, struct str *ret_element)
{
	if (list->len == 0)
		return false;
	*ret_element = trim(str_cut(list, separator));
	return true;
}

/** "q=0.5" in thousandths; 1000 when there is none. */
static int quality(struct str parameters)
{
	struct str parameter;

	while (next_element(&parameters, ';', &parameter)) {
		if (parameter.len < 3 || strncasecmp(parameter.data, "q=", 2) != 0)
			continue;
		int q = parameter.data[2] == '1' ? 1000 : 0;
		for (size_t i = 4, unit = 100; i < parameter.len && unit > 0; i++, unit /= 10)
			if (parameter.data[i] >= '0' && parameter.data[i] <= '9')
				q += (parameter.data[i] - '0') * (int)unit;
		return q < 1000 ? q : 1000;
	}
	return 1000;
}

/** Does Accept name @p wanted, with a quality above that of JSON (or at least that of any type)? */
static bool prefers(struct str accept, struct str wanted)
{
	int text = -1;
	int json = -1;
	int any = 0;
	struct str element;

	while (next_element(&accept, ',', &element)) {
		struct str type = element;
		(void)next_element(&element, ';', &type);
		if (type.len == wanted.len && strncasecmp(type.data, wanted.data, wanted.len) == 0)
			text = quality(element);
		else if (type.len == 16 && strncasecmp(type.data, "application/json", 16) == 0)
			json = quality(element);
		else if (str_equal(type, STR("*/*")))
			any = quality(element);
	}
	if (json >= 0)
		return text > json;
	return text > 0 && text >= any;
}

bool call_accepts(const struct call *call, struct str type)
{
	struct str accept = api_header(call->request, STR("accept"));

	return accept.len > 0 && prefers(accept, type);
}

bool call_wants_text(struct call *call, const struct query_item *format, bool *ret)
{
	struct str word;

	if (format == NULL) {
		*ret = call_accepts(call, STR("text/plain"));
		return true;
	}
	if (!call_text(call, format, &word))
		return false;
	*ret = str_equal(word, STR("text"));
	if (*ret || str_equal(word, STR("json")))
		return true;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "format must be 'json' or 'text', not '%.*s'", STR_SHOWN(word, 40));
	return false;
}

/** If-None-Match: a list of tags, weak or strong, or "*". */
static bool has_tag(struct str list, struct str tag)
{
	struct str element;

	while (next_element(&list, ',', &element)) {
		if (element.len > 2 && memcmp(element.data, "W/", 2) == 0)
			element = (struct str){element.data + 2, element.len - 2};
		if (str_equal(element, tag) || str_equal(element, STR("*")))
			return true;
	}
	return false;
}

bool call_etag(struct call *call, uint64_t revision, bool text)
{
	struct api_response *response = call->response;

	/* Text and JSON of one result are two representations, so their tags differ. */
	struct str end = text ? STR("-text\"") : STR("\"");
	size_t len = 0;

	response->etag[len++] = '"';
	len += token_write(revision, api_history(call->api), response->etag + len);
	memcpy(response->etag + len, end.data, end.len + 1);
	len += end.len;
	struct str known = api_header(call->request, STR("if-none-match"));
	if (known.len == 0 || !has_tag(known, (struct str){response->etag, len}))
		return false;
	response->status = 304;
	response->content_type = NULL;
	return true;
}
