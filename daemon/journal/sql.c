/* SPDX-License-Identifier: MIT */
#include "journal/sql.h"

#include <errno.h>
#include <stdbool.h>

/* Another program that looks into the file may lock it for moments: a start waits for it so long.
 */
#define BUSY_TIMEOUT_MS 5000
/* Far more than any of our rows takes: damage must not ask for more memory than that. */
#define ROW_BYTES_MAX (1 << 20)

/** Did the last write of the database or its WAL fail for want of quota, or at the largest size
 * that a file may have? SQLite knows ENOSPC only. */
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
	/* Nothing of a transaction counts before its last frame is written, so a write may be tried
	 * again; a failed fsync may not, whatever its reason. */
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
	case SQLITE_CONSTRAINT: /* our rows fit, so what is there does not */
	case SQLITE_TOOBIG:     /* a row that is longer than any of ours */
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* too many tries to find a moment without another's lock */
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
static int open_with(const char *path, int flags, bool is_alone, sqlite3 **ret_db)
{
	/* synchronous: a commit returns when it is on disk. wal_autocheckpoint: checkpoint.c does
	 * it, off the commit path. cell_size_check: finds damaged pages before they mislead.
	 * secure_delete: names are no secret, and zeroing removed events doubles their cost. */
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
		/* Before anything reads: the index of the log is then kept in memory. */
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
	return open_with(path, flags, false, ret_db);
}

int sql_open_alone(const char *path, sqlite3 **ret_db)
{
	int r = open_with(path, SQLITE_OPEN_READWRITE, true, ret_db);

	if (r != -EBUSY)
		return r;
	/* Another program has it open, and with it the -shm file. */
	r = open_with(path, SQLITE_OPEN_READWRITE, false, ret_db);
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

	/* Our text is right, so a table is missing. */
	return rc == SQLITE_ERROR ? -EBADMSG : sql_error(db, rc);
}

int sql_step(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;

	int r = sql_error(sqlite3_db_handle(stmt), rc);
	(void)sqlite3_reset(stmt); /* says the same again */
	return r;
}

int sql_run(sqlite3_stmt *stmt)
{
	int r = sql_step(stmt);

	if (r > 0)
		(void)sqlite3_reset(stmt); /* PRAGMAs may answer; nobody asked */
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
	(void)sqlite3_finalize(stmt); /* takes NULL; its error is known */
	if (r < 0)
		return r;
	*ret_value = value;
	return 0;
}

void sql_rollback(sqlite3 *db)
{
	if (db != NULL && sqlite3_get_autocommit(db) == 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL,
		                   NULL); /* undone at the latest by close */
}
