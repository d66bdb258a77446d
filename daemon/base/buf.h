/* SPDX-License-Identifier: MIT */
/**
 * A growable byte buffer with a maximum. Errors stick: after the first failed append all others do
 * nothing, and buf_error() returns the error, so a caller checks once at the end.
 *
 *	struct buf out;
 *	buf_init(&out, 1 << 20);
 *	buf_put(&out, "{\"port\":");
 *	buf_put_u64(&out, port);
 *	buf_put(&out, "}");
 *	if (buf_error(&out) < 0) ...
 *	buf_fini(&out);
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <stdint.h>

struct buf {
	char *data; /* owned; not NUL-terminated */
	size_t len;
	size_t size;
	size_t most;
	int error; /* 0, -ENOMEM, or -EMSGSIZE: more than `most` bytes were appended */
};

/** Allocates nothing yet. @param most  bytes that the buffer may grow to */
void buf_init(struct buf *buf, size_t most);
void buf_fini(struct buf *buf);
/** Empties the buffer and clears the error; keeps the memory. */
static inline void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->error = 0;
}
/** Makes room for @p more bytes beyond len. @return 0, -ENOMEM or -EMSGSIZE (also kept in error) */
int buf_reserve(struct buf *buf, size_t more);
/** Passes the bytes to the caller, who frees them; empties the buffer. NULL when empty or
 * failed. */
char *buf_take(struct buf *buf, size_t *ret_len) MUST_USE;

void buf_add(struct buf *buf, const void *data, size_t len);
/** Inline, so that the compiler knows the length of a literal. */
static inline void buf_put(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}
void buf_put_str(struct buf *buf, struct str text);
void buf_put_char(struct buf *buf, char c);
void buf_put_u64(struct buf *buf, uint64_t n);
void buf_put_i64(struct buf *buf, int64_t n);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/** Appends @p text as a JSON string, quotes included (RFC 8259: `"`, `\` and controls escaped). */
void buf_put_json(struct buf *buf, struct str text);
/** Removes the last '}' of the JSON object that the buffer ends with: members can follow. */
void buf_reopen_object(struct buf *buf);
/** Appends @p real_ms as a JSON string in RFC 3339. */
void buf_put_time(struct buf *buf, int64_t real_ms);

#define U64_DIGITS 20 /* at most */
/** Writes @p n in decimal without a NUL; much faster than snprintf(). @return the length */
size_t u64_write(uint64_t n, char out[U64_DIGITS]);

/** The length of @p n in decimal. */
size_t u64_len(uint64_t n);

static inline int buf_error(const struct buf *buf)
{
	return buf->error;
}
