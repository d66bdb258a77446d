/* SPDX-License-Identifier: MIT */
/** A growable buffer with a limit. The first error stays in the buffer and later additions do
 * nothing, so callers check once, at the end. */
#pragma once

#include "lib/base/util.h"

struct bytes {
	char *data; /* owned; NULL until the first addition, then with a NUL behind it */
	size_t len;
	size_t size;
	size_t most; /* limit of len */
	int error;   /* 0, -ENOMEM, -EMSGSIZE (over the limit) */
};

void bytes_init(struct bytes *bytes, size_t most);
void bytes_fini(struct bytes *bytes);
/** Empties the buffer, clears its error, and keeps its memory. */
void bytes_reset(struct bytes *bytes);
void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_put(struct bytes *bytes, const char *text);
/** Adds at most 511 bytes; a longer result is -EMSGSIZE. */
void bytes_printf(struct bytes *bytes, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** Adds @p text as a path segment: bytes that RFC 3986 does not call unreserved become %XX. */
void bytes_put_segment(struct bytes *bytes, const char *text);
/** Adds @p text as a JSON string, with quotes. */
void bytes_put_json(struct bytes *bytes, const char *text);
/** Moves the content out. @return memory for the caller to free(); NULL when the buffer is empty or
 * has an error, and then *@p ret_len is not written */
char *bytes_take(struct bytes *bytes, size_t *ret_len) MUST_USE;
