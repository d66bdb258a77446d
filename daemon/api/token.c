/* SPDX-License-Identifier: MIT */
#include "api/token.h"

#include "base/parse.h"

#include <errno.h>

/** The first @p count hex digits of @p history. */
static void token_write_digits(uint64_t history, char *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = "0123456789abcdef"[history >> (60 - 4 * i) & 15];
}

static int token_parse_digits(struct str text, uint32_t *ret)
{
	uint32_t value = 0;

	if (text.len != TOKEN_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint32_t)(c - 'a' + 10);
		else
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

int token_parse(struct str text, struct token *ret_token)
{
	const char *dot = text.len > 0 ? memchr(text.data, '.', text.len) : NULL;
	struct str number = {text.data, dot != NULL ? (size_t)(dot - text.data) : text.len};
	struct token token = {.has_history = dot != NULL};

	if (parse_u64(number, 0, INT64_MAX, &token.revision) < 0)
		return -EINVAL;
	if (dot != NULL && token_parse_digits((struct str){dot + 1, text.len - number.len - 1},
	                                      &token.history) < 0)
		return -EINVAL;
	*ret_token = token;
	return 0;
}

bool token_is_of(const struct token *token, uint64_t history)
{
	return !token->has_history || token->history == history >> 32;
}

size_t token_write(uint64_t revision, uint64_t history, char out[TOKEN_MAX])
{
	size_t len = u64_write(revision, out);

	out[len++] = '.';
	token_write_digits(history, out + len, TOKEN_DIGITS);
	return len + TOKEN_DIGITS;
}

void token_put(struct buf *out, uint64_t revision, uint64_t history)
{
	char text[TOKEN_MAX];

	buf_add(out, text, token_write(revision, history, text));
}

void history_write(uint64_t history, char out[HISTORY_DIGITS + 1])
{
	token_write_digits(history, out, HISTORY_DIGITS);
	out[HISTORY_DIGITS] = '\0';
}
