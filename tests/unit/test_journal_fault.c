/* SPDX-License-Identifier: MIT */
/*
 * What the journal does when the disk fails or is full, or memory runs out, in one operation after
 * another. The fault VFS makes operations of SQLite fail (faultvfs.h), fault.h our own allocations;
 * one test mounts a small file system that is really full.
 */
#include "journal/journal.h"
#include "journal/keyframe.h"
#include "journal/past.h"

#include "fault.h"
#include "faultvfs.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct journal *journal;
static size_t count;
static bool is_mounted;

static int count_one(void *arg, const struct instance *instance)
{
	(void)arg;
	(void)instance;
	count++;
	return 0;
}

static size_t instances(void)
{
	count = 0;
	ck_ok(journal_restore(journal, count_one, NULL));
	return count;
}

static void setup(void)
{
	faultvfs_memory_install();
	faultvfs_install();
	statedir_make();
	journal = statedir_open();
	faultvfs_reset();
}

static void teardown(void)
{
	faultvfs_reset();
	journal_close(journal);
	if (is_mounted)
		(void)umount2(statedir_path(), MNT_DETACH); /* else it ends with the process */
	statedir_remove();
}

static void reopen(void)
{
	journal_close(journal);
	journal = NULL;
	faultvfs_reset();
	journal = statedir_open();
}

/** Registers @p id of service a. */
static int put(const char *id)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", id);
	int r = journal_append(journal, &event, 1);

	if (r < 0) {
		ck_assert_uint_eq(event.revision, 0);
		ck_assert_uint_eq(event.instance.revision, 0);
		ck_assert_uint_eq(event.instance.incarnation, 0);
	}
	return r;
}

/* --- the disk fails -------------------------------------------------------- */

START_TEST(after_a_failed_fsync_nothing_more_is_accepted)
{
	ck_ok(put("1"));
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_WAL, 0, SQLITE_IOERR_FSYNC);
	ck_fails(put("2"), ENOTRECOVERABLE);
	ck_assert_uint_eq(journal_revision(journal), 1);

	/* The disk works again, but which writes it lost is unknown. */
	unsigned writes = faultvfs_count(FAULTVFS_WRITE, FAULTVFS_ANY);
	ck_fails(put("3"), EIO);
	ck_fails(journal_tidy(journal, 0), EIO);
	ck_assert_uint_eq(faultvfs_count(FAULTVFS_WRITE, FAULTVFS_ANY), writes);
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "rollcall.db"));
}
END_TEST

START_TEST(after_a_failed_write_nothing_more_is_accepted)
{
	faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_IOERR_WRITE);
	ck_fails(put("1"), ENOTRECOVERABLE);
	ck_fails(put("1"), EIO);
}
END_TEST

START_TEST(a_failed_journal_leaves_the_file_to_the_next_start)
{
	ck_ok(put("1"));
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_WAL, 0, SQLITE_IOERR_FSYNC);
	ck_fails(put("2"), ENOTRECOVERABLE);
	unsigned writes = faultvfs_count(FAULTVFS_WRITE, FAULTVFS_ANY);
	unsigned syncs = faultvfs_count(FAULTVFS_SYNC, FAULTVFS_ANY);
	journal_close(journal);
	journal = NULL;
	ck_assert_uint_eq(faultvfs_count(FAULTVFS_WRITE, FAULTVFS_ANY), writes);
	ck_assert_uint_eq(faultvfs_count(FAULTVFS_SYNC, FAULTVFS_ANY), syncs);
	ck_assert(statedir_has("rollcall.db-wal"));
	reopen();
	ck_assert_uint_ge(instances(), 1);
}
END_TEST

static void say(void *arg, const char *line)
{
	(void)arg;
	ck_abort_msg("%s", line);
}

START_TEST(verifying_leaves_the_wal_as_it_is)
{
	struct stat db;
	struct stat after;

	ck_ok(put("1"));
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_WAL, 0, SQLITE_IOERR_FSYNC);
	ck_fails(put("2"), ENOTRECOVERABLE);
	journal_close(journal);
	journal = NULL;
	faultvfs_reset();
	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &db), 0);
	ck_ok(journal_verify(statedir_path(), say, NULL));
	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &after), 0);
	ck_assert_int_eq(db.st_size, after.st_size);
	ck_assert_uint_eq(faultvfs_count(FAULTVFS_WRITE, FAULTVFS_ANY), 0);
	ck_assert(statedir_has("rollcall.db-wal"));
}
END_TEST

