/* SPDX-License-Identifier: MIT */
/**
 * SQLite with errno codes. Runs on the thread of the connection.
 *
 * Invariant: an error that a retry may cure (-ENOSPC, -EBUSY, -ENOMEM) is never one after which the
 * disk's content is unknown. SQLite's primary codes are too coarse for that: SQLITE_IOERR covers
 * running out of memory, a full quota and a failed fsync alike.
 */
#include "journal/sql.h"

#include <errno.h>
#include <stdbool.h>

/* Another program that reads the file may lock it for moments: a start waits for it. */
#define BUSY_TIMEOUT_MS 5000
/* More than any row that rollcall writes: a damaged length must not allocate more. */
#define ROW_BYTES_MAX (1 << 20)

/** Did the last write of the database or its WAL fail at a quota (EDQUOT), or at the largest size
 * of a file (EFBIG)? SQLite returns SQLITE_FULL for ENOSPC only. */
static bool is_over_quota(sqlite3 *db)
{
	static const int which[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};

	for (size_t i = 0; db != NULL && i < ARRAY_LEN(which); i++) {
		sqlite3_file *file = NULL;
		int code = 0;

		if (sqlite3_file_control(db, "main", which[i], &file) == SQLITE_OK &&
		    file != NULL && file->pMethods != NULL &&
		    file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &code) ==
		            SQLITE_OK &&
		    (code == EDQUOT || code == EFBIG))
			return true;
	}
	return false;
}

static int from_io_error(sqlite3 *db, int rc)
{
	switch (rc) {
	case SQLITE_IOERR_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR_CORRUPTFS:
		return -EBADMSG;
	/* A transaction counts only once its last frame is written, so a failed write may be
	 * retried. A failed fsync may not, whatever its reason. */
	case SQLITE_IOERR_WRITE:
		return is_over_quota(db) ? -ENOSPC : -EIO;
	case SQLITE_IOERR_SHMSIZE: /* the -shm file, which is only an index, cannot grow */
		return -ENOSPC;
	default:
		return -EIO;
	}
}

int sql_error(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return from_io_error(db, rc);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT: /* rows of rollcall fit, so those in the file do not */
	case SQLITE_TOOBIG:     /* a row longer than ROW_BYTES_MAX */
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* gave up after many retries against other locks */
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
		return db != NULL && sqlite3_system_errno(db) > 0 ? -sqlite3_system_errno(db)
		                                                  : -EIO;
	default:
		return -EIO;
	}
}

/** @param is_alone  see sql_open_alone() */
static int sql_open_with(const char *path, int flags, bool is_alone, sqlite3 **ret_db)
{
	/*
	 * synchronous=FULL     a commit returns when it is on disk
	 * wal_autocheckpoint   checkpoint.c makes checkpoints, off the commit path
	 * cell_size_check      finds damaged pages before they are used
	 * secure_delete=OFF    names are no secret; zeroing removed events would double their cost
	 */
	static const char settings[] =
		"PRAGMA synchronous=FULL;"
		"PRAGMA wal_autocheckpoint=0;"
		"PRAGMA cell_size_check=ON;"
		"PRAGMA trusted_schema=OFF;"
		"PRAGMA secure_delete=OFF;"
		"PRAGMA cache_size=-1024;" /* KiB: appending needs few pages */
		"PRAGMA temp_store=MEMORY;";
	sqlite3 *db = NULL;
	int r;

	/* Each connection is used by one thread at a time. */
	r = sql_error(db, sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL));
	if (r < 0) {
		r = db != NULL ? sql_error(db, sqlite3_extended_errcode(db)) : r;
		goto fail;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
	if (is_alone) {
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		/* Before the first read: SQLite then keeps the index of the log in memory. */
		r = sql_exec(db, "PRAGMA locking_mode=EXCLUSIVE");
	}
	if (r == 0)
		r = sql_exec(db, settings);
	if (r < 0)
		goto fail;
	*ret_db = db;
	return 0;

fail:
	(void)sqlite3_close(db); /* nothing was written */
	return r;
}

int sql_open(const char *path, int flags, sqlite3 **ret_db)
{
	return sql_open_with(path, flags, false, ret_db);
}

int sql_open_alone(const char *path, sqlite3 **ret_db)
{
	int r = sql_open_with(path, SQLITE_OPEN_READWRITE, true, ret_db);

	if (r != -EBUSY)
		return r;
	/* Another program has the database open, and so uses the -shm file. */
	r = sql_open_with(path, SQLITE_OPEN_READWRITE, false, ret_db);
	if (r == 0)
		(void)sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return r;
}

int sql_exec(sqlite3 *db, const char *script)
{
	return sql_error(db, sqlite3_exec(db, script, NULL, NULL, NULL));
}

int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_stmt)
{
	int rc = sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);

	/* The statements are tested, so a table or column is missing. */
	return rc == SQLITE_ERROR ? -EBADMSG : sql_error(db, rc);
}

int sql_step(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;

	int r = sql_error(sqlite3_db_handle(stmt), rc);
	(void)sqlite3_reset(stmt); /* returns the same error again */
	return r;
}

int sql_run(sqlite3_stmt *stmt)
{
	int r = sql_step(stmt);

	if (r > 0)
		(void)sqlite3_reset(stmt); /* a PRAGMA may give a row that is not needed */
	return r < 0 ? r : 0;
}

int sql_integer(sqlite3 *db, const char *text, int64_t *ret_value)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = 0;
	int r = sql_prepare(db, text, &stmt);

	if (r == 0)
		r = sql_step(stmt);
	if (r > 0)
		value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt); /* takes NULL; its error is in r */
	if (r < 0)
		return r;
	*ret_value = value;
	return 0;
}

void sql_rollback(sqlite3 *db)
{
	if (db != NULL && sqlite3_get_autocommit(db) == 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL,
		                   NULL); /* failing, closing rolls it back */
}
