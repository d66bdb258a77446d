/* SPDX-License-Identifier: MIT */
/**
 * Reads UTF-8. The daemon and the client include this header, so both take the same bytes for text.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** Length of the character that @p lead begins; 0: @p lead begins no character. */
static inline size_t utf8_len(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc0 || lead >= 0xf8)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/**
 * Reads the character at the beginning of @p text, of which @p size bytes may be read.
 * @return its length; 0: the bytes are not UTF-8 as in RFC 3629, which forbids overlong forms,
 * surrogates and code points beyond U+10FFFF; @p ret_code is as it was
 */
static inline size_t utf8_read(const char *text, size_t size, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* less is overlong */
	const unsigned char *bytes = (const unsigned char *)text;
	size_t len = size > 0 ? utf8_len(bytes[0]) : 0;

	if (len == 0 || len > size)
		return 0;
	uint32_t code = len > 1 ? bytes[0] & (0x7fu >> len) : bytes[0];
	for (size_t i = 1; i < len; i++) {
		if ((bytes[i] & 0xc0u) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3fu);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return len;
}