/** The kernel's cache may have pages that never reached the disk: a start writes them again. */
START_TEST(a_start_moves_what_the_wal_holds_into_the_database_first)
{
	ck_ok(put("1"));
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_WAL, 0, SQLITE_IOERR_FSYNC);
	ck_fails(put("2"), ENOTRECOVERABLE);
	reopen();
	ck_assert_uint_gt(faultvfs_count(FAULTVFS_WRITE, FAULTVFS_DB), 0);
	ck_assert_uint_gt(faultvfs_count(FAULTVFS_SYNC, FAULTVFS_DB), 0);
}
END_TEST

START_TEST(whichever_write_or_sync_fails_what_was_acknowledged_is_there)
{
	static const struct {
		enum faultvfs_op op;
		int code;
	} kinds[] = {{FAULTVFS_WRITE, SQLITE_IOERR_WRITE}, {FAULTVFS_SYNC, SQLITE_IOERR_FSYNC}};

	for (size_t kind = 0; kind < 2; kind++) {
		for (int nth = 0;; nth++) {
			uint64_t before = journal_revision(journal);
			struct event batch[2] = {statedir_event(EVENT_REGISTERED, "b", "x"),
			                         statedir_event(EVENT_DEREGISTERED, "b", "x")};
			size_t kept = instances();

			faultvfs_fail_once(kinds[kind].op, FAULTVFS_ANY, nth, kinds[kind].code);
			int r = journal_append(journal, batch, 2);
			if (!faultvfs_hit()) {
				ck_assert_int_eq(r, 0);
				ck_assert_int_gt(nth, 0);
				break;
			}
			ck_assert_int_eq(r, -ENOTRECOVERABLE);
			ck_assert_uint_eq(batch[1].revision, 0);
			reopen();
			ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
			ck_assert_uint_ge(journal_revision(journal), before);
			ck_assert_uint_eq(instances(), kept);
		}
	}
}
END_TEST

/** Appends until @p r is returned or @p most batches are in. */
static int fill(int most, int r)
{
	struct event events[100];
	int got = 0;

	for (int n = 0; n < most && got != r; n++) {
		for (int i = 0; i < 100; i++)
			events[i] = statedir_event(
				i % 2 == 0 ? EVENT_REGISTERED : EVENT_DEREGISTERED, "a", "1");
		got = journal_append(journal, events, 100);
		if (got == 0 && journal_tidy(journal, 0) < 0)
			got = -EIO;
	}
	return got;
}

START_TEST(a_failed_checkpoint_ends_the_use_of_the_journal)
{
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_DB, 0, SQLITE_IOERR_WRITE);
	ck_assert_int_eq(fill(100000, -EIO), -EIO);
	ck_assert(faultvfs_hit());
	ck_fails(put("2"), EIO);
	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_uint_gt(journal_revision(journal), 0);
}
END_TEST

START_TEST(a_failed_sync_of_a_checkpoint_ends_the_use_of_the_journal)
{
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_DB, 0, SQLITE_IOERR_FSYNC);
	ck_assert_int_eq(fill(100000, -EIO), -EIO);
	ck_fails(put("2"), EIO);
	reopen();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
}
END_TEST

START_TEST(commits_go_on_while_a_checkpoint_waits_for_the_disk)
{
	struct event events[100];
	uint64_t before;

	faultvfs_hold_sync(FAULTVFS_DB);
	while (faultvfs_count(FAULTVFS_WRITE, FAULTVFS_DB) == 0) {
		for (int i = 0; i < 100; i++)
			events[i] = statedir_event(
				i % 2 == 0 ? EVENT_REGISTERED : EVENT_DEREGISTERED, "a", "1");
		ck_ok(journal_append(journal, events, 100));
	}
	faultvfs_wait_held();
	before = journal_revision(journal);
	for (int n = 0; n < 50; n++) {
		ck_ok(put("2"));
		ck_ok(journal_tidy(journal, 0));
	}
	ck_assert_uint_eq(journal_revision(journal), before + 50);
	faultvfs_release();
}
END_TEST

/* --- the disk is full ------------------------------------------------------ */

START_TEST(on_a_full_disk_nothing_changes_and_it_may_be_tried_again)
{
	ck_ok(put("1"));
	for (int n = 0; n < 3; n++) {
		faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, n, SQLITE_FULL);
		ck_fails(put("2"), ENOSPC);
		ck_assert_uint_eq(journal_revision(journal), 1);
		ck_assert_uint_eq(instances(), 1);
	}
	faultvfs_reset();
	ck_ok(put("2"));
	ck_assert_uint_eq(journal_revision(journal), 2);
	reopen();
	ck_assert_uint_eq(instances(), 2);
	ck_assert_uint_eq(journal_revision(journal), 2);
}
END_TEST

