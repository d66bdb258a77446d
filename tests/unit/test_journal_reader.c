/* SPDX-License-Identifier: MIT */
/* Readers of the event log: filters, spans, limits, retention, damage, and lack of memory. */
#include "journal_fixture.h"

#include "fault.h"

#include <sqlite3.h>
#include <unistd.h>

START_TEST(a_reader_sees_events_with_all_their_fields)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	struct journal_query query = {.limit = 10};
	uint64_t last = 0;
	uint64_t oldest = 0;

	append(&event);
	struct event drained = statedir_event_of(EVENT_DRAINED, &event.instance);
	drained.time_ms = 5;
	drained.reason = STR("why not");
	append(&drained);
	ck_ok(read_events(&query, &last, &oldest));
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_int_eq(seen[0].event.kind, EVENT_REGISTERED);
	ck_assert_int_eq(seen[0].event.time_ms, 1790000000123);
	ck_assert_str_eq(seen[0].text[0], "192.0.2.7");
	ck_assert_str_eq(seen[0].text[1], "curl/8.0");
	ck_assert_str_eq(seen[0].text[2], "because \xc3\xa4");
	ck_assert_int_eq(seen[1].event.kind, EVENT_DRAINED);
	ck_assert_int_eq(seen[1].event.time_ms, 5);
	ck_assert_str_eq(seen[1].text[2], "why not");
	ck_assert_uint_eq(seen[1].event.revision, 2);
	ck_assert_uint_eq(seen[1].event.instance.revision, 2);
	ck_assert_uint_eq(seen[1].event.instance.incarnation, 1);
	ck_assert_uint_eq(last, 2);
	ck_assert_uint_eq(oldest, 1);
}
END_TEST

START_TEST(a_reader_filters_and_says_where_to_go_on)
{
	struct event events[] = {
		statedir_event(EVENT_REGISTERED, "a", "1"),
		statedir_event(EVENT_REGISTERED, "b", "1"),
		statedir_event(EVENT_REGISTERED, "a", "2"),
		statedir_event(EVENT_EXPIRED, "a", "1"),
		statedir_event(EVENT_REGISTERED, "c", "1"),
	};
	static const struct {
		struct journal_query query;
		size_t count;
		uint64_t first;
		uint64_t last;
	} cases[] = {
		{{.limit = 10}, 5, 1, 5},
		{{.limit = 2}, 2, 1, 2},
		{{.limit = 2, .since = 2}, 2, 3, 4},
		{{.limit = 10, .since = 5}, 0, 0, 5},
		{{.limit = 10, .service = {"a", 1}}, 3, 1, 5},
		{{.limit = 1, .service = {"a", 1}, .since = 1}, 1, 3, 3},
		{{.limit = 10, .service = {"a", 1}, .id = {"1", 1}}, 2, 1, 5},
		{{.limit = 10, .id = {"1", 1}}, 4, 1, 5},
		{{.limit = 10, .kinds = 1 << EVENT_EXPIRED}, 1, 4, 5},
		{{.limit = 10, .service = {"nobody", 6}}, 0, 0, 5},
	};

	ck_ok(journal_append(journal, events, 5));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t last = 0;
		uint64_t oldest = 0;

		ck_ok(read_events(&cases[i].query, &last, &oldest));
		ck_assert_msg(seen_count == cases[i].count, "case %zu: %zu", i, seen_count);
		ck_assert_msg(last == cases[i].last, "case %zu: last %lu", i, (unsigned long)last);
		if (seen_count > 0)
			ck_assert_uint_eq(seen[0].event.revision, cases[i].first);
	}
}
END_TEST

START_TEST(a_reader_is_told_of_a_place_that_the_log_has_not_come_to)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	static const uint64_t ahead[] = {2, 77, UINT64_MAX};
	uint64_t oldest = 42;

	append(&event);
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		struct journal_query query = {.limit = 10, .since = ahead[i]};
		uint64_t last = 42;

		ck_fails(read_events(&query, &last, &oldest), ERANGE);
		ck_assert_uint_eq(seen_count, 0);
		ck_assert_uint_eq(last, 1);
		ck_assert_uint_eq(oldest, 42);
	}
}
END_TEST

