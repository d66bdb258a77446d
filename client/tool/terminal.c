/* SPDX-License-Identifier: MIT */
#include "tool/terminal.h"

#include "schema/terminal.h"
#include "schema/utf8.h"

#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

/** Reads the character that @p text begins with. @return its bytes; 0: it is not UTF-8 */
static size_t read_char(const char *text, uint32_t *ret_code)
{
	return utf8_read(text, strnlen(text, 4), ret_code);
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

		if (len > 0 && !terminal_hides(code))
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

		if (len > 0 && (line_feed || !terminal_hides(code)))
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
