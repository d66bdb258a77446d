/* SPDX-License-Identifier: MIT */
/** Entries in a damaged file: what verification compares them with, and where a salvage gets them.
 */
#include "damage_fixture.h"

static char names[1 << 16];

static int add_name(void *arg, const struct entry *entry)
{
	size_t len = strlen(names);

	(void)arg;
	(void)snprintf(names + len, sizeof(names) - len, "%.*s ", (int)entry->name.len,
	               entry->name.data);
	return 0;
}

static const char *entries(void)
{
	names[0] = '\0';
	ck_ok(journal_restore_entries(journal, add_name, NULL));
	return names;
}

/** Puts the entry @p name, or removes it, whose incarnation is then given. */
static uint64_t put_entry(enum event_kind kind, const char *name, const char *document,
                          uint64_t incarnation)
{
	struct event event = {
		.kind = kind,
		.time_ms = NOW_MS,
		.author = STR("ann"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = STR("a"),
	                  .name = str_of(name),
	                  .document = str_of(document),
	                  .incarnation = incarnation},
	};

	ck_ok(journal_append(journal, &event, 1));
	return event.entry.incarnation;
}

static void tidy(void)
{
	while (journal_tidy(journal, 0) > 0)
		;
}

/** Their events were removed by retention: only a keyframe still knows of them. */
START_TEST(verify_compares_old_entries_with_the_newest_keyframe)
{
	put_entry(EVENT_ENTRY_PUT, "one", "{}", 0);
	uint64_t two = put_entry(EVENT_ENTRY_PUT, "two", "{}", 0);
	put(EVENT_UPDATED, 1);
	write_keyframe(journal_revision(journal));
	put_entry(EVENT_ENTRY_REMOVED, "two", "{}", two);
	put_entry(EVENT_ENTRY_PUT, "three", "{}", 0);
	journal_set_retention(journal, 0, 3);
	tidy();
	close_it();
	ck_assert_msg(verify() == 0, "%s", findings);
	statedir_sql("CREATE TABLE kept AS SELECT * FROM entries WHERE name = 'one'");
	statedir_sql("DELETE FROM entries WHERE name = 'one'");
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "entry 'one' of 'a': is missing after the keyframe") != NULL,
	              "%s", findings);
	ck_assert_ptr_null(strstr(findings, "'two'")); /* an event has removed it */
	statedir_sql("INSERT INTO entries SELECT * FROM kept");
	ck_assert_msg(verify() == 0, "%s", findings);
}
END_TEST

/** One that was removed long ago, and is there again. */
START_TEST(verify_finds_an_entry_that_the_keyframe_does_not_have)
{
	uint64_t one = put_entry(EVENT_ENTRY_PUT, "one", "{}", 0);

	close_it();
	statedir_sql("CREATE TABLE kept AS SELECT * FROM entries");
	journal = statedir_open();
	put_entry(EVENT_ENTRY_REMOVED, "one", "{}", one);
	put(EVENT_UPDATED, 1);
	write_keyframe(journal_revision(journal));
	put_entry(EVENT_ENTRY_PUT, "two", "{}", 0);
	journal_set_retention(journal, 0, 2);
	tidy();
	close_it();
	ck_assert_msg(verify() == 0, "%s", findings);
	statedir_sql("INSERT INTO entries SELECT * FROM kept");
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "entry 'one' of 'a': is not in the keyframe") != NULL, "%s",
	              findings);
}
END_TEST

/** Rows are damaged, and their events were removed by retention: but not from the keyframe. */
START_TEST(a_keyframe_has_entries_that_neither_rows_nor_events_have)
{
	put_entry(EVENT_ENTRY_PUT, "one", "{}", 0);
	put_entry(EVENT_ENTRY_PUT, "two", "{}", 0);
	write_keyframe(journal_revision(journal));
	put_entry(EVENT_ENTRY_PUT, "three", "{}", 0);
	journal_set_retention(journal, 0, 2);
	tidy();
	close_it();
	statedir_sql("UPDATE entries SET author = 'x' WHERE name IN ('one', 'three')");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_str_eq(entries(), "one two three ");
	ck_assert_uint_eq(instances(), LEFT);
	close_it();
	ck_assert_msg(verify() == 0, "%s", findings);
	journal = statedir_open();
}
END_TEST

