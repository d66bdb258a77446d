/* SPDX-License-Identifier: MIT */
/**
 * Which characters may reach a terminal. The log and all text for people ask here, so that nothing
 * that a peer sent moves the cursor, forges a line, reorders what stands beside it or hides.
 * schema/terminal.h has the rule. Never allocates. Any thread.
 *
 *	while (text.len > 0) {
 *		struct terminal_char c = terminal_char(text);
 *		... c.is_safe: c.len bytes may be written as they are ...
 *		text = (struct str){text.data + c.len, text.len - c.len};
 *	}
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct buf;

#define TERMINAL_BROKEN 0xfffd /* U+FFFD stands for a byte that begins no character */

struct terminal_char {
	size_t len;    /* bytes; 1 when broken */
	uint32_t code; /* code point, or TERMINAL_BROKEN */
	bool is_safe;
};

/** Is @p byte printable ASCII? It is then a safe character by itself, without terminal_char(). */
static inline bool terminal_is_plain(char byte)
{
	return byte >= ' ' && byte <= '~';
}

/** The character that @p text, which is not empty, begins with. */
struct terminal_char terminal_char(struct str text);
/** Appends @p code as an escape of a JSON string: \u009b; two of them beyond U+FFFF. */
void terminal_put_escape(struct buf *out, uint32_t code);
