/* SPDX-License-Identifier: MIT */
/**
 * Reads tests/cases/terminal.txt, the list of what may reach a terminal:
 *
 *	struct terminal_case each;
 *	FILE *file = terminal_cases_open();
 *	while (terminal_cases_next(file, &each))
 *		...
 *	fclose(file);
 */
#pragma once

#include "base/terminal.h"
#include "suite.h"

#include <stdbool.h>
#include <stdint.h>

struct terminal_case {
	enum { CASE_HIDE, CASE_SHOW, CASE_BROKEN } kind;
	uint32_t first; /* of CASE_HIDE and CASE_SHOW */
	uint32_t last;
	char bytes[8]; /* of CASE_BROKEN; the first code point's otherwise */
	size_t len;
	char line[200]; /* for messages */
};

/** Writes @p code in UTF-8. @return its length in bytes */
static inline size_t terminal_case_encode(uint32_t code, char out[4])
{
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = len; i-- > 1; code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(lead[len] | code);
	return len;
}

static inline FILE *terminal_cases_open(void)
{
	FILE *file = fopen(CASES_DIR "/terminal.txt", "re");

	ck_assert_msg(file != NULL, "cannot open %s", CASES_DIR "/terminal.txt");
	return file;
}

static inline void terminal_case_read_bytes(struct terminal_case *ret, const char *text)
{
	unsigned byte;
	int used;

	for (ret->len = 0; *text != ':'; text += used) {
		ck_assert_msg(ret->len < sizeof(ret->bytes) &&
		                      sscanf(text, "%2x%n", &byte, &used) == 1,
		              "%s", ret->line);
		ret->bytes[ret->len++] = (char)byte;
	}
}

/** Does @p text contain only line feeds and characters that terminal_char() calls safe? */
static inline bool terminal_is_clean(struct str text)
{
	while (text.len > 0) {
		struct terminal_char c = terminal_char(text);

		if (!c.is_safe && text.data[0] != '\n')
			return false;
		text = (struct str){text.data + c.len, text.len - c.len};
	}
	return true;
}

/** @return false at the end */
static inline bool terminal_cases_next(FILE *file, struct terminal_case *ret)
{
	do {
		if (fgets(ret->line, sizeof(ret->line), file) == NULL)
			return false;
	} while (ret->line[0] == '#' || ret->line[0] == '\n');
	if (sscanf(ret->line, "hide %x-%x", &ret->first, &ret->last) == 2) {
		ret->kind = CASE_HIDE;
	} else if (sscanf(ret->line, "show %x-%x", &ret->first, &ret->last) == 2) {
		ret->kind = CASE_SHOW;
	} else {
		ck_assert_msg(strncmp(ret->line, "broken ", 7) == 0, "%s", ret->line);
		ret->kind = CASE_BROKEN;
		ret->first = ret->last = 0;
		terminal_case_read_bytes(ret, ret->line + 7);
		return true;
	}
	ret->len = terminal_case_encode(ret->first, ret->bytes);
	return true;
}
