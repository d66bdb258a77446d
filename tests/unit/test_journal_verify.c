/* SPDX-License-Identifier: MIT */
/*
 * Verification of a file that no process has open: a sound file passes unchanged, and each kind of
 * damage is found and named. The journal has known content (damage_fixture.h).
 */
#include "damage_fixture.h"

#include <fcntl.h>

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
		{"DELETE FROM events WHERE id = '4'", "event 6: the event before it is missing"},
		{"DELETE FROM events WHERE revision >= 400", "instance '297' of 'a': has no event"},
		{"DELETE FROM counters", "counters"},
		{"UPDATE counters SET value = -1 WHERE name = 'removed_through'", "counters"},
		{"UPDATE counters SET value = -1 WHERE name = 'revision_floor'", "counters"},
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

/** Rows with right checksums can still contradict each other. */
START_TEST(verify_compares_instances_with_events)
{
	static const char *const columns =
		"service, id, host, port, weight, ttl_ms, remove_after_ms, wants_drain, lease_out,"
		" drained, drained_until_ms, status_reason, status_by, status_since_ms,"
		" registered_ms, metadata_count, metadata, owner, version, checksum, revision";
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

	/* the row of an instance that was removed */
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

	ck_ok(journal_append(journal, &twice, 1)); /* the registry never does this */
	close_it();
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "instance '4' of 'a': occurs twice") != NULL, "%s",
	              findings);
}
END_TEST

/** Retention has removed their events, so only a keyframe has these instances. */
START_TEST(verify_compares_old_instances_with_the_newest_keyframe)
{
	char name[64];

	put(EVENT_UPDATED, 1);
	write_keyframe(journal_revision(journal));
	put(EVENT_DEREGISTERED, 2);
	put(EVENT_UPDATED, 3);
	journal_set_retention(journal, 0, 3);
	while (journal_tidy(journal, 0) > 0)
		;
	close_it();
	ck_assert_msg(verify() == 0, "%s", findings);
	statedir_sql("CREATE TABLE one AS SELECT * FROM instances WHERE id = '4'");
	statedir_sql("DELETE FROM instances WHERE id = '4'");
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "instance '4' of 'a': is missing after the keyframe") !=
	                      NULL,
	              "%s", findings);
	statedir_sql("INSERT INTO instances SELECT * FROM one");
	ck_assert_msg(verify() == 0, "%s", findings);

	/* The row of an instance that was removed before the keyframe. */
	journal = statedir_open();
	journal_set_retention(journal, 0, 3);
	put(EVENT_DEREGISTERED, 4);
	put(EVENT_UPDATED, 1);
	write_keyframe(journal_revision(journal));
	put(EVENT_UPDATED, 3);
	put(EVENT_UPDATED, 3);
	while (journal_tidy(journal, 0) > 0)
		;
	close_it();
	ck_assert_msg(verify() == 0, "%s", findings);
	statedir_sql("INSERT INTO instances SELECT * FROM one");
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(findings, "instance '4' of 'a': is not in the keyframe") != NULL, "%s",
	              findings);

	/* A keyframe of another history, as after a restored backup, does not count. */
	struct keyframe_mark mark;
	uint64_t list[KEYFRAMES_MAX];
	size_t keyframes = 0;
	int dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_ok(keyframe_list(dir_fd, list, &keyframes));
	ck_ok(keyframe_mark(dir_fd, list[keyframes - 1], &mark));
	struct keyframe_draft draft;
	mark.checksum++;
	keyframe_init(&draft);
	ck_ok(keyframe_write(&draft, dir_fd, &mark));
	keyframe_fini(&draft);
	(void)close(dir_fd);
	ck_assert_msg(verify() == 0, "%s", findings);

	/* A damaged keyframe is no damage to the journal; the older one is too old to compare. */
	(void)snprintf(name, sizeof(name), "%s", statedir_find(KEYFRAME_PREFIX));
	statedir_damage(name, 70, 10);
	ck_assert_int_eq(verify(), 0);
	ck_assert_ptr_nonnull(strstr(findings, "may be deleted"));
}
END_TEST

START_TEST(verify_ends_its_list_of_findings_somewhere)
{
	close_it();
	statedir_sql("UPDATE events SET reason = 'x'");
	ck_assert_int_eq(verify(), -EBADMSG);
	/* all findings but the hundred listed ones */
	char want[32];
	(void)snprintf(want, sizeof(want), "\nand %d more\n", MANY + MANY / 3 + MANY / 5 - 100);
	ck_assert_msg(strstr(findings, want) != NULL, "%s", findings);
}
END_TEST

/** A file that a power cut left of the first start has no content, and is no damage. */
START_TEST(the_beginnings_of_a_first_start_are_no_damage)
{
	static const char *const beginnings[] = {"", "PRAGMA journal_mode=WAL"};
	struct stat status;

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		for (int log = 0; log < 3; log++) {
			close_it();
			teardown();
			statedir_make();
			statedir_sql(beginnings[i]);
			/* the header of a log, whole and cut */
			FILE *file = log > 0 ? fopen(statedir_file("rollcall.db-wal"), "wb") : NULL;
			if (file != NULL) {
				static const unsigned char header[32] = {0x37, 0x7f, 0x06, 0x82};
				ck_assert_uint_eq(fwrite(header, 1, log == 1 ? 32 : 20, file),
				                  log == 1 ? 32 : 20);
				ck_assert_int_eq(fclose(file), 0);
			}
			ck_assert_msg(verify() == 1, "%zu %d: %s", i, log, findings);
			ck_assert_str_eq(findings, "");
			ck_assert_int_eq(stat(statedir_file("rollcall.db"), &status), 0);
			ck_assert_int_eq(status.st_size, i == 0 ? 0 : PAGE);
			journal = statedir_open();
			ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
			ck_assert_str_eq(journal_trouble(journal), "");
			ck_assert_ptr_null(statedir_find("rollcall.db.corrupt"));
		}
	}
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

SUITE("journal_verify", setup, teardown, a_sound_file_verifies_and_is_not_changed,
      a_file_after_retention_verifies, verify_finds_what_is_wrong,
      verify_compares_instances_with_events, verify_finds_an_id_with_two_lives,
      verify_ends_its_list_of_findings_somewhere,
      verify_compares_old_instances_with_the_newest_keyframe,
      the_beginnings_of_a_first_start_are_no_damage,
      verify_refuses_a_file_in_use_and_one_that_is_not_there)
