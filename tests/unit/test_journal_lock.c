/* SPDX-License-Identifier: MIT */
/*
 * What the journal does while another process has locked the database. The other process is a real
 * one (fork), because locks of the same process do not conflict.
 */
#include "journal_fixture.h"

#include "base/clock.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t other;      /* the process that has the lock; 0: none */
static int other_end[2]; /* a pipe; the other process ends when it is closed */

static void hold_lock(const char *sql, int ready)
{
	sqlite3 *db = NULL;
	char byte;

	(void)close(other_end[1]);
	if (sqlite3_open(statedir_file("rollcall.db"), &db) != SQLITE_OK ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK || write(ready, "x", 1) != 1)
		_exit(1);
	(void)!read(other_end[0], &byte, 1); /* returns when the other end is closed */
	_exit(0);
}

/** Starts a process that runs @p sql and keeps its connection open. */
static void lock_elsewhere(const char *sql)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(other_end), 0);
	other = fork();
	ck_assert_int_ge(other, 0);
	if (other == 0)
		hold_lock(sql, ready[1]);
	ck_assert_int_eq(close(ready[1]), 0);
	ck_assert_int_eq(close(other_end[0]), 0);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(close(ready[0]), 0);
}

static void unlock(void)
{
	int status = 0;

	ck_assert_int_eq(close(other_end[1]), 0);
	ck_assert_int_eq(waitpid(other, &status, 0), other);
	ck_assert_int_eq(status, 0);
	other = 0;
}

static void end(void)
{
	if (other > 0)
		unlock();
	teardown();
}

static int put(const char *id)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", id);
	int r = journal_append(journal, &event, 1);

	if (r < 0)
		ck_assert_uint_eq(event.revision, 0);
	return r;
}

START_TEST(a_lock_elsewhere_refuses_a_commit_and_changes_nothing)
{
	ck_ok(put("1"));
	lock_elsewhere("BEGIN IMMEDIATE");
	int64_t begun = clock_ms();
	for (int i = 0; i < 3; i++)
		ck_fails(put("2"), EBUSY);
	ck_assert_int_ge(clock_ms() - begun, 3 * JOURNAL_LOCKED_MS);
	ck_assert_uint_eq(journal_revision(journal), 1);
	ck_assert_str_eq(journal_trouble(journal), "");
	ck_fails(journal_probe(journal), EBUSY);
	unlock();

	ck_ok(journal_probe(journal));
	ck_ok(put("2"));
	ck_assert_uint_eq(journal_revision(journal), 2);
	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	restore();
	ck_assert_uint_eq(seen_count, 2);
}
END_TEST

START_TEST(the_process_that_has_the_lock_is_named)
{
	char holder[JOURNAL_HOLDER_SIZE];
	char want[32];

	lock_elsewhere("BEGIN IMMEDIATE");
	ck_fails(put("1"), EBUSY);
	journal_locked_by(journal, holder);
	(void)snprintf(want, sizeof(want), "process %d (", (int)other);
	ck_assert_msg(strncmp(holder, want, strlen(want)) == 0, "%s", holder);
	unlock();
	journal_locked_by(journal, holder);
	ck_assert_str_eq(holder, "another process");

	/* The query for the holder has not released a lock of ours. */
	ck_ok(put("1"));
	lock_elsewhere("BEGIN; SELECT * FROM events");
	ck_ok(put("2"));
	journal_locked_by(journal, holder);
	ck_assert_str_eq(holder, "another process"); /* a reader blocks no writer */
}
END_TEST

START_TEST(retention_waits_for_the_lock_and_goes_on)
{
	append_many();
	journal_set_retention(journal, 0, 100);
	lock_elsewhere("BEGIN IMMEDIATE");
	for (int i = 0; i < 5; i++)
		ck_assert_int_ge(journal_tidy(journal, 0), 0);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), MANY);
	unlock();
	while (journal_tidy(journal, 0) > 0)
		;
	ck_assert_int_le(statedir_number("SELECT count(*) FROM events"), 110);
}
END_TEST

START_TEST(a_start_while_another_process_writes_succeeds)
{
	ck_ok(put("1"));
	journal_close(journal);
	lock_elsewhere("BEGIN IMMEDIATE");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	restore();
	ck_assert_uint_eq(seen_count, 1);
	ck_fails(put("2"), EBUSY);
	unlock();
	ck_ok(put("2"));
}
END_TEST

static void say(void *arg, const char *line)
{
	(void)snprintf(arg, 512, "%s", line);
}

START_TEST(a_file_that_another_process_has_to_itself_is_not_called_damaged)
{
	struct journal_options options = {.dir = statedir_path()};
	struct journal_error error = {""};
	char said[512] = "";

	ck_ok(put("1"));
	journal_close(journal);
	journal = NULL;
	lock_elsewhere("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE");
	ck_fails(journal_open(&options, &journal, &error), EBUSY);
	ck_assert_msg(strstr(error.text, "another process keeps it locked") != NULL, "%s",
	              error.text);
	ck_fails(journal_verify(statedir_path(), say, said), EBUSY);
	ck_assert_msg(strstr(said, "another process keeps it locked") != NULL, "%s", said);
	ck_assert(!statedir_has("rollcall.db.suspect"));
	ck_assert_ptr_null(statedir_find("rollcall.db.corrupt"));
	unlock();
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
}
END_TEST

START_TEST(history_is_read_while_another_process_writes)
{
	struct journal_query query = {.limit = 10};
	uint64_t last = 0;
	uint64_t oldest = 0;

	ck_ok(put("1"));
	lock_elsewhere("BEGIN IMMEDIATE; DELETE FROM events");
	ck_ok(read_events(&query, &last, &oldest));
	ck_assert_uint_eq(seen_count, 1);
}
END_TEST

SUITE("journal_lock", setup, end, a_lock_elsewhere_refuses_a_commit_and_changes_nothing,
      the_process_that_has_the_lock_is_named, retention_waits_for_the_lock_and_goes_on,
      a_start_while_another_process_writes_succeeds,
      a_file_that_another_process_has_to_itself_is_not_called_damaged,
      history_is_read_while_another_process_writes)
