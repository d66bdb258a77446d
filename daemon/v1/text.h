/* SPDX-License-Identifier: MIT */
/** Instances as rows of a table. */
#pragma once

#include "base/buf.h"
#include "snapshot/snapshot.h"

/** The heading; then a row a member; then table_put(). */
void text_put_heading(struct buf *rows);
void text_put_member(struct buf *rows, const struct member *member);
/** Widens @p table for the member's row. */
struct table;
void text_measure_member(struct table *table, struct buf *scratch, const struct member *member);
/** Makes @p body the aligned table of @p rows, or gives it the error that @p rows had. */
void text_finish(struct buf *body, struct buf *rows);