/** The database is gone: all come from the keyframe. */
START_TEST(without_a_database_entries_come_from_the_keyframe)
{
	put_entry(EVENT_ENTRY_PUT, "one", "{}", 0);
	put_entry(EVENT_ENTRY_PUT, "two", "{}", 0);
	write_keyframe(journal_revision(journal));
	close_it();
	ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
	journal = statedir_open();
	ck_assert_str_eq(entries(), "one two ");
	ck_assert_uint_eq(instances(), LEFT);
}
END_TEST

/** Enough for a tree with more than one level. */
static void fill_entries(void)
{
	static char document[1500];

	(void)snprintf(document, sizeof(document), "{\"text\":\"%01400d\"}", 0);
	for (int n = 0; n < 80; n++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "%d", n);
		put_entry(EVENT_ENTRY_PUT, name, document, 0);
	}
}

START_TEST(entries_in_a_tree_that_comes_back_to_its_pages_are_read_in_a_bounded_time)
{
	fill_entries();
	char *before = strdup(entries());
	close_it();
	tie_tree("entries");
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "entries: out of order; the rest was not read") != NULL,
	              "%s", findings);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_str_eq(entries(), before);
	free(before);
}
END_TEST

/** Found by a start, and read in whatever order they come. */
START_TEST(pages_of_entries_that_changed_places_are_damage)
{
	unsigned char root[PAGE];
	unsigned char pair[2][4];

	fill_entries();
	char *before = strdup(entries());
	close_it();
	long at =
		(long)statedir_number("SELECT rootpage FROM sqlite_schema WHERE name = 'entries'");
	int fd = open(statedir_file("rollcall.db"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, root, PAGE, (at - 1) * PAGE), PAGE);
	for (int cell = 0; cell < 2; cell++)
		memcpy(pair[cell], root + (root[12 + 2 * cell] << 8 | root[13 + 2 * cell]), 4);
	for (int cell = 0; cell < 2; cell++)
		memcpy(root + (root[12 + 2 * cell] << 8 | root[13 + 2 * cell]), pair[1 - cell], 4);
	ck_assert_int_eq(pwrite(fd, root, PAGE, (at - 1) * PAGE), PAGE);
	ck_assert_int_eq(close(fd), 0);
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_str_eq(entries(), before);
	free(before);
}
END_TEST

/** The id of a history is a counter too. */
START_TEST(the_id_of_the_history_does_not_pass_for_a_revision)
{
	static const long long ids[] = {4000000000000000, INT64_MAX, -1};
	char sql[120];

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		uint64_t before = journal_revision(journal);

		close_it();
		(void)snprintf(sql, sizeof(sql),
		               "UPDATE counters SET value = %lld WHERE name = 'history';"
		               "UPDATE instances SET port = %zu WHERE id = '7'",
		               ids[i], i + 1);
		statedir_sql(sql);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		ck_assert_uint_ge(journal_revision(journal), before);
		ck_assert_uint_le(journal_revision(journal), NOW_MS + 10);
		ck_assert_uint_eq(journal_events_lost(journal), 0);
		put(EVENT_UPDATED, 7);
	}
}
END_TEST

/** A keyframe of another history is refused only where the counters can be read. */
START_TEST(the_id_of_the_history_does_not_hide_where_the_log_begins)
{
	struct keyframe_mark mark = {.revision = journal_revision(journal)};
	struct event event = statedir_event(EVENT_REGISTERED, "a", "5"); /* which has left */
	struct keyframe_draft draft;
	int dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	event.instance.incarnation = event.instance.revision = mark.revision;
	keyframe_init(&draft);
	keyframe_add(&draft, &event.instance);
	ck_ok(keyframe_write(&draft, dir_fd, &mark));
	keyframe_fini(&draft);
	(void)close(dir_fd);
	close_it();
	statedir_sql("UPDATE counters SET value = 9223372036854775807 WHERE name = 'history';"
	             "UPDATE instances SET port = 1 WHERE id = '7'");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	expect_all_left();
}
END_TEST

SUITE("journal_entries", setup, teardown, verify_compares_old_entries_with_the_newest_keyframe,
      verify_finds_an_entry_that_the_keyframe_does_not_have,
      a_keyframe_has_entries_that_neither_rows_nor_events_have,
      without_a_database_entries_come_from_the_keyframe,
      entries_in_a_tree_that_comes_back_to_its_pages_are_read_in_a_bounded_time,
      pages_of_entries_that_changed_places_are_damage,
      the_id_of_the_history_does_not_pass_for_a_revision,
      the_id_of_the_history_does_not_hide_where_the_log_begins)
