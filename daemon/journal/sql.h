/* SPDX-License-Identifier: MIT */
/** The few calls of SQLite that the journal needs, with errno for its codes. */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdint.h>

/**
 * What @p rc means: 0; -ENOMEM; -ENOSPC: disk or quota full; -EBADMSG: the file is damaged, or not
 * what it should be; -EIO: the disk failed; -EBUSY; -EACCES; -EROFS; -ENOENT
 */
int sql_error(sqlite3 *db, int rc);

/** Opens with the settings that all our connections share. @param flags  SQLITE_OPEN_READWRITE ...
 */
int sql_open(const char *path, int flags, sqlite3 **ret_db) MUST_USE;
/**
 * Opens for looking at what a crash or damage left: closing it moves nothing, and the -shm file
 * stays as it is, unless another program has the database open.
 */
int sql_open_alone(const char *path, sqlite3 **ret_db) MUST_USE;
int sql_exec(sqlite3 *db, const char *script) MUST_USE;
int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_stmt) MUST_USE;
/** @return 1: a row is there; 0: done; or an error. After anything but a row the statement is
 * reset. */
int sql_step(sqlite3_stmt *stmt) MUST_USE;
/** Runs a statement that gives no rows. */
int sql_run(sqlite3_stmt *stmt) MUST_USE;
/** The first column of the first row of @p text; 0 when there is none or it is NULL. */
int sql_integer(sqlite3 *db, const char *text, int64_t *ret_value) MUST_USE;
/** Ends an open transaction, if any, by undoing it. */
void sql_rollback(sqlite3 *db);
