/* SPDX-License-Identifier: MIT */
/** What the files of this folder share. No other folder includes it. */
#pragma once

#include "base/check.h"
#include "journal/age.h"
#include "journal/journal.h"
#include "journal/row.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* Files of the state directory, besides SQLite's own -wal and -shm, and keyframes (keyframe.h). */
#define JOURNAL_FILE          "rollcall.db"
#define JOURNAL_FILE_SALVAGED "rollcall.db.salvaged" /* complete, about to replace rollcall.db */
#define JOURNAL_FILE_BUILDING "rollcall.db.building" /* incomplete: deleted after a crash */
#define JOURNAL_FILE_IMAGE    "rollcall.db.image"    /* rollcall.db with its log's sound pages */
#define JOURNAL_FILE_SUSPECT  "rollcall.db.suspect"  /* empty: damage was found while running */
#define JOURNAL_FILE_LOCK     "rollcall.lock"
#define JOURNAL_FILE_RESERVE  "rollcall.reserve"

#define JOURNAL_APPLICATION_ID 0x726f6c6c /* "roll" */

struct checkpointer;

enum journal_stmt {
	STMT_BEGIN,
	STMT_DATA_VERSION,
	STMT_COMMIT,
	STMT_PUT_EVENT,
	STMT_PUT_INSTANCE,
	STMT_DROP_INSTANCE,
	STMT_PUT_ENTRY,
	STMT_DROP_ENTRY,
	STMT_OLDEST_EVENTS,
	STMT_COUNT_EVENTS,
	STMT_REMOVE_EVENTS,
	STMT_NOTE_REMOVED,
	STMT_COUNT
};

struct journal {
	struct magic magic;

	/* set in journal_open(), never changed */
	int dir_fd;
	int lock_fd;
	char path[PATH_MAX]; /* of the database */
	enum journal_found found;
	char trouble[600];
	char note[200];
	uint64_t events_lost;
	struct checkpointer *checkpointer;

	/* writer only */
	sqlite3 *db;
	sqlite3_stmt *stmt[STMT_COUNT];
	uint64_t history;
	uint64_t revision;
	struct journal_options retention; /* dir is NULL */
	struct age age;
	int64_t aged_ms;          /* journal_now_ms() of the last look for old events */
	int64_t oldest_ms;        /* time of the oldest event */
	uint64_t oldest;          /* its revision; 0: read both from the log */
	uint64_t events;          /* number of events in the log up to counted_through */
	uint64_t counted_through; /* a revision */
	uint32_t wal_pages;       /* in the WAL after the latest commit */
	int64_t data_version;     /* SQLite's, of other connections' commits; 0: unknown */
	int64_t alone_ms;         /* clock_ms() of the last check without a commit */
	bool is_touched;          /* another process has committed, but appended no events */

	/* any thread */
	_Atomic(int) failing; /* 0: works; 1: failure is being written; 2: failed */
	int failed_as;        /* -EIO or -ETXTBSY; constant once failing is 2 */
	char failure[160];    /* why; constant once failing is 2 */
};
MAGIC(journal, 0x6a6f7572);

/** Formats the message, cut to fit. @return @p r */
int journal_error_set(struct journal_error *error, int r, const char *format, ...)
	PRINTF_LIKE(3, 4);

/**
 * Turns @p r, 0 or an error of sql_error(), into what journal_append() returns: success, -ENOSPC,
 * -ENOMEM and -EBUSY pass; any other error makes the journal fail, with -ETXTBSY or -EIO. Damage
 * (-EBADMSG) also calls journal_suspect(). Any thread.
 */
int journal_fail(struct journal *journal, int r);
/** Makes the journal fail. @return @p r; -EIO when it had failed before. Any thread. */
int journal_fail_because(struct journal *journal, int r, const char *reason);
/** Creates JOURNAL_FILE_SUSPECT beside the database at @p path: the next journal_open() then
 * verifies the whole database. Any thread. */
void journal_suspect(const char *path);
bool journal_has_failed(const struct journal *journal);

/** Begins a transaction that writes. After any error the caller calls sql_rollback(). @return 0;
 * -EBUSY; -ETXTBSY: another process has appended events; or an error as sql_error() */
int journal_begin(struct journal *journal) MUST_USE;
/** Checks, inside a transaction or not, that no other process has appended events. @return 0;
 * -ETXTBSY: one has; or an error as sql_error() */
int journal_check_alone(struct journal *journal) MUST_USE;

/** Writes events whose revisions follow journal_revision(), in one transaction. @return as
 * journal_append() */
int journal_write(struct journal *journal, const struct event *events, size_t count) MUST_USE;

/** Opens the database at @p path without a lock and without a salvage: identifies it, scans it
 * (scan_file()) and migrates it. @return as journal_open(); or -EBADMSG: it is damaged */
int journal_open_file(const char *path, sqlite3 **ret_db, bool *ret_is_new,
                      struct journal_error *ret_error) MUST_USE;
/** Checks that the database is empty, or one of rollcall with a known schema.
 * @param ret_version  of the schema; 0: the database is empty
 * @return 0; -EPROTO: it is not; -EBADMSG: it is damaged; or an error as sql_error() */
int journal_identify(sqlite3 *db, const char *path, int64_t *ret_version,
                     struct journal_error *ret_error) MUST_USE;
/** Reads the history's id from a migrated database. @return 0; -EBADMSG: there is none */
int journal_read_history(sqlite3 *db, uint64_t *ret_history) MUST_USE;
/** Reads the greatest of revision_floor and the revisions of events and instances. @return 0;
 * -EBADMSG: it is out of range; or an error as sql_error() */
int journal_last_revision(sqlite3 *db, uint64_t *ret_revision) MUST_USE;
/**
 * The revision that a new database continues from. Revisions must not go back, and the old database
 * may have given later ones than @p greatest_read. The time in ms since 1970 is above any revision
 * of a journal that did not make a thousand events a second since then; the next new database
 * finds this floor, and a later time.
 */
uint64_t journal_continue_from(uint64_t greatest_read);