START_TEST(a_quota_that_is_used_up_is_a_full_disk)
{
	faultvfs_set_errno(EDQUOT);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_IOERR_WRITE);
	ck_fails(put("1"), ENOSPC);
	ck_fails(put("1"), ENOSPC);
	faultvfs_reset();
	ck_ok(put("1"));
	/* A sync that fails for lack of room may have lost what was written. */
	faultvfs_set_errno(EDQUOT);
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_WAL, 0, SQLITE_IOERR_FSYNC);
	ck_fails(put("2"), ENOTRECOVERABLE);
	ck_fails(put("2"), EIO);
}
END_TEST

START_TEST(a_full_disk_does_not_fail_checkpoints_for_good)
{
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_DB, 0, SQLITE_FULL);
	ck_assert_int_eq(fill(1000, -EIO), 0);
	ck_assert(faultvfs_hit());
	faultvfs_reset();
	ck_ok(put("2"));
	reopen();
	ck_assert_uint_eq(instances(), 1);
}
END_TEST

/** Puts a file system of @p size over the state directory, for this process alone. */
static bool mount_small(const char *size)
{
	is_mounted = unshare(CLONE_NEWNS) == 0 &&
	             mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	             mount("tmpfs", statedir_path(), "tmpfs", 0, size) == 0;
	return is_mounted;
}

