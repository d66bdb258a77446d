/* SPDX-License-Identifier: MIT */
/** For people: indented JSON, and tables. Any thread. */
#pragma once

#include "api/response.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

/** Is "pretty" among the parameters of @p raw_query, and not "0" or "false"? */
bool pretty_is_wanted(struct str raw_query);
/** Indents the answer when it is JSON. Leaves it as it is when memory is short. */
void pretty_response(struct api_response *response);
/** Appends @p json, which is sound, indented by two spaces a level and with a newline at its end.
 * What must not reach a terminal is escaped. */
void pretty_put(struct buf *out, struct str json);

/** Of JSON that is indented piece by piece: how deep the next piece begins. */
struct pretty {
	unsigned depth;
};
/** Appends @p json, which ends neither within a string nor between the brackets of what is empty.
 */
void pretty_more(struct pretty *pretty, struct buf *out, struct str json);

/** Appends a cell and what ends it: a tab, or a newline after the row's last. What of
 * @p text must not reach a terminal becomes '?'; an empty cell "-". */
void table_put_cell(struct buf *rows, struct str text, bool last);
void table_put_number(struct buf *rows, uint64_t number, bool last);
/** Appends @p rows, as made by table_put_cell(), with columns aligned. */
void table_put(struct buf *out, const struct buf *rows);

#define TABLE_COLUMNS_MAX 12
/** The same in two steps, for rows that are not all there at once: measure all, then put all. */
struct table {
	size_t width[TABLE_COLUMNS_MAX]; /* of the widest cell of each column */
};
void table_measure(struct table *table, const struct buf *rows);
void table_put_rows(const struct table *table, struct buf *out, const struct buf *rows);
