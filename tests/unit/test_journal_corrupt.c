/* SPDX-License-Identifier: MIT */
/** Damage that is met when the file is opened, and a crash while it is mended. */
#include "damage_fixture.h"

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
	journal = statedir_open(); /* it is over */
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

/** As wide as a column is, it can hold what a field cannot. */
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

START_TEST(without_the_table_of_instances_all_come_from_events)
{
	close_it();
	statedir_sql("DROP TABLE instances");
	journal = statedir_open();
	expect_salvaged(0);
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

/** Wherever the damage: it opens, works, knows whoever it shows, and revisions do not go back. */
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
	ck_assert_uint_ge(fewest, LEFT); /* either table alone is enough for all of them */
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

START_TEST(an_empty_file_is_a_new_one)
{
	close_it();
	ck_assert_int_eq(truncate(statedir_file("rollcall.db"), 0), 0);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
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

	/* As a crash leaves it between the two renames, or before the first. */
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
      a_value_that_does_not_fit_is_damage, metadata_that_is_not_packed_as_it_should_be_is_damage,
      without_the_table_of_instances_all_come_from_events,
      without_counters_revisions_do_not_go_back, a_second_accident_goes_on_above_the_first,
      damage_to_any_page_is_survived, a_file_cut_short_is_survived, an_empty_file_is_a_new_one,
      cursors_from_before_the_accident_are_told,
      a_salvage_cut_short_before_it_was_complete_begins_again,
      a_salvage_cut_short_after_it_was_complete_takes_its_place,
      a_salvage_without_room_leaves_the_damaged_file)
