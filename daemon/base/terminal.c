/* SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include "base/buf.h"
#include "schema/terminal.h"
#include "schema/utf8.h"

struct terminal_char terminal_char(struct str text)
{
	uint32_t code = 0;
	size_t len = utf8_read(text.data, text.len, &code);

	if (len == 0)
		return (struct terminal_char){1, TERMINAL_BROKEN, false};
	return (struct terminal_char){len, code, !terminal_hides(code)};
}

void terminal_put_escape(struct buf *out, uint32_t code)
{
	if (code > 0xffff) {
		buf_printf(out, "\\u%04x", 0xd800 + ((code - 0x10000) >> 10));
		code = 0xdc00 + ((code - 0x10000) & 0x3ff);
	}
	buf_printf(out, "\\u%04x", code);
}
