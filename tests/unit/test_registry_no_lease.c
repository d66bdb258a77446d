/* SPDX-License-Identifier: MIT */
/** Instances without a lease ("ttl_ms": 0), beside others, in virtual time. */
#include "registry_fixture.h"

static struct command put_with(const char *id, int64_t ttl_ms)
{
	struct command command = registration("web", id);

	command.instance.ttl_ms = ttl_ms;
	run(&command);
	ck_ok(command.error);
	return command;
}

static void put_many(const char *prefix, int count, int64_t ttl_ms)
{
	char id[16];

	for (int i = 0; i < count; i++) {
		(void)snprintf(id, sizeof(id), "%s%d", prefix, i);
		put_with(id, ttl_ms);
	}
}

static uint64_t revision_now(void)
{
	uint64_t revision = snapshot_revision(snapshot_enter(registry_store(registry)));

	snapshot_leave(registry_store(registry));
	return revision;
}

START_TEST(it_stays_healthy_without_a_heartbeat)
{
	put_with("a", 0);
	pass(10 * TTL_MS);
	pass(2 * REMOVE_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(a_heartbeat_does_no_harm)
{
	put_with("a", 0);
	pass(1000);
	beat("web", "a");
	struct command heartbeat = on(COMMAND_HEARTBEAT, "web", "a");
	run(&heartbeat);
	ck_assert_int_eq(heartbeat.outcome, OUTCOME_RENEWED);
	pass(10 * TTL_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(the_same_record_again_renews)
{
	put_with("a", 0);
	ck_assert_int_eq(put_with("a", 0).outcome, OUTCOME_RENEWED);
}
END_TEST

START_TEST(a_lease_begins_when_the_record_gets_a_ttl)
{
	put_with("a", 0);
	pass(10 * TTL_MS);
	put_with("a", TTL_MS);
	pass(TTL_MS - 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(400);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(a_lease_ends_when_the_record_loses_its_ttl)
{
	put_with("a", TTL_MS);
	pass(TTL_MS - 200);
	put_with("a", 0);
	pass(10 * TTL_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_uint_eq(revision_now(), 2);
}
END_TEST

START_TEST(an_expired_instance_recovers_when_its_record_loses_the_ttl)
{
	put_with("a", TTL_MS);
	pass(TTL_MS + 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	put_with("a", 0);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(2 * REMOVE_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

/* A restart, after which only registry_step() makes the writer go on. */
static void reopen_by_hand(void)
{
	close_registry();
	options.write_by_hand = true;
	open_registry();
}

static void sweep(int64_t ms)
{
	for (int64_t passed = 0; passed < ms; passed += 100) {
		clock_virtual_advance(100);
		registry_sweep(registry);
	}
}

/* In one batch with the leases that are due. */
static struct command put_by_hand(const char *id, int64_t ttl_ms)
{
	struct command command = registration("web", id);

	command.instance.ttl_ms = ttl_ms;
	command.author = STR("192.0.2.9:1");
	command.done = done;
	ck_ok(registry_submit(registry, &command));
	registry_step(registry);
	ck_assert_int_eq(sem_wait(&completed), 0);
	ck_ok(command.error);
	return command;
}

START_TEST(a_record_without_a_ttl_wins_over_the_due_lease_in_its_batch)
{
	put_with("a", TTL_MS);
	reopen_by_hand();
	sweep(TTL_MS + 200);
	ck_assert_int_eq(put_by_hand("a", 0).outcome, OUTCOME_CHANGED);
	for (int i = 0; i < 30; i++) {
		sweep(1000);
		registry_step(registry);
	}
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_uint_eq(revision_now(), 2);
}
END_TEST

START_TEST(it_has_no_lease_after_a_restart_either)
{
	put_with("a", 0);
	close_registry();
	open_registry();
	pass(10 * TTL_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	put_with("a", TTL_MS);
	pass(TTL_MS + 200);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
}
END_TEST

START_TEST(a_drain_for_a_time_ends_by_itself)
{
	put_with("a", 0);
	drain("a", true, 5000);
	pass(4800);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	pass(400);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass(10 * TTL_MS);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(a_drain_for_a_time_ends_after_a_restart_too)
{
	put_with("a", 0);
	drain("a", true, 5000);
	close_registry();
	open_registry();
	pass(4800);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	pass(400);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

/* Three of four that can expire, among ten: the guard must see three of four. */
START_TEST(the_guard_against_mass_expiry_does_not_count_it_as_alive)
{
	put_many("static", 6, 0);
	put_many("i", 4, TTL_MS);
	pass(TTL_MS - 500);
	beat("web", "i0");
	pass(1000);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 0);
	ck_assert_uint_eq(registry_held_services(registry), 1);
}
END_TEST

/* After updates in both directions, and a restart, the count is still right. */
START_TEST(the_guard_counts_after_updates_and_a_restart)
{
	put_many("static", 6, TTL_MS);
	put_many("i", 4, 0);
	put_many("static", 6, 0);
	put_many("i", 4, TTL_MS);
	close_registry();
	open_registry();
	pass(TTL_MS - 500);
	beat("web", "i0");
	pass(1000);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 0);
	ck_assert_uint_eq(registry_held_services(registry), 1);
}
END_TEST

/* Two of four are not too many, two of three are. */
START_TEST(the_guard_counts_with_the_changes_of_the_same_batch)
{
	put_many("static", 6, 0);
	put_many("i", 4, TTL_MS);
	reopen_by_hand();
	sweep(TTL_MS - 500);
	beat("web", "i0");
	beat("web", "i1");
	sweep(1000);
	put_by_hand("i0", 0);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 0);
	ck_assert_uint_eq(registry_held_services(registry), 1);
}
END_TEST

/* Two leases are fewer than the guard looks at, however many stand beside them. */
START_TEST(a_few_leases_among_many_without_are_a_small_service)
{
	put_many("static", 6, 0);
	put_many("i", 2, TTL_MS);
	pass(TTL_MS + 500);
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 2);
	ck_assert_uint_eq(registry_held_services(registry), 0);
}
END_TEST

/* Six drains end when the lease of the tenth runs out: one is silent, not seven. */
static void check_drains_are_not_silence(int64_t ttl_ms)
{
	put_many("i", 4, TTL_MS);
	put_many("d", 6, ttl_ms);
	for (int i = 0; i < 6; i++)
		drain((const char *[]){"d0", "d1", "d2", "d3", "d4", "d5"}[i], true, TTL_MS);
	for (int64_t passed = 0; passed < TTL_MS; passed += 1000) {
		pass(900);
		for (int i = 1; i < 4; i++)
			beat("web", (const char *[]){"i0", "i1", "i2", "i3"}[i]);
		for (int i = 0; i < 6; i++)
			beat("web", (const char *[]){"d0", "d1", "d2", "d3", "d4", "d5"}[i]);
		if (passed < TTL_MS - 1000)
			pass(100);
	}
	clock_virtual_advance(200); /* all are found due in one sweep */
	registry_sweep(registry);
	settle();
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 1);
	ck_assert_int_eq(count_status("web", STATUS_DRAINING), 0);
	ck_assert_uint_eq(registry_held_services(registry), 0);
}

START_TEST(ends_of_drains_without_a_lease_are_not_silence)
{
	check_drains_are_not_silence(0);
}
END_TEST

START_TEST(ends_of_drains_with_a_lease_are_not_silence)
{
	check_drains_are_not_silence(TTL_MS);
}
END_TEST

SUITE("registry_no_lease", setup, teardown, it_stays_healthy_without_a_heartbeat,
      a_heartbeat_does_no_harm, the_same_record_again_renews,
      a_lease_begins_when_the_record_gets_a_ttl, a_lease_ends_when_the_record_loses_its_ttl,
      an_expired_instance_recovers_when_its_record_loses_the_ttl,
      a_record_without_a_ttl_wins_over_the_due_lease_in_its_batch,
      it_has_no_lease_after_a_restart_either, a_drain_for_a_time_ends_by_itself,
      a_drain_for_a_time_ends_after_a_restart_too,
      the_guard_against_mass_expiry_does_not_count_it_as_alive,
      the_guard_counts_after_updates_and_a_restart,
      the_guard_counts_with_the_changes_of_the_same_batch,
      a_few_leases_among_many_without_are_a_small_service,
      ends_of_drains_without_a_lease_are_not_silence, ends_of_drains_with_a_lease_are_not_silence)
