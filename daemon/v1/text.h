/* SPDX-License-Identifier: MIT */
/** Instances as rows of a table. */
#pragma once

#include "base/buf.h"
#include "snapshot/snapshot.h"

/** Appends the heading. Then append a row for each member, then call text_finish(). */
void text_put_heading(struct buf *rows);
void text_put_member(struct buf *rows, const struct member *member);
/** Widens the columns of @p table for the member's row. */
struct table;
void text_measure_member(struct table *table, struct buf *scratch, const struct member *member);
/** Appends @p rows to @p body as an aligned table and frees them; copies an error of @p rows to
 * @p body. */
void text_finish(struct buf *body, struct buf *rows);
