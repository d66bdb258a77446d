/* SPDX-License-Identifier: MIT */
#include "tool/table.h"

#include "tool/terminal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP      2
#define CUT      "\xe2\x80\xa6" /* an ellipsis, in the last column of a cut line */
#define NO_COLOR "\033[0m"

static const char *cell_of(const struct table *table, char *const *cells, size_t i)
{
	return cells != NULL ? cells[i] : table->column[i].title;
}

static size_t table_cell_width(const struct table *table, char *const *cells, size_t i)
{
	const struct table_column *column = &table->column[i];
	size_t width = terminal_width(cell_of(table, cells, i));
	bool filled = column->right || i + 1 < table->columns;

	return filled && width < column->width ? column->width : width;
}

static size_t row_width(const struct table *table, char *const *cells)
{
	size_t width = 0;

	for (size_t i = 0; i < table->columns; i++)
		width += table_cell_width(table, cells, i) + (i > 0 ? GAP : 0);
	return width;
}

/** @return NULL: none, because it is not the status of an instance */
static const char *status_color(const char *status)
{
	if (strcmp(status, "healthy") == 0)
		return "\033[32m";
	if (strcmp(status, "draining") == 0)
		return "\033[33m";
	return strcmp(status, "unhealthy") == 0 ? "\033[31m" : NULL;
}

/** A line that is being made. */
struct line {
	struct text text;
	size_t left; /* columns */
};

static void line_put_blanks(struct line *line, size_t count)
{
	count = count < line->left ? count : line->left;
	line->left -= count;
	while (count-- > 0)
		text_put(&line->text, " ");
}

static void line_put_text(struct line *line, const char *text)
{
	size_t len = terminal_fit(text, line->left);
	size_t width = terminal_width(text);

	text_put_bytes(&line->text, text, len);
	/* A wide character that does not fit leaves one column, which stays empty. */
	line->left = text[len] != '\0' ? 0 : line->left - width;
}

static void table_put_cell(const struct table *table, struct line *line, char *const *cells,
                           size_t i)
{
	const struct table_column *column = &table->column[i];
	const char *text = cell_of(table, cells, i);
	size_t width = terminal_width(text);
	size_t fill = column->width > width ? column->width - width : 0;

	if (i > 0)
		line_put_blanks(line, GAP);
	bool may_color = table->color && column->colored && cells != NULL && line->left > 0;
	const char *color = may_color ? status_color(text) : NULL;
	if (color != NULL)
		text_put(&line->text, color);
	if (column->right)
		line_put_blanks(line, fill);
	line_put_text(line, text);
	if (!column->right && i + 1 < table->columns)
		line_put_blanks(line, fill);
	if (color != NULL)
		text_put(&line->text, NO_COLOR);
}

void table_print_row(const struct table *table, char *const *cells)
{
	size_t columns = terminal_columns();
	bool cut = row_width(table, cells) > columns;
	struct line line = {.left = cut ? columns - 1 : SIZE_MAX};

	text_put(&line.text, "");
	for (size_t i = 0; i < table->columns; i++)
		table_put_cell(table, &line, cells, i);
	(void)printf("%s%s\n", line.text.data, cut ? CUT : "");
	text_free(&line.text);
}

void table_add(struct table *table, const char *text)
{
	struct table_column *column = &table->column[table->count % table->columns];
	struct text cell = {NULL, 0, 0};

	if (table->count == table->room) {
		table->room = table->room > 0 ? 2 * table->room : 64;
		table->cells = memory_resize(table->cells, table->room * sizeof(*table->cells));
	}
	terminal_put(&cell, text);
	size_t width = terminal_width(cell.data);
	column->width = width > column->width ? width : column->width;
	table->cells[table->count++] = cell.data;
}

void table_print(struct table *table)
{
	for (size_t i = 0; i < table->columns; i++) {
		struct table_column *column = &table->column[i];
		size_t width = terminal_width(column->title);

		column->width = width > column->width ? width : column->width;
	}
	if (table->count > 0 && table->headers)
		table_print_row(table, NULL);
	for (size_t i = 0; i < table->count; i += table->columns)
		table_print_row(table, &table->cells[i]);
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->count = table->room = 0;
}
