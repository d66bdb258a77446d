/* SPDX-License-Identifier: MIT */
/*
 * Who may open the file: locks, other writers, foreign or newer databases; and the other files of
 * the state directory.
 */
#include "journal_fixture.h"

#include "journal/migrations.h"

#include <sys/stat.h>
#include <unistd.h>

static int open_again(struct journal_error *ret_error)
{
	struct journal_options options = {.dir = statedir_path()};
	struct journal *other = NULL;
	int r = journal_open(&options, &other, ret_error);

	ck_assert_ptr_null(other);
	return r;
}

static void ignore_line(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

START_TEST(a_second_daemon_is_refused_and_told_who_has_it)
{
	struct journal_error error = {""};
	char want[32];

	(void)snprintf(want, sizeof(want), "process %d", (int)getpid());
	ck_fails(open_again(&error), EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, want));
	ck_fails(open_again(&error), EBUSY); /* the first attempt did not release the lock */

	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	append(&event);
	reopen(); /* closing releases the lock */
}
END_TEST

START_TEST(a_second_daemon_is_refused_though_the_lock_file_was_removed)
{
	struct journal_error error = {""};

	ck_assert_int_eq(unlink(statedir_file("rollcall.lock")), 0);
	ck_fails(open_again(&error), EBUSY);
	ck_assert_msg(strstr(error.text, "is in use by") != NULL, "%s", error.text);
	reopen();
	ck_assert_int_eq(unlink(statedir_file("rollcall.lock")), 0);
	ck_fails(journal_verify(statedir_path(), ignore_line, NULL), EBUSY);
}
END_TEST

/* --- another process writes ------------------------------------------------------- */

static void another_process_appends(void)
{
	statedir_sql(
		"CREATE TEMP TABLE copy AS SELECT * FROM events ORDER BY revision DESC LIMIT 1;"
		"UPDATE copy SET revision = revision + 1; INSERT INTO events SELECT * FROM copy");
}

static void was_not_called_damaged(uint64_t revision)
{
	ck_assert_msg(strstr(journal_trouble(journal), "another process writes") != NULL, "%s",
	              journal_trouble(journal));
	ck_assert_int_eq(journal_failure(journal), -ETXTBSY);
	ck_assert(!statedir_has("rollcall.db.suspect"));
	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_uint_eq(journal_revision(journal), revision);
}

START_TEST(another_writer_is_recognised_and_not_called_damage)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");

	append(&event);
	another_process_appends();
	event = statedir_event(EVENT_REGISTERED, "a", "2");
	ck_fails(journal_append(journal, &event, 1), ETXTBSY);
	ck_assert_uint_eq(event.revision, 0);
	ck_fails(journal_append(journal, &event, 1), EIO);
	was_not_called_damaged(2);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 2);
}
END_TEST

START_TEST(another_writer_is_recognised_without_a_change_of_our_own)
{
	append_some(1);
	another_process_appends();
	ck_fails(journal_tidy(journal, 0), ETXTBSY);
	was_not_called_damaged(2);
}
END_TEST

START_TEST(a_row_that_another_process_removed_is_not_called_damage)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");

	append(&event);
	statedir_sql("DELETE FROM instances");
	event = statedir_event_of(EVENT_DEREGISTERED, &event.instance);
	ck_fails(journal_append(journal, &event, 1), ETXTBSY);
	was_not_called_damaged(1);

	/* If no other process has the file open, it is damage. */
	ck_fails(journal_append(journal, &event, 1), EIO);
	ck_assert_int_eq(journal_failure(journal), -EIO);
	ck_assert(statedir_has("rollcall.db.suspect"));
}
END_TEST

START_TEST(another_process_may_look_and_move_the_wal)
{
	append_some(3);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 3);
	append_some(1);
	statedir_sql("PRAGMA wal_checkpoint(TRUNCATE)");
	append_some(1);
	ck_ok(journal_tidy(journal, 0));
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 5);
}
END_TEST

START_TEST(a_newer_schema_is_refused_and_left_alone)
{
	struct journal_error error = {""};

	journal_close(journal);
	journal = NULL;
	statedir_sql("PRAGMA user_version=99");
	ck_fails(open_again(&error), EPROTO);
	ck_assert_ptr_nonnull(strstr(error.text, "99"));
	ck_assert_ptr_nonnull(strstr(error.text, "newer"));
	ck_assert_int_eq(statedir_number("PRAGMA user_version"), 99);
	ck_assert_ptr_null(statedir_find("rollcall.db.corrupt"));
}
END_TEST

