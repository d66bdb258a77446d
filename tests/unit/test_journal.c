/* SPDX-License-Identifier: MIT */
/*
 * Appending to the journal and restoring from it: order, incarnations, crashes in the middle of a
 * commit.
 */
#include "journal_fixture.h"

#include <unistd.h>

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
	event.instance.drained = event.instance.reports_unhealthy = true;
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
	ck_assert(got->wants_drain && got->lease_out && got->drained && got->reports_unhealthy);
	ck_assert_int_eq(got->drained_until_ms, want->drained_until_ms);
	ck_assert_int_eq(got->status, STATUS_DRAINING);
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
	append(&update); /* an update does not change the order */
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
		statedir_event(EVENT_DRAINED, "a", "1"),      /* without an incarnation yet */
		statedir_event(EVENT_DEREGISTERED, "a", "1"), /* likewise */
		statedir_event(EVENT_REGISTERED, "a", "1"),   /* another incarnation */
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

/** At any moment the disk has all events of a batch or none. */
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

/** In a power cut the kernel may have written a part of a commit. */
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
	/* the last page of the commit never reached the disk */
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

SUITE("journal", setup, teardown, a_new_journal_is_empty_and_says_so,
      every_field_of_an_instance_survives_a_restart, empty_strings_and_no_metadata_are_kept_as_such,
      instances_come_back_in_order_of_registration, a_batch_may_change_the_same_instance_many_times,
      removed_instances_stay_away, revisions_ascend_and_survive_a_restart,
      an_empty_batch_changes_nothing, a_visitor_may_end_the_restore,
      what_a_crash_leaves_has_all_of_each_acknowledged_batch, a_torn_commit_is_undone_as_a_whole)
