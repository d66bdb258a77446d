/* SPDX-License-Identifier: MIT */
/*
 * What retention removes and keeps: by count, by age, across gaps in the revisions, and with a
 * clock that is wrong. The clock is virtual where a test depends on it.
 */
#include "journal_fixture.h"

#include "base/clock.h"

static void tidy_all(int64_t now_ms)
{
	int steps = 0;
	int r;

	while ((r = journal_tidy(journal, now_ms)) > 0)
		ck_assert_int_lt(++steps, 100);
	ck_assert_int_eq(r, 0);
}

static uint64_t oldest_event(void)
{
	struct journal_query query = {.limit = 1};
	uint64_t last = 0;
	uint64_t oldest = 0;
	int r = read_events(&query, &last, &oldest);

	if (r == -ESTALE) {
		query.since = oldest - 1;
		r = read_events(&query, &last, &oldest);
	}
	ck_ok(r);
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(seen[0].event.revision, oldest);
	return oldest;
}

START_TEST(without_retention_every_event_stays)
{
	append_many();
	tidy_all(INT64_MAX / 2);
	ck_assert_uint_eq(oldest_event(), 1);
}
END_TEST

START_TEST(retention_by_count_keeps_the_newest_and_all_instances)
{
	append_many();
	journal_set_retention(journal, 0, 100);
	tidy_all(0);
	uint64_t oldest = oldest_event();
	ck_assert_uint_le(oldest, MANY - 100 + 1);
	ck_assert_uint_ge(oldest, MANY - 110 + 1); /* at most a tenth more than configured */
	reopen();
	ck_assert_uint_eq(journal_revision(journal), MANY);
	restore();
	ck_assert_uint_eq(seen_count, MANY);
}
END_TEST

START_TEST(a_small_count_is_kept_exactly)
{
	append_many();
	journal_set_retention(journal, 0, 7);
	tidy_all(0);
	ck_assert_uint_eq(oldest_event(), MANY - 7 + 1);
}
END_TEST

START_TEST(retention_never_calls_events_complete_that_are_not)
{
	struct journal_query query = {.limit = 1, .since = MANY + 5};
	uint64_t last = 0;
	uint64_t oldest = 0;

	append_many();
	journal_close(journal);
	statedir_sql("UPDATE counters SET value = 1790000000000");
	journal = statedir_open();
	journal_set_retention(journal, 0, 100);
	tidy_all(0);
	/* revisions assigned after the backup are lost, which a reader must be able to see */
	ck_assert_int_eq(read_events(&query, &last, &oldest), -ESTALE);
	ck_assert_uint_eq(oldest, 1790000000001);
}
END_TEST

START_TEST(retention_by_age_removes_what_is_older)
{
	append_many(); /* times 1000 .. 1000 + MANY - 1 */
	journal_set_retention(journal, 600, 0);
	tidy_all(3000); /* removes what is older than 2400: the first 1400 */
	ck_assert_uint_eq(oldest_event(), 1401);
	tidy_all(3900); /* no effect: the last check was less than a second ago */
	ck_assert_uint_eq(oldest_event(), 1401);
	tidy_all(4000);
	ck_assert_uint_eq(oldest_event(), 2401);
}
END_TEST

START_TEST(the_newest_event_always_stays)
{
	append_many();
	journal_set_retention(journal, 1, 0);
	tidy_all(INT64_MAX / 2);
	ck_assert_uint_eq(oldest_event(), MANY);
	reopen();
	ck_assert_uint_eq(journal_revision(journal), MANY);
}
END_TEST

START_TEST(one_step_of_retention_is_bounded)
{
	append_many();
	journal_set_retention(journal, 0, 10);
	ck_assert_int_eq(journal_tidy(journal, 0), 1);
	ck_assert_uint_eq(oldest_event(), 1001);
}
END_TEST