START_TEST(another_programs_database_is_refused_and_left_alone)
{
	struct journal_error error = {""};

	journal_close(journal);
	journal = NULL;
	ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
	statedir_sql("CREATE TABLE photos (name)");
	ck_fails(open_again(&error), EPROTO);
	ck_assert_ptr_nonnull(strstr(error.text, "another program"));
	statedir_sql("PRAGMA application_id=7");
	ck_fails(open_again(&error), EPROTO);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM photos"), 0);
	ck_assert_ptr_null(statedir_find("rollcall.db.corrupt"));
}
END_TEST

START_TEST(the_file_carries_our_mark_and_the_number_of_migrations)
{
	journal_close(journal);
	journal = NULL;
	ck_assert_int_eq(statedir_number("PRAGMA application_id"), 0x726f6c6c);
	ck_assert_int_eq(statedir_number("PRAGMA user_version"),
	                 (long long)schema_migrations_count);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_named)
{
	struct journal_options options = {.dir = "/nonexistent/rollcall"};
	struct journal *other = NULL;
	struct journal_error error = {""};

	ck_fails(journal_open(&options, &other, &error), ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/rollcall"));
}
END_TEST

START_TEST(a_file_from_a_crash_during_creation_is_taken_as_new)
{
	journal_close(journal);
	ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
	statedir_sql("PRAGMA journal_mode=WAL"); /* the state before the first migration */
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
}
END_TEST

/** The steps of docs/operations.md for restoring a backup. */
START_TEST(revisions_can_be_raised_by_hand)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");

	append(&event);
	journal_close(journal);
	statedir_sql("UPDATE counters SET value = 1790000000000");
	journal = statedir_open();
	ck_assert_uint_eq(journal_revision(journal), 1790000000000);
	event = statedir_event(EVENT_REGISTERED, "a", "2");
	append(&event);
	ck_assert_uint_eq(event.revision, 1790000000001);
	restore();
	ck_assert_uint_eq(seen_count, 2);
}
END_TEST

START_TEST(the_wal_stays_bounded_while_events_are_appended)
{
	struct event events[100];
	struct stat wal;

	for (int i = 0; i < 100; i++)
		events[i] = statedir_event(EVENT_UPDATED, "a", "1");
	struct event first = statedir_event(EVENT_REGISTERED, "a", "1");
	append(&first);
	for (int n = 0; n < 1000; n++) {
		for (int i = 0; i < 100; i++)
			events[i].instance = first.instance;
		ck_ok(journal_append(journal, events, 100));
		ck_assert_int_ge(journal_tidy(journal, 0), 0);
	}
	ck_assert_int_eq(stat(statedir_file("rollcall.db-wal"), &wal), 0);
	ck_assert_int_gt(wal.st_size, 0);
	ck_assert_int_lt(wal.st_size, 20 << 20); /* the documented bound */
	struct stat db;
	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &db), 0);
	ck_assert_int_gt(db.st_size, 10 << 20);
}
END_TEST

START_TEST(the_reserve_is_really_allocated_and_can_be_given_back)
{
	struct stat reserve;

	ck_assert_int_eq(stat(statedir_file("rollcall.reserve"), &reserve), 0);
	ck_assert_int_ge((long long)reserve.st_blocks * 512, 4 << 20);
	journal_release_reserve(journal);
	ck_assert(!statedir_has("rollcall.reserve"));
	journal_release_reserve(journal); /* a second time has no effect */
	ck_ok(journal_take_reserve(journal));
	ck_ok(journal_take_reserve(journal));
	ck_assert_int_eq(stat(statedir_file("rollcall.reserve"), &reserve), 0);
	ck_assert_int_ge((long long)reserve.st_blocks * 512, 4 << 20);
}
END_TEST

START_TEST(closing_nothing_is_fine)
{
	journal_close(NULL);
}
END_TEST

SUITE("journal_file", setup, teardown, a_second_daemon_is_refused_and_told_who_has_it,
      a_second_daemon_is_refused_though_the_lock_file_was_removed,
      another_writer_is_recognised_and_not_called_damage,
      another_writer_is_recognised_without_a_change_of_our_own,
      a_row_that_another_process_removed_is_not_called_damage,
      another_process_may_look_and_move_the_wal, a_newer_schema_is_refused_and_left_alone,
      another_programs_database_is_refused_and_left_alone,
      the_file_carries_our_mark_and_the_number_of_migrations,
      a_directory_that_is_not_there_is_named, a_file_from_a_crash_during_creation_is_taken_as_new,
      revisions_can_be_raised_by_hand, the_wal_stays_bounded_while_events_are_appended,
      the_reserve_is_really_allocated_and_can_be_given_back, closing_nothing_is_fine)
