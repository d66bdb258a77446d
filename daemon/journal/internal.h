/* SPDX-License-Identifier: MIT */
/** What the files of this folder share; nobody else includes it. */
#pragma once

#include "base/check.h"
#include "journal/age.h"
#include "journal/journal.h"
#include "journal/row.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* What the state directory holds, besides SQLite's own -wal and -shm. */
#define JOURNAL_FILE          "rollcall.db"
#define JOURNAL_FILE_SALVAGED "rollcall.db.salvaged" /* complete, about to take its place */
#define JOURNAL_FILE_BUILDING "rollcall.db.building" /* not complete: worth nothing */
#define JOURNAL_FILE_IMAGE    "rollcall.db.image"    /* as far as its log can be read */
#define JOURNAL_FILE_SUSPECT  "rollcall.db.suspect"  /* empty: damage was met while running */
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
	struct journal_options retention; /* its dir is not kept */
	struct age age;
	int64_t aged_ms;          /* when events were last looked at for their age */
	int64_t oldest_ms;        /* time of the oldest event, ... */
	uint64_t oldest;          /* ... and its revision; 0: look it up */
	uint64_t events;          /* in the log up to a revision, ... */
	uint64_t counted_through; /* ... which is this */
	uint32_t wal_pages;       /* in the WAL after the latest commit */
	int64_t data_version; /* SQLite's: changes when another connection commits; 0: unknown */
	int64_t alone_ms;     /* clock_ms() when it was last compared without a commit */
	bool is_touched;      /* another process has committed, but no events */

	/* any thread */
	_Atomic(int) failing; /* enum: 0 works, 1 failure[] is being written, 2 failed */
	int failed_as;        /* -EIO or -ETXTBSY, constant once failing is 2 */
	char failure[160];    /* the same */
};
MAGIC(journal, 0x6a6f7572);

/** Says why, formatted, and returns @p r. */
int journal_error_set(struct journal_error *error, int r, const char *format, ...)
	PRINTF_LIKE(3, 4);

/**
 * What the caller of journal_append() is to see of @p r: -ENOSPC, -ENOMEM and -EBUSY as they are.
 * Anything else ends the use of this journal, as -ETXTBSY or -EIO; damage also leaves a mark that
 * makes the next journal_open() look at the whole file. Any thread.
 */
int journal_fail(struct journal *journal, int r);
/** Ends the use of this journal. @return what the caller is to see: @p r, or -EIO when it had
 * failed before. Any thread. */
int journal_fail_because(struct journal *journal, int r, const char *reason);
/** Leaves the mark that makes the next journal_open() look at the whole file. Any thread. */
void journal_suspect(const char *path);
bool journal_has_failed(const struct journal *journal);

/** Begins a transaction that writes. @return 0; -EBUSY; -ETXTBSY: another process has appended
 * events; other errors. sql_rollback() must follow any error. */
int journal_begin(struct journal *journal) MUST_USE;
/** Inside a transaction or not: has nobody else appended events? @return 0, -ETXTBSY, or an error
 */
int journal_check_alone(struct journal *journal) MUST_USE;

/** Writes events that have their numbers, which follow the latest, in one transaction. @return as
 * journal_append() */
int journal_write(struct journal *journal, const struct event *events, size_t count) MUST_USE;

/** Opens without lock or salvage: checks whose file it is, migrates, and reads each instance once.
 * @return as journal_open(), or -EBADMSG: it is damaged */
int journal_open_file(const char *path, sqlite3 **ret_db, bool *ret_is_new,
                      struct journal_error *ret_error) MUST_USE;
/** Is it a database of ours, of a version that we know? @param ret_version  0: it is empty */
int journal_identify(sqlite3 *db, const char *path, int64_t *ret_version,
                     struct journal_error *ret_error) MUST_USE;
/** Of a file that has been migrated. @return 0; -EBADMSG: it has none */
int journal_read_history(sqlite3 *db, uint64_t *ret_history) MUST_USE;
/** The greatest of all revisions in the file. */
int journal_last_revision(sqlite3 *db, uint64_t *ret_revision) MUST_USE;
