/* SPDX-License-Identifier: MIT */
/*
 * The JSON reader of imports. No state outside of struct reader, any thread.
 *
 * Invariant: decoded bytes are never more than the bytes that they were decoded from, so a string
 * is decoded where it stands. jansson cannot be used here: it builds a tree of each line, and does
 * not keep the text of a document, which an import must store unchanged.
 */
#include "backup/reader.h"

#include "base/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32 /* of a document; bounds the recursion */

bool reader_fail(struct reader *reader, const char *format, ...)
{
	va_list args;

	if (reader->why[0] == '\0') {
		va_start(args, format);
		(void)vsnprintf(reader->why, reader->why_size, format, args); /* may be cut */
		va_end(args);
	}
	reader->at = reader->end;
	return false;
}

static bool reader_fail_here(struct reader *reader, const char *what)
{
	return reader_fail(reader, "%s was expected at byte %zu", what,
	                   (size_t)(reader->at - reader->start) + 1);
}

/* Skips blanks. @return the next character; '\0' at the end */
static char reader_peek(struct reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
		reader->at++;
	return (char)(reader->at < reader->end ? *reader->at : '\0');
}

bool reader_accept(struct reader *reader, char c)
{
	if (reader_peek(reader) != c || reader->at == reader->end)
		return false;
	reader->at++;
	return true;
}

bool reader_expect(struct reader *reader, char c)
{
	const char what[] = {'\'', c, '\'', '\0'};

	return reader_accept(reader, c) || reader_fail_here(reader, what);
}

bool reader_at_end(struct reader *reader)
{
	(void)reader_peek(reader);
	return reader->at == reader->end;
}

/* --- strings -------------------------------------------------------------------------- */