START_TEST(on_a_disk_that_is_really_full_deregistrations_go_on)
{
	static struct event events[100];
	static char ids[20000][8];
	static uint64_t incarnations[20000];
	size_t registered = 0;
	int r = 0;

	journal_close(journal);
	journal = NULL;
	if (!mount_small("size=12m")) {
		journal = statedir_open();
		ck_skip("this user may not mount a small file system");
	}
	journal = statedir_open();
	while (r == 0) {
		ck_assert_uint_lt(registered, 19900);
		for (size_t i = 0; i < 100; i++) {
			(void)snprintf(ids[registered + i], sizeof(ids[0]), "%zu", registered + i);
			events[i] = statedir_event(EVENT_REGISTERED, "a", ids[registered + i]);
		}
		r = journal_append(journal, events, 100);
		for (size_t i = 0; r == 0 && i < 100; i++)
			incarnations[registered++] = events[i].instance.incarnation;
		ck_assert_int_ge(journal_tidy(journal, 0), 0);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_eq(instances(), registered);

	journal_release_reserve(journal);
	for (size_t i = 0; i < 500; i++) {
		struct event gone = statedir_event(EVENT_DEREGISTERED, "a", ids[i]);

		gone.instance.incarnation = incarnations[i];
		ck_ok(journal_append(journal, &gone, 1));
		ck_assert_int_ge(journal_tidy(journal, 0), 0);
	}
	while (put("filler") == 0) /* uses the room that is left */
		;
	uint64_t revision = journal_revision(journal);
	size_t left = instances();
	journal_close(journal); /* the journal also opens on a full disk */
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_assert_uint_eq(journal_revision(journal), revision);
	ck_assert_uint_eq(instances(), left);
}
END_TEST

START_TEST(a_reserve_that_does_not_fit_is_not_kept_in_part)
{
	struct rlimit limit = {1 << 20, RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	journal_release_reserve(journal);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_fails(journal_take_reserve(journal), ENOSPC);
	ck_assert(!statedir_has("rollcall.reserve"));
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_ok(journal_take_reserve(journal));
}
END_TEST

/* --- memory runs out ------------------------------------------------------- */

START_TEST(out_of_memory_anywhere_in_an_append_changes_nothing)
{
	for (int nth = 0;; nth++) {
		struct event batch[3] = {statedir_event(EVENT_REGISTERED, "a", "1"),
		                         statedir_event(EVENT_REGISTERED, "a", "2"),
		                         statedir_event(EVENT_DEREGISTERED, "a", "1")};

		faultvfs_memory_arm(nth);
		int r = journal_append(journal, batch, 3);
		if (!faultvfs_memory_hit()) {
			ck_assert_int_eq(r, 0);
			ck_assert_int_gt(nth, 0);
			break;
		}
		if (r == 0) { /* SQLite did without this allocation */
			ck_assert_uint_eq(batch[2].instance.incarnation, batch[0].revision);
			struct event undo =
				statedir_event_of(EVENT_DEREGISTERED, &batch[1].instance);
			ck_ok(journal_append(journal, &undo, 1));
			continue;
		}
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_uint_eq(batch[0].revision, 0);
		ck_assert_uint_eq(instances(), 0);
	}
	ck_assert_uint_eq(instances(), 1);
}
END_TEST

static int open_plain(struct journal **ret_journal)
{
	struct journal_options options = {.dir = statedir_path()};
	struct journal_error error = {""};

	return journal_open(&options, ret_journal, &error);
}

START_TEST(out_of_memory_while_opening_leaves_all_as_it_was)
{
	int failures[2] = {0, 0}; /* of SQLite, our own */

	ck_ok(put("1"));
	journal_close(journal);
	for (int nth = 0;; nth++) {
		journal = NULL;
		faultvfs_memory_arm(nth);
		int r = open_plain(&journal);
		bool hit = faultvfs_memory_hit();

		if (r == 0) {
			ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
			ck_assert_uint_eq(instances(), 1);
			if (!hit)
				break;
			journal_close(journal);
			continue;
		}
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_ptr_null(journal);
		ck_assert_ptr_null(statedir_find("rollcall.db.corrupt"));
		failures[0]++;
	}
	journal_close(journal);
	for (int nth = 0;; nth++) {
		journal = NULL;
		fault_arm(nth);
		int r = open_plain(&journal);

		if (!fault_hit()) {
			ck_assert_int_eq(r, 0);
			break;
		}
		ck_assert_int_eq(r, -ENOMEM);
		failures[1]++;
	}
	ck_assert_int_gt(failures[0], 100);
	ck_assert_int_gt(failures[1], 1);
}
END_TEST

static int count_event(void *arg, const struct event *event)
{
	(void)arg;
	(void)event;
	count++;
	return 0;
}

START_TEST(out_of_memory_while_reading_history_is_told)
{
	static char big[METADATA_BYTES_MAX];
	struct journal_query query = {.limit = 10};
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");

	/* so large that SQLite assembles it from several pages in memory */
	memset(big, 'x', sizeof(big));
	big[1] = big[sizeof(big) - 1] = '\0';
	event.instance.metadata = (struct str){big, sizeof(big)};
	event.instance.metadata_count = 1;
	ck_ok(journal_append(journal, &event, 1));
	int failures = 0;
	for (int nth = 0;; nth++) {
		struct journal_reader *reader = NULL;
		uint64_t last = 0;
		uint64_t oldest = 0;

		faultvfs_memory_arm(nth);
		count = 0;
		int r = journal_reader_open(statedir_path(), &reader);
		if (r == 0)
			r = journal_reader_events(reader, &query, count_event, NULL, &last,
			                          &oldest);
		bool hit = faultvfs_memory_hit();
		journal_reader_close(reader);
		if (r == 0)
			ck_assert_uint_eq(count, 1);
		else
			ck_assert_int_eq(r, -ENOMEM);
		ck_assert(!statedir_has("rollcall.db.suspect")); /* lack of memory is no damage */
		if (!hit)
			break;
		failures += r != 0;
	}
	ck_assert_int_gt(failures, 100);
}
END_TEST

/* --- nothing stays behind when memory has run out ------------------------------------ */

static struct journal_reader *reader;
static struct past *past;

/** Each read is a transaction; one that stays open prevents every later reset of the WAL. */
static void wal_is_free(void)
{
	ck_ok(put("more"));
	struct event undo = statedir_event(EVENT_DEREGISTERED, "a", "more");
	undo.instance.incarnation = journal_revision(journal);
	ck_ok(journal_append(journal, &undo, 1));
	ck_assert_int_eq(statedir_number("PRAGMA wal_checkpoint(TRUNCATE)"), 0); /* not busy */
}

static int read_events(void)
{
	struct journal_query query = {.limit = 10, .span = 5};
	uint64_t last = 0;
	uint64_t oldest = 0;
	int r = journal_reader_events(reader, &query, count_event, NULL, &last, &oldest);

	return r > 0 ? 0 : r;
}

static int read_oldest(void)
{
	uint64_t oldest = 0;
	int64_t ms = 0;

	return journal_reader_oldest(reader, &oldest, &ms);
}

static int read_state(struct past_query query)
{
	struct past_state *state = NULL;
	struct past_bounds bounds;
	int r = past_read(past, &query, &state, &bounds);

	past_state_free(state);
	return r;
}

static int read_past(void)
{
	return read_state((struct past_query){.revision = 2});
}

static int read_past_by_time(void)
{
	return read_state((struct past_query){
		.by_time = true, .time_ms = 1790000000123, .service = STR("a")});
}

static int find_keyframe(void)
{
	uint64_t revision = 0;
	int64_t ms = 0;
	bool is_cut = false;
	int r = past_newest_keyframe(past, &revision, &ms);

	return r < 0 ? r : past_is_cut(past, revision, &is_cut);
}

static int put_keyframe(void)
{
	struct keyframe_draft draft;
	int64_t ms = 0;

	keyframe_init(&draft);
	int r = past_put_keyframe(past, &draft, 2, &ms);
	keyframe_fini(&draft);
	return r;
}

/** Makes allocations of SQLite and our own fail at each place of @p work, once or from there on;
 * with memory again, @p work must succeed. */
static void survives_no_memory(int (*work)(void))
{
	for (int way = 0; way < 3; way++) {
		for (int nth = 0;; nth++) {
			if (way == 0)
				faultvfs_memory_arm(nth);
			else if (way == 1)
				faultvfs_memory_arm_all(nth);
			else
				fault_arm(nth);
			int r = work();
			bool hit = way < 2 ? faultvfs_memory_hit() : fault_hit();
			if (r != 0)
				ck_assert_int_eq(r, -ENOMEM);
			wal_is_free();
			ck_ok(work());
			if (!hit)
				break;
		}
	}
}

START_TEST(readers_leave_no_transaction_open_when_memory_runs_out)
{
	static int (*const works[])(void) = {read_events,       read_oldest,   read_past,
	                                     read_past_by_time, find_keyframe, put_keyframe};

	ck_ok(put("1"));
	ck_ok(put("2"));
	ck_ok(put("3"));
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_ok(past_open(statedir_path(), &past));
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		survives_no_memory(works[i]);
	past_close(past);
	journal_reader_close(reader);
	ck_assert(!statedir_has("rollcall.db.suspect"));
}
END_TEST

START_TEST(a_reading_is_of_one_state_of_the_file)
{
	static int (*const works[])(void) = {read_events, read_past, read_past_by_time};

	ck_ok(put("1"));
	ck_ok(put("2"));
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_ok(past_open(statedir_path(), &past));
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		faultvfs_reset();
		ck_ok(works[i]());
		ck_assert_uint_eq(faultvfs_count(FAULTVFS_VIEW, FAULTVFS_DB), 1);
	}
	past_close(past);
	journal_reader_close(reader);
}
END_TEST

static int append_two(void)
{
	struct event batch[2] = {statedir_event(EVENT_REGISTERED, "b", "1"),
	                         statedir_event(EVENT_DEREGISTERED, "b", "1")};

	return journal_append(journal, batch, 2);
}

static int probe(void)
{
	return journal_probe(journal);
}

static int tidy(void)
{
	journal_set_retention(journal, 0, 2);
	int r = journal_tidy(journal, 0);

	return r > 0 ? 0 : r;
}

START_TEST(the_writer_leaves_no_transaction_open_when_memory_runs_out)
{
	ck_ok(put("1"));
	ck_ok(put("2"));
	survives_no_memory(append_two);
	survives_no_memory(probe);
	survives_no_memory(tidy);
}
END_TEST

SUITE("journal_fault", setup, teardown, after_a_failed_fsync_nothing_more_is_accepted,
      after_a_failed_write_nothing_more_is_accepted,
      a_failed_journal_leaves_the_file_to_the_next_start, verifying_leaves_the_wal_as_it_is,
      a_start_moves_what_the_wal_holds_into_the_database_first,
      whichever_write_or_sync_fails_what_was_acknowledged_is_there,
      a_failed_checkpoint_ends_the_use_of_the_journal,
      a_failed_sync_of_a_checkpoint_ends_the_use_of_the_journal,
      commits_go_on_while_a_checkpoint_waits_for_the_disk,
      on_a_full_disk_nothing_changes_and_it_may_be_tried_again,
      a_quota_that_is_used_up_is_a_full_disk, a_full_disk_does_not_fail_checkpoints_for_good,
      on_a_disk_that_is_really_full_deregistrations_go_on,
      a_reserve_that_does_not_fit_is_not_kept_in_part,
      out_of_memory_anywhere_in_an_append_changes_nothing,
      out_of_memory_while_opening_leaves_all_as_it_was, out_of_memory_while_reading_history_is_told,
      readers_leave_no_transaction_open_when_memory_runs_out, a_reading_is_of_one_state_of_the_file,
      the_writer_leaves_no_transaction_open_when_memory_runs_out)
