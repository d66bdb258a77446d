/* SPDX-License-Identifier: MIT */
/** Tables for people: one line for each row, also on a narrow terminal, where lines are cut. */
#pragma once

#include "tool/memory.h"

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 16

struct table_column {
	const char *title;
	bool right;   /* aligned */
	bool colored; /* as a status */
	size_t width;
};

struct table {
	struct table_column column[TABLE_COLUMNS_MAX];
	size_t columns;
	bool headers;
	bool color;
	/* the rows that table_add() has taken: columns cells each */
	char **cells;
	size_t count;
	size_t room;
};

/** Adds a cell, row by row; @p text may be anything. Columns grow with it. */
void table_add(struct table *table, const char *text);
/** Prints the headings if there are any rows, and all rows; then frees them. */
void table_print(struct table *table);

/** Prints one row at once, in columns of their width. @param cells  NULL: the headings */
void table_print_row(const struct table *table, char *const *cells);
