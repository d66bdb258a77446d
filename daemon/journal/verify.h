/* SPDX-License-Identifier: MIT */
/** Looks at all of a file: pages, checksums, and whether instances are what the events made them.
 */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdint.h>

typedef void (*verify_fn)(void *arg, const char *line);

/**
 * @param version  of the schema: 1 is one that has not been migrated yet
 * @param dir_fd  where its keyframes are
 * @param say  called with each finding
 * @return 0: sound; -EBADMSG: findings; or an error of the disk
 */
int verify_file(sqlite3 *db, int64_t version, int dir_fd, verify_fn say, void *arg) MUST_USE;
