/* SPDX-License-Identifier: MIT */
/** Storing events that another daemon has committed and that already have their revisions. */
#include "journal_fixture.h"

#include <sqlite3.h>

/* An event as another daemon has committed it. */
static struct event numbered(enum event_kind kind, const char *id, uint64_t revision,
                             uint64_t incarnation)
{
	struct event event = statedir_event(kind, "web", id);

	event.revision = event.instance.revision = revision;
	event.instance.incarnation = incarnation;
	return event;
}

START_TEST(what_is_stored_is_as_if_it_had_been_appended)
{
	struct event events[] = {
		numbered(EVENT_REGISTERED, "a", 1, 1),
		numbered(EVENT_REGISTERED, "b", 2, 2),
		numbered(EVENT_DEREGISTERED, "a", 3, 1),
	};
	struct event next = statedir_event(EVENT_REGISTERED, "web", "c");

	ck_ok(journal_store(journal, events, 3));
	ck_assert_uint_eq(journal_revision(journal), 3);
	append(&next);
	ck_assert_uint_eq(next.revision, 4);
	reopen();
	restore();
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_str_eq(seen[0].id, "b");
	ck_assert_uint_eq(seen[0].instance.incarnation, 2);
	ck_assert_uint_eq(seen[0].instance.revision, 2);
	ck_assert_str_eq(seen[1].id, "c");

	struct journal_reader *reader = open_reader();
	struct journal_query query = {.limit = 100};
	uint64_t last;
	uint64_t oldest;
	seen_count = 0;
	ck_ok(journal_reader_events(reader, &query, see_event, NULL, &last, &oldest));
	ck_assert_uint_eq(seen_count, 4);
	ck_assert_uint_eq(last, 4);
	ck_assert_int_eq(seen[2].event.kind, EVENT_DEREGISTERED);
	journal_reader_close(reader);
}
END_TEST

START_TEST(only_what_comes_next_is_stored)
{
	struct event first = numbered(EVENT_REGISTERED, "a", 1, 1);
	struct event gap[] = {
		numbered(EVENT_REGISTERED, "b", 2, 2),
		numbered(EVENT_REGISTERED, "c", 4, 4),
	};
	struct event later = numbered(EVENT_REGISTERED, "b", 3, 3);
	struct event unborn = numbered(EVENT_UPDATED, "a", 2, 0);
	struct event unheard_of = numbered(EVENT_UPDATED, "a", 2, 3);

	ck_ok(journal_store(journal, &first, 1));
	ck_fails(journal_store(journal, &first, 1), ESTALE);
	ck_fails(journal_store(journal, gap, 2), ERANGE);
	ck_fails(journal_store(journal, &later, 1), ERANGE);
	ck_fails(journal_store(journal, &unborn, 1), EINVAL);
	ck_fails(journal_store(journal, &unheard_of, 1), EINVAL);
	ck_ok(journal_store(journal, NULL, 0));
	ck_assert_uint_eq(journal_revision(journal), 1);
	ck_assert_int_eq(journal_failure(journal), 0);
	restore();
	ck_assert_uint_eq(seen_count, 1);
	ck_ok(journal_store(journal, gap, 1));
}
END_TEST

START_TEST(what_finds_no_room_may_be_stored_later)
{
	struct event event = numbered(EVENT_REGISTERED, "a", 1, 1);

	faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	ck_fails(journal_store(journal, &event, 1), ENOSPC);
	ck_assert(faultvfs_hit());
	ck_assert_uint_eq(event.revision, 1); /* the journal did not assign it, nor reset it */
	ck_assert_uint_eq(journal_revision(journal), 0);
	ck_ok(journal_store(journal, &event, 1));
}
END_TEST

START_TEST(numbers_are_given_as_when_appending)
{
	struct event events[] = {
		statedir_event(EVENT_REGISTERED, "web", "a"),
		statedir_event(EVENT_UPDATED, "web", "a"),
	};

	for (int i = 0; i < 2; i++) { /* a second time gives the same numbers */
		journal_number(events, 2, 1);
		ck_assert_uint_eq(events[0].revision, 1);
		ck_assert_uint_eq(events[0].instance.incarnation, 1);
		ck_assert_uint_eq(events[1].revision, 2);
		ck_assert_uint_eq(events[1].instance.revision, 2);
		ck_assert_uint_eq(events[1].instance.incarnation, 1);
	}
	ck_ok(journal_store(journal, events, 2));
}
END_TEST

START_TEST(a_journal_that_was_given_up_says_why_and_takes_nothing)
{
	struct event event = numbered(EVENT_REGISTERED, "a", 1, 1);

	ck_fails(journal_give_up(journal, "event 7 is not possible"), EIO);
	ck_fails(journal_give_up(journal, "another"), EIO);
	ck_assert_int_eq(journal_failure(journal), -EIO);
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "event 7 is not possible"));
	ck_fails(journal_store(journal, &event, 1), EIO);
	ck_fails(journal_append(journal, &event, 1), EIO);
}
END_TEST

SUITE("journal_store", setup, teardown, what_is_stored_is_as_if_it_had_been_appended,
      only_what_comes_next_is_stored, what_finds_no_room_may_be_stored_later,
      numbers_are_given_as_when_appending, a_journal_that_was_given_up_says_why_and_takes_nothing)
