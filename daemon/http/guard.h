/* SPDX-License-Identifier: MIT */
/**
 * Checks of a request's head that libmicrohttpd 0.9.75 leaves out: headers that two parsers may
 * frame differently, and request targets that libmicrohttpd cuts or decodes too early. Pure
 * functions over names and values; any thread.
 *
 * libmicrohttpd takes a bare LF as the end of a line, and a line that begins with a NUL or with ':'
 * as the end of the head; it drops what follows a NUL in a value, and joins continued lines. It
 * leaves the head in memory as it arrived, with a NUL in place of each blank of the request line,
 * of the colon after each name, and of the CR and of the LF of each line. So the strings that it
 * passes on must follow each other without a gap up to the end of the head: a gap holds what
 * libmicrohttpd dropped, joined or took as the end of a line. One fault cannot be seen: a NUL
 * before a bare LF looks like CR LF.
 *
 *	struct guard guard = {0};
 *	guard_line(&guard, method, target, version);
 *	guard_header(&guard, name, value);     // each header, in order
 *	verdict = guard_end(&guard, end);
 *	if (verdict != GUARD_PASS)
 *		... refuse with guard_refusal(verdict), then close the connection ...
 */
#pragma once

#include "api/problem_codes.h"
#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* verdict, problem, what the client did wrong */
/* clang-format off */
#define GUARD_REFUSALS(X)                                                                                          \
	X(GUARD_TARGET,        PROBLEM_MALFORMED_TARGET,      "the request target holds a character that must be percent-encoded") \
	X(GUARD_TARGET_FORM,   PROBLEM_MALFORMED_TARGET,      "the request target must be a path that starts with '/', or an http:// URL") \
	X(GUARD_TARGET_ESCAPE, PROBLEM_MALFORMED_TARGET,      "the request target has a '%' without two hex digits, or an encoded NUL") \
	X(GUARD_VERSION,       PROBLEM_UNSUPPORTED_VERSION,   "only HTTP/1.1 and HTTP/1.0 are supported") \
	X(GUARD_NAME,          PROBLEM_MALFORMED_HEADER,      "a header name is empty or holds a character outside the token set, such as a blank before the colon") \
	X(GUARD_NAME_NEARLY,   PROBLEM_AMBIGUOUS_HEADER,      "a header name nearly matches Content-Length or Transfer-Encoding") \
	X(GUARD_FOLDED,        PROBLEM_FOLDED_HEADER,         "a header is continued on a second line") \
	X(GUARD_VALUE,         PROBLEM_MALFORMED_HEADER,      "a header value holds a control character") \
	X(GUARD_GAP,           PROBLEM_MALFORMED_HEADER,      "a line of the head holds a NUL or a second blank, has nothing before its colon, or does not end with CR LF") \
	X(GUARD_TOO_LARGE,     PROBLEM_HEAD_TOO_LARGE,        "the request line and the headers are too large: 7680 bytes are allowed, where each header counts as 64 bytes more") \
	X(GUARD_NO_HOST,       PROBLEM_MISSING_HOST,          "an HTTP/1.1 request must have a Host header") \
	X(GUARD_HOST,          PROBLEM_MALFORMED_HOST,        "the Host header is given twice or is not a host") \
	X(GUARD_LENGTH,        PROBLEM_MALFORMED_LENGTH,      "the Content-Length is not a decimal number, or a blank follows it") \
	X(GUARD_LENGTH_HUGE,   PROBLEM_BODY_TOO_LARGE,        "the Content-Length is larger than any body that is allowed") \
	X(GUARD_LENGTHS,       PROBLEM_AMBIGUOUS_LENGTH,      "there is more than one Content-Length") \
	X(GUARD_BOTH,          PROBLEM_AMBIGUOUS_LENGTH,      "Content-Length and Transfer-Encoding exclude each other") \
	X(GUARD_ENCODING,      PROBLEM_UNSUPPORTED_ENCODING,  "the only Transfer-Encoding known here is chunked, once and without a blank after it") \
	X(GUARD_ENCODING_1_0,  PROBLEM_AMBIGUOUS_LENGTH,      "HTTP/1.0 has no Transfer-Encoding") \
	X(GUARD_CHUNK,         PROBLEM_MALFORMED_LENGTH,      "the size line of a chunk is too long") \
	X(GUARD_TYPES,         PROBLEM_AMBIGUOUS_HEADER,      "there is more than one Content-Type") \
	X(GUARD_EXPECT,        PROBLEM_UNSUPPORTED_EXPECTATION, "the only expectation known here is 100-continue")
/* clang-format on */

enum guard_verdict {
	GUARD_PASS,
#define GUARD_MEMBER(verdict, problem, detail) verdict,
	GUARD_REFUSALS(GUARD_MEMBER)
#undef GUARD_MEMBER
		GUARD_VERDICT_COUNT
};

struct guard_refusal {
	enum problem problem;
	const char *detail;
};

/** The state of the checks of one head; all zero at first. */
struct guard {
	enum guard_verdict fault; /* the first fault found */
	const char *next;         /* where the next line of the head must begin */
	bool version_1_0;
	unsigned hosts;
	unsigned lengths;
	unsigned encodings;
	unsigned types;
	uint64_t length; /* of the body, once guard_end() has passed; 0 when chunked */
	bool chunked;
};

/** @param target  where the raw target stood; its bytes may have changed since and are not read */
void guard_line(struct guard *guard, struct str method, struct str target, struct str version);
/**
 * @param raw  with the blanks behind it, which libmicrohttpd keeps
 * @return the header's value without the blanks behind it (RFC 9112, 5)
 */
struct str guard_header(struct guard *guard, struct str name, struct str raw);
/** @param end  the first byte after the empty line that ends the head */
enum guard_verdict guard_end(struct guard *guard, const char *end) MUST_USE;

/**
 * Checks a raw request target, the whole of it.
 * @param ret_path  its path and query, within @p target: what follows the authority of an absolute
 *                  URL; a static "/" when nothing follows
 */
enum guard_verdict guard_target(struct str target, struct str *ret_path) MUST_USE;

/** What to answer for any verdict but GUARD_PASS. */
const struct guard_refusal *guard_refusal(enum guard_verdict verdict);
