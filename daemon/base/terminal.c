/* SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include "base/attr.h"
#include "base/buf.h"
#include "base/parse.h"

/*
 * In ascending order: controls (Cc), separators (Zl, Zp), Default_Ignorable_Code_Point of Unicode
 * 15.0, which has the bidirectional controls, and interlinear annotations. The noncharacters that
 * each plane ends with are left to is_noncharacter().
 */
static const struct {
	uint32_t first;
	uint32_t last;
} hidden[] = {
	{0x0000, 0x001f}, {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
	{0x061c, 0x061c}, {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
	{0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
	{0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
	{0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_noncharacter(uint32_t code)
{
	return (code & 0xfffe) == 0xfffe;
}

static bool is_hidden(uint32_t code)
{
	if (is_noncharacter(code))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(hidden) && hidden[i].first <= code; i++)
		if (code <= hidden[i].last)
			return true;
	return false;
}

static uint32_t decode(const unsigned char *bytes, size_t len)
{
	static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = bytes[0] & lead_bits[len];

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (bytes[i] & 0x3f);
	return code;
}

struct terminal_char terminal_char(struct str text)
{
	const unsigned char *bytes = (const unsigned char *)text.data;
	size_t len = parse_utf8_char(text);

	if (len == 0)
		return (struct terminal_char){1, TERMINAL_BROKEN, false};
	uint32_t code = decode(bytes, len);
	return (struct terminal_char){len, code, !is_hidden(code)};
}

void terminal_put_escape(struct buf *out, uint32_t code)
{
	if (code > 0xffff) {
		buf_printf(out, "\\u%04x", 0xd800 + ((code - 0x10000) >> 10));
		code = 0xdc00 + ((code - 0x10000) & 0x3ff);
	}
	buf_printf(out, "\\u%04x", code);
}
