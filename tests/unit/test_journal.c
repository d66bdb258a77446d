/* SPDX-License-Identifier: MIT */
#include "journal/journal.h"

#include "faultvfs.h"
#include "journal/migrations.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 2500

static struct journal *journal;

/* What a visit saw, copied: borrowed strings end with it. */
struct seen {
	char service[128];
	char id[128];
	char metadata[128];
	char text[3][64];
	struct instance instance; /* its strings are not to be used */
	struct event event;
};
static struct seen seen[MANY];
static size_t seen_count;
static size_t stop_after;

static void copy(char *out, size_t size, struct str text)
{
	ck_assert_uint_lt(text.len, size);
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
}

static int see(void *arg, const struct instance *instance)
{
	struct seen *s = &seen[seen_count];

	(void)arg;
	ck_assert_uint_lt(seen_count, MANY);
	seen_count++;
	copy(s->service, sizeof(s->service), instance->service);
	copy(s->id, sizeof(s->id), instance->id);
	copy(s->metadata, sizeof(s->metadata), instance->metadata);
	copy(s->text[0], sizeof(s->text[0]), instance->host);
	copy(s->text[1], sizeof(s->text[1]), instance->status_reason);
	copy(s->text[2], sizeof(s->text[2]), instance->status_by);
	s->instance = *instance;
	return stop_after > 0 && seen_count == stop_after ? -ECANCELED : 0;
}

static int see_event(void *arg, const struct event *event)
{
	struct seen *s = &seen[seen_count];
	int r = see(arg, &event->instance);

	copy(s->text[0], sizeof(s->text[0]), event->author);
	copy(s->text[1], sizeof(s->text[1]), event->agent);
	copy(s->text[2], sizeof(s->text[2]), event->reason);
	s->event = *event;
	return r;
}

static void restore(void)
{
	seen_count = 0;
	ck_ok(journal_restore(journal, see, NULL));
}

static void reopen(void)
{
	journal_close(journal);
	journal = statedir_open();
}

static void append(struct event *event)
{
	ck_ok(journal_append(journal, event, 1));
}

/** Registers MANY instances a, 0 .. MANY-1 in batches of 100, at time 1000 + n. */
static void append_many(void)
{
	static char ids[MANY][8];
	static struct event events[100];

	for (int n = 0; n < MANY; n++) {
		(void)snprintf(ids[n], sizeof(ids[n]), "%d", n);
		events[n % 100] = statedir_event(EVENT_REGISTERED, "a", ids[n]);
		events[n % 100].time_ms = 1000 + n;
		if (n % 100 == 99)
			ck_ok(journal_append(journal, events, 100));
	}
}

static void setup(void)
{
	faultvfs_install();
	statedir_make();
	seen_count = 0;
	stop_after = 0;
	journal = statedir_open();
}

static void teardown(void)
{
	journal_close(journal);
	journal = NULL;
	statedir_remove();
}

/* --- append and restore ---------------------------------------------------- */

START_TEST(a_new_journal_is_empty_and_says_so)
{
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
	ck_assert_uint_eq(journal_revision(journal), 0);
	ck_assert_str_eq(journal_trouble(journal), "");
	restore();
	ck_assert_uint_eq(seen_count, 0);
	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
}
END_TEST

START_TEST(every_field_of_an_instance_survives_a_restart)
{
	struct event event = statedir_event(EVENT_REGISTERED, "order-service", "order-1");
	const struct instance *want = &event.instance;

	event.instance.lease_out = true;
	event.instance.drained = true;
	event.instance.drained_until_ms = 1790000009999;
	event.instance.status_reason = STR("maintenance");
	event.instance.status_by = STR("operator:ann");
	append(&event);
	reopen();
	restore();

	ck_assert_uint_eq(seen_count, 1);
	const struct instance *got = &seen[0].instance;
	ck_assert_str_eq(seen[0].service, "order-service");
	ck_assert_str_eq(seen[0].id, "order-1");
	ck_assert_str_eq(seen[0].text[0], "10.0.0.1");
	ck_assert_str_eq(seen[0].text[1], "maintenance");
	ck_assert_str_eq(seen[0].text[2], "operator:ann");
	ck_assert_uint_eq(got->metadata.len, want->metadata.len);
	ck_assert_mem_eq(seen[0].metadata, want->metadata.data, want->metadata.len);
	ck_assert_uint_eq(got->metadata_count, 2);
	ck_assert_int_eq(got->ttl_ms, want->ttl_ms);
	ck_assert_int_eq(got->remove_after_ms, want->remove_after_ms);
	ck_assert_uint_eq(got->port, want->port);
	ck_assert_uint_eq(got->weight, want->weight);
	ck_assert(got->wants_drain && got->lease_out && got->drained);
	ck_assert_int_eq(got->drained_until_ms, want->drained_until_ms);
	ck_assert_int_eq(got->status, STATUS_UNHEALTHY);
	ck_assert_int_eq(got->status_since_ms, want->status_since_ms);
	ck_assert_int_eq(got->registered_ms, want->registered_ms);
	ck_assert_uint_eq(got->revision, 1);
	ck_assert_uint_eq(got->incarnation, 1);
}
END_TEST

