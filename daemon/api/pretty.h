/* SPDX-License-Identifier: MIT */
/** Output for people: indented JSON and aligned tables. Any thread. */
#pragma once

#include "api/response.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

/** Does @p raw_query have ?pretty, ?pretty=, ?pretty=1 or ?pretty=true? */
bool pretty_is_wanted(struct str raw_query);
/** Indents the answer when it is JSON. Leaves it as it is when memory is short. */
void pretty_response(struct api_response *response);
/** Appends valid @p json with an indentation of two spaces a level and a newline at its end.
 * Characters that are unsafe for a terminal are escaped. */
void pretty_put(struct buf *out, struct str json);

/** State of JSON that is indented piece by piece: the depth at which the next piece begins. */
struct pretty {
	unsigned depth;
};
/** Appends @p json, which must not end within a string or between the brackets of an empty array
 * or object. */
void pretty_more(struct pretty *pretty, struct buf *out, struct str json);

/** Appends a cell and a tab, or a newline after the @p last of a row. Characters that are unsafe
 * for a terminal become '?'; an empty cell becomes "-". */
void table_put_cell(struct buf *rows, struct str text, bool last);
void table_put_number(struct buf *rows, uint64_t number, bool last);
/** Appends @p rows, as made by table_put_cell(), with columns aligned. */
void table_put(struct buf *out, const struct buf *rows);

#define TABLE_COLUMNS_MAX 12
/** The same in two steps, for rows that are not in memory at once: measure all, then put all. */
struct table {
	size_t width[TABLE_COLUMNS_MAX]; /* characters of the widest cell of each column */
};
void table_measure(struct table *table, const struct buf *rows);
void table_put_rows(const struct table *table, struct buf *out, const struct buf *rows);
