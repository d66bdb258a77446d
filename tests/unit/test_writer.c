/* SPDX-License-Identifier: MIT */
/*
 * The writer on a disk that fails: a decision that is made twice counts once, and waiting commands
 * complete. The registry is real, behind the fault VFS; the clock is virtual.
 */
#include "faultvfs.h"
#include "metrics/metrics.h"
#include "registry_fixture.h"

#include <sched.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void setup_faults(void)
{
	faultvfs_install();
	setup();
	faultvfs_reset();
}

static void teardown_faults(void)
{
	faultvfs_reset();
	teardown();
}

static const char *const ids[] = {"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9"};

static void put_ten(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ck_assert_int_eq(put("web", ids[i]).error, 0);
}

static int64_t held_ms(void)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	int64_t left = registry_held_ms(registry, snapshot_service(now, STR("web")));

	snapshot_leave(registry_store(registry));
	return left;
}

/* Submits @p count commands while the writer waits for the disk, so that it takes them together. */
static void run_together(struct command *commands, size_t count, void (*arm)(void))
{
	struct command first = registration("other", "first");

	faultvfs_hold_sync(FAULTVFS_WAL);
	first.author = STR("x");
	first.done = done;
	ck_ok(registry_submit(registry, &first));
	faultvfs_wait_held();
	for (size_t i = 0; i < count; i++) {
		commands[i].author = STR("x");
		commands[i].done = done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	arm();
	faultvfs_release();
	for (size_t i = 0; i <= count; i++)
		while (sem_wait(&completed) != 0)
			ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(first.error, 0);
}

static void fill_once(void)
{
	faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
}

static void break_disk(void)
{
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_IOERR_WRITE);
}

START_TEST(expiries_that_are_decided_twice_count_once)
{
	put_ten();
	pass(TTL_MS - 500);
	for (int i = 0; i < 5; i++)
		beat("web", ids[i]);
	fill_once();
	pass(700);
	ck_assert(faultvfs_hit());
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 5); /* counted twice: ten of ten */
	ck_assert_int_eq(held_ms(), 0);
}
END_TEST

START_TEST(an_expiry_that_cannot_be_committed_does_not_count_again_and_again)
{
	put_ten();
	pass(TTL_MS - 500);
	for (size_t i = 1; i < ARRAY_LEN(ids); i++)
		beat("web", ids[i]);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	for (int i = 0; i < 9; i++)
		pass(1000); /* the writer retries in each step */
	ck_assert(faultvfs_hit());
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 0);
	faultvfs_reset();
	for (size_t i = 1; i < ARRAY_LEN(ids); i++)
		beat("web", ids[i]);
	pass(1200);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 1);
	ck_assert_int_eq(held_ms(), 0);
	ck_assert_uint_eq(metrics_counter(METRIC_HOLDS), 0);
}
END_TEST

START_TEST(a_renewal_that_is_decided_twice_counts_once)
{
	struct command commands[] = {registration("web", "a"), registration("web", "b")};

	put("web", "a");
	uint64_t before = metrics_counter(METRIC_HEARTBEATS);
	run_together(commands, ARRAY_LEN(commands), fill_once);
	ck_assert(faultvfs_hit());
	ck_assert_int_eq(commands[0].outcome, OUTCOME_RENEWED);
	ck_assert_int_eq(commands[1].error, -ENOSPC);
	ck_assert_uint_eq(metrics_counter(METRIC_HEARTBEATS), before + 1);
}
END_TEST

/* The request shows that the owner is alive, even if there is no room for its change. */
START_TEST(an_update_that_is_refused_for_lack_of_room_renews_the_lease)
{
	put("web", "a");
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	ck_assert_int_eq(put("web", "b").error, -ENOSPC);
	for (int i = 0; i < 4; i++) {
		struct command update = registration("web", "a");

		pass(TTL_MS / 2);
		update.instance.port = 81;
		run(&update);
		ck_assert_int_eq(update.error, -ENOSPC);
	}
	faultvfs_reset();
	pass(TTL_MS / 2);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(indexes_are_built_after_the_journal_has_failed)
{
	struct command index = on(COMMAND_INDEX, "web", "");
	struct command together[] = {registration("web", "b"), on(COMMAND_INDEX, "web", ""),
	                             on(COMMAND_INDEX, "nobody", "")};

	put("web", "a");
	run_together(together, ARRAY_LEN(together), break_disk);
	ck_assert_int_eq(together[0].error, -ENOTRECOVERABLE);
	ck_assert_int_eq(together[1].error, 0);
	ck_assert_int_eq(together[2].error, -ENOENT);
	ck_assert(registry_has_failed(registry));
	run(&index);
	ck_assert_int_eq(index.error, 0);
}
END_TEST

static int log_file;
static off_t logged; /* size of the log when the command was completed */

static off_t log_size(void)
{
	struct stat st;

	ck_ok(fstat(log_file, &st));
	return st.st_size;
}

static void note_log(struct command *command)
{
	logged = log_size();
	done(command);
}

START_TEST(clients_are_answered_before_the_events_are_logged)
{
	struct command command = on(COMMAND_STATUS, "web", "a");

	put("web", "a");
	log_file = memfd_create("log", 0);
	ck_assert_int_ge(log_file, 0);
	ck_assert_int_eq(dup2(log_file, STDERR_FILENO), STDERR_FILENO);
	log_set_level(LOG_INFO);
	command.drained = true;
	command.author = STR("x");
	command.done = note_log;
	ck_ok(registry_submit(registry, &command));
	while (sem_wait(&completed) != 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(command.error, 0);
	ck_assert_int_eq(logged, 0);
	while (log_size() == 0) /* until the line comes */
		sched_yield();
}
END_TEST

SUITE("writer", setup_faults, teardown_faults, expiries_that_are_decided_twice_count_once,
      an_expiry_that_cannot_be_committed_does_not_count_again_and_again,
      a_renewal_that_is_decided_twice_counts_once,
      an_update_that_is_refused_for_lack_of_room_renews_the_lease,
      indexes_are_built_after_the_journal_has_failed,
      clients_are_answered_before_the_events_are_logged)
