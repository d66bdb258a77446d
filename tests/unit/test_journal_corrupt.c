/* SPDX-License-Identifier: MIT */
/* Damage to the file: found, told, survived. */
#include "journal/journal.h"

#include "base/clock.h"
#include "faultvfs.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY   300
#define NOW_MS 1790000000000
#define PAGE   4096L

static struct journal *journal;
static bool seen[MANY];
static size_t count;
static uint64_t last_incarnation;
static char findings[1 << 16];

static int see(void *arg, const struct instance *instance)
{
	char id[16] = "";

	(void)arg;
	memcpy(id, instance->id.data, instance->id.len < 15 ? instance->id.len : 15);
	int n = atoi(id);
	ck_assert_int_lt(n, MANY);
	ck_assert(!seen[n]); /* nobody comes back twice */
	ck_assert_uint_gt(instance->incarnation, last_incarnation);
	last_incarnation = instance->incarnation;
	seen[n] = true;
	count++;
	return 0;
}

static size_t instances(void)
{
	memset(seen, 0, sizeof(seen));
	count = 0;
	last_incarnation = 0;
	ck_ok(journal_restore(journal, see, NULL));
	return count;
}

static void put(enum event_kind kind, int n)
{
	static char ids[MANY][16];
	static uint64_t incarnations[MANY];
	struct event event;

	(void)snprintf(ids[n], sizeof(ids[n]), "%d", n);
	event = statedir_event(kind, "a", ids[n]);
	if (kind != EVENT_REGISTERED)
		event.instance.incarnation = incarnations[n];
	ck_ok(journal_append(journal, &event, 1));
	incarnations[n] = event.instance.incarnation;
}

/** MANY instances; each third was updated, each fifth removed. */
static void fill(void)
{
	for (int n = 0; n < MANY; n++)
		put(EVENT_REGISTERED, n);
	for (int n = 0; n < MANY; n += 3)
		put(EVENT_UPDATED, n);
	for (int n = 0; n < MANY; n += 5)
		put(EVENT_DEREGISTERED, n);
}

#define LEFT (MANY - MANY / 5)

static bool is_left(int n)
{
	return n % 5 != 0;
}

static void setup(void)
{
	faultvfs_install();
	clock_virtual_set(NOW_MS);
	statedir_make();
	findings[0] = '\0';
	journal = statedir_open();
	fill();
}

static void close_it(void)
{
	journal_close(journal);
	journal = NULL;
}

static void teardown(void)
{
	close_it();
	statedir_remove();
	clock_virtual_off();
}

static long file_size(void)
{
	struct stat status;

	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &status), 0);
	return status.st_size;
}

static void say(void *arg, const char *line)
{
	size_t len = strlen(findings);

	(void)arg;
	(void)snprintf(findings + len, sizeof(findings) - len, "%s\n", line);
}

static int verify(void)
{
	findings[0] = '\0';
	return journal_verify(statedir_path(), say, NULL);
}

/** The journal was salvaged, works, and revisions are above all that were ever given. */
static void expect_salvaged(uint64_t before)
{
	char name[64];

	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_ptr_nonnull(statedir_find("rollcall.db.corrupt-"));
	(void)snprintf(name, sizeof(name), "%s", statedir_find("rollcall.db.corrupt-"));
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "rollcall.db.corrupt-"));
	ck_assert(!statedir_has("rollcall.db.salvaged"));
	ck_assert(!statedir_has("rollcall.db.building"));
	ck_assert(!statedir_has("rollcall.db.suspect"));
	ck_assert_uint_ge(journal_revision(journal), before);
	ck_assert_uint_ge(journal_revision(journal), NOW_MS);

	struct event event = statedir_event(EVENT_REGISTERED, "b", "0");
	before = journal_revision(journal);
	ck_ok(journal_append(journal, &event, 1));
	ck_assert_uint_gt(event.revision, before);
	struct event gone = statedir_event_of(EVENT_DEREGISTERED, &event.instance);
	ck_ok(journal_append(journal, &gone, 1));
}

static void expect_all_left(void)
{
	ck_assert_uint_eq(instances(), LEFT);
	for (int n = 0; n < MANY; n++)
		ck_assert_int_eq(seen[n], is_left(n));
}

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

/* --- while running --------------------------------------------------------- */

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

	close_it();
	damage_oldest_events();
	journal = statedir_open(); /* nobody has looked at events yet */
	uint64_t before = journal_revision(journal);
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
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
	put(EVENT_REGISTERED, 0); /* the writer need not care */
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

/* --- verify ---------------------------------------------------------------- */

START_TEST(a_sound_file_verifies_and_is_not_changed)
{
	struct stat before;
	struct stat after;

	close_it();
	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &before), 0);
	ck_assert_int_eq(verify(), 0);
	ck_assert_str_eq(findings, "");
	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &after), 0);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	ck_assert_int_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	ck_assert_int_eq(before.st_size, after.st_size);
}
END_TEST

START_TEST(a_file_after_retention_verifies)
{
	journal_set_retention(journal, 0, 10);
	while (journal_tidy(journal, 0) > 0)
		;
	close_it();
	ck_assert_int_eq(verify(), 0);
	ck_assert_str_eq(findings, "");
}
END_TEST

