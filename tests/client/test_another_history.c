/* SPDX-License-Identifier: MIT */
/* A registry that has lost or imported its state, or is another one, in virtual time. */
#include "sim.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST  0xaaaaaaaa00000001
#define SECOND 0xbbbbbbbb00000002

static struct sim sim;
static rollcall_registration_options options;
static rollcall_registration *registration;
static rollcall_endpoint endpoint;
static int states;
static int changes;

static void on_state(rollcall_registration *r, rollcall_state state, void *arg)
{
	(void)r;
	(void)state;
	(void)arg;
	states++;
}

static void on_change(rollcall_client *client, const char *service, void *arg)
{
	(void)client;
	(void)service;
	(void)arg;
	changes++;
}

static void set_up_options(void)
{
	rollcall_registration_options_init(&options);
	options.service = "web";
	options.id = "w1";
	options.host = "10.1.1.1";
	options.port = 8080;
	options.on_state = on_state;
	rollcall_endpoint_init(&endpoint);
	states = 0;
	changes = 0;
}

static void setup(void)
{
	sim_open(&sim, 23);
	sim.history[0] = FIRST;
	sim.revision = 100;
	(void)sim_add(&sim, "a");
	(void)sim_add(&sim, "b");
	set_up_options();
}

static void teardown(void)
{
	sim_close(&sim);
}

static void with_two_addresses(void)
{
	sim_close(&sim);
	sim_init(&sim, 29);
	sim.options.registry = "http://registry1:7655,http://registry2:7655";
	sim.history[0] = FIRST;
	sim.history[1] = SECOND;
	sim.revision = 100;
	(void)sim_add(&sim, "a");
	sim_start(&sim);
}

static void begin(void)
{
	ck_ok(rollcall_register(sim.client, &options, &registration));
	ck_ok(rollcall_registration_wait(registration, 5000));
	sim_run_ms(&sim, 10);
}

static int discover(void)
{
	return rollcall_discover(sim.client, "web", NULL, &endpoint);
}

static size_t count(void)
{
	rollcall_instances *list;

	ck_ok(rollcall_get_instances(sim.client, "web", &list));
	size_t n = rollcall_instances_count(list);
	rollcall_instances_free(list);
	return n;
}

/* Restarts the registry with another history; the client finds it down for a moment. */
static void restart_with(uint64_t history, uint64_t revision)
{
	sim.down = true;
	sim_run_ms(&sim, 100);
	sim.down = false;
	sim.history[0] = history;
	sim.revision = revision;
}

static uint64_t reregistrations(void)
{
	rollcall_client_stats stats;

	rollcall_client_stats_init(&stats);
	ck_ok(rollcall_client_stats_get(sim.client, &stats));
	return stats.reregistrations;
}

START_TEST(long_polls_send_the_history)
{
	ck_ok(discover());
	sim_run_ms(&sim, 10);
	ck_assert_str_eq(sim.last_poll, "revision=102.aaaaaaaa&wait_ms=30000");
	sim_run_ms(&sim, 40000);
	ck_assert_str_eq(sim.last_poll, "revision=102.aaaaaaaa&wait_ms=30000");
	ck_assert_uint_eq(sim.refused, 0);
}
END_TEST

START_TEST(a_registry_without_histories_is_sent_bare_revisions)
{
	sim.history[0] = 0;
	ck_ok(discover());
	begin();
	sim_run_ms(&sim, 10);
	ck_assert_str_eq(sim.last_poll, "revision=102&wait_ms=30000");

	/* An upgrade keeps the state. */
	sim.history[0] = FIRST;
	sim_run_ms(&sim, 70000);
	ck_assert_str_eq(sim.last_poll, "revision=102.aaaaaaaa&wait_ms=30000");
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);

	/* So does the way back. */
	restart_with(0, 102);
	sim_run_ms(&sim, 70000);
	ck_assert_str_eq(sim.last_poll, "revision=102&wait_ms=30000");
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
	ck_assert_uint_eq(sim_stats(&sim).stale, 0);
}
END_TEST

