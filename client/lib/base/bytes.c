/* SPDX-License-Identifier: MIT */
#include "lib/base/bytes.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_init(struct bytes *bytes, size_t most)
{
	*bytes = (struct bytes){.most = most};
}

void bytes_fini(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){.most = bytes->most};
}

void bytes_reset(struct bytes *bytes)
{
	bytes->len = 0;
	bytes->error = 0;
	if (bytes->data != NULL)
		bytes->data[0] = '\0'; /* data may be read as text before the next addition */
}

static bool bytes_reserve(struct bytes *bytes, size_t more)
{
	if (bytes->error < 0)
		return false;
	if (more > bytes->most - bytes->len) {
		bytes->error = -EMSGSIZE;
		return false;
	}

	size_t need = bytes->len + more + 1;
	if (need <= bytes->size)
		return true;

	size_t size = bytes->size < 128 ? 256 : bytes->size * 2;
	if (size < need)
		size = need;
	char *data = malloc(size);
	if (data == NULL) {
		bytes->error = -ENOMEM;
		return false;
	}
	if (bytes->len > 0)
		memcpy(data, bytes->data, bytes->len);
	free(bytes->data);
	bytes->data = data;
	bytes->size = size;
	return true;
}

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
	if (!bytes_reserve(bytes, len))
		return;
	if (len > 0)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
	bytes->data[bytes->len] = '\0';
}

void bytes_put(struct bytes *bytes, const char *text)
{
	bytes_add(bytes, text, strlen(text));
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(text)) {
		bytes->error = -EMSGSIZE;
		return;
	}
	bytes_add(bytes, text, (size_t)len);
}

void bytes_put_segment(struct bytes *bytes, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 128 && isalnum(c) != 0) || strchr("-._~", c) != NULL)
			bytes_add(bytes, &c, 1);
		else
			bytes_printf(bytes, "%%%02X", c);
	}
}

void bytes_put_json(struct bytes *bytes, const char *text)
{
	bytes_put(bytes, "\"");
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			bytes_printf(bytes, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			bytes_printf(bytes, "\\u%04x", c);
		else
			bytes_add(bytes, &c, 1);
	}
	bytes_put(bytes, "\"");
}

char *bytes_take(struct bytes *bytes, size_t *ret_len)
{
	char *data = bytes->data;

	if (bytes->len == 0 || bytes->error < 0)
		return NULL;
	*ret_len = bytes->len;
	*bytes = (struct bytes){.most = bytes->most};
	return data;
}
