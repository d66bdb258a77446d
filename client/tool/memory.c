/* SPDX-License-Identifier: MIT */
#include "tool/memory.h"

#include "tool/exit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

noreturn void memory_lacks(void)
{
	(void)fputs("rollcall: out of memory\n", stderr);
	exit(EXIT_ERROR);
}

void *memory_get(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		memory_lacks();
	return memory;
}

void *memory_resize(void *memory, size_t size)
{
	void *more = realloc(memory, size > 0 ? size : 1);

	if (more == NULL)
		memory_lacks();
	return more;
}

char *memory_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		memory_lacks();
	return copy;
}

json_t *memory_json(json_t *value)
{
	if (value == NULL)
		memory_lacks();
	return value;
}

void memory_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, memory_json(value)) < 0)
		memory_lacks();
}

void memory_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, memory_json(value)) < 0)
		memory_lacks();
}

static void make_room(struct text *text, size_t more)
{
	size_t need = text->len + more + 1;

	if (need <= text->room)
		return;
	text->room = need < 64 ? 64 : need + need / 2;
	text->data = memory_resize(text->data, text->room);
}

void text_put_bytes(struct text *text, const char *more, size_t len)
{
	make_room(text, len);
	memcpy(text->data + text->len, more, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void text_put(struct text *text, const char *more)
{
	text_put_bytes(text, more, strlen(more));
}

void text_vprintf(struct text *text, const char *format, va_list args)
{
	char *made = NULL;
	int len = vasprintf(&made, format, args);

	if (len < 0)
		memory_lacks();
	text_put_bytes(text, made, (size_t)len);
	free(made);
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_vprintf(text, format, args);
	va_end(args);
}

void text_put_escaped(struct text *text, const char *more)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (; *more != '\0'; more++) {
		if (strchr(unreserved, *more) != NULL)
			text_put_bytes(text, more, 1);
		else
			text_printf(text, "%%%02X", (unsigned)(unsigned char)*more);
	}
}

void text_clear(struct text *text)
{
	text->len = 0;
	if (text->data != NULL)
		text->data[0] = '\0';
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){NULL, 0, 0};
}
