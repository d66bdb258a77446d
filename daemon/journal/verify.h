/* SPDX-License-Identifier: MIT */
/** Verifies all of a database: its pages, the checksums, and whether the current instances and
 * entries are what the events and the newest keyframe lead to. */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdint.h>

typedef void (*verify_fn)(void *arg, const char *line);

/** One that keeps the first finding, as one line. @param arg  a struct journal_error, empty at
 * first
 */
void verify_keep_first(void *arg, const char *line);

/**
 * Reports each finding as a line, up to 100 of them. Changes nothing; blocks on the disk.
 * @param version  of the schema, 1 or greater: it need not be the latest
 * @param dir_fd  the directory of its keyframes
 * @param report  called with each line
 * @return 0: sound; -EBADMSG: findings; or an error as sql_error()
 */
int verify_file(sqlite3 *db, int64_t version, int dir_fd, verify_fn report, void *arg) MUST_USE;
