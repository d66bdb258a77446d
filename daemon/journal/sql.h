/* SPDX-License-Identifier: MIT */
/** Calls of SQLite with errno codes for its result codes, and the settings of every connection.
 * Each connection belongs to one thread at a time; all but sql_error() block on the disk. */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdint.h>

/**
 * Turns SQLite's result code @p rc into an errno code.
 * @param db  the connection that returned it; NULL: none
 * @return 0; -ENOMEM; -ENOSPC: disk or quota full; -EBADMSG: the file is damaged, or no database;
 * -EIO: the disk failed; -EBUSY: another connection holds a lock; -EROFS; or why the file could not
 * be opened, such as -EACCES or -ENOENT
 */
int sql_error(sqlite3 *db, int rc);

/** Opens the database. A lock of another process makes its statements wait for up to 5 s.
 * @param flags  of sqlite3_open_v2(): SQLITE_OPEN_READWRITE ... @return 0, or as sql_error() */
int sql_open(const char *path, int flags, sqlite3 **ret_db) MUST_USE;
/**
 * Opens the database to examine what a crash or damage left: closing makes no checkpoint, and the
 * -shm file stays as it is, unless another program has the database open.
 */
int sql_open_alone(const char *path, sqlite3 **ret_db) MUST_USE;
/** Runs a script of statements; their rows are ignored. */
int sql_exec(sqlite3 *db, const char *script) MUST_USE;
/** @param ret_stmt  owned by the caller; set to NULL with an error. @return 0; -EBADMSG: a table or
 * column is missing; or as sql_error() */
int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_stmt) MUST_USE;
/** @return 1: a row; 0: done; or an error as sql_error(). 0 and errors reset the statement. */
int sql_step(sqlite3_stmt *stmt) MUST_USE;
/** Runs a prepared statement to its end; a row is ignored. @return 0, or as sql_error() */
int sql_run(sqlite3_stmt *stmt) MUST_USE;
/** Reads the first column of the first row of the query @p text; 0 without a row, or for NULL.
 * @return 0, or as sql_prepare() */
int sql_integer(sqlite3 *db, const char *text, int64_t *ret_value) MUST_USE;
/** Rolls back an open transaction, if there is one. Takes NULL. */
void sql_rollback(sqlite3 *db);
