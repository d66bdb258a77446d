/* SPDX-License-Identifier: MIT */
/*
 * Damage that a start finds, the salvage of the rest, and a crash in the middle of a salvage. The
 * journal has known content (damage_fixture.h); each test changes its files with SQL or byte by
 * byte and opens it again.
 */
#include "damage_fixture.h"
#include "instance_limits.h"

#include <fcntl.h>
#include <sqlite3.h>

/* --- at open --------------------------------------------------------------- */

START_TEST(a_file_that_is_no_database_is_kept_aside)
{
	uint64_t before = journal_revision(journal);

	close_it();
	statedir_damage("rollcall.db", 0, file_size());
	journal = statedir_open();
	expect_salvaged(before);
	ck_assert_uint_eq(instances(), 0);
	close_it();
	ck_assert_int_eq(verify(), 0);
	journal = statedir_open(); /* the next start finds no damage */
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_str_eq(journal_trouble(journal), "");
}
END_TEST

START_TEST(an_instance_whose_row_is_wrong_comes_from_its_event)
{
	close_it();
	statedir_sql("UPDATE instances SET port = port - 1 WHERE id = '7'");
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
	close_it();
	ck_assert_int_eq(statedir_number("SELECT port FROM instances WHERE id = '7'"), 65535);
	journal = statedir_open();
}
END_TEST

START_TEST(a_row_that_is_wrong_is_lost_only_when_its_events_are_gone)
{
	journal_set_retention(journal, 0, 1);
	while (journal_tidy(journal, 0) > 0)
		;
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open();
	expect_salvaged(0);
	ck_assert_uint_eq(instances(), LEFT - 1);
	ck_assert(!seen[7]);
}
END_TEST

/** A column can have a value that does not fit into its field. */
START_TEST(a_value_that_does_not_fit_is_damage)
{
	static const char *const columns[] = {"port", "weight", "metadata_count"};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		char sql[128];

		close_it();
		(void)snprintf(sql, sizeof(sql),
		               "UPDATE instances SET %s = %s + 65536 WHERE id = '7'", columns[i],
		               columns[i]);
		statedir_sql(sql);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		put(EVENT_UPDATED, 7);
	}
}
END_TEST

START_TEST(metadata_that_is_not_packed_as_it_should_be_is_damage)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "7");

	put(EVENT_DEREGISTERED, 7);
	event.instance.metadata_count = 3;
	ck_ok(journal_append(journal, &event, 1));
	close_it();
	journal = statedir_open();
	expect_salvaged(0);
	ck_assert_uint_eq(instances(), LEFT - 1);
}
END_TEST

static void appended(const struct instance *instance)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "beyond");

	event.instance = *instance;
	ck_ok(journal_append(journal, &event, 1));
}

/** With right checksums, as another program or a later version can write it. */
START_TEST(a_value_beyond_its_limit_is_damage)
{
	struct instance wrong[INSTANCES_WRONG];
	struct instance right = statedir_event(EVENT_REGISTERED, "a", "within").instance;
	size_t before;

	instances_wrong(&right, wrong);
	for (size_t i = 0; i < INSTANCES_WRONG; i++) {
		before = instances();
		appended(&wrong[i]);
		close_it();
		ck_assert_int_eq(verify(), -EBADMSG);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		ck_assert_msg(instances() == before, "case %zu", i);
	}
	instances_longest(&right);
	before = instances();
	appended(&right);
	close_it();
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_uint_eq(instances(), before + 1);
}
END_TEST

/** The start reads the newest event's time before it verifies any event. */
START_TEST(a_time_that_would_overflow_is_damage)
{
	static const int64_t times[] = {INT64_MAX, INT64_MIN, EVENT_TIME_MS_MAX + 1,
	                                -EVENT_TIME_MS_MAX - 1};

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct event event = statedir_event(EVENT_REGISTERED, "a", "timeless");

		event.time_ms = times[i];
		ck_ok(journal_append(journal, &event, 1));
		close_it();
		ck_assert_int_eq(verify(), -EBADMSG);
		journal = statedir_open(); /* looks at the newest time: a sanitizer sees it */
		close_it();
		statedir_remove();
		statedir_make();
		journal = statedir_open();
	}
}
END_TEST