START_TEST(empty_strings_and_no_metadata_are_kept_as_such)
{
	struct event event = {.kind = EVENT_REGISTERED,
	                      .instance = {.service = STR("a"), .id = STR("1"), .host = STR("h")}};

	append(&event);
	reopen();
	restore();
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(seen[0].instance.metadata.len, 0);
	ck_assert_uint_eq(seen[0].instance.status_reason.len, 0);
}
END_TEST

START_TEST(instances_come_back_in_order_of_registration)
{
	struct event events[] = {
		statedir_event(EVENT_REGISTERED, "z", "9"),
		statedir_event(EVENT_REGISTERED, "a", "1"),
		statedir_event(EVENT_REGISTERED, "m", "5"),
	};

	ck_ok(journal_append(journal, events, 3));
	struct event update = statedir_event_of(EVENT_UPDATED, &events[0].instance);
	append(&update); /* an update does not move it */
	restore();
	ck_assert_uint_eq(seen_count, 3);
	ck_assert_str_eq(seen[0].service, "z");
	ck_assert_str_eq(seen[1].service, "a");
	ck_assert_str_eq(seen[2].service, "m");
	ck_assert_uint_eq(seen[0].instance.revision, 4);
	ck_assert_uint_eq(seen[0].instance.incarnation, 1);
}
END_TEST

START_TEST(a_batch_may_change_the_same_instance_many_times)
{
	struct event events[] = {
		statedir_event(EVENT_REGISTERED, "a", "1"),
		statedir_event(EVENT_REGISTERED, "a", "2"),
		statedir_event(EVENT_DRAINED, "a", "1"),      /* its incarnation is not known yet */
		statedir_event(EVENT_DEREGISTERED, "a", "1"), /* nor here */
		statedir_event(EVENT_REGISTERED, "a", "1"),   /* another life */
		statedir_event(EVENT_UPDATED, "a", "1"),
	};

	events[5].instance.weight = 7;
	ck_ok(journal_append(journal, events, 6));
	ck_assert_uint_eq(events[2].instance.incarnation, 1);
	ck_assert_uint_eq(events[3].instance.incarnation, 1);
	ck_assert_uint_eq(events[5].instance.incarnation, 5);
	restore();
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_str_eq(seen[0].id, "2");
	ck_assert_str_eq(seen[1].id, "1");
	ck_assert_uint_eq(seen[1].instance.weight, 7);
	ck_assert_uint_eq(seen[1].instance.revision, 6);
	ck_assert_uint_eq(seen[1].instance.incarnation, 5);
}
END_TEST

START_TEST(removed_instances_stay_away)
{
	struct event events[2] = {
		statedir_event(EVENT_REGISTERED, "a", "1"),
		statedir_event(EVENT_REGISTERED, "a", "2"),
	};

	ck_ok(journal_append(journal, events, 2));
	struct event gone[2] = {
		statedir_event_of(EVENT_DEREGISTERED, &events[0].instance),
		statedir_event_of(EVENT_REMOVED, &events[1].instance),
	};
	ck_ok(journal_append(journal, gone, 2));
	reopen();
	restore();
	ck_assert_uint_eq(seen_count, 0);
	ck_assert_uint_eq(journal_revision(journal), 4);
}
END_TEST

