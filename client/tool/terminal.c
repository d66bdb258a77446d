/* SPDX-License-Identifier: MIT */
#include "tool/terminal.h"

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

/*
 * Controls, separators of lines and paragraphs, Default_Ignorable_Code_Point of Unicode 15.0 with
 * the bidirectional controls, interlinear annotations. is_hidden() adds the last two of each plane.
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

static bool is_hidden(uint32_t code)
{
	if ((code & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]) && hidden[i].first <= code; i++)
		if (code <= hidden[i].last)
			return true;
	return false;
}

/** Bytes of the character that begins with @p lead; 0: none does. */
static size_t char_len(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc0 || lead >= 0xf8)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Reads the character that @p text begins with. @return its bytes; 0: it is not UTF-8 */
static size_t read_char(const char *text, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *)text;
	size_t len = char_len(bytes[0]);
	uint32_t code = bytes[0];

	if (len > 1)
		code &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++) {
		if ((bytes[i] & 0xc0) != 0x80) /* the NUL at the end is none either */
			return 0;
		code = code << 6 | (bytes[i] & 0x3fu);
	}
	if (len == 0 || code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return len;
}

void terminal_set_up(void)
{
	/* Without it wcwidth() knows ASCII only, and the rest counts as one column. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

void terminal_put(struct text *out, const char *text)
{
	text_put(out, "");
	while (*text != '\0') {
		uint32_t code = 0;
		size_t len = read_char(text, &code);

		if (len > 0 && !is_hidden(code))
			text_put_bytes(out, text, len);
		else if (len <= 1)
			text_printf(out, "\\x%02x", (unsigned)(unsigned char)*text);
		else
			text_printf(out, code > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)code);
		text += len > 0 ? len : 1;
	}
}

void terminal_put_json(struct text *out, const char *json)
{
	text_put(out, "");
	while (*json != '\0') {
		uint32_t code = 0;
		size_t len = read_char(json, &code);
		bool line_feed = *json == '\n'; /* between values; in a string it would be \n */

		if (len > 0 && (line_feed || !is_hidden(code)))
			text_put_bytes(out, json, len);
		else if (code > 0xffff)
			text_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
			            0xdc00 + ((code - 0x10000) & 0x3ff));
		else
			text_printf(out, "\\u%04x", len > 0 ? (unsigned)code : 0xfffdu);
		json += len > 0 ? len : 1;
	}
}

static size_t char_width(uint32_t code)
{
	int width = wcwidth((wchar_t)code);

	return width >= 0 ? (size_t)width : 1;
}

size_t terminal_width(const char *text)
{
	uint32_t code = 0;
	size_t width = 0;

	for (size_t len; *text != '\0'; text += len > 0 ? len : 1) {
		len = read_char(text, &code);
		width += len > 0 ? char_width(code) : 1;
	}
	return width;
}

size_t terminal_fit(const char *text, size_t columns)
{
	const char *at = text;
	uint32_t code = 0;
	size_t width = 0;

	for (size_t len; *at != '\0'; at += len > 0 ? len : 1) {
		len = read_char(at, &code);
		width += len > 0 ? char_width(code) : 1;
		if (width > columns)
			break;
	}
	return (size_t)(at - text);
}

size_t terminal_columns(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 ||
	    size.ws_col == 0)
		return SIZE_MAX;
	return size.ws_col;
}