START_TEST(a_history_that_is_not_16_digits_is_none)
{
	static const char *const bad[] = {"1f3a9c07", "1f3a9c07d2b4e65g", "1f3a9c07d2b4e6581", ""};

	sim.history[0] = 0;
	ck_ok(discover());
	begin();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(sim.registry_head, sizeof(sim.registry_head),
		               "X-Rollcall-History: %s\r\n", bad[i]);
		sim_run_ms(&sim, 70000);
		ck_assert_str_eq(sim.last_poll, "revision=102&wait_ms=30000");
	}
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
}
END_TEST

START_TEST(a_refused_token_is_no_failure_and_the_list_is_read_at_once)
{
	rollcall_watch *watch;

	ck_ok(rollcall_watch_start(sim.client, "web", on_change, NULL, &watch));
	sim_run_ms(&sim, 100);
	(void)sim_add(&sim, "c");
	sim_run_ms(&sim, 20); /* the client pauses after a change: it does not see the restart */
	ck_assert_int_eq(changes, 2);
	sim.history[0] = SECOND;
	sim_run_ms(&sim, 31);
	ck_assert_uint_eq(sim.refused, 1);
	ck_ok(discover());
	ck_assert_int_eq(endpoint.stale, 0);
	sim_run_ms(&sim, 10);
	ck_assert_str_eq(sim.last_poll, "revision=103.bbbbbbbb&wait_ms=30000");
	ck_assert_int_eq(changes, 2); /* the same instances */

	sim_remove(&sim, 0);
	sim_run_ms(&sim, 20);
	sim.history[0] = FIRST;
	sim_remove(&sim, 1);
	sim_run_ms(&sim, 2000);
	ck_assert_uint_eq(sim.refused, 2);
	ck_assert_int_eq(changes, 4);
	ck_assert_uint_eq(count(), 1);
	rollcall_watch_stop(watch);
}
END_TEST

