/* SPDX-License-Identifier: MIT */
/** Compiler attributes and the few helpers that every module of the client may use. */
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

/** A copy for the caller to free(), NULL when out of memory or @p text is NULL. */
char *text_copy(const char *text) MUST_USE;
char *text_copy_n(const char *text, size_t len) MUST_USE;

/** Copies @p text with its NUL to *@p at, and moves *@p at behind it. @return the copy, or NULL
 * when
 * @p text is NULL */
const char *text_pack(char **at, const char *text);

/** FNV-1a. */
uint64_t hash_text(const char *text);

/**
 * Copies a structure that the caller sized into ours, whose members beyond @p from_size keep what
 * they hold. @return 0; -EINVAL: smaller than any version; -E2BIG: larger, with something in what
 * we do not know
 */
int sized_in(void *to, size_t to_size, const void *from, size_t from_size) MUST_USE;
/** Fills the first @p to_size bytes of a structure that the caller sized with ours; what is beyond
 * @p from_size becomes 0. */
void sized_out(void *to, size_t to_size, const void *from, size_t from_size);