START_TEST(without_the_table_of_instances_all_come_from_events)
{
	close_it();
	statedir_sql("DROP TABLE instances");
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
}
END_TEST

/** The newer event is lost, but the row of the instance has its change. */
START_TEST(an_older_event_does_not_undo_what_the_row_knows)
{
	put(EVENT_UPDATED, 4);
	long long revision = (long long)journal_revision(journal);
	close_it();
	statedir_sql("DELETE FROM events WHERE revision = (SELECT max(revision) FROM events)");
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
	ck_assert_uint_eq(journal_events_lost(journal), 1);
	close_it();
	ck_assert_int_eq(statedir_number("SELECT revision FROM instances WHERE id = '4'"),
	                 revision);
	journal = statedir_open();
}
END_TEST

/** Everything except the floor is lost, and the clock went back. */
START_TEST(revisions_stay_above_a_floor_that_was_raised)
{
	close_it();
	clock_virtual_set(5);
	statedir_sql("UPDATE counters SET value = 1000000");
	statedir_sql("DROP TABLE events; DROP TABLE instances");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_uint_eq(journal_revision(journal), 1000000);
	close_it();
	/* an invalid floor does not count */
	statedir_sql("UPDATE counters SET value = 9007199254740992");
	statedir_sql("DROP TABLE events; DROP TABLE instances");
	journal = statedir_open();
	ck_assert_uint_lt(journal_revision(journal), 1000000);
	put(EVENT_REGISTERED, 0);
}
END_TEST

START_TEST(a_counter_below_0_is_damage)
{
	close_it();
	statedir_sql("UPDATE counters SET value = -1 WHERE name = 'removed_through'");
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
}
END_TEST

START_TEST(a_tree_that_comes_back_to_its_pages_is_read_in_a_bounded_time)
{
	close_it();
	tie_tree("events");
	ck_assert_int_eq(verify(), -EBADMSG);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	expect_all_left();
}
END_TEST

START_TEST(without_counters_revisions_do_not_go_back)
{
	close_it();
	statedir_sql("DELETE FROM counters");
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
}
END_TEST

START_TEST(a_second_accident_goes_on_above_the_first)
{
	close_it();
	statedir_damage("rollcall.db", 0, 200);
	journal = statedir_open();
	uint64_t first = journal_revision(journal);
	clock_virtual_set(5000); /* the clock went back to 1970 */
	fill();
	uint64_t before = journal_revision(journal);
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_uint_gt(before, first);
	ck_assert_uint_ge(journal_revision(journal), before);
	expect_all_left();
}
END_TEST

/** With any page damaged, the journal opens and works, restores only instances that were
 * registered, and revisions do not go back. */
START_TEST(damage_to_any_page_is_survived)
{
	uint64_t before = journal_revision(journal);
	char sound[] = "/tmp/rollcall-test-XXXXXX";
	char path[64];
	char command[1200];
	size_t fewest = MANY;

	close_it();
	long pages = file_size() / PAGE;
	ck_assert_int_gt(pages, 20);
	ck_assert_ptr_nonnull(mkdtemp(sound));
	statedir_copy("rollcall.db", sound);
	(void)snprintf(path, sizeof(path), "%s/rollcall.db", sound);
	for (long page = 0; page < pages; page++) {
		(void)snprintf(command, sizeof(command), "rm -f %s && cp %s %s",
		               statedir_file("rollcall.db*"), path, statedir_path());
		ck_assert_int_eq(system(command), 0);
		statedir_damage("rollcall.db", page * PAGE, PAGE);
		journal = statedir_open();
		ck_assert_uint_ge(journal_revision(journal), before);
		if (journal_found(journal) == JOURNAL_FOUND_CORRUPT)
			expect_salvaged(before);
		else
			ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
		size_t left = instances();
		if (page > 0 && left < fewest)
			fewest = left;
		ck_assert_msg(left <= LEFT, "page %ld: %zu", page, left);
		close_it();
	}
	ck_assert_uint_ge(fewest, LEFT); /* either table alone has all instances */
	(void)snprintf(command, sizeof(command), "rm -r %s", sound);
	ck_assert_int_eq(system(command), 0);
	journal = statedir_open();
}
END_TEST

