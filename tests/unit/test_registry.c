/* SPDX-License-Identifier: MIT */
/*
 * The registry on a real journal: registration, leases, drains, mass expiry, restarts, conditions,
 * batches. The clock is virtual and the test drives the sweeper (registry_fixture.h); the writer is
 * a real thread.
 */
#include "registry_fixture.h"

#include "faultvfs.h"

#include <sqlite3.h>
#include <time.h>

START_TEST(registering_twice_creates_then_renews)
{
	struct command first = registration("web", "a");
	run(&first);
	ck_assert_int_eq(first.error, 0);
	ck_assert_int_eq(first.outcome, OUTCOME_CREATED);
	ck_assert_uint_eq(first.revision, 1);
	ck_assert_uint_eq(first.instance.incarnation, 1);
	ck_assert_int_eq(first.instance.status, STATUS_HEALTHY);
	ck_assert(str_equal(first.instance.status_reason, STR("registered")));

	struct command again = put("web", "a");
	ck_assert_int_eq(again.outcome, OUTCOME_RENEWED);
	ck_assert_uint_eq(again.revision, 1);
}
END_TEST

START_TEST(a_changed_record_is_an_update_of_the_same_incarnation)
{
	put("web", "a");
	struct command command = registration("web", "a");
	command.instance.port = 81;
	run(&command);
	ck_assert_int_eq(command.outcome, OUTCOME_CHANGED);
	ck_assert_uint_eq(command.revision, 2);
	ck_assert_uint_eq(command.instance.incarnation, 1);
}
END_TEST

START_TEST(deregistering_is_idempotent)
{
	put("web", "a");
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);
	ck_assert_int_eq(gone.outcome, OUTCOME_REMOVED);
	ck_assert_uint_eq(gone.revision, 2);
	ck_assert_int_eq(status_of("web", "a"), -1);

	struct command again = on(COMMAND_DEREGISTER, "web", "a");
	run(&again);
	ck_assert_int_eq(again.error, 0);
	ck_assert_int_eq(again.outcome, OUTCOME_NONE);
}
END_TEST

START_TEST(a_new_life_after_a_removal_is_a_new_incarnation)
{
	put("web", "a");
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);
	struct command again = put("web", "a");
	ck_assert_int_eq(again.outcome, OUTCOME_CREATED);
	ck_assert_uint_eq(again.instance.incarnation, 3);
}
END_TEST