START_TEST(a_cursor_older_than_the_oldest_event_is_told)
{
	struct journal_query query = {.limit = 10};
	uint64_t last = 42;
	uint64_t oldest = 0;

	append_many();
	journal_set_retention(journal, 0, 5);
	tidy_all(0);
	query.since = MANY - 6;
	ck_fails(read_events(&query, &last, &oldest), ESTALE);
	ck_assert_uint_eq(oldest, MANY - 4);
	ck_assert_uint_eq(last, 42);
	query.since = MANY - 5;
	ck_ok(read_events(&query, &last, &oldest));
	ck_assert_uint_eq(seen_count, 5);
}
END_TEST

/* --- revisions that are missing ------------------------------------------------ */

/** The log begins with @p count events, then revisions are missing up to @p floor. */
static void append_before_a_gap(int count, uint64_t floor)
{
	char sql[96];

	append_some(count);
	journal_close(journal);
	(void)snprintf(sql, sizeof(sql),
	               "UPDATE counters SET value = %llu WHERE name = 'revision_floor'",
	               (unsigned long long)floor);
	statedir_sql(sql);
	journal = statedir_open();
	ck_assert_uint_eq(journal_revision(journal), floor);
}

START_TEST(retention_by_count_counts_events_not_revisions)
{
	static const int steps[] = {0, 1, 49, 50, 70, 120};

	append_before_a_gap(100, 1000000);
	journal_set_retention(journal, 0, 100);
	for (size_t i = 0, more = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (; more < (size_t)steps[i]; more++)
			append_some(1);
		tidy_all(0);
		long long left = statedir_number("SELECT count(*) FROM events");
		ck_assert_int_ge(left, 100);
		ck_assert_int_le(left, 110);
		ck_assert_int_le(left, 100 + steps[i]);
	}
	/* The gap is older than the retained events: counts of events and revisions agree again. */
	ck_assert_uint_gt(oldest_event(), 1000000);
}
END_TEST

START_TEST(events_are_counted_over_any_gap)
{
	append_many();
	reopen(); /* forgets the number of events */
	statedir_sql("DELETE FROM events WHERE revision > 1000 AND revision % 3 != 0");
	journal_set_retention(journal, 0, 700);
	tidy_all(0);
	long long left = statedir_number("SELECT count(*) FROM events");
	ck_assert_int_ge(left, 700);
	ck_assert_int_le(left, 770);
	append_some(200);
	tidy_all(0);
	left = statedir_number("SELECT count(*) FROM events");
	ck_assert_int_ge(left, 700);
	ck_assert_int_le(left, 770);
}
END_TEST

START_TEST(a_log_that_was_never_counted_is_counted_in_steps)
{
	int steps = 0;

	append_many();
	reopen();
	journal_set_retention(journal, 0, 2000);
	ck_assert_int_eq(journal_tidy(journal, 0), 1); /* counted 2000 of 2500: too few to decide */
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), MANY);
	append_some(300); /* counted too */
	while (journal_tidy(journal, 0) > 0)
		ck_assert_int_lt(++steps, 10);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 2000);
}
END_TEST

START_TEST(age_may_remove_what_has_not_been_counted)
{
	append_many();
	reopen();
	journal_set_retention(journal, 600, 2400); /* age removes all but 1100 during the count */
	tidy_all(3000);
	ck_assert_uint_eq(oldest_event(), 1401);
	journal_set_retention(journal, 0, 500);
	tidy_all(4000);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 500);
}
END_TEST

START_TEST(events_that_came_back_after_the_count_do_not_empty_the_log)
{
	append_many();
	reopen(); /* forgets the number of events */
	statedir_sql("CREATE TABLE aside AS SELECT * FROM events WHERE revision BETWEEN 2 AND 2001;"
	             "DELETE FROM events WHERE revision BETWEEN 2 AND 2001");
	journal_set_retention(journal, 0, 480);
	tidy_all(0);
	/* 500 were counted: more than 480, but by less than a tenth */
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 500);
	statedir_sql("INSERT INTO events SELECT * FROM aside");
	journal_set_retention(journal, 600, 480); /* age removes 1 to 2400, first 1 to 1000 */
	tidy_all(4000);
	ck_assert_uint_eq(oldest_event(), 2401);
	append_some(1);
	tidy_all(4000);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 101);
}
END_TEST

