/* SPDX-License-Identifier: MIT */
/**
 * Which code points may reach a terminal. The daemon's log and tables and the client's tool include
 * this header, so both hide the same. tests/cases/terminal.txt lists the rule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Would a terminal obey @p code, show nothing for it, or reorder its neighbours? */
static inline bool terminal_hides(uint32_t code)
{
	/*
	 * In ascending order: controls (Cc), separators (Zl, Zp), Default_Ignorable_Code_Point of
	 * Unicode 15.0, which has the bidirectional controls, interlinear annotations, and the
	 * noncharacters FDD0 to FDEF.
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

	if ((code & 0xfffe) == 0xfffe) /* the noncharacters at the end of each plane */
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]) && hidden[i].first <= code; i++)
		if (code <= hidden[i].last)
			return true;
	return false;
}
