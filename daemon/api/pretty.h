/* SPDX-License-Identifier: MIT */
/** For people: indented JSON, and tables. Any thread. */
#pragma once

#include "api/api.h"
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

/** Appends a cell and what ends it: a tab, or a newline after the row's last. What of
 * @p text must not reach a terminal becomes '?'; an empty cell "-". */
void table_put_cell(struct buf *rows, struct str text, bool last);
void table_put_number(struct buf *rows, uint64_t number, bool last);
/** Appends @p rows, as made by table_put_cell(), with columns aligned. */
void table_put(struct buf *out, const struct buf *rows);
