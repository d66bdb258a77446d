/* SPDX-License-Identifier: MIT */
/**
 * Memory, texts and JSON values that never fail: without memory the tool prints "out of memory" and
 * exits with EXIT_ERROR, so callers check nothing. Memory that is used until the process ends is
 * not freed.
 */
#pragma once

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdnoreturn.h>

/** @return zeroed memory, freed by the caller */
void *memory_get(size_t size);
/** @p memory may be NULL; new bytes are not zeroed. */
void *memory_resize(void *memory, size_t size);
char *memory_copy(const char *text);
/** @return @p value, which is new; exits if it is NULL */
json_t *memory_json(json_t *value);
/** Set a member of @p object, or add an element to @p array. Both own @p value from then on. */
void memory_set(json_t *object, const char *key, json_t *value);
void memory_append(json_t *array, json_t *value);
/** Prints "out of memory" and exits. */
noreturn void memory_lacks(void);

/** A growing text. {NULL} is an empty one, whose data is NULL until something is added. */
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
/** Adds a segment of a path or a value of a query: all but unreserved characters become %XX. */
void text_put_escaped(struct text *text, const char *more);
/** Empties a text and keeps its memory. */
void text_clear(struct text *text);
/** Frees a text, which is then empty. */
void text_free(struct text *text);