START_TEST(events_that_another_process_removed_are_not_counted_on)
{
	append_many();
	reopen();
	journal_set_retention(journal, 0, 2000);
	ck_assert_int_eq(journal_tidy(journal, 0), 1); /* counted through 2000 */
	statedir_sql("DELETE FROM events WHERE revision <= 1900");
	journal_set_retention(journal, 600, 0); /* removes up to 2300, beyond the counted ones */
	tidy_all(3900);
	ck_assert_uint_eq(oldest_event(), 2301);
	journal_set_retention(journal, 0, 150);
	tidy_all(3900);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 150);
}
END_TEST

START_TEST(the_newest_event_stays_before_a_gap_too)
{
	append_before_a_gap(10, 5000);
	journal_set_retention(journal, 1, 0);
	tidy_all(1790000000123 + 3600000);
	ck_assert_int_eq(statedir_number("SELECT revision FROM events"), 10);
}
END_TEST

START_TEST(a_clock_that_was_set_back_does_not_end_retention_by_age)
{
	append_many();
	journal_set_retention(journal, 600, 0);
	tidy_all(INT64_MAX / 2); /* removes all but the newest */
	append_some(3);          /* at 1790000000123 */
	tidy_all(1790000001000);
	ck_assert_uint_eq(oldest_event(), MANY + 3);
}
END_TEST

/* --- a clock that is wrong ------------------------------------------------------- */

#define HOUR  INT64_C(3600000)
#define DAY   (24 * HOUR)
#define WEEK  (7 * DAY)
#define THEN  INT64_C(1790000000000)
#define WRONG (THEN + 3650 * DAY)

static void append_at(int64_t ms)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "");
	char id[32];

	(void)snprintf(id, sizeof(id), "at-%lld-%llu", (long long)ms,
	               (unsigned long long)journal_revision(journal));
	event.instance.id = str_of(id);
	event.time_ms = ms;
	append(&event);
}

/** Four events, a day apart from each other, the last at THEN; kept for a week. */
static void append_days(void)
{
	clock_virtual_set(1000000);
	reopen();
	for (int day = 3; day >= 0; day--)
		append_at(THEN - day * DAY);
	reopen();
	journal_set_retention(journal, WEEK, 0);
}

static void reopen_after_a_second(void)
{
	clock_virtual_advance(1000);
	reopen();
	journal_set_retention(journal, WEEK, 0);
}

START_TEST(one_start_with_the_clock_in_the_future_removes_nothing)
{
	append_days();
	for (int i = 0; i < 5; i++) {
		clock_virtual_advance(1000);
		tidy_all(WRONG + i * 1000);
	}
	ck_assert_uint_eq(oldest_event(), 1);
	/* It removes nothing after it has written events of its own either, */
	append_at(WRONG);
	clock_virtual_advance(1000);
	tidy_all(WRONG + 6000);
	ck_assert_uint_eq(oldest_event(), 1);
	/* nor does the next start, at any time. */
	reopen_after_a_second();
	tidy_all(WRONG + 7000);
	ck_assert_uint_eq(oldest_event(), 1);
	reopen_after_a_second();
	tidy_all(THEN + 60000);
	ck_assert_uint_eq(oldest_event(), 1);
}
END_TEST

START_TEST(until_the_clock_is_believed_ages_go_by_the_log)
{
	append_days(); /* from THEN + 4 days on the first is older than a week */
	for (int day = 1; day < 4; day++)
		append_at(THEN + day * DAY);
	append_at(THEN + 4 * DAY - 2 * HOUR);
	reopen_after_a_second();
	tidy_all(WRONG);
	clock_virtual_advance(HOUR);
	tidy_all(WRONG + HOUR);
	ck_assert_uint_eq(oldest_event(), 1);
	clock_virtual_advance(2 * HOUR);
	tidy_all(WRONG + 3 * HOUR);
	ck_assert_uint_eq(oldest_event(), 2);
}
END_TEST

