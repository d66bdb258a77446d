/* SPDX-License-Identifier: MIT */
/**
 * The scan of a database at each start: verifies the pages, every current instance and entry, and
 * that no event is missing or out of order. The content of events is verified only when they are
 * read: there may be millions.
 */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/** Checks the revisions of events as they are read in ascending order. */
struct scan_order {
	uint64_t begins; /* events up to this revision may be missing, and none after it */
	uint64_t floor;  /* but for the gap of a salvage, which ends at this revision */
	uint64_t last; /* revision of the last event that was read; at first 0, or where to begin */
};

/** Reads begins and floor from the database. @return 0; -EBADMSG: they are missing or invalid; or
 * an error as sql_error() */
int scan_order_begin(sqlite3 *db, struct scan_order *ret_order) MUST_USE;
/** Sets last to @p revision. @return whether it may follow the one before */
bool scan_order_next(struct scan_order *order, uint64_t revision) MUST_USE;
/** May the events end at the last one that was read, when all up to @p end were asked for? */
bool scan_order_ended(const struct scan_order *order, uint64_t end) MUST_USE;

typedef int (*scan_fn)(void *arg, const char *line);
/** Runs @p pragma: quick_check or integrity_check.
 * @param find  called with each finding; a result below 0 ends the check and is returned
 * @return 0, what @p find returned, or an error as sql_error() */
int scan_pages(sqlite3 *db, const char *pragma, scan_fn find, void *arg) MUST_USE;
/** Scans the database. @param version  of the schema, 1 or greater. @return 0; -EBADMSG: it is
 * damaged; or an error as sql_error() */
int scan_file(sqlite3 *db, int64_t version) MUST_USE;
