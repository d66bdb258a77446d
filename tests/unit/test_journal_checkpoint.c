/* SPDX-License-Identifier: MIT */
/**
 * Checkpoints and commits take turns. SQLite up to 3.51.2 loses commits in this order: a checkpoint
 * of one connection begins after the whole WAL has been moved, a commit of another connection
 * starts the WAL over, and only then the checkpoint reads how much of the WAL was moved
 * (sqlite.org/wal.html, the WAL-reset bug). The fault VFS stops threads at these places.
 */
#include "journal_fixture.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

/* The size of a WAL so long (LENGTH_PAGES of checkpoint.c) that the writer moves it itself. */
#define LONG_BYTES (32 + (int64_t)16000 * (4096 + 24))
#define BATCHES    30 /* more than that length needs; bounds the test if it fails */

/* --- two connections that take no turns -------------------------------------- */

static sqlite3 *open_raw(void)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(statedir_file("raw.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
	                              "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
	                              "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, x)",
	                              NULL, NULL, NULL),
	                 SQLITE_OK);
	return db;
}

/** Adds rows one by one; each is a commit of a few frames. */
static void insert_raw(sqlite3 *db, int rows)
{
	for (int i = 0; i < rows; i++)
		ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO t (x) VALUES (randomblob(3000))",
		                              NULL, NULL, NULL),
		                 SQLITE_OK);
}

static void *checkpoint_raw(void *db)
{
	(void)sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return NULL;
}

static int note_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	*(int *)arg = pages;
	return SQLITE_OK;
}

/** Does the database have every row, and is every page sound? */
static bool is_whole(int rows)
{
	sqlite3 *db = open_raw();
	sqlite3_stmt *stmt = NULL;
	int count = -1;
	bool sound = false;

	if (sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		count = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		sound = strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return count == rows && sound;
}

/**
 * The control: the steps that the next test tries to cause in the journal. They lose commits here,
 * so the places at which that test stops threads are the right ones.
 */
START_TEST(without_turns_commits_are_lost)
{
	sqlite3 *writer = open_raw();
	sqlite3 *other = open_raw();
	pthread_t thread;
	int pages = 0;

	(void)sqlite3_wal_hook(writer, note_pages, &pages);
	insert_raw(writer, 100);
	int before = pages;
	(void)checkpoint_raw(writer); /* the whole WAL has been moved */
	faultvfs_stop_at(FAULTVFS_CHECKPOINT_BEGUN);
	ck_assert_int_eq(pthread_create(&thread, NULL, checkpoint_raw, other), 0);
	faultvfs_wait_stopped();
	insert_raw(writer, 10);
	ck_assert_int_lt(pages, before); /* the WAL has started over */
	faultvfs_go();
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	insert_raw(writer, 200);
	ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(writer), SQLITE_OK); /* moves the WAL and removes it */

	bool is_fixed = !journal_sqlite_loses_commits(sqlite3_libversion_number());
	if (is_fixed)
		ck_assert(is_whole(310));
	else if (is_whole(310))
		ck_skip("this build of SQLite has the fix, which its version does not show");
}
END_TEST

/* --- the journal ----------------------------------------------------------------- */

static uint64_t appended;

/** One batch of some hundred pages. */
static void append_large(void)
{
	static char metadata[METADATA_BYTES_MAX];
	static struct event events[100];
	static char ids[100][24];

	memset(metadata, 'x', sizeof(metadata));
	metadata[1] = metadata[sizeof(metadata) - 1] = '\0';
	for (size_t i = 0; i < 100; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%llu", (unsigned long long)appended + i);
		events[i] = statedir_event(EVENT_REGISTERED, "a", ids[i]);
		events[i].instance.metadata = (struct str){metadata, sizeof(metadata)};
		events[i].instance.metadata_count = 1;
	}
	ck_ok(journal_append(journal, events, 100));
	appended += 100;
	ck_assert_int_ge(journal_tidy(journal, 0), 0);
}

static int64_t wal_bytes(void)
{
	struct stat wal;

	ck_assert_int_eq(stat(statedir_file("rollcall.db-wal"), &wal), 0);
	return wal.st_size;
}

/** Stops the thread before a checkpoint, and makes the WAL so long meanwhile that the writer wants
 * to move all of it itself. */
static void make_long_wal(void)
{
	int batches = 0;

	faultvfs_stop_at(FAULTVFS_CHECKPOINT);
	while (!faultvfs_is_stopped() || wal_bytes() < LONG_BYTES) {
		append_large();
		ck_assert_int_lt(++batches, BATCHES);
	}
}

static void fail_with(void *arg, const char *line)
{
	(void)arg;
	ck_abort_msg("%s", line);
}

START_TEST(a_checkpoint_does_not_meet_a_wal_that_starts_over)
{
	make_long_wal();
	faultvfs_stop_at(FAULTVFS_CHECKPOINT_BEGUN);
	faultvfs_go();
	faultvfs_wait_stopped();
	append_some(3); /* a commit starts the WAL over, if the writer has moved it */
	appended += 3;
	faultvfs_stop_at(FAULTVFS_CHECKPOINT_ENDED);
	faultvfs_go();
	faultvfs_wait_stopped();
	faultvfs_go();
	for (int i = 0; i < BATCHES; i++)
		append_large();

	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_uint_eq(journal_revision(journal), appended);
	journal_close(journal);
	journal = NULL;
	ck_ok(journal_verify(statedir_path(), fail_with, NULL));
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), (int64_t)appended);
}
END_TEST

START_TEST(a_long_wal_is_moved_by_the_writer_once_it_has_the_turn)
{
	make_long_wal();
	faultvfs_stop_at(FAULTVFS_CHECKPOINT_BEGUN);
	faultvfs_go();
	faultvfs_wait_stopped();
	append_large();                        /* the running checkpoint does not move this */
	faultvfs_stop_at(FAULTVFS_CHECKPOINT); /* the thread stops here if it gets another turn */
	faultvfs_go();
	/* The file would become twice as long if the WAL did not start over. */
	int64_t before = wal_bytes();
	for (int i = 0; i < BATCHES; i++)
		append_large();
	ck_assert_int_lt(wal_bytes(), before + LONG_BYTES);
}
END_TEST

START_TEST(versions_of_sqlite_that_lose_commits_are_known)
{
	static const struct {
		int version;
		bool loses;
	} cases[] = {
		{3040001, true},  {3044005, true},  {3044006, false}, {3045000, true},
		{3050006, true},  {3050007, false}, {3051002, true},  {3051003, false},
		{3052000, false}, {3053000, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(journal_sqlite_loses_commits(cases[i].version), cases[i].loses);
}
END_TEST

static void begin(void)
{
	setup();
	appended = 0;
}

static void end(void)
{
	faultvfs_release();
	faultvfs_stop_at(FAULTVFS_NOWHERE);
	faultvfs_go();
	teardown();
}

SUITE("journal_checkpoint", begin, end, without_turns_commits_are_lost,
      a_checkpoint_does_not_meet_a_wal_that_starts_over,
      a_long_wal_is_moved_by_the_writer_once_it_has_the_turn,
      versions_of_sqlite_that_lose_commits_are_known)
