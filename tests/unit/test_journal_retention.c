/* SPDX-License-Identifier: MIT */
/** What retention removes and what it keeps. */
#include "journal_fixture.h"

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
	ck_assert_uint_ge(oldest, MANY - 110 + 1); /* a tenth more at most */
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
	/* given after the backup was made: lost, and that must be told */
	ck_assert_int_eq(read_events(&query, &last, &oldest), -ESTALE);
	ck_assert_uint_eq(oldest, 1790000000001);
}
END_TEST

START_TEST(retention_by_age_removes_what_is_older)
{
	append_many(); /* times 1000 .. 1000 + MANY - 1 */
	journal_set_retention(journal, 600, 0);
	tidy_all(3000); /* older than 2400: the first 1400 */
	ck_assert_uint_eq(oldest_event(), 1401);
	tidy_all(3900); /* looked less than a second ago */
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
	/* The gap lies behind: events and revisions are the same again. */
	ck_assert_uint_gt(oldest_event(), 1000000);
}
END_TEST

START_TEST(events_are_counted_over_any_gap)
{
	append_many();
	reopen(); /* so that nobody knows how many there are */
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
	ck_assert_int_eq(journal_tidy(journal, 0), 1); /* 2000 of 2500: not enough to judge */
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), MANY);
	append_some(300); /* which are counted too */
	while (journal_tidy(journal, 0) > 0)
		ck_assert_int_lt(++steps, 10);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 2000);
}
END_TEST

START_TEST(age_may_remove_what_has_not_been_counted)
{
	append_many();
	reopen();
	journal_set_retention(journal, 600, 2400); /* by age all but 1100 go, while it counts */
	tidy_all(3000);
	ck_assert_uint_eq(oldest_event(), 1401);
	journal_set_retention(journal, 0, 500);
	tidy_all(4000);
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM events"), 500);
}
END_TEST

START_TEST(the_newest_event_stays_before_a_gap_too)
{
	append_before_a_gap(10, 5000);
	journal_set_retention(journal, 1, 0);
	tidy_all(INT64_MAX / 2);
	ck_assert_int_eq(statedir_number("SELECT revision FROM events"), 10);
}
END_TEST

START_TEST(a_clock_that_was_set_back_does_not_end_retention_by_age)
{
	append_many();
	journal_set_retention(journal, 600, 0);
	tidy_all(INT64_MAX / 2); /* all but the newest go */
	append_some(3);          /* at 1790000000123 */
	tidy_all(1790000001000);
	ck_assert_uint_eq(oldest_event(), MANY + 3);
}
END_TEST

SUITE("journal_retention", setup, teardown, without_retention_every_event_stays,
      retention_by_count_keeps_the_newest_and_all_instances, a_small_count_is_kept_exactly,
      retention_never_calls_events_complete_that_are_not, retention_by_age_removes_what_is_older,
      the_newest_event_always_stays, one_step_of_retention_is_bounded,
      a_cursor_older_than_the_oldest_event_is_told, retention_by_count_counts_events_not_revisions,
      events_are_counted_over_any_gap, a_log_that_was_never_counted_is_counted_in_steps,
      age_may_remove_what_has_not_been_counted, the_newest_event_stays_before_a_gap_too,
      a_clock_that_was_set_back_does_not_end_retention_by_age)