START_TEST(a_file_cut_short_is_survived)
{
	uint64_t before = journal_revision(journal);

	close_it();
	ck_assert_int_eq(truncate(statedir_file("rollcall.db"), file_size() / 2 + 100), 0);
	journal = statedir_open();
	ck_assert_uint_ge(journal_revision(journal), before);
	ck_assert_uint_le(instances(), MANY);
	put(EVENT_REGISTERED, 0);
}
END_TEST

/* --- a database that has lost its content ------------------------------------ */

static const char *keyframe_name(uint64_t revision)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), KEYFRAME_PREFIX "%016llu", (unsigned long long)revision);
	return name;
}

/** SQLite treats a file of fewer than 512 bytes as a new one. */
START_TEST(a_file_that_was_emptied_is_damage)
{
	static const long sizes[] = {0, 1, 100, 511, 512, 4095};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t before = journal_revision(journal);

		close_it();
		/* The time is part of the name of the file that is kept aside. */
		clock_virtual_set(NOW_MS + 1000 * (int64_t)i);
		ck_assert_int_eq(truncate(statedir_file("rollcall.db"), sizes[i]), 0);
		ck_assert_int_eq(verify(), -EBADMSG);
		ck_assert_str_ne(findings, "");
		journal = statedir_open();
		expect_salvaged(before);
		ck_assert_uint_eq(instances(), 0);
	}
}
END_TEST

/** A rollback journal left behind would undo writes to the new file. */
START_TEST(a_rollback_journal_goes_with_the_damaged_file)
{
	close_it();
	ck_assert_int_eq(truncate(statedir_file("rollcall.db"), 1), 0);
	ck_assert_int_eq(unlink(statedir_file("rollcall.reserve")), 0);
	FILE *old = fopen(statedir_file("rollcall.db-journal"), "wb");
	ck_assert_ptr_nonnull(old);
	ck_assert_int_ge(fputs("old", old), 0);
	ck_assert_int_eq(fclose(old), 0);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert(!statedir_has("rollcall.db-journal"));
	char name[80];
	(void)snprintf(name, sizeof(name), "%.36s-journal", statedir_find("rollcall.db.corrupt-"));
	ck_assert_msg(statedir_has(name), "%s", name);
}
END_TEST

START_TEST(an_empty_file_of_a_first_start_is_a_new_one)
{
	close_it();
	ck_assert_int_eq(truncate(statedir_file("rollcall.db"), 0), 0);
	ck_assert_int_eq(unlink(statedir_file("rollcall.reserve")), 0);
	ck_assert_int_eq(verify(), 1);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
	ck_assert_str_eq(journal_trouble(journal), "");
}
END_TEST