START_TEST(a_lease_runs_out_after_its_ttl_and_not_before)
{
	put("web", "a");
	pass(TTL_MS - 100);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(heartbeats_keep_it_healthy)
{
	put("web", "a");
	for (int i = 0; i < 10; i++) {
		pass(TTL_MS - 1000);
		beat("web", "a");
	}
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(TTL_MS + 100);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(a_heartbeat_brings_an_unhealthy_one_back)
{
	put("web", "a");
	pass(TTL_MS + 100);
	struct command heartbeat = on(COMMAND_HEARTBEAT, "web", "a");
	run(&heartbeat);
	ck_assert_int_eq(heartbeat.outcome, OUTCOME_CHANGED);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(TTL_MS - 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(a_heartbeat_of_a_stranger_is_refused)
{
	struct command heartbeat = on(COMMAND_HEARTBEAT, "web", "a");

	run(&heartbeat);
	ck_assert_int_eq(heartbeat.error, -ENOENT);
}
END_TEST

START_TEST(an_expired_one_is_removed_after_its_time)
{
	put("web", "a");
	pass(TTL_MS + 100);
	pass(REMOVE_MS - 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	pass(300);
	ck_assert_int_eq(status_of("web", "a"), -1);
}
END_TEST

START_TEST(remove_after_0_keeps_it_for_ever)
{
	struct command command = registration("web", "a");

	command.instance.remove_after_ms = 0;
	run(&command);
	pass(TTL_MS + 100);
	pass(10 * REMOVE_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(a_late_heartbeat_wins_over_removal)
{
	put("web", "a");
	pass(TTL_MS + 100);
	pass(REMOVE_MS - 200);
	beat("web", "a"); /* renews the lease only, without the command that a heartbeat submits */
	pass(300);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(the_daemons_own_stall_extends_every_lease)
{
	put("web", "a");
	pass(TTL_MS - 1000);
	clock_virtual_advance(100 * TTL_MS); /* without a sweep: the daemon was stopped */
	registry_sweep(registry);
	settle();
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(800);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(500);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(a_heartbeat_stamped_during_a_stall_does_not_live_longer_by_it)
{
	put("web", "a");
	clock_virtual_advance(100 * TTL_MS);
	beat("web", "a"); /* before the sweeper has noticed */
	registry_sweep(registry);
	pass(TTL_MS - 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	/* At the old deadline the stamp is limited to that time, so two TTLs are the most. */
	pass(TTL_MS + 500);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(no_lease_runs_out_while_an_ingress_thread_stands_still)
{
	struct progress ingress;

	put("web", "a");
	progress_add(&ingress, "http-0", PROGRESS_INGRESS);
	pass(3 * TTL_MS); /* the thread never marks a pass */
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	for (int i = 0; i < TTL_MS / 100 + 10; i++) {
		progress_mark(&ingress);
		pass(100);
	}
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	progress_remove(&ingress);
}
END_TEST

START_TEST(after_a_restart_every_lease_has_one_full_ttl)
{
	put("web", "a");
	pass(TTL_MS - 500);
	close_registry();
	clock_virtual_advance(1000000);
	open_registry();
	pass(TTL_MS - 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(400);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(a_restart_keeps_everything_but_the_leases)
{
	struct command command = registration("web", "a");

	command.instance.metadata = (struct str){"k\0v", 4};
	command.instance.metadata_count = 1;
	run(&command);
	put("web", "b");
	drain("b", true, 0);
	struct command gone = on(COMMAND_DEREGISTER, "web", "nobody");
	run(&gone);
	close_registry();
	open_registry();

	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *web = snapshot_service(now, STR("web"));
	ck_assert_uint_eq(snapshot_revision(now), 4); /* one of them is about the intent */
	ck_assert_uint_eq(web->count, 2);
	ck_assert_uint_eq(web->members[0]->value.revision, 1);
	ck_assert_uint_eq(web->members[0]->value.metadata_count, 1);
	ck_assert_uint_eq(web->members[1]->value.revision, 4);
	ck_assert_uint_eq(web->members[1]->value.incarnation, 2);
	ck_assert_int_eq(web->members[1]->value.status, STATUS_DRAINING);
	ck_assert(str_equal(web->members[1]->value.status_reason, STR("maintenance")));
	ck_assert(str_equal(web->members[1]->value.status_by, STR("operator:192.0.2.9")));
	/* An ETag from before the restart must not match. */
	ck_assert_uint_eq(web->status_revision[STATUS_HEALTHY], 4);
	snapshot_leave(registry_store(registry));
}
END_TEST

START_TEST(draining_sticks)
{
	put("web", "a");
	ck_assert_int_eq(drain("a", true, 0).outcome, OUTCOME_CHANGED);
	beat("web", "a");
	ck_assert_int_eq(put("web", "a").outcome, OUTCOME_RENEWED);
	struct command changed = registration("web", "a");
	changed.instance.port = 99;
	run(&changed);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);

	pass(TTL_MS + 100); /* expired, but planned */
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	struct command heartbeat = on(COMMAND_HEARTBEAT, "web", "a");
	run(&heartbeat);
	ck_assert_int_eq(heartbeat.outcome, OUTCOME_CHANGED);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);

	ck_assert_int_eq(drain("a", false, 0).outcome, OUTCOME_CHANGED);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(draining_twice_is_one_change)
{
	put("web", "a");
	/* each time after one about the intent */
	ck_assert_uint_eq(drain("a", true, 0).revision, 3);
	ck_assert_uint_eq(drain("a", true, 0).revision, 3);
	ck_assert_uint_eq(drain("a", false, 0).revision, 5);
	ck_assert_uint_eq(drain("a", false, 0).revision, 5);
}
END_TEST

START_TEST(a_drain_for_a_time_ends_by_itself)
{
	put("web", "a");
	drain("a", true, 5000);
	pass(4900);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	beat("web", "a");
	pass(300);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(a_drain_for_a_time_survives_a_restart)
{
	put("web", "a");
	drain("a", true, 5000);
	close_registry();
	clock_virtual_advance(3000); /* the daemon does not run meanwhile */
	open_registry();
	pass(1900);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	pass(300);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(a_drain_for_a_time_does_not_end_because_the_clock_is_wrong)
{
	put("web", "a");
	drain("a", true, 5000);
	close_registry();
	clock_virtual_advance(INT64_C(10) * 365 * 86400 * 1000);
	log_set_level(LOG_ERR);
	open_registry();
	put("web", "b");
	pass(1000);
	drain("b", true, 5000); /* ends by the clock as it is now */
	pass(3900);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	pass(300);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_int_eq(status_of("web", "b"), STATUS_DRAINING);
	pass(1000);
	ck_assert_int_eq(status_of("web", "b"), STATUS_HEALTHY);
}
END_TEST

START_TEST(its_owner_may_drain_and_resume_it)
{
	put("web", "a");
	struct command heartbeat = on(COMMAND_HEARTBEAT, "web", "a");
	heartbeat.set_status = heartbeat.instance.wants_drain = true;
	run(&heartbeat);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	heartbeat.instance.wants_drain = false;
	run(&heartbeat);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

static int64_t held_ms(const char *service)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	int64_t left = registry_held_ms(registry, snapshot_service(now, str_of(service)));

	snapshot_leave(registry_store(registry));
	return left;
}

static void put_ten(void)
{
	char id[8];

	for (int i = 0; i < 10; i++) {
		(void)snprintf(id, sizeof(id), "i%d", i);
		put("web", id);
	}
}

START_TEST(mass_expiry_is_held_for_one_more_ttl_and_then_believed)
{
	put_ten();
	pass(TTL_MS + 200);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 0);
	ck_assert_int_gt(held_ms("web"), 0);
	ck_assert_int_le(held_ms("web"), TTL_MS);
	ck_assert_uint_eq(registry_held_services(registry), 1);
	pass(TTL_MS - 500);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 0);
	pass(800);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 10);
	ck_assert_int_eq(held_ms("web"), 0);
	settle();
	ck_assert_uint_eq(registry_held_services(registry), 0);
}
END_TEST

START_TEST(half_of_a_service_may_expire_without_a_hold)
{
	put_ten();
	pass(TTL_MS - 500);
	for (int i = 0; i < 5; i++)
		beat("web", (const char *[]){"i0", "i1", "i2", "i3", "i4"}[i]);
	pass(700);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 5);
	ck_assert_int_eq(held_ms("web"), 0);
}
END_TEST

START_TEST(silence_that_spreads_within_a_ttl_is_held_from_the_sixth_of_ten_on)
{
	put_ten();
	for (int i = 0; i < 10; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "i%d", i);
		beat("web", id);
		pass(500);
	}
	for (int i = 0; i < TTL_MS / 500; i++)
		pass(500); /* each expiry is decided before the next is due */
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 5);
	ck_assert_int_gt(held_ms("web"), 0);
	pass(TTL_MS);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 10);
}
END_TEST

START_TEST(heartbeats_during_a_hold_save_who_sends_them)
{
	put_ten();
	pass(TTL_MS + 200);
	for (int i = 0; i < 5; i++)
		beat("web", (const char *[]){"i0", "i1", "i2", "i3", "i4"}[i]);
	pass(TTL_MS - 500);
	ck_assert_int_eq(count_status("web", STATUS_HEALTHY), 10);
	for (int i = 0; i < 5; i++)
		beat("web", (const char *[]){"i0", "i1", "i2", "i3", "i4"}[i]);
	pass(800);
	ck_assert_int_eq(count_status("web", STATUS_HEALTHY), 5);
}
END_TEST

START_TEST(small_services_are_not_held)
{
	put("web", "a");
	put("web", "b");
	pass(TTL_MS + 200);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 2);
	ck_assert_uint_eq(registry_held_services(registry), 0);
}
END_TEST

START_TEST(the_hold_can_be_switched_off)
{
	options.hold_expiry = false;
	registry_reload(registry, &options);
	put_ten();
	pass(TTL_MS + 200);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 10);
}
END_TEST

START_TEST(one_instance_too_many_is_refused_and_changes_nothing)
{
	options.instances_max = 2;
	registry_reload(registry, &options);
	put("web", "a");
	put("web", "b");
	ck_assert_int_eq(put("web", "c").error, -EDQUOT);
	ck_assert_int_eq(status_of("web", "c"), -1);
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);
	ck_assert_int_eq(put("web", "c").error, 0);
}
END_TEST

START_TEST(commands_of_one_batch_see_each_other)
{
	struct command commands[4] = {
		registration("web", "a"),
		on(COMMAND_STATUS, "web", "a"),
		on(COMMAND_DEREGISTER, "web", "a"),
		registration("web", "a"),
	};

	commands[1].drained = true;
	for (size_t i = 0; i < 4; i++) {
		commands[i].author = STR("x");
		commands[i].done = done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(sem_wait(&completed), 0);
	/* 2 puts the intent, 5 begins its absence: it is in the new life too */
	static const uint64_t revisions[] = {1, 3, 4, 6};
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(commands[i].error, 0);
		ck_assert_uint_eq(commands[i].revision, revisions[i]);
	}
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	ck_assert_uint_eq(commands[3].instance.incarnation, 6);
}
END_TEST

START_TEST(what_was_submitted_before_the_stop_is_completed)
{
	enum { COUNT = 500 };
	static struct command commands[COUNT];
	static char ids[COUNT][8];

	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "i%d", i);
		commands[i] = registration("web", ids[i]);
		commands[i].author = STR("x");
		commands[i].done = done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	registry_stop(registry);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(sem_trywait(&completed), 0);
		ck_assert_int_eq(commands[i].error, 0);
	}
	ck_fails(registry_submit(registry, &commands[0]), ESHUTDOWN);
}
END_TEST

START_TEST(a_condition_that_does_not_hold_changes_nothing)
{
	put("web", "a"); /* 1 */
	struct command stale = registration("web", "a");
	stale.instance.port = 99;
	stale.revision_is = 7;
	run(&stale);
	ck_assert_int_eq(stale.error, -ESTALE);
	stale.revision_is = 1;
	run(&stale); /* the condition holds: 2 */
	ck_assert_int_eq(stale.error, 0);

	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	gone.revision_is = 1;
	run(&gone);
	ck_assert_int_eq(gone.error, -ESTALE);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);

	struct command nobody = registration("web", "b");
	nobody.must_exist = true;
	run(&nobody);
	ck_assert_int_eq(nobody.error, -ESTALE);
	ck_assert_int_eq(status_of("web", "b"), -1);
}
END_TEST

START_TEST(a_heartbeat_of_an_older_life_does_not_revive_the_dead)
{
	put("web", "a"); /* incarnation 1 */
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);
	put("web", "a"); /* incarnation 3 */
	pass(TTL_MS + 100);
	struct command late = on(COMMAND_HEARTBEAT, "web", "a");
	late.incarnation_is = 1;
	run(&late);
	ck_assert_int_eq(late.error, -EEXIST);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	late.incarnation_is = 3;
	run(&late);
	ck_assert_int_eq(late.error, 0);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

static uint64_t woken_at;

static void woken(struct watcher *watcher)
{
	(void)watcher;
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	woken_at = snapshot_revision(now);
	snapshot_leave(registry_store(registry));
}

START_TEST(a_watcher_is_woken_when_the_change_can_be_read)
{
	struct watcher watcher = {
		.topic = STR("web"),
		.aspects = 1u << STATUS_HEALTHY,
		.seen = 1,
		.wake = woken,
	};

	put("web", "a"); /* 1: seen */
	watch_add(registry_watch(registry), &watcher);
	put("api", "b");
	beat("web", "a");
	ck_assert_uint_eq(woken_at, 0);
	put("web", "b");
	ck_assert_uint_eq(woken_at, 3);

	watcher.seen = 3;
	watch_add(registry_watch(registry), &watcher);
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);
	ck_assert_uint_eq(woken_at, 4);
	watcher.seen = 4;
	watch_add(registry_watch(registry), &watcher);
	gone = on(COMMAND_DEREGISTER, "web", "b"); /* the last instance of the service */
	run(&gone);
	ck_assert_uint_eq(woken_at, 5);
}
END_TEST

