/* SPDX-License-Identifier: MIT */
/**
 * A JSON reader for one line that decodes strings in place: a decoded string overwrites its source,
 * so nothing is allocated. After the first error the reader stays at the end of the line, so all
 * later calls fail, and `why` holds the reason. Each function that returns bool returns false after
 * an error, except where noted. Any thread; a reader belongs to one.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <stdint.h>

struct reader {
	char *start;
	char *at;
	char *end;
	char *why; /* reason of the first error; empty until then */
	size_t why_size;
};

/** Records an error; keeps the reason of an earlier one. @return false */
bool PRINTF_LIKE(2, 3) reader_fail(struct reader *reader, const char *format, ...);
/** Skips blanks, and @p c if it is next. @return false: another character is next, no error */
bool reader_accept(struct reader *reader, char c);
/** Skips blanks and @p c; any other character is an error. */
bool reader_expect(struct reader *reader, char c) MUST_USE;
/** Are only blanks left? */
bool reader_at_end(struct reader *reader);
/** Reads a string: UTF-8 without NUL. @p ret is borrowed from the line. */
bool reader_string(struct reader *reader, struct str *ret) MUST_USE;
/** Reads a string and the ':' behind it. */
bool reader_key(struct reader *reader, struct str *ret) MUST_USE;
/** Reads an integer without fraction or exponent. */
bool reader_number(struct reader *reader, int64_t *ret) MUST_USE;
bool reader_bool(struct reader *reader, bool *ret) MUST_USE;
/** Reads an object of any members; @p ret is its text, unchanged. Nested up to 32 levels. */
bool reader_object(struct reader *reader, struct str *ret) MUST_USE;
/** Reads an object of strings and packs it as metadata (struct instance). Its keys must be sorted
 * by their bytes and not empty. */
bool reader_packed(struct reader *reader, struct str *ret) MUST_USE;