START_TEST(a_reader_looks_at_no_more_than_its_span)
{
	static const struct {
		struct journal_query query;
		int stopped;
		size_t count;
		uint64_t last;
	} cases[] = {
		{{.limit = 100, .span = 10}, 1, 10, 10},
		{{.limit = 100, .span = 99}, 1, 99, 99},
		{{.limit = 100, .span = 100}, 0, 100, 100},
		{{.limit = 100, .span = UINT32_MAX}, 0, 100, 100},
		{{.limit = 5, .span = 10}, 0, 5, 5}, /* the limit ends it before the span */
		{{.limit = 10, .span = 10}, 0, 10, 10},
		{{.limit = 100, .span = 10, .since = 2489}, 1, 10, 2499},
		{{.limit = 100, .span = 10, .since = 2490}, 0, 10, 2500},
		{{.limit = 100, .span = 10, .since = 2500}, 0, 0, 2500},
		{{.limit = 100, .span = 10, .service = {"nobody", 6}}, 1, 0, 10},
		{{.limit = 100, .span = 10, .service = {"nobody", 6}, .since = 2495}, 0, 0, 2500},
	};

	append_many();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t last = 0;
		uint64_t oldest = 0;
		int r = read_events(&cases[i].query, &last, &oldest);

		ck_assert_msg(r == cases[i].stopped, "case %zu: %d", i, r);
		ck_assert_msg(seen_count == cases[i].count, "case %zu: %zu", i, seen_count);
		ck_assert_msg(last == cases[i].last, "case %zu: last %lu", i, (unsigned long)last);
	}
}
END_TEST

START_TEST(a_reader_sees_what_was_committed_after_it_was_opened)
{
	struct journal_reader *reader = open_reader();
	struct journal_query query = {.limit = 10};
	uint64_t last = 0;
	uint64_t oldest = 0;

	for (uint64_t n = 1; n <= 3; n++) {
		struct event event = statedir_event(EVENT_REGISTERED, "a",
		                                    n == 1   ? "1"
		                                    : n == 2 ? "2"
		                                             : "3");

		append(&event);
		query.since = last;
		seen_count = 0;
		ck_ok(journal_reader_events(reader, &query, see_event, NULL, &last, &oldest));
		ck_assert_uint_eq(seen_count, 1);
		ck_assert_uint_eq(last, n);
	}
	journal_reader_close(reader);
}
END_TEST

START_TEST(a_visitor_may_end_the_reading)
{
	struct journal_query query = {.limit = 100};
	uint64_t last = 42;
	uint64_t oldest = 42;

	append_many();
	stop_after = 3;
	ck_fails(read_events(&query, &last, &oldest), ECANCELED);
	ck_assert_uint_eq(seen_count, 3);
	ck_assert_uint_eq(last, 42);
	ck_assert_uint_eq(oldest, 42);
	stop_after = 0;
	ck_ok(read_events(&query, &last, &oldest)); /* the next reading works */
	ck_assert_uint_eq(last, 100);
}
END_TEST

START_TEST(a_reader_without_a_journal_is_refused)
{
	struct journal_reader *reader = NULL;

	ck_fails(journal_reader_open("/nonexistent", &reader), ENOENT);
	ck_assert_ptr_null(reader);
	journal_reader_close(NULL);
}
END_TEST

START_TEST(who_was_told_that_events_are_missing_can_ask_where_the_log_begins)
{
	struct journal_reader *reader = open_reader();
	uint64_t oldest = 42;
	int64_t ms = 42;

	ck_ok(journal_reader_oldest(reader, &oldest, &ms));
	ck_assert_uint_eq(oldest, 1);
	ck_assert_int_eq(ms, 0);
	append_many();
	ck_ok(journal_reader_oldest(reader, &oldest, &ms));
	ck_assert_uint_eq(oldest, 1);
	ck_assert_int_eq(ms, 1000);
	journal_set_retention(journal, 0, 5);
	while (journal_tidy(journal, 0) > 0)
		;
	ck_ok(journal_reader_oldest(reader, &oldest, &ms));
	ck_assert_uint_eq(oldest, MANY - 4);
	ck_assert_int_eq(ms, 1000 + MANY - 5);
	journal_reader_close(reader);
	statedir_sql("DELETE FROM counters");
	reader = open_reader();
	ck_fails(journal_reader_oldest(reader, &oldest, &ms), EIO);
	ck_assert(statedir_has("rollcall.db.suspect"));
	journal_reader_close(reader);
}
END_TEST

START_TEST(a_reader_needs_memory)
{
	for (int n = 0;; n++) {
		struct journal_reader *reader = NULL;

		fault_arm(n);
		int r = journal_reader_open(statedir_path(), &reader);
		if (!fault_hit()) {
			ck_ok(r);
			journal_reader_close(reader);
			ck_assert_int_gt(n, 0);
			break;
		}
		ck_fails(r, ENOMEM);
		ck_assert_ptr_null(reader);
	}
}
END_TEST

