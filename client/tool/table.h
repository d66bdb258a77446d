/* SPDX-License-Identifier: MIT */
/** Tables for people, with one line per row: on a narrow terminal lines are cut. */
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
	/* cells of table_add(), row by row */
	char **cells;
	size_t count;
	size_t room;
};

/** Adds the next cell, row by row; @p text may have any bytes. Widens the column if need be. */
void table_add(struct table *table, const char *text);
/** Prints the headings, if there is a row, and all rows; then frees the rows. */
void table_print(struct table *table);

/** Prints one row. @param cells  of terminal_put(); NULL: the headings */
void table_print_row(const struct table *table, char *const *cells);
