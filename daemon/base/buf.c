/* SPDX-License-Identifier: MIT */
/*
 * The buffer that answers are rendered into. No shared state: one thread at a time uses a buffer.
 *
 * Invariant: len <= size <= most, and nothing is appended while `error` is set. Appending is on the
 * path of every request, so the check for room is inline and only growing is a call;
 * open_memstream() has neither a limit nor a sticky error.
 */
#include "base/buf.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 256

void buf_init(struct buf *buf, size_t most)
{
	*buf = (struct buf){.most = most};
}

void buf_fini(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.most = buf->most};
}

static int buf_grow(struct buf *buf, size_t more)
{
	if (buf->error < 0)
		return buf->error;
	if (more > buf->most - buf->len) {
		buf->error = -EMSGSIZE;
		return buf->error;
	}

	size_t size = buf->size > buf->most / 2 ? buf->most : buf->size * 2;
	if (size < FIRST_SIZE)
		size = FIRST_SIZE < buf->most ? FIRST_SIZE : buf->most;
	if (size < buf->len + more)
		size = buf->len + more;

	/* malloc() rather than realloc(), which would also copy the bytes beyond len. */
	char *data = malloc(size);
	if (data == NULL) {
		buf->error = -ENOMEM;
		return buf->error;
	}
	if (buf->len > 0)
		memcpy(data, buf->data, buf->len);
	free(buf->data);
	buf->data = data;
	buf->size = size;
	return 0;
}

/* Nearly always there is room, and no call is made. */
static inline int reserve(struct buf *buf, size_t more)
{
	if (buf->error == 0 && more <= buf->size - buf->len)
		return 0;
	return buf_grow(buf, more);
}

int buf_reserve(struct buf *buf, size_t more)
{
	return reserve(buf, more);
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
	if (buf->error < 0 || buf->len == 0)
		return NULL;

	char *data = buf->data;
	*ret_len = buf->len;
	buf_init(buf, buf->most);
	return data;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (len == 0 || reserve(buf, len) < 0)
		return;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

void buf_put_str(struct buf *buf, struct str text)
{
	buf_add(buf, text.data, text.len);
}

void buf_put_char(struct buf *buf, char c)
{
	if (reserve(buf, 1) < 0)
		return;
	buf->data[buf->len++] = c;
}

size_t u64_len(uint64_t n)
{
	size_t len = 1;

	for (uint64_t left = n; left >= 10; left /= 10)
		len++;
	return len;
}

/* Writes @p n so that it ends before @p end. @return where it begins */
static char *write_before(char *end, uint64_t n)
{
	do {
		*--end = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return end;
}

size_t u64_write(uint64_t n, char out[U64_DIGITS])
{
	size_t len = u64_len(n);

	(void)write_before(out + len, n);
	return len;
}

void buf_put_u64(struct buf *buf, uint64_t n)
{
	char digits[U64_DIGITS];
	const char *first = write_before(digits + sizeof(digits), n);

	buf_add(buf, first, (size_t)(digits + sizeof(digits) - first));
}

void buf_put_i64(struct buf *buf, int64_t n)
{
	if (n >= 0) {
		buf_put_u64(buf, (uint64_t)n);
		return;
	}
	/* One append, so that a minus sign never stands alone. */
	if (buf_reserve(buf, 1 + U64_DIGITS) < 0)
		return;
	buf_put_char(buf, '-');
	buf_put_u64(buf, 0 - (uint64_t)n);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	if (buf_reserve(buf, 1) < 0)
		return;

	va_start(args, format);
	int len = vsnprintf(buf->data + buf->len, buf->size - buf->len, format, args);
	va_end(args);
	if (len < 0) {
		buf->error = -ENOMEM; /* the C library's only cause for the formats we use */
		return;
	}

	if ((size_t)len >= buf->size - buf->len) {
		/* vsnprintf() ends in a NUL that the text does not keep. */
		char *text = malloc((size_t)len + 1);
		if (text == NULL) {
			buf->error = -ENOMEM;
			return;
		}
		va_start(args, format);
		(void)vsnprintf(text, (size_t)len + 1, format, args);
		va_end(args);
		buf_add(buf, text, (size_t)len);
		free(text);
		return;
	}
	buf->len += (size_t)len;
}

/* The character behind the backslash; 0: the byte needs no escape; 'u': \u00XX. */
static const char escapes[256] = {'u', 'u', 'u', 'u', 'u', 'u',         'u',          'u', 'b',
                                  't', 'n', 'u', 'f', 'r', 'u',         'u',          'u', 'u',
                                  'u', 'u', 'u', 'u', 'u', 'u',         'u',          'u', 'u',
                                  'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\'};

static char *put_escape(char *out, unsigned char c)
{
	static const char hex[16] = "0123456789abcdef";

	*out++ = '\\';
	*out++ = escapes[c];
	if (escapes[c] == 'u') {
		*out++ = '0';
		*out++ = '0';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	return out;
}

void buf_put_json(struct buf *buf, struct str text)
{
	/* The data of an empty text may be NULL. */
	const unsigned char *at = (const unsigned char *)(text.len > 0 ? text.data : "");
	const unsigned char *end = at + text.len;

	/* Most text needs no escape: one reservation, then one run. */
	if (buf_reserve(buf, text.len + 2) < 0)
		return;
	buf->data[buf->len++] = '"';
	for (;;) {
		const unsigned char *run = at;

		while (at < end && escapes[*at] == 0)
			at++;
		size_t len = (size_t)(at - run);
		if (len > 0) {
			memcpy(buf->data + buf->len, run, len);
			buf->len += len;
		}
		if (at == end)
			break;

		char escape[6];
		size_t width = (size_t)(put_escape(escape, *at++) - escape);
		/* Reserve for the escape and the whole rest, so that plain runs need no check. */
		if (buf_reserve(buf, width + (size_t)(end - at) + 1) < 0)
			return;
		memcpy(buf->data + buf->len, escape, width);
		buf->len += width;
	}
	buf->data[buf->len++] = '"';
}

void buf_reopen_object(struct buf *buf)
{
	if (buf->error < 0)
		return;
	CHECK(buf->len > 0 && buf->data[buf->len - 1] == '}');
	buf->len--;
}

void buf_put_time(struct buf *buf, int64_t real_ms)
{
	char text[CLOCK_RFC3339_SIZE];
	unsigned len = clock_rfc3339(real_ms, text);

	if (buf_reserve(buf, (size_t)len + 2) < 0)
		return;
	buf_put_char(buf, '"');
	buf_add(buf, text, len);
	buf_put_char(buf, '"');
}