START_TEST(what_was_lost_comes_back_from_the_newest_keyframe_that_is_sound)
{
	char name[64];
	uint64_t older = journal_revision(journal);

	write_keyframe(older);
	put(EVENT_REGISTERED, 0);
	write_keyframe(journal_revision(journal));
	for (int damaged = 0; damaged < 2; damaged++) {
		uint64_t before = journal_revision(journal);

		close_it();
		ck_assert_int_eq(truncate(statedir_file("rollcall.db"), 100 * damaged), 0);
		if (damaged)
			statedir_damage(keyframe_name(older + 1), 100, 10);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		(void)snprintf(name, sizeof(name), "the keyframe of revision %llu)",
		               (unsigned long long)older + 1 - damaged);
		ck_assert_msg(strstr(journal_trouble(journal), name) != NULL, "%s",
		              journal_trouble(journal));
		ck_assert_uint_eq(instances(), LEFT + 1 - damaged);
		ck_assert_uint_ge(journal_revision(journal), before);
		ck_assert_uint_ge(journal_revision(journal), NOW_MS);
	}
	close_it();
	ck_assert_int_eq(verify(), 0);
	journal = statedir_open();
}
END_TEST

/** The clock may have gone back since the revisions were assigned. */
START_TEST(a_keyframe_keeps_revisions_from_going_back)
{
	uint64_t revision = journal_revision(journal);

	write_keyframe(revision);
	clock_virtual_set(5);
	close_it();
	ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
	ck_assert_int_eq(verify(), -EBADMSG);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_ptr_null(statedir_find("rollcall.db.corrupt"));
	ck_assert_ptr_null(strstr(journal_trouble(journal), "kept as"));
	ck_assert_uint_eq(journal_revision(journal), revision);
	expect_all_left();
}
END_TEST

START_TEST(a_keyframe_of_another_history_is_not_salvaged)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "5"); /* was removed before */
	struct keyframe_mark mark = {.revision = journal_revision(journal)};
	struct keyframe_draft draft;
	int dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	event.instance.incarnation = event.instance.revision = mark.revision;
	keyframe_init(&draft);
	keyframe_add(&draft, &event.instance);
	ck_ok(keyframe_write(&draft, dir_fd, &mark));
	keyframe_fini(&draft);
	(void)close(dir_fd);
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
}
END_TEST

/** Rows are damaged, and retention has removed their events; the keyframe has the instances. */
START_TEST(a_keyframe_has_what_neither_rows_nor_events_have)
{
	uint64_t revision = journal_revision(journal);

	write_keyframe(revision);
	put(EVENT_UPDATED, 1);
	put(EVENT_DEREGISTERED, 2);
	journal_set_retention(journal, 0, 1);
	while (journal_tidy(journal, 0) > 0)
		;
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id IN ('4', '7')");
	/* A keyframe older than the retained events does not count: later removals are unknown. */
	journal = statedir_open();
	ck_assert_uint_eq(instances(), LEFT - 3);
	put(EVENT_UPDATED, 3);
	revision = journal_revision(journal);
	write_keyframe(revision);
	put(EVENT_UPDATED, 6);
	put(EVENT_DEREGISTERED, 8);
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id IN ('1', '9')");
	statedir_sql("UPDATE events SET author = 'x'"); /* damages all events, not the keyframe */
	journal = statedir_open();
	ck_assert_uint_eq(instances(), LEFT - 3);
	ck_assert(seen[8]); /* the event of its removal is lost */
	ck_assert(seen[1] && seen[9]);
}
END_TEST

START_TEST(cursors_from_before_the_accident_are_told)
{
	struct journal_reader *reader = NULL;
	struct journal_query query = {.since = journal_revision(journal), .limit = 10};
	uint64_t last = 0;
	uint64_t oldest = 0;

	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open();
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_fails(journal_reader_events(reader, &query, NULL, NULL, &last, &oldest), ESTALE);
	ck_assert_uint_eq(oldest, journal_revision(journal) + 1);
	query.since = oldest - 1;
	ck_ok(journal_reader_events(reader, &query, NULL, NULL, &last, &oldest));
	ck_assert_uint_eq(last, query.since);
	journal_reader_close(reader);
}
END_TEST

/* --- a crash while salvaging ------------------------------------------------ */