static void history_done(struct history *history)
{
	(void)history;
	ck_assert_int_eq(sem_post(&completed), 0);
}

START_TEST(the_log_has_the_events_in_order)
{
	struct buf out;
	struct history history = {
		.query = {.since = 0, .limit = 100},
		.out = &out,
		.done = history_done,
	};

	put("web", "a");
	drain("a", true, 0);
	put("api", "b");
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);

	buf_init(&out, 1 << 20);
	ck_ok(registry_read_history(registry, &history));
	ck_assert_int_eq(sem_wait(&completed), 0);
	ck_ok(history.error);
	ck_assert_uint_eq(history.count, 6);
	buf_put_char(&out, '\0');
	const char *registered = strstr(out.data, "\"kind\":\"registered\"");
	const char *drained = strstr(out.data, "\"kind\":\"drained\"");
	const char *deregistered = strstr(out.data, "\"kind\":\"deregistered\"");
	ck_assert_ptr_nonnull(registered);
	ck_assert_ptr_nonnull(drained);
	ck_assert_ptr_nonnull(deregistered);
	ck_assert(registered < drained && drained < deregistered);
	ck_assert_ptr_nonnull(strstr(out.data, "\"reason\":\"maintenance\""));
	buf_fini(&out);
}
END_TEST

START_TEST(old_events_go_as_fast_as_new_ones_come)
{
	struct history history = {
		.query = {.since = 0, .limit = 100},
		.done = history_done,
	};
	struct buf out;

	close_registry();
	options.journal.events_max_count = 20;
	open_registry();
	for (int n = 0; n < 50; n++) {
		put("web", "a");
		struct command gone = on(COMMAND_DEREGISTER, "web", "a");
		run(&gone);
	}
	put("web", "a"); /* retention after a commit ends before the next commit */
	buf_init(&out, 1 << 20);
	history.out = &out;
	ck_ok(registry_read_history(registry, &history));
	ck_assert_int_eq(sem_wait(&completed), 0);
	ck_fails(history.error, ESTALE);
	ck_assert_uint_ge(history.oldest, 101 - 20 - 20 / 10);
	ck_assert_uint_le(history.oldest, 101 - 20 + 1);
	buf_fini(&out);
}
END_TEST

