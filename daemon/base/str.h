/* SPDX-License-Identifier: MIT */
/** A borrowed string of bytes with its length; it need not end in NUL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *data;
	size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

static inline struct str str_of(const char *text)
{
	return (struct str){text, strlen(text)};
}

static inline bool str_equal(struct str a, struct str b)
{
	/* by b's length: a literal is then compared without a call */
	return a.len == b.len && (b.len == 0 || memcmp(a.data, b.data, b.len) == 0);
}

static inline bool str_begins(struct str text, struct str prefix)
{
	return text.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}

/** Order of bytes: below, equal to or above 0. */
static inline int str_compare(struct str a, struct str b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/**
 * Cuts the word before the first @p separator off @p rest, which then begins behind the separator;
 * without a separator the word is all of @p rest, and rest->data becomes NULL.
 */
static inline struct str str_cut(struct str *rest, char separator)
{
	const char *end = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
	struct str word = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};

	*rest = end != NULL ? (struct str){end + 1, rest->len - word.len - 1}
	                    : (struct str){NULL, 0};
	return word;
}

/** Copies @p text to *at and moves *at behind it. @return the copy */
static inline struct str str_copy_to(char **at, struct str text)
{
	struct str copy = {*at, text.len};

	if (text.len > 0)
		memcpy(*at, text.data, text.len);
	*at += text.len;
	return copy;
}

/** The same, with a NUL behind the copy. */
static inline struct str str_copy_with_nul(char **at, struct str text)
{
	struct str copy = str_copy_to(at, text);

	*(*at)++ = '\0';
	return copy;
}

/** For "%.*s": the first @p most bytes of what a client sent. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): these are two arguments */
#define STR_SHOWN(text, most) \
	(int)((text).len < (most) ? (text).len : (most)), ((text).len > 0 ? (text).data : "")