START_TEST(a_salvage_cut_short_before_it_was_complete_begins_again)
{
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	FILE *half = fopen(statedir_file("rollcall.db.building"), "wb");
	ck_assert_ptr_nonnull(half);
	ck_assert_int_ge(fputs("half a file", half), 0);
	ck_assert_int_eq(fclose(half), 0);
	journal = statedir_open();
	expect_salvaged(0);
	expect_all_left();
}
END_TEST

START_TEST(a_salvage_cut_short_after_it_was_complete_takes_its_place)
{
	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open(); /* salvages */
	uint64_t revision = journal_revision(journal);
	close_it();

	/* The state after a crash between the two renames, or before the first. */
	ck_assert_int_eq(
		rename(statedir_file("rollcall.db"), statedir_file("rollcall.db.salvaged")), 0);
	journal = statedir_open();
	ck_assert_uint_eq(journal_revision(journal), revision);
	expect_all_left();
	close_it();
	ck_assert_int_eq(
		rename(statedir_file("rollcall.db"), statedir_file("rollcall.db.salvaged")), 0);
	FILE *old = fopen(statedir_file("rollcall.db"), "wb");
	ck_assert_ptr_nonnull(old);
	ck_assert_int_ge(fputs("damaged", old), 0);
	ck_assert_int_eq(fclose(old), 0);
	journal = statedir_open();
	ck_assert_uint_eq(journal_revision(journal), revision);
	expect_all_left();
	ck_assert(!statedir_has("rollcall.db.salvaged"));
}
END_TEST

START_TEST(a_salvage_without_room_leaves_the_damaged_file)
{
	struct journal_options options = {.dir = statedir_path()};
	struct journal_error error = {""};

	close_it();
	statedir_sql("UPDATE instances SET port = 1 WHERE id = '7'");
	int refused = 0;
	while (statedir_find("rollcall.db.corrupt") == NULL) {
		ck_assert_int_eq(statedir_number("SELECT port FROM instances WHERE id = '7'"), 1);
		faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_ANY, refused++, SQLITE_FULL);
		int r = journal_open(&options, &journal, &error);
		ck_assert(faultvfs_hit());
		faultvfs_reset();
		if (r == 0)
			close_it();
		else
			ck_assert_int_eq(r, -ENOSPC);
	}
	ck_assert_int_gt(refused, 5);
	journal = statedir_open();
	expect_all_left();
}
END_TEST

SUITE("journal_corrupt", setup, teardown, a_file_that_is_no_database_is_kept_aside,
      an_instance_whose_row_is_wrong_comes_from_its_event,
      a_row_that_is_wrong_is_lost_only_when_its_events_are_gone,
      a_value_that_does_not_fit_is_damage, a_value_beyond_its_limit_is_damage,
      a_time_that_would_overflow_is_damage, metadata_that_is_not_packed_as_it_should_be_is_damage,
      without_the_table_of_instances_all_come_from_events,
      without_counters_revisions_do_not_go_back, a_second_accident_goes_on_above_the_first,
      damage_to_any_page_is_survived, a_file_cut_short_is_survived,
      a_file_that_was_emptied_is_damage, an_empty_file_of_a_first_start_is_a_new_one,
      a_counter_below_0_is_damage, a_keyframe_of_another_history_is_not_salvaged,
      a_tree_that_comes_back_to_its_pages_is_read_in_a_bounded_time,
      a_rollback_journal_goes_with_the_damaged_file,
      an_older_event_does_not_undo_what_the_row_knows, revisions_stay_above_a_floor_that_was_raised,
      what_was_lost_comes_back_from_the_newest_keyframe_that_is_sound,
      a_keyframe_keeps_revisions_from_going_back, a_keyframe_has_what_neither_rows_nor_events_have,
      cursors_from_before_the_accident_are_told,
      a_salvage_cut_short_before_it_was_complete_begins_again,
      a_salvage_cut_short_after_it_was_complete_takes_its_place,
      a_salvage_without_room_leaves_the_damaged_file)