START_TEST(the_outcome_is_unknown_only_of_what_was_in_the_commit_that_failed)
{
	struct command before = registration("web", "before");
	struct command commands[] = {registration("web", "a"), on(COMMAND_INDEX, "web", ""),
	                             registration("web", "b")};
	struct command later = registration("web", "later");

	close_registry();
	faultvfs_install();
	open_registry();
	log_set_level(LOG_EMERG);
	put("web", "first");              /* so that a commit is one sync */
	faultvfs_hold_sync(FAULTVFS_WAL); /* the other commands become one batch meanwhile */
	before.done = later.done = done;
	ck_ok(registry_submit(registry, &before));
	faultvfs_wait_held();
	faultvfs_fail_once(FAULTVFS_SYNC, FAULTVFS_WAL, 0, SQLITE_IOERR_FSYNC);
	for (size_t i = 0; i < 3; i++) {
		commands[i].done = done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	faultvfs_release();
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(sem_wait(&completed), 0);
	ck_assert_int_eq(before.error, 0);
	ck_fails(commands[0].error, ENOTRECOVERABLE);
	ck_ok(commands[1].error); /* an index is no change */
	ck_fails(commands[2].error, ENOTRECOVERABLE);
	ck_assert(registry_has_failed(registry));
	ck_assert_int_eq(registry_failure(registry), -EIO);
	ck_fails(registry_submit(registry, &later), EIO);
}
END_TEST

static int64_t monotonic_ms(void)
{
	struct timespec now;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(a_stop_does_not_wait_until_the_database_is_free)
{
	struct command commands[2] = {registration("web", "a"), registration("web", "b")};
	char path[96];
	sqlite3 *other = NULL;

	(void)snprintf(path, sizeof(path), "%s/rollcall.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	log_set_level(LOG_CRIT);
	for (size_t i = 0; i < 2; i++) {
		commands[i].done = done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	int64_t begun = monotonic_ms();
	registry_stop(registry);
	/* The stop makes the writer retry a batch once only; otherwise it would wait for 2 s. */
	ck_assert_int_lt(monotonic_ms() - begun, 1500);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(sem_wait(&completed), 0);
		ck_fails(commands[i].error, EBUSY);
	}
	registry_close(registry);
	ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
	open_registry();
	ck_assert_int_eq(status_of("web", "a"), -1);
}
END_TEST

/** Appends an event to the journal of the stopped registry, with right checksums, and starts it. */
static void append_to_journal(struct event *event)
{
	struct journal_options journal_options = {.dir = dir};
	struct journal_error error = {""};
	struct journal *journal = NULL;

	close_registry();
	ck_ok(journal_open(&journal_options, &journal, &error));
	ck_ok(journal_append(journal, event, 1));
	journal_close(journal);
	log_set_level(LOG_EMERG); /* the start logs the damage */
	open_registry();
}

START_TEST(a_value_beyond_its_limit_on_the_disk_does_not_stop_it)
{
	static char reason[REASON_MAX + 1];
	struct command command = registration("web", "a");
	struct event event = {
		.kind = EVENT_REGISTERED,
		.instance = command.instance,
	};

	memset(reason, 'x', sizeof(reason));
	event.instance.drained = true;
	event.instance.status_reason = (struct str){reason, sizeof(reason)};
	event.instance.status_by = STR("operator");
	append_to_journal(&event);
	command.instance.port++;
	run(&command);
	ck_ok(command.error);
	ck_assert_int_eq(command.outcome, OUTCOME_CREATED);
}
END_TEST

/* If each row got a lease, the lease of the older row would refer to a freed member. */
START_TEST(an_instance_that_is_on_the_disk_twice_is_there_once)
{
	struct command command = registration("web", "a");
	struct event event = {
		.kind = EVENT_REGISTERED,
		.instance = command.instance,
	};
	struct event again = event;

	append_to_journal(&event);
	append_to_journal(&again);
	ck_assert_int_eq(count_status("web", STATUS_HEALTHY), 1);
	pass(TTL_MS + 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	(void)put("web", "a");
	pass(TTL_MS + 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	pass(REMOVE_MS + 200);
	ck_assert_int_eq(status_of("web", "a"), -1);
}
END_TEST

SUITE("registry", setup, teardown, registering_twice_creates_then_renews,
      a_changed_record_is_an_update_of_the_same_incarnation, deregistering_is_idempotent,
      a_new_life_after_a_removal_is_a_new_incarnation,
      a_lease_runs_out_after_its_ttl_and_not_before, heartbeats_keep_it_healthy,
      a_heartbeat_brings_an_unhealthy_one_back, a_heartbeat_of_a_stranger_is_refused,
      an_expired_one_is_removed_after_its_time, remove_after_0_keeps_it_for_ever,
      a_late_heartbeat_wins_over_removal, the_daemons_own_stall_extends_every_lease,
      a_heartbeat_stamped_during_a_stall_does_not_live_longer_by_it,
      no_lease_runs_out_while_an_ingress_thread_stands_still,
      after_a_restart_every_lease_has_one_full_ttl, a_restart_keeps_everything_but_the_leases,
      draining_sticks, draining_twice_is_one_change, a_drain_for_a_time_ends_by_itself,
      a_drain_for_a_time_survives_a_restart,
      a_drain_for_a_time_does_not_end_because_the_clock_is_wrong, its_owner_may_drain_and_resume_it,
      mass_expiry_is_held_for_one_more_ttl_and_then_believed,
      half_of_a_service_may_expire_without_a_hold,
      silence_that_spreads_within_a_ttl_is_held_from_the_sixth_of_ten_on,
      heartbeats_during_a_hold_save_who_sends_them, small_services_are_not_held,
      the_hold_can_be_switched_off, one_instance_too_many_is_refused_and_changes_nothing,
      commands_of_one_batch_see_each_other, what_was_submitted_before_the_stop_is_completed,
      a_condition_that_does_not_hold_changes_nothing,
      a_heartbeat_of_an_older_life_does_not_revive_the_dead,
      a_watcher_is_woken_when_the_change_can_be_read, the_log_has_the_events_in_order,
      old_events_go_as_fast_as_new_ones_come,
      the_outcome_is_unknown_only_of_what_was_in_the_commit_that_failed,
      a_stop_does_not_wait_until_the_database_is_free,
      a_value_beyond_its_limit_on_the_disk_does_not_stop_it,
      an_instance_that_is_on_the_disk_twice_is_there_once)
