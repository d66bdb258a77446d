/* SPDX-License-Identifier: MIT */
/**
 * What a start looks at before anyone acts on it: each instance and entry, and that no event is
 * missing or out of its place. Events are proved only when they are read: there may be millions.
 */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/** Follows revisions in the order in which they are read. */
struct scan_order {
	uint64_t begins; /* up to here events may be missing, and after it none */
	uint64_t floor;  /* but for a gap that ends here */
	uint64_t last;   /* in: 0, or the one that was read before */
};

/** @return 0 or -EBADMSG */
int scan_order_begin(sqlite3 *db, struct scan_order *ret_order) MUST_USE;
/** Is @p revision the one that comes next? Moves on to it. */
bool scan_order_next(struct scan_order *order, uint64_t revision) MUST_USE;
/** After the last one up to @p end: are those behind it rightly not there? */
bool scan_order_ended(const struct scan_order *order, uint64_t end) MUST_USE;

typedef int (*scan_fn)(void *arg, const char *line);
/** Runs quick_check or integrity_check. @param find  called with each finding; what it returns
 * below 0 ends the check and is returned */
int scan_pages(sqlite3 *db, const char *pragma, scan_fn find, void *arg) MUST_USE;
/**
 * @param version  of the schema, 1 or more
 * @return 0; -EBADMSG: damage; or an error of the disk or of memory
 */
int scan_file(sqlite3 *db, int64_t version) MUST_USE;