START_TEST(revisions_ascend_and_survive_a_restart)
{
	for (uint64_t n = 1; n <= 3; n++) {
		struct event event = statedir_event(EVENT_REGISTERED, "a",
		                                    n == 1   ? "1"
		                                    : n == 2 ? "2"
		                                             : "3");

		append(&event);
		ck_assert_uint_eq(event.revision, n);
		ck_assert_uint_eq(event.instance.revision, n);
		ck_assert_uint_eq(journal_revision(journal), n);
		reopen();
		ck_assert_uint_eq(journal_revision(journal), n);
	}
}
END_TEST

START_TEST(an_empty_batch_changes_nothing)
{
	ck_ok(journal_append(journal, NULL, 0));
	ck_assert_uint_eq(journal_revision(journal), 0);
}
END_TEST

START_TEST(a_visitor_may_end_the_restore)
{
	append_many();
	seen_count = 0;
	stop_after = 5;
	ck_fails(journal_restore(journal, see, NULL), ECANCELED);
	ck_assert_uint_eq(seen_count, 5);
}
END_TEST

static void remove_directory(const char *path)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -r %s", path);
	ck_assert_int_eq(system(command), 0);
}

/** What is on the disk at any moment holds each batch as a whole or not at all. */
START_TEST(what_a_crash_leaves_has_all_of_each_acknowledged_batch)
{
	char other[] = "/tmp/rollcall-test-XXXXXX";
	struct event events[4];

	ck_assert_ptr_nonnull(mkdtemp(other));
	for (uint64_t batch = 1; batch <= 5; batch++) {
		static const char *const ids[] = {"1", "2", "3", "4"};
		char service[] = {(char)('a' + batch), '\0'};

		for (int i = 0; i < 4; i++)
			events[i] = statedir_event(EVENT_REGISTERED, service, ids[i]);
		ck_ok(journal_append(journal, events, 4));

		statedir_copy("rollcall.db", other);
		statedir_copy("rollcall.db-wal", other);
		struct journal_options options = {.dir = other};
		struct journal *copy = NULL;
		struct journal_error error = {""};
		ck_ok(journal_open(&options, &copy, &error));
		seen_count = 0;
		ck_ok(journal_restore(copy, see, NULL));
		ck_assert_uint_eq(seen_count, 4 * batch);
		ck_assert_uint_eq(journal_revision(copy), 4 * batch);
		journal_close(copy);
	}
	remove_directory(other);
}
END_TEST

static size_t load(const char *path, unsigned char *out, size_t size)
{
	FILE *file = fopen(path, "rb");
	size_t len;

	ck_assert_ptr_nonnull(file);
	len = fread(out, 1, size, file);
	ck_assert_uint_lt(len, size);
	(void)fclose(file);
	return len;
}

/** The kernel may have written part of a commit when the power went. */
START_TEST(a_torn_commit_is_undone_as_a_whole)
{
	static unsigned char before[1 << 18];
	static unsigned char after[1 << 18];
	char other[] = "/tmp/rollcall-test-XXXXXX";
	char wal[64];
	struct event first = statedir_event(EVENT_REGISTERED, "a", "1");
	struct event batch[2] = {statedir_event(EVENT_REGISTERED, "a", "2"),
	                         statedir_event(EVENT_REGISTERED, "a", "3")};

	append(&first);
	load(statedir_file("rollcall.db-wal"), before, sizeof(before));
	ck_ok(journal_append(journal, batch, 2));
	size_t len = load(statedir_file("rollcall.db-wal"), after, sizeof(after));
	while (before[len - 1] == after[len - 1])
		len--;
	/* its last page never reached the disk */
	memcpy(after + len - 4000, before + len - 4000, 4000);

	ck_assert_ptr_nonnull(mkdtemp(other));
	statedir_copy("rollcall.db", other);
	(void)snprintf(wal, sizeof(wal), "%s/rollcall.db-wal", other);
	FILE *file = fopen(wal, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(after, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);

	struct journal_options options = {.dir = other};
	struct journal *copy = NULL;
	struct journal_error error = {""};
	ck_ok(journal_open(&options, &copy, &error));
	ck_assert_int_eq(journal_found(copy), JOURNAL_FOUND_SOUND);
	seen_count = 0;
	ck_ok(journal_restore(copy, see, NULL));
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(journal_revision(copy), 1);
	journal_close(copy);
	remove_directory(other);
}
END_TEST

/* --- whose file it is ------------------------------------------------------ */

static int open_again(struct journal_error *ret_error)
{
	struct journal_options options = {.dir = statedir_path()};
	struct journal *other = NULL;
	int r = journal_open(&options, &other, ret_error);

	ck_assert_ptr_null(other);
	return r;
}

START_TEST(a_second_daemon_is_refused_and_told_who_has_it)
{
	struct journal_error error = {""};
	char want[32];

	(void)snprintf(want, sizeof(want), "process %d", (int)getpid());
	ck_fails(open_again(&error), EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, want));
	ck_fails(open_again(&error), EBUSY); /* and asking did not release it */

	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	append(&event);
	reopen(); /* closing does */
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
	ck_assert_int_eq(statedir_number("PRAGMA user_version"), (long long)schema_migration_count);
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
	statedir_sql("PRAGMA journal_mode=WAL"); /* as far as it got before the first migration */
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
}
END_TEST

