/* SPDX-License-Identifier: MIT */
/**
 * Which characters may reach a terminal, and how wide they are. All that comes from a registry or
 * another server and is printed for people passes here. What schema/terminal.h hides is printed as
 * an escape of ASCII.
 */
#pragma once

#include "tool/memory.h"

/** Call first: widths are those of UTF-8, whatever the environment says. */
void terminal_set_up(void);

/** Appends @p text, with \xNN for a control or a byte that is not UTF-8, and \uNNNN for others. */
void terminal_put(struct text *out, const char *text);
/** Appends JSON, which stays the same to a parser: \uNNNN in its strings. */
void terminal_put_json(struct text *out, const char *json);

/** Columns that a text takes which terminal_put() has made. */
size_t terminal_width(const char *text);
/** Bytes of the longest beginning of such a text that takes @p columns at most. */
size_t terminal_fit(const char *text, size_t columns);
/** Columns of the terminal that standard output is; SIZE_MAX: it is none. */
size_t terminal_columns(void);
