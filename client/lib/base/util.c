/* SPDX-License-Identifier: MIT */
#include "lib/base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

char *text_copy_n(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *text_copy(const char *text)
{
	return text == NULL ? NULL : text_copy_n(text, strlen(text));
}

const char *text_pack(char **at, const char *text)
{
	char *copy = *at;

	if (text == NULL)
		return NULL;
	size_t size = strlen(text) + 1;
	memcpy(copy, text, size);
	*at += size;
	return copy;
}

uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	return hash ^ (hash >> 32);
}

int sized_in(void *to, size_t to_size, const void *from, size_t from_size)
{
	const unsigned char *tail = from;

	if (from_size < sizeof(size_t) || from_size > (1U << 16))
		return -EINVAL;
	for (size_t i = to_size; i < from_size; i++)
		if (tail[i] != 0)
			return -E2BIG;
	memcpy(to, from, from_size < to_size ? from_size : to_size);
	return 0;
}

void sized_out(void *to, size_t to_size, const void *from, size_t from_size)
{
	memset(to, 0, to_size);
	memcpy(to, from, to_size < from_size ? to_size : from_size);
}
