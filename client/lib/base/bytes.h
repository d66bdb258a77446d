/* SPDX-License-Identifier: MIT */
/** A growable run of bytes that knows its most. Errors stick; check once at the end. */
#pragma once

#include "lib/base/util.h"

struct bytes {
	char *data; /* owned; NUL-terminated once anything was added */
	size_t len;
	size_t size;
	size_t most;
	int error; /* 0, -ENOMEM, -EMSGSIZE */
};

void bytes_init(struct bytes *bytes, size_t most);
void bytes_fini(struct bytes *bytes);
/** Empties it, keeps the memory. */
void bytes_reset(struct bytes *bytes);
void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_put(struct bytes *bytes, const char *text);
void bytes_printf(struct bytes *bytes, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** Percent-encodes all but what RFC 3986 calls unreserved. */
void bytes_put_segment(struct bytes *bytes, const char *text);
/** A JSON string with its quotes. */
void bytes_put_json(struct bytes *bytes, const char *text);
/** Takes the bytes out, for the caller to free(). NULL when it is empty. */
char *bytes_take(struct bytes *bytes, size_t *ret_len) MUST_USE;
