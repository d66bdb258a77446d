/* SPDX-License-Identifier: MIT */
/**
 * Strict parsing: the whole text must match; no leading blanks, no sign, no locale. Never
 * allocates. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <stdint.h>

/** Decimal, no sign, no leading zero but "0". @return 0, -EINVAL (not a number), -ERANGE (outside
 * least..most) */
int parse_u64(struct str text, uint64_t least, uint64_t most, uint64_t *ret_value) MUST_USE;

/** The value of a hexadecimal digit in either case; -1 for all other characters. */
int parse_hex_digit(char c);

/**
 * Percent-decodes one path segment or query part into @p out, which may be text.data itself when
 * that is writable. '+' stays '+'.
 * @return the decoded length; -EINVAL: '%' without two hex digits, or a decoded NUL; -EMSGSIZE:
 *         longer than @p size
 */
long parse_percent(struct str text, char *out, size_t size) MUST_USE;

/** "2026-11-23T18:41:28Z", with optional fraction (ms kept) and Z, +hh:mm or -hh:mm; T and Z in
 * either case; no leap seconds. @return 0 or -EINVAL */
int parse_rfc3339(struct str text, int64_t *ret_real_ms) MUST_USE;

/** Is @p text valid UTF-8 (RFC 3629: no overlong forms, no surrogates)? */
bool parse_is_utf8(struct str text);
/** Length of the valid UTF-8 character that @p text begins with; 0 when it begins with none. */
size_t parse_utf8_char(struct str text);
#define PARSE_IP_MAX 16
/**
 * An IPv4 or IPv6 address without brackets or zone, in network order.
 * @return the length of the address, 4 or 16; 0: @p text is none, and @p ret_address is unchanged
 */
size_t parse_ip(struct str text, unsigned char ret_address[PARSE_IP_MAX]);
bool parse_is_ip(struct str text);
/**
 * Is @p text a DNS name: labels of 1-63 letters, digits, '-' and '_', 253 characters in all, with
 * or without a final dot? No label begins or ends with '-', and the last is not a number.
 */
bool parse_is_dns_name(struct str text);
/**
 * Is @p text a DNS name except that its last label is a number: digits, or 0x and hexadecimal
 * digits? "10.0.0.256" is a mistyped address; "1", "127.1" and "0x7f000001" are IPv4 addresses for
 * inet_aton(3), and so for most programs.
 */
bool parse_is_number_name(struct str text);