/* Reads four hex digits. @return -1: there are no four */
static int32_t reader_unit(struct reader *reader)
{
	int32_t unit = 0;

	if (reader->end - reader->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = parse_hex_digit(*reader->at++);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

/* Reads what follows \u: one UTF-16 unit, or a surrogate pair with the second \u.
 * @return the character; -1: a wrong digit or a lone surrogate */
static int32_t reader_code(struct reader *reader)
{
	int32_t code = reader_unit(reader);

	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code > 0xdbff || reader->end - reader->at < 2 || reader->at[0] != '\\' ||
	    reader->at[1] != 'u')
		return -1;
	reader->at += 2;
	int32_t low = reader_unit(reader);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* Writes at most four bytes, where the escape had six or twelve. @return the end of what it
 * wrote */
static char *reader_put_utf8(char *out, int32_t code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* Decodes what follows a backslash to @p *out. */
static bool reader_escape(struct reader *reader, char **out)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	char c = (char)(reader->at < reader->end ? *reader->at++ : '\0');
	const char *found = c != '\0' ? strchr(names, c) : NULL;

	if (found != NULL) {
		*(*out)++ = values[found - names];
		return true;
	}
	int32_t code = c == 'u' ? reader_code(reader) : -1;
	if (code <= 0)
		return reader_fail(reader, "a string has an invalid escape");
	*out = reader_put_utf8(*out, code);
	return true;
}

bool reader_string(struct reader *reader, struct str *ret)
{
	if (!reader_accept(reader, '"'))
		return reader_fail_here(reader, "a string");

	char *start = reader->at;
	char *out = start;
	while (reader->at < reader->end && *reader->at != '"') {
		char c = *reader->at++;

		if ((unsigned char)c < ' ')
			return reader_fail(reader, "a string has a control character");
		if (c != '\\')
			*out++ = c;
		else if (!reader_escape(reader, &out))
			return false;
	}
	if (reader->at == reader->end)
		return reader_fail(reader, "a string has no end");
	reader->at++;
	*ret = (struct str){start, (size_t)(out - start)};
	return parse_is_utf8(*ret) || reader_fail(reader, "a string is not UTF-8");
}

bool reader_key(struct reader *reader, struct str *ret)
{
	return reader_string(reader, ret) && reader_expect(reader, ':');
}

/* --- other values --------------------------------------------------------------------- */

static char *skip_digits(char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

bool reader_number(struct reader *reader, int64_t *ret)
{
	bool is_negative = reader_accept(reader, '-');
	const char *start = reader->at;
	uint64_t value = 0;

	reader->at = skip_digits(reader->at, reader->end);
	struct str digits = {start, (size_t)(reader->at - start)};
	bool ends = reader->at == reader->end || strchr(" \t,}]", *reader->at) != NULL;
	if (!ends || parse_u64(digits, 0, INT64_MAX, &value) < 0)
		return reader_fail_here(reader, "an integer");
	*ret = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static bool reader_accept_word(struct reader *reader, const char *word)
{
	size_t len = strlen(word);

	(void)reader_peek(reader);
	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return false;
	reader->at += len;
	return true;
}

bool reader_bool(struct reader *reader, bool *ret)
{
	*ret = reader_accept_word(reader, "true");
	return *ret || reader_accept_word(reader, "false") ||
	       reader_fail_here(reader, "true or false");
}

/* --- documents: checked, but not decoded ---------------------------------------------- */

static bool reader_skip_number(struct reader *reader)
{
	char *at = reader->at + (*reader->at == '-');
	const char *digits = at;

	at = skip_digits(at, reader->end);
	if (at == digits || (*digits == '0' && at - digits > 1))
		return reader_fail_here(reader, "a value");
	if (at < reader->end && *at == '.') {
		digits = ++at;
		at = skip_digits(at, reader->end);
		if (at == digits)
			return reader_fail_here(reader, "a value");
	}
	if (at < reader->end && (*at | 0x20) == 'e') {
		at++;
		at += at < reader->end && (*at == '+' || *at == '-');
		digits = at;
		at = skip_digits(at, reader->end);
		if (at == digits)
			return reader_fail_here(reader, "a value");
	}
	reader->at = at;
	return true;
}

/* Checks a string that must stay unchanged: decodes a copy of it. */
static bool reader_skip_string(struct reader *reader)
{
	char *start = reader->at;
	struct str ignored;
	const char *at = start + 1;

	for (; at < reader->end && *at != '"'; at++)
		if (*at == '\\' && at + 1 < reader->end)
			at++;
	if (at == reader->end)
		return reader_fail(reader, "a string has no end");

	char copy[4096 + 2]; /* no document is longer */
	size_t len = (size_t)(at - start) + 1;
	if (len > sizeof(copy))
		return reader_fail(reader, "a string in a document is longer than %zu bytes",
		                   sizeof(copy));
	memcpy(copy, start, len);
	struct reader inner = *reader;
	inner.start = inner.at = copy;
	inner.end = copy + len;
	if (!reader_string(&inner, &ignored))
		return reader_fail(reader, "%s", reader->why);
	reader->at = start + len;
	return true;
}

static bool reader_skip_value(struct reader *reader, unsigned depth);

static bool reader_skip_members(struct reader *reader, char close, unsigned depth)
{
	if (depth == 0)
		return reader_fail(reader, "a document is nested deeper than %d", DEPTH_MAX);
	reader->at++;
	if (reader_accept(reader, close))
		return true;
	do {
		if (close == '}') {
			if (reader_peek(reader) != '"')
				return reader_fail_here(reader, "a string");
			if (!reader_skip_string(reader) || !reader_expect(reader, ':'))
				return false;
		}
		if (!reader_skip_value(reader, depth - 1))
			return false;
	} while (reader_accept(reader, ','));
	return reader_expect(reader, close);
}

static bool reader_skip_value(struct reader *reader, unsigned depth)
{
	switch (reader_peek(reader)) {
	case '{':
		return reader_skip_members(reader, '}', depth);
	case '[':
		return reader_skip_members(reader, ']', depth);
	case '"':
		return reader_skip_string(reader);
	case 't':
	case 'f':
	case 'n':
		return reader_accept_word(reader, "true") || reader_accept_word(reader, "false") ||
		       reader_accept_word(reader, "null") || reader_fail_here(reader, "a value");
	case '\0':
		return reader_fail_here(reader, "a value");
	default:
		return reader_skip_number(reader);
	}
}

bool reader_object(struct reader *reader, struct str *ret)
{
	if (reader_peek(reader) != '{')
		return reader_fail_here(reader, "an object");
	const char *start = reader->at;
	if (!reader_skip_value(reader, DEPTH_MAX))
		return false;
	*ret = (struct str){start, (size_t)(reader->at - start)};
	return true;
}

/* --- metadata ------------------------------------------------------------------------- */

/* Moves @p text to @p out, which is at or before it, and adds a NUL. @return the byte after the
 * NUL */
static char *reader_pack(char *out, struct str text)
{
	memmove(out, text.data, text.len);
	out[text.len] = '\0';
	return out + text.len + 1;
}

bool reader_packed(struct reader *reader, struct str *ret)
{
	if (!reader_expect(reader, '{'))
		return false;

	/* Packing in place is safe: the two NULs need less room than the quotes and the colon. */
	char *start = reader->at;
	char *out = start;
	struct str before = {NULL, 0};
	if (!reader_accept(reader, '}')) {
		do {
			struct str key = {NULL, 0};
			struct str value = {NULL, 0};

			if (!reader_key(reader, &key) || !reader_string(reader, &value))
				return false;
			if (key.len == 0)
				return reader_fail(reader, "a key is empty");
			char *packed = out;
			out = reader_pack(out, key);
			if (before.data != NULL &&
			    str_compare(before, (struct str){packed, key.len}) >= 0)
				return reader_fail(reader, "key '%.64s' is not in order", packed);
			before = (struct str){packed, key.len};
			out = reader_pack(out, value);
		} while (reader_accept(reader, ','));
		if (!reader_expect(reader, '}'))
			return false;
	}
	*ret = (struct str){start, (size_t)(out - start)};
	return true;
}
