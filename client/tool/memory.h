/* SPDX-License-Identifier: MIT */
/**
 * Memory that is there: a command that cannot have it says so and exits with EXIT_ERROR, so callers
 * check nothing. What has no end before the process has is not freed.
 */
#pragma once

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdnoreturn.h>

void *memory_get(size_t size);
/** @p memory may be NULL; what is new is not cleared. */
void *memory_resize(void *memory, size_t size);
char *memory_copy(const char *text);
/** A new JSON value, or the end. Steals nothing, returns @p value. */
json_t *memory_json(json_t *value);
/** Sets a member of @p object, and adds an element to @p array; both take @p value over. */
void memory_set(json_t *object, const char *key, json_t *value);
void memory_append(json_t *array, json_t *value);
noreturn void memory_lacks(void);

/** A text that grows. {NULL} is an empty one; text.data is NULL until something is put. */
struct text {
	char *data; /* NUL-terminated, freed by text_free() */
	size_t len;
	size_t room;
};

void text_put(struct text *text, const char *more);
void text_put_bytes(struct text *text, const char *more, size_t len);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *text, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/** As one segment of a path or one value of a query: all but unreserved characters become %XX. */
void text_put_escaped(struct text *text, const char *more);
/** Empties it, and keeps its memory. */
void text_clear(struct text *text);
/** Frees it; it is empty then. */
void text_free(struct text *text);