START_TEST(verify_finds_what_is_wrong)
{
	static const struct {
		const char *sql;
		const char *finding;
	} cases[] = {
		{"UPDATE events SET reason = 'x' WHERE revision = 4", "event 4: its content"},
		{"UPDATE events SET kind = 99 WHERE revision = 4", "event 4: its content"},
		{"UPDATE events SET kind = kind + 4294967296 WHERE revision = 4",
	         "event 4: its content"},
		{"UPDATE instances SET weight = 1 WHERE id = '4'",
	         "instance '4' of 'a': its content"},
		{"DELETE FROM instances WHERE id = '4'",
	         "instance '4' of 'a': is missing after event"},
		{"DELETE FROM events WHERE id = '4'", "instance '4' of 'a': has no event"},
		{"DELETE FROM counters", "counters"},
		{"DROP TABLE events", "events: unreadable"},
	};

	close_it();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char keep[64] = "/tmp/rollcall-test-XXXXXX";
		char command[1200];

		ck_assert_ptr_nonnull(mkdtemp(keep));
		statedir_copy("rollcall.db", keep);
		statedir_sql(cases[i].sql);
		ck_assert_int_eq(verify(), -EBADMSG);
		ck_assert_msg(strstr(findings, cases[i].finding) != NULL, "%s: %s", cases[i].sql,
		              findings);
		(void)snprintf(command, sizeof(command), "cp %s/rollcall.db %s && rm -r %s", keep,
		               statedir_path(), keep);
		ck_assert_int_eq(system(command), 0);
	}
	ck_assert_int_eq(verify(), 0);
}
END_TEST

/** Rows whose checksums are right can still contradict each other. */
START_TEST(verify_compares_instances_with_events)
{
	static const char *const columns =
		"service, id, host, port, weight, ttl_ms, remove_after_ms, wants_drain, lease_out,"
		" drained, drained_until_ms, status_reason, status_by, status_since_ms,"
		" registered_ms, metadata_count, metadata, checksum, revision";
	char sql[1024];

	/* the row of an instance as it was before its update */
	(void)snprintf(sql, sizeof(sql),
	               "CREATE TABLE old AS SELECT * FROM instances WHERE id = '4'");
	close_it();
	statedir_sql(sql);
	journal = statedir_open();
	put(EVENT_UPDATED, 4);
	close_it();
	(void)snprintf(sql, sizeof(sql),
	               "REPLACE INTO instances (incarnation, %s) SELECT incarnation, %s FROM old",
	               columns, columns);
	statedir_sql(sql);
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "instance '4' of 'a': lags behind event") != NULL, "%s",
	              findings);

	/* and after it was removed */
	statedir_sql("DELETE FROM instances WHERE id = '4';"
	             "DELETE FROM events WHERE revision = (SELECT max(revision) FROM events);");
	statedir_sql(sql);
	journal = statedir_open();
	put(EVENT_DEREGISTERED, 4);
	close_it();
	statedir_sql(sql);
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "instance '4' of 'a': was removed by event") != NULL, "%s",
	              findings);
}
END_TEST

START_TEST(verify_finds_an_id_with_two_lives)
{
	struct event twice = statedir_event(EVENT_REGISTERED, "a", "4");

	ck_ok(journal_append(journal, &twice, 1)); /* what the registry never does */
	close_it();
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "instance '4' of 'a': is there twice") != NULL, "%s",
	              findings);
}
END_TEST

START_TEST(verify_ends_its_list_of_findings_somewhere)
{
	close_it();
	statedir_sql("UPDATE events SET reason = 'x'");
	ck_assert_int_eq(verify(), -EBADMSG);
	/* all events but the hundred that were listed */
	char want[32];
	(void)snprintf(want, sizeof(want), "\nand %d more\n", MANY + MANY / 3 + MANY / 5 - 100);
	ck_assert_msg(strstr(findings, want) != NULL, "%s", findings);
}
END_TEST

START_TEST(verify_refuses_a_file_in_use_and_one_that_is_not_there)
{
	ck_assert_int_eq(verify(), -EBUSY);
	ck_assert_ptr_nonnull(strstr(findings, "in use"));
	close_it();
	ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
	ck_assert_int_eq(verify(), -ENOENT);
	ck_assert(!statedir_has("rollcall.db"));
	ck_assert_int_eq(journal_verify("/nonexistent", say, NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr(findings, "/nonexistent"));
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
      a_salvage_without_room_leaves_the_damaged_file,
      damage_met_while_running_is_repaired_by_the_next_start,
      removing_whom_the_file_does_not_know_is_damage,
      damage_met_by_a_reader_is_repaired_by_the_next_start, a_false_alarm_changes_nothing,
      a_sound_file_verifies_and_is_not_changed, a_file_after_retention_verifies,
      verify_finds_what_is_wrong, verify_compares_instances_with_events,
      verify_finds_an_id_with_two_lives, verify_ends_its_list_of_findings_somewhere,
      verify_refuses_a_file_in_use_and_one_that_is_not_there)
