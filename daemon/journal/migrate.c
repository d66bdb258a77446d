/* SPDX-License-Identifier: MIT */
/**
 * Opens a database: checks that rollcall made it, scans it for damage, and applies the migrations
 * that its schema lacks. Runs on the thread that opens the journal, before any other thread uses
 * the file.
 *
 * Invariant: a database of another program or of a newer version is not written to. SQLite opens
 * such a file without an error, and a migration would change it, so journal_identify() comes first.
 * A migration and the schema version that records it are one transaction: a crash leaves both or
 * neither.
 */
#include "journal/holder.h"
#include "journal/internal.h"
#include "journal/migrations.h"
#include "journal/scan.h"
#include "journal/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int journal_identify(sqlite3 *db, const char *path, int64_t *ret_version,
                     struct journal_error *ret_error)
{
	char reason[JOURNAL_HOLDER_SIZE + 32];
	int64_t id = 0;
	int64_t version = 0;
	int64_t tables = 0;
	int r = sql_integer(db, "PRAGMA application_id", &id);

	if (r == 0)
		r = sql_integer(db, "PRAGMA user_version", &version);
	if (r == 0)
		r = sql_integer(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return journal_error_set(ret_error, r, "cannot read '%s': %s", path,
		                         holder_reason(path, r, reason, sizeof(reason)));

	bool is_empty = id == 0 && version == 0 && tables == 0;
	if (id != JOURNAL_APPLICATION_ID && !is_empty)
		return journal_error_set(
			ret_error, -EPROTO,
			"'%s' is a database of another program (application id %lld)", path,
			(long long)id);
	if (version > (int64_t)schema_migrations_count)
		return journal_error_set(
			ret_error, -EPROTO,
			"'%s' was written by a newer version of rollcall: its schema is %lld, this "
			"one knows %zu",
			path, (long long)version, schema_migrations_count);
	if (!is_empty && version < 1)
		return journal_error_set(ret_error, -EBADMSG,
		                         "'%s' has an invalid schema version: %lld", path,
		                         (long long)version);
	*ret_version = version;
	return 0;
}

/** Applies one migration in one transaction: its script, and the schema version that records it. */
static int migrate_one(sqlite3 *db, size_t done)
{
	char number[96];
	int r = sql_exec(db, "BEGIN IMMEDIATE");

	(void)snprintf(number, sizeof(number), "PRAGMA application_id=%d; PRAGMA user_version=%zu",
	               JOURNAL_APPLICATION_ID, done + 1);
	if (r == 0)
		r = sql_exec(db, schema_migrations[done].text);
	if (r < 0 && sqlite3_errcode(db) == SQLITE_ERROR)
		r = -EBADMSG; /* the script is tested: a table is missing, or already there */
	if (r == 0)
		r = sql_exec(db, number);
	if (r == 0)
		r = sql_exec(db, "COMMIT");
	if (r < 0)
		sql_rollback(db);
	return r;
}

/* When SQLite cannot create the file, it tries to open it for reading and returns the error of that
 * attempt, -ENOENT. The directory exists, as the lock was taken in it. */
static int open_error(int r)
{
	return r == -ENOENT ? -EIO : r;
}

/* SQLite opens a file that it cannot write for reading, and does not return the reason. */
static int not_writable(const char *path, struct journal_error *ret_error)
{
	int r = faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : -EIO;

	return journal_error_set(ret_error, r, "cannot write to '%s': %s", path, strerror(-r));
}

static int open_checked(sqlite3 *db, const char *path, int64_t *ret_version,
                        struct journal_error *ret_error)
{
	char reason[JOURNAL_HOLDER_SIZE + 32];
	int64_t version = 0;
	int r = journal_identify(db, path, &version, ret_error);

	if (r < 0)
		return r;
	if (sqlite3_db_readonly(db, "main") != 0)
		return not_writable(path, ret_error);
	r = sql_exec(db, "PRAGMA journal_mode=WAL");
	/* A WAL that grew because a reader held it shrinks to 32 MiB when it starts over. */
	if (r == 0)
		r = sql_exec(db, "PRAGMA journal_size_limit=33554432");
	/* Before the migration: a damaged file stays as it was found. */
	if (r == 0 && version > 0)
		r = scan_file(db, version);
	for (size_t done = (size_t)version; r == 0 && done < schema_migrations_count; done++)
		r = migrate_one(db, done);
	r = open_error(r);
	if (r < 0)
		return journal_error_set(ret_error, r, "cannot open '%s': %s", path,
		                         holder_reason(path, r, reason, sizeof(reason)));
	*ret_version = version;
	return 0;
}

int journal_open_file(const char *path, sqlite3 **ret_db, bool *ret_is_new,
                      struct journal_error *ret_error)
{
	sqlite3 *db = NULL;
	int64_t version = 0;
	char reason[JOURNAL_HOLDER_SIZE + 32];
	int r = open_error(sql_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db));

	if (r < 0)
		return journal_error_set(ret_error, r, "cannot open '%s': %s", path,
		                         holder_reason(path, r, reason, sizeof(reason)));
	r = open_checked(db, path, &version, ret_error);
	if (r < 0) {
		/* Closing without a checkpoint leaves the file as it was found. */
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		(void)sqlite3_close(db);
		return r;
	}
	*ret_is_new = version == 0;
	*ret_db = db;
	return 0;
}

int journal_read_history(sqlite3 *db, uint64_t *ret_history)
{
	int64_t history = 0;
	int r = sql_integer(db, "SELECT value FROM counters WHERE name = 'history'", &history);

	if (r < 0)
		return r;
	if (history == 0)
		return -EBADMSG;
	*ret_history = (uint64_t)history;
	return 0;
}

int journal_last_revision(sqlite3 *db, uint64_t *ret_revision)
{
	int64_t revision = 0;
	int r = sql_integer(db,
	                    "SELECT ifnull("
	                    " max((SELECT value FROM counters WHERE name = 'revision_floor'),"
	                    "  ifnull((SELECT max(revision) FROM events), 0),"
	                    "  ifnull((SELECT max(revision) FROM instances), 0)), -1)",
	                    &revision);

	if (r < 0)
		return r;
	if (revision < 0 || revision > ROW_REVISION_MAX)
		return -EBADMSG;
	*ret_revision = (uint64_t)revision;
	return 0;
}
