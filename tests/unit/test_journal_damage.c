/* SPDX-License-Identifier: MIT */
/*
 * Damage that a running journal finds: the next start repairs the file. The journal has known
 * content (damage_fixture.h).
 */
#include "damage_fixture.h"

static int ignore(void *arg, const struct event *event)
{
	(void)arg;
	(void)event;
	return 0;
}

/** Damages the page of the database that holds the oldest events. */
static void damage_oldest_events(void)
{
	char sql[] = "SELECT rootpage FROM sqlite_schema WHERE name = 'events'";
	long root = (long)statedir_number(sql);
	unsigned char page[4];
	FILE *file = fopen(statedir_file("rollcall.db"), "rb");

	/* the root is an interior page: its first cell points to the first child */
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, (root - 1) * PAGE + 12, SEEK_SET), 0);
	ck_assert_uint_eq(fread(page, 1, 2, file), 2);
	ck_assert_int_eq(fseek(file, (root - 1) * PAGE + (page[0] << 8 | page[1]), SEEK_SET), 0);
	ck_assert_uint_eq(fread(page, 1, 4, file), 4);
	(void)fclose(file);
	long child = page[0] << 24 | page[1] << 16 | page[2] << 8 | page[3];
	statedir_damage("rollcall.db", (child - 1) * PAGE, PAGE);
}

START_TEST(damage_met_while_running_is_repaired_by_the_next_start)
{
	int r;

	/* more pages than a connection caches */
	for (int i = 0; i < 10000; i++)
		put(EVENT_UPDATED, 1);
	close_it();
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	damage_oldest_events();
	uint64_t before = journal_revision(journal);
	put(EVENT_REGISTERED, 0);
	journal_set_retention(journal, 0, 10);
	while ((r = journal_tidy(journal, 0)) > 0)
		;
	ck_assert_int_eq(r, -EIO);
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "damaged"));
	close_it();
	ck_assert(statedir_has("rollcall.db.suspect"));
	journal = statedir_open();
	expect_salvaged(before);
	ck_assert_uint_eq(instances(), LEFT + 1);
}
END_TEST

START_TEST(an_event_whose_time_is_damaged_is_not_removed_for_its_age)
{
	int r;

	close_it();
	long long events = statedir_number("SELECT count(*) FROM events");
	statedir_sql("UPDATE events SET time_ms = 1 WHERE revision = 1");
	journal = statedir_open();
	journal_set_retention(journal, (int64_t)365 * 24 * 3600 * 1000, 0);
	while ((r = journal_tidy(journal, NOW_MS)) > 0)
		;
	ck_assert_int_eq(r, -EIO);
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "damaged"));
	close_it();
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), events);
}
END_TEST

START_TEST(a_start_meets_events_that_are_lost)
{
	uint64_t before = journal_revision(journal);

	close_it();
	damage_oldest_events();
	journal = statedir_open();
	expect_salvaged(before);
	expect_all_left();
	close_it();
	journal = statedir_open();
	put(EVENT_REGISTERED, 0);
	put(EVENT_UPDATED, 0);
	put(EVENT_UPDATED, 0);
	close_it();
	statedir_sql("DELETE FROM events WHERE revision = (SELECT max(revision) - 1 FROM events)");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	put(EVENT_UPDATED, 0);
	put(EVENT_UPDATED, 0);
	close_it();
	/* without the last event the row of the instance is newer than all events */
	statedir_sql("DELETE FROM events WHERE revision = (SELECT max(revision) FROM events)");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
}
END_TEST

START_TEST(removing_whom_the_file_does_not_know_is_damage)
{
	struct event event = statedir_event(EVENT_REGISTERED, "b", "7");

	ck_ok(journal_append(journal, &event, 1));
	struct event gone = statedir_event_of(EVENT_DEREGISTERED, &event.instance);
	ck_ok(journal_append(journal, &gone, 1));
	gone = statedir_event_of(EVENT_REMOVED, &event.instance);
	ck_fails(journal_append(journal, &gone, 1), EIO);
	close_it();
	journal = statedir_open();
	expect_all_left();
}
END_TEST

START_TEST(damage_met_by_a_reader_is_repaired_by_the_next_start)
{
	struct journal_reader *reader = NULL;
	struct journal_query query = {.limit = 10};
	uint64_t last = 0;
	uint64_t oldest = 0;

	close_it();
	statedir_sql("UPDATE events SET author = 'someone else' WHERE revision = 5");
	journal = statedir_open();
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_fails(journal_reader_events(reader, &query, ignore, NULL, &last, &oldest), EIO);
	journal_reader_close(reader);
	put(EVENT_REGISTERED, 0); /* the writer still accepts events */
	close_it();
	journal = statedir_open();
	expect_salvaged(0);
	ck_assert_uint_eq(instances(), LEFT + 1);
}
END_TEST

START_TEST(a_false_alarm_changes_nothing)
{
	uint64_t before = journal_revision(journal);

	close_it();
	FILE *mark = fopen(statedir_file("rollcall.db.suspect"), "wb");
	ck_assert_ptr_nonnull(mark);
	(void)fclose(mark);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_uint_eq(journal_revision(journal), before);
	ck_assert(!statedir_has("rollcall.db.suspect"));
	expect_all_left();
}
END_TEST

SUITE("journal_damage", setup, teardown, damage_met_while_running_is_repaired_by_the_next_start,
      an_event_whose_time_is_damaged_is_not_removed_for_its_age, a_start_meets_events_that_are_lost,
      removing_whom_the_file_does_not_know_is_damage,
      damage_met_by_a_reader_is_repaired_by_the_next_start, a_false_alarm_changes_nothing)