/** What docs/operations.md tells who puts back a backup to do. */
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

/* --- history --------------------------------------------------------------- */

static struct journal_reader *open_reader(void)
{
	struct journal_reader *reader = NULL;

	ck_ok(journal_reader_open(statedir_path(), &reader));
	return reader;
}

static int read_events(const struct journal_query *query, uint64_t *ret_last, uint64_t *ret_oldest)
{
	struct journal_reader *reader = open_reader();
	int r;

	seen_count = 0;
	r = journal_reader_events(reader, query, see_event, NULL, ret_last, ret_oldest);
	journal_reader_close(reader);
	return r;
}

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
		{{.limit = 10, .since = 77}, 0, 0, 77}, /* never back */
		{{.limit = 10, .service = {"a", 1}}, 3, 1, 5},
		{{.limit = 1, .service = {"a", 1}, .since = 1}, 1, 3, 3},
		{{.limit = 10, .service = {"a", 1}, .id = {"1", 1}}, 2, 1, 5},
		{{.limit = 10, .id = {"1", 1}}, 4, 1, 5},
		{{.limit = 10, .kinds = 1 << EVENT_EXPIRED}, 1, 4, 5},
		{{.limit = 10, .service = {"nobody", 6}}, 0, 0, 5},
		{{.limit = 10, .since = UINT64_MAX}, 0, 0, UINT64_MAX},
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
	ck_ok(read_events(&query, &last, &oldest)); /* and it does not stay in the way */
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

/* --- retention ------------------------------------------------------------- */

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

/* --- housekeeping ---------------------------------------------------------- */

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
	ck_assert_int_lt(wal.st_size, 10 << 20); /* all of it together was several times more */
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
	journal_release_reserve(journal); /* once more does no harm */
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

SUITE("journal", setup, teardown, a_new_journal_is_empty_and_says_so,
      every_field_of_an_instance_survives_a_restart, empty_strings_and_no_metadata_are_kept_as_such,
      instances_come_back_in_order_of_registration, a_batch_may_change_the_same_instance_many_times,
      removed_instances_stay_away, revisions_ascend_and_survive_a_restart,
      an_empty_batch_changes_nothing, a_visitor_may_end_the_restore,
      what_a_crash_leaves_has_all_of_each_acknowledged_batch, a_torn_commit_is_undone_as_a_whole,
      a_second_daemon_is_refused_and_told_who_has_it, a_newer_schema_is_refused_and_left_alone,
      another_programs_database_is_refused_and_left_alone,
      the_file_carries_our_mark_and_the_number_of_migrations,
      a_directory_that_is_not_there_is_named, a_file_from_a_crash_during_creation_is_taken_as_new,
      revisions_can_be_raised_by_hand, a_reader_sees_events_with_all_their_fields,
      a_reader_filters_and_says_where_to_go_on,
      a_reader_sees_what_was_committed_after_it_was_opened, a_visitor_may_end_the_reading,
      a_reader_without_a_journal_is_refused, without_retention_every_event_stays,
      retention_by_count_keeps_the_newest_and_all_instances, a_small_count_is_kept_exactly,
      retention_never_calls_events_complete_that_are_not, retention_by_age_removes_what_is_older,
      the_newest_event_always_stays, one_step_of_retention_is_bounded,
      a_cursor_older_than_the_oldest_event_is_told, the_wal_stays_bounded_while_events_are_appended,
      the_reserve_is_really_allocated_and_can_be_given_back, closing_nothing_is_fine)
