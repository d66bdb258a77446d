/* SPDX-License-Identifier: MIT */
#include "api/scan.h"

#include <errno.h>

/** The index behind the string that begins at @p i. */
static size_t scan_skip_string(struct str text, size_t i)
{
	for (i++; i < text.len; i++) {
		if (text.data[i] == '\\')
			i++;
		else if (text.data[i] == '"')
			return i + 1;
	}
	return text.len;
}

static bool separates(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':' ||
	       c == '{' || c == '}' || c == '[' || c == ']' || c == '"';
}

int json_scan(struct str text)
{
	unsigned depth = 0;
	unsigned tokens = 0;
	size_t i = 0;

	while (i < text.len) {
		switch (text.data[i]) {
		case '{':
		case '[':
			if (++depth > JSON_DEPTH_MAX)
				return -EMSGSIZE;
			tokens++;
			i++;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			i++;
			break;
		case ' ':
		case '\t':
		case '\n':
		case '\r':
		case ',':
		case ':':
			i++;
			break;
		case '"':
			tokens++;
			i = scan_skip_string(text, i);
			break;
		default: /* a number, true, false, null, or an error for the parser */
			tokens++;
			while (i < text.len && !separates(text.data[i]))
				i++;
			break;
		}
		if (tokens > JSON_TOKENS_MAX)
			return -EMSGSIZE;
	}
	return 0;
}