START_TEST(an_error_of_the_disk_is_told_to_a_reader_and_passes)
{
	struct journal_query query = {.limit = 2000};
	uint64_t last = 0;
	uint64_t oldest = 0;
	int failed = 0;

	append_many();
	for (int n = 0; n >= 0; n++) {
		struct journal_reader *reader = open_reader();

		seen_count = 0;
		faultvfs_fail(FAULTVFS_READ, FAULTVFS_ANY, n, SQLITE_IOERR_READ);
		int r = journal_reader_events(reader, &query, see_event, NULL, &last, &oldest);
		bool hit = faultvfs_hit();
		faultvfs_reset();
		ck_assert_msg(r == (hit ? -EIO : 0), "read %d: %d", n, r);
		failed += hit;
		seen_count = 0;
		ck_ok(journal_reader_events(reader, &query, see_event, NULL, &last, &oldest));
		ck_assert_uint_eq(seen_count, 2000);
		journal_reader_close(reader);
		if (!hit || n > 50)
			break;
	}
	ck_assert_int_gt(failed, 3);
	ck_assert(!statedir_has("rollcall.db.suspect"));
}
END_TEST

/** Any damaged or missing event may match the query, so an answer without it may be incomplete. */
START_TEST(a_damaged_or_missing_event_is_met_whatever_was_asked_for)
{
	static const char *const damages[] = {
		"UPDATE events SET service = 'x' WHERE revision = 3",
		"UPDATE events SET id = 'x' WHERE revision = 3",
		"UPDATE events SET kind = 2 WHERE revision = 3",
		"UPDATE events SET revision = 300 WHERE revision = 3",
		"DELETE FROM events WHERE revision = 1",
		"DELETE FROM events WHERE revision = 3",
	};
	static const struct journal_query queries[] = {
		{.limit = 10, .service = {"a", 1}},
		{.limit = 10, .id = {"7", 1}},
		{.limit = 10, .kinds = 1u << EVENT_DRAINED},
		{.limit = 10, .service = {"a", 1}, .span = 3},
	};
	struct event event;
	uint64_t last = 0;
	uint64_t oldest = 0;

	for (int i = 0; i < 5; i++) {
		event = statedir_event(EVENT_REGISTERED, "b", "1");
		append(&event);
	}
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		statedir_sql("CREATE TABLE sound AS SELECT * FROM events");
		statedir_sql(damages[i]);
		for (size_t k = 0; k < ARRAY_LEN(queries); k++)
			ck_assert_msg(read_events(&queries[k], &last, &oldest) == -EIO, "%s, %zu",
			              damages[i], k);
		ck_assert(statedir_has("rollcall.db.suspect"));
		ck_ok(unlink(statedir_file("rollcall.db.suspect")));
		statedir_sql("DELETE FROM events");
		statedir_sql("INSERT INTO events SELECT * FROM sound");
		statedir_sql("DROP TABLE sound");
	}
	for (size_t k = 0; k < ARRAY_LEN(queries); k++)
		ck_assert_int_ge(read_events(&queries[k], &last, &oldest), 0);

	/* A query that its limit ends before the damage does not meet it. */
	statedir_sql("UPDATE events SET service = 'x' WHERE revision = 3");
	const struct journal_query enough = {.limit = 2};
	ck_ok(read_events(&enough, &last, &oldest));
	const struct journal_query behind = {.limit = 10, .since = 3};
	ck_ok(read_events(&behind, &last, &oldest));
}
END_TEST

/** Revisions that were raised by hand are not missing events. */
START_TEST(a_raised_floor_is_no_missing_event)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	struct journal_query query = {.limit = 10, .service = {"b", 1}};
	uint64_t last = 0;
	uint64_t oldest = 0;

	append(&event);
	journal_close(journal);
	statedir_sql("UPDATE counters SET value = 1000 WHERE name = 'revision_floor'");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_ok(read_events(&query, &last, &oldest));
	ck_assert_uint_eq(last, 1000);
	event = statedir_event(EVENT_REGISTERED, "a", "2");
	append(&event);
	ck_assert_uint_eq(event.revision, 1001);
	for (query.since = 0; query.since < 1001; query.since += 500) {
		ck_ok(read_events(&query, &last, &oldest));
		ck_assert_uint_eq(last, 1001);
	}
	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
}
END_TEST

SUITE("journal_reader", setup, teardown, a_reader_sees_events_with_all_their_fields,
      a_reader_filters_and_says_where_to_go_on,
      a_damaged_or_missing_event_is_met_whatever_was_asked_for, a_raised_floor_is_no_missing_event,
      a_reader_is_told_of_a_place_that_the_log_has_not_come_to,
      a_reader_looks_at_no_more_than_its_span, a_reader_sees_what_was_committed_after_it_was_opened,
      a_visitor_may_end_the_reading, a_reader_without_a_journal_is_refused,
      who_was_told_that_events_are_missing_can_ask_where_the_log_begins, a_reader_needs_memory,
      an_error_of_the_disk_is_told_to_a_reader_and_passes)