START_TEST(an_equal_revision_of_another_history_is_not_waited_for)
{
	ck_ok(discover());
	sim_remove(&sim, 0);
	restart_with(SECOND, 102);
	sim_run_ms(&sim, 1000);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(instances_of_the_former_history_are_dropped_with_the_first_answer)
{
	ck_ok(discover());
	sim_remove(&sim, 0);
	restart_with(SECOND, 3);
	while (sim_stats(&sim).stale != 0)
		sim_run_ms(&sim, 10);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(an_empty_list_of_another_history_is_not_taken_for_a_ttl)
{
	ck_ok(discover());
	sim_remove(&sim, 0);
	sim_remove(&sim, 1);
	restart_with(SECOND, 5000); /* the revision does not show that it is another one */
	sim_run_ms(&sim, 29000);
	ck_assert_uint_eq(count(), 2);
	sim_run_ms(&sim, 4000);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(a_heartbeat_accepted_by_another_history_registers_again_at_once)
{
	begin();
	struct sim_record *record = sim_record(&sim, "w1");
	unsigned heartbeats = record->heartbeats;

	sim.history[0] = SECOND; /* an imported state, which has the instance */
	while (record->heartbeats == heartbeats)
		sim_run_ms(&sim, 1);
	sim_run_ms(&sim, 10);
	ck_assert_uint_eq(record->puts, 2);
	ck_assert_uint_eq(record->heartbeats, heartbeats + 1);
	ck_assert_uint_eq(reregistrations(), 1);
	ck_assert_int_eq(states, 1); /* it was registered all the time */
	sim_run_ms(&sim, 60000);
	ck_assert_uint_eq(record->puts, 2);
}
END_TEST

START_TEST(a_lookup_that_shows_another_history_registers_all_again)
{
	rollcall_registration *other;

	begin();
	options.id = "w2";
	ck_ok(rollcall_register(sim.client, &options, &other));
	ck_ok(discover());
	sim_run_ms(&sim, 1000);
	sim_record(&sim, "w1")->here = false;
	sim_record(&sim, "w2")->here = false;
	restart_with(SECOND, 1);
	sim_run_ms(&sim, 1000);
	ck_assert(sim_record(&sim, "w1")->here);
	ck_assert(sim_record(&sim, "w2")->here);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
	ck_assert_uint_eq(sim_record(&sim, "w2")->puts, 2);
	ck_assert_uint_eq(reregistrations(), 2);
}
END_TEST

START_TEST(long_pauses_end_when_another_history_answers)
{
	begin();
	ck_ok(discover());
	sim.down = true;
	sim_run_ms(&sim,
	           600000); /* pauses of 15 s between lookups, and of 10 s between heartbeats */
	sim_record(&sim, "w1")->here = false;
	sim.down = false;
	sim.history[0] = SECOND;
	unsigned before = sim.asked[0];
	while (sim.asked[0] == before)
		sim_run_ms(&sim, 1);
	sim_run_ms(&sim, 20);
	ck_assert(sim_record(&sim, "w1")->here);
	ck_assert_uint_eq(sim_stats(&sim).stale, 0);
}
END_TEST

START_TEST(a_refused_record_is_tried_at_another_registry)
{
	begin();
	sim_record(&sim, "w1")->here = false;
	sim.registry_status = 422;
	while (rollcall_registration_state(registration) != ROLLCALL_REFUSED)
		sim_run_ms(&sim, 1);
	sim_run_ms(&sim, 1000);
	sim.registry_status = 0;
	sim.history[0] = SECOND;
	ck_ok(discover());
	sim_run_ms(&sim, 10);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(a_drain_reaches_another_history)
{
	begin();
	ck_ok(rollcall_drain(registration, 1000));
	sim_record(&sim, "w1")->draining = false; /* an older state */
	sim.history[0] = SECOND;
	sim_run_ms(&sim, 14000);
	ck_assert(sim_record(&sim, "w1")->draining);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_DRAINING);
}
END_TEST

START_TEST(a_resume_reaches_another_history)
{
	begin();
	ck_ok(rollcall_drain(registration, 1000));
	ck_ok(rollcall_resume(registration, 1000));
	sim_record(&sim, "w1")->draining = true; /* an older state */
	sim.history[0] = SECOND;
	sim_run_ms(&sim, 14000);
	ck_assert(!sim_record(&sim, "w1")->draining);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(a_drain_that_the_program_did_not_order_stays)
{
	begin();
	sim_record(&sim, "w1")->draining = true;
	sim.history[0] = SECOND;
	sim_run_ms(&sim, 14000);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
	ck_assert(sim_record(&sim, "w1")->draining);
}
END_TEST

START_TEST(a_failover_reads_and_registers_again)
{
	with_two_addresses();
	begin();
	ck_ok(discover());
	sim_run_ms(&sim, 10);
	sim.down_one = true;
	sim_remove(&sim, 0); /* ends the long poll, whose answer is of the first address */
	(void)sim_add(&sim, "b");
	(void)sim_add(&sim, "c");
	sim_run_ms(&sim, 1000);
	ck_assert_uint_ge(sim.asked[1], 3);
	ck_assert_str_eq(sim.last_poll, "revision=104.bbbbbbbb&wait_ms=30000");
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
	ck_assert_uint_eq(count(), 2);
}
END_TEST

START_TEST(a_long_poll_at_the_former_address_is_given_up)
{
	with_two_addresses();
	begin();
	ck_ok(discover());
	sim_run_ms(&sim, 10);
	sim.down_one = true; /* the long poll of "web" stays open there */
	unsigned lookups = sim.lookups;
	while (sim_record(&sim, "w1")->puts == 1) /* the next heartbeat goes to the second */
		sim_run_ms(&sim, 1);
	sim_run_ms(&sim, 10);
	ck_assert_uint_eq(sim.lookups, lookups + 2);
	ck_assert_str_eq(sim.last_poll, "revision=101.bbbbbbbb&wait_ms=30000");
	sim.down_one = false;
	sim_run_ms(&sim, 60000);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
}
END_TEST

START_TEST(a_former_address_that_still_answers_changes_nothing)
{
	rollcall_registration *other;

	with_two_addresses();
	begin();
	sim.registry_us = 1500 * SIM_MS;
	options.id = "w2";
	ck_ok(rollcall_register(sim.client, &options, &other));
	sim_run_ms(&sim, 10);
	sim.registry_us = SIM_MS;
	sim.down_one = true;
	ck_ok(discover()); /* of the second address */
	ck_fails(rollcall_registration_wait(other, 100), ETIMEDOUT);
	ck_ok(rollcall_registration_wait(other, 2000)); /* of the first */
	sim_run_ms(&sim, 1100);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
	ck_assert_uint_eq(sim_record(&sim, "w2")->puts, 2);
}
END_TEST

START_TEST(long_polls_are_tried_again_with_another_history)
{
	sim.polls = false;
	ck_ok(discover());
	sim_run_ms(&sim, 1000);
	unsigned before = sim.poll_requests;
	sim_run_ms(&sim, 100000);
	ck_assert_uint_eq(sim.poll_requests, before);
	sim.polls = true;
	sim.history[0] = SECOND;
	sim_run_ms(&sim, 40000);
	ck_assert_uint_gt(sim.poll_requests, before);
}
END_TEST

START_TEST(a_first_record_is_no_second_one)
{
	rollcall_registration *other;

	begin();
	sim.down = true;
	options.id = "w2";
	options.host = NULL;
	ck_ok(rollcall_register(sim.client, &options, &other));
	sim_run_ms(&sim, 5000);
	sim.down = false;
	sim.history[0] = SECOND;
	sim_run_ms(&sim, 20000);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
	ck_assert_uint_eq(sim_record(&sim, "w2")->puts, 1);
	ck_assert_uint_eq(reregistrations(), 1);
}
END_TEST

START_TEST(addresses_of_one_history_are_one_registry)
{
	with_two_addresses();
	sim.history[1] = FIRST;
	begin();
	ck_ok(discover());
	sim_run_ms(&sim, 10);
	sim.down_one = true;
	(void)sim_add(&sim, "b");
	sim_run_ms(&sim, 60000);
	ck_assert_uint_ge(sim.asked[1], 3);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
	ck_assert_uint_eq(sim.refused, 0);
}
END_TEST

START_TEST(an_answer_of_a_failing_registry_has_no_history)
{
	begin();
	ck_ok(discover());
	sim.history[0] = SECOND;
	sim.registry_status = 503;
	sim.revision++;
	sim_run_ms(&sim, 5000);
	sim.history[0] = FIRST;
	sim.registry_status = 0;
	sim_run_ms(&sim, 20000);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
}
END_TEST

START_TEST(registries_that_alternate_behind_one_address_are_not_stormed)
{
	begin();
	options.id = "w2";
	begin();
	ck_ok(discover());
	sim.alternates = true;
	unsigned before = sim.asked[0];
	sim_run_ms(&sim, 60000);
	ck_assert_uint_le(sim.asked[0] - before, 60 * 6);
	ck_ok(discover());
	sim.alternates = false;
	sim_run_ms(&sim, 3000);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
	before = sim.asked[0];
	sim_run_ms(&sim, 60000);
	ck_assert_uint_le(sim.asked[0] - before, 18); /* heartbeats and long polls */
}
END_TEST

START_TEST(one_that_leaves_is_not_registered_again)
{
	begin();
	sim.history[0] = SECOND;
	sim.registry_us = 100 * SIM_MS;
	ck_fails(rollcall_discover_now(sim.client, "web", NULL, &endpoint), EAGAIN);
	sim_run_ms(&sim, 50); /* its answer comes while the deregistration is under way */
	ck_ok(rollcall_deregister(registration, 5000));
	sim_run_ms(&sim, 20000);
	ck_assert(!sim_record(&sim, "w1")->here);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
}
END_TEST

SUITE("client and another history", setup, teardown, long_polls_send_the_history,
      a_registry_without_histories_is_sent_bare_revisions, a_history_that_is_not_16_digits_is_none,
      a_refused_token_is_no_failure_and_the_list_is_read_at_once,
      an_equal_revision_of_another_history_is_not_waited_for,
      instances_of_the_former_history_are_dropped_with_the_first_answer,
      an_empty_list_of_another_history_is_not_taken_for_a_ttl,
      a_heartbeat_accepted_by_another_history_registers_again_at_once,
      a_lookup_that_shows_another_history_registers_all_again,
      long_pauses_end_when_another_history_answers, a_refused_record_is_tried_at_another_registry,
      a_drain_reaches_another_history, a_resume_reaches_another_history,
      a_drain_that_the_program_did_not_order_stays, a_failover_reads_and_registers_again,
      a_long_poll_at_the_former_address_is_given_up,
      a_former_address_that_still_answers_changes_nothing,
      long_polls_are_tried_again_with_another_history, a_first_record_is_no_second_one,
      addresses_of_one_history_are_one_registry, an_answer_of_a_failing_registry_has_no_history,
      registries_that_alternate_behind_one_address_are_not_stormed,
      one_that_leaves_is_not_registered_again)
