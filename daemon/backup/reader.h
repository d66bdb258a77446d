/* SPDX-License-Identifier: MIT */
/**
 * Reads JSON from one line in place: what is decoded takes the place of what it was decoded from,
 * so nothing is allocated. After the first fault the reader stands still, and has the reason.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <stdint.h>

struct reader {
	char *start;
	char *at;
	char *end;
	char *why; /* of the first fault; empty until then */
	size_t why_size;
};

/** Notes the reason unless there is one. @return false */
bool PRINTF_LIKE(2, 3) reader_fail(struct reader *reader, const char *format, ...);
/** Is @p c the next character that is no blank? Moves on behind it. */
bool reader_accept(struct reader *reader, char c);
/** The same, and a fault when it is not. */
bool reader_expect(struct reader *reader, char c) MUST_USE;
/** Nothing but blanks is left. */
bool reader_at_end(struct reader *reader);
/** A string, UTF-8 without NUL; and the same with the ':' of a key behind it. */
bool reader_string(struct reader *reader, struct str *ret) MUST_USE;
bool reader_key(struct reader *reader, struct str *ret) MUST_USE;
/** An integer without fraction or exponent. */
bool reader_number(struct reader *reader, int64_t *ret) MUST_USE;
bool reader_bool(struct reader *reader, bool *ret) MUST_USE;
/** An object of whatever content, as it is written. */
bool reader_object(struct reader *reader, struct str *ret) MUST_USE;
/** An object of strings, packed as metadata: its keys must be in order of their bytes. */
bool reader_packed(struct reader *reader, struct str *ret) MUST_USE;
