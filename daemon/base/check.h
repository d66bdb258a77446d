/* SPDX-License-Identifier: MIT */
/**
 * Assertions that stay in release builds, and type tags for objects that pass through void *.
 *
 * They are for programmer errors only: never for input, disk or memory. Stopping is safe, because a
 * restart replays the journal: no acknowledged change is lost.
 */
#pragma once

#include "base/attr.h"

#include <stdint.h>

/** Logs the place and aborts the process when @p x is false. */
#define CHECK(x)                                                        \
	do {                                                            \
		if (__builtin_expect(!(x), 0))                          \
			check_failed(#x, __FILE__, __LINE__, __func__); \
	} while (0)

/** Aborts the process when @p call, which returns 0 or an error, fails. */
#define CHECK_OK(call) CHECK((call) == 0)

NORETURN void check_failed(const char *what, const char *file, int line, const char *function);

/** First member of each object that passes through void *; see CHECK_MAGIC(). */
struct magic {
	uint32_t value;
};

/** Gives struct @p name its tag; names the constant name_magic. */
#define MAGIC(name, number) enum { name##_magic = (number) }
#define MAGIC_INIT(name)    ((struct magic){name##_magic})
/** Aborts unless @p object is not NULL and is a struct @p name. */
#define CHECK_MAGIC(object, name) \
	CHECK((object) != NULL && (object)->magic.value == (uint32_t)name##_magic)
