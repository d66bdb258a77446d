/* SPDX-License-Identifier: MIT */
/**
 * base/ is what every module of the library may use: compiler attributes, text helpers, buffers,
 * the clock and random numbers, and the texts of errors. It knows nothing of HTTP or of a registry.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MUST_USE     __attribute__((warn_unused_result))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define US_PER_MS    INT64_C(1000)
#define US_PER_S     INT64_C(1000000)
#define HOUR_MS      3600000
#define DAY_MS       86400000

#ifndef container_of
/* clang-format off */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */
#endif

static inline int64_t us_of_ms(uint32_t ms)
{
	return (int64_t)ms * US_PER_MS;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/** Copies a text, or its first @p len bytes. @return memory for the caller to free(); NULL when out
 * of memory, or when @p text of text_copy() is NULL */
char *text_copy(const char *text) MUST_USE;
char *text_copy_n(const char *text, size_t len) MUST_USE;

/** Copies @p text with its NUL to *@p at, and moves *@p at behind it. @return the copy, or NULL
 * when
 * @p text is NULL */
const char *text_pack(char **at, const char *text);

/** @return the FNV-1a hash of @p text, folded once so that its low bits are good */
uint64_t hash_text(const char *text);

/**
 * Copies a structure of the caller, who gives its size, into the library's version of it. Members
 * beyond @p from_size keep their value.
 * @return 0; -EINVAL (smaller than a size_t, or larger than 64 KiB); -E2BIG (larger than @p
 * to_size, and a member that the library does not know is not 0)
 */
int sized_in(void *to, size_t to_size, const void *from, size_t from_size) MUST_USE;
/** Copies the library's version of a structure to the caller, who gives the size @p to_size.
 * Members beyond @p from_size become 0. */
void sized_out(void *to, size_t to_size, const void *from, size_t from_size);