START_TEST(a_clock_that_has_been_ahead_for_a_day_is_believed)
{
	append_days();
	tidy_all(WRONG);
	clock_virtual_advance(DAY - 1000);
	tidy_all(WRONG + DAY - 1000);
	ck_assert_uint_eq(oldest_event(), 1);
	clock_virtual_advance(1000);
	tidy_all(WRONG + DAY);
	ck_assert_uint_eq(oldest_event(), 4); /* the newest always stays */
}
END_TEST

START_TEST(a_clock_that_comes_back_begins_anew)
{
	append_days();
	tidy_all(WRONG);
	clock_virtual_advance(DAY - 1000);
	tidy_all(THEN + DAY - 1000);
	clock_virtual_advance(1000);
	tidy_all(WRONG);
	ck_assert_uint_eq(oldest_event(), 1);
	clock_virtual_advance(DAY - 1000);
	tidy_all(WRONG + DAY - 1000);
	ck_assert_uint_eq(oldest_event(), 1);
}
END_TEST

START_TEST(a_jump_while_it_runs_waits_too)
{
	append_days();
	tidy_all(THEN);
	clock_virtual_advance(1000);
	tidy_all(THEN + 23 * HOUR); /* less than a day is believed at once */
	clock_virtual_advance(1000);
	tidy_all(THEN + 23 * HOUR + WEEK);
	ck_assert_uint_eq(oldest_event(), 1);
}
END_TEST

START_TEST(events_dated_in_the_future_do_not_keep_what_comes_after_them)
{
	append_days();
	append_at(WRONG);
	append_at(THEN + HOUR);
	append_at(THEN + 2 * HOUR);
	append_at(THEN + 3 * HOUR);
	for (int hour = 0; hour <= 7 * 24 + 2; hour++) {
		clock_virtual_advance(HOUR);
		tidy_all(THEN + (hour + 1) * HOUR);
	}
	ck_assert_uint_eq(oldest_event(), 8); /* revisions 1 to 4, 5 (WRONG), 6 and 7 are gone */
}
END_TEST

START_TEST(many_events_dated_in_the_future_end_the_work_too)
{
	append_many();
	journal_set_retention(journal, WEEK, 0);
	tidy_all(-2 * DAY);
	ck_assert_uint_eq(oldest_event(), 1);
}
END_TEST

static void teardown_clock(void)
{
	clock_virtual_off();
	teardown();
}

SUITE("journal_retention", setup, teardown_clock, without_retention_every_event_stays,
      retention_by_count_keeps_the_newest_and_all_instances, a_small_count_is_kept_exactly,
      retention_never_calls_events_complete_that_are_not, retention_by_age_removes_what_is_older,
      the_newest_event_always_stays, one_step_of_retention_is_bounded,
      a_cursor_older_than_the_oldest_event_is_told, retention_by_count_counts_events_not_revisions,
      events_are_counted_over_any_gap, a_log_that_was_never_counted_is_counted_in_steps,
      age_may_remove_what_has_not_been_counted,
      events_that_came_back_after_the_count_do_not_empty_the_log,
      events_that_another_process_removed_are_not_counted_on,
      the_newest_event_stays_before_a_gap_too,
      a_clock_that_was_set_back_does_not_end_retention_by_age,
      one_start_with_the_clock_in_the_future_removes_nothing,
      until_the_clock_is_believed_ages_go_by_the_log,
      a_clock_that_has_been_ahead_for_a_day_is_believed, a_clock_that_comes_back_begins_anew,
      a_jump_while_it_runs_waits_too, events_dated_in_the_future_do_not_keep_what_comes_after_them,
      many_events_dated_in_the_future_end_the_work_too)
