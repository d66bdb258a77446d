/* SPDX-License-Identifier: MIT */
/* Registrations in virtual time. */
#include "sim.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct sim sim;
static rollcall_registration_options options;
static rollcall_registration *registration;
static char id[ROLLCALL_ID_MAX + 1];

static void setup(void)
{
	sim_open(&sim, 11);
	rollcall_registration_options_init(&options);
	options.service = "web";
	options.id = "w1";
	options.host = "10.1.1.1";
	options.port = 8080;
	registration = NULL;
}

static void teardown(void)
{
	sim_close(&sim);
}

static void begin(void)
{
	ck_ok(rollcall_register(sim.client, &options, &registration));
	ck_ok(rollcall_registration_wait(registration, 5000));
}

START_TEST(the_record_is_put_as_given)
{
	const rollcall_pair metadata[] = {{"version", "1.4"}, {"quote", "a\"b\\c\n"}};

	options.metadata = metadata;
	options.metadata_count = 2;
	options.weight = 7;
	options.remove_after_ms = 0;
	begin();
	ck_assert_str_eq(sim_record(&sim, "w1")->body,
	                 "{\"host\":\"10.1.1.1\",\"port\":8080,\"weight\":7,\"ttl_ms\":30000,"
	                 "\"remove_after_ms\":0,\"metadata\":{\"version\":\"1.4\","
	                 "\"quote\":\"a\\\"b\\\\c\\u000a\"}}");
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(untold_host_and_id_come_from_the_connection)
{
	options.host = NULL;
	options.id = NULL;
	begin();
	ck_ok(rollcall_registration_id(registration, id, sizeof(id)));
	ck_assert_int_eq(strncmp(id, "192.0.2.9:8080:", 15), 0);
	ck_assert_uint_eq(strlen(id), 15 + 8);
	ck_fails(rollcall_registration_id(registration, id, 10), EMSGSIZE);
}
END_TEST

START_TEST(heartbeats_come_every_third_of_the_ttl)
{
	begin();
	sim_run_ms(&sim, 300000);
	ck_assert_uint_ge(sim_record(&sim, "w1")->heartbeats, 29);
	ck_assert_uint_le(sim_record(&sim, "w1")->heartbeats, 31);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
}
END_TEST

START_TEST(no_pause_between_heartbeats_nears_the_ttl)
{
	begin();
	for (int ms = 0; ms < 600000; ms += 100) {
		sim_run_ms(&sim, 100);
		ck_assert_int_lt(sim.now_us - sim_record(&sim, "w1")->last_us, 16 * SIM_S);
	}
}
END_TEST

START_TEST(a_registry_that_forgot_is_told_again)
{
	begin();
	sim_record(&sim, "w1")->here = false;
	sim_run_ms(&sim, 14000);
	ck_assert(sim_record(&sim, "w1")->here);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(it_never_gives_up_on_a_registry_that_is_down)
{
	sim.down = true;
	ck_ok(rollcall_register(sim.client, &options, &registration));
	ck_fails(rollcall_registration_wait(registration, 3600000), ETIMEDOUT);
	ck_assert_uint_ge(sim.asked[0], 200); /* an hour with 15 s per request, and some spare */
	ck_assert_uint_le(sim.asked[0], 500);
	sim.down = false;
	ck_ok(rollcall_registration_wait(registration, 16000));
}
END_TEST

START_TEST(another_address_is_tried_when_one_fails)
{
	sim_close(&sim);
	sim_init(&sim, 3);
	sim.options.registry = "http://registry1:7655, registry2:7655/";
	sim.down_one = true;
	sim_start(&sim);
	int64_t began = sim.now_us;
	begin();
	ck_assert_int_le(sim.now_us - began, 10 * SIM_MS);
	ck_assert_uint_eq(sim.asked[0], 1);
	sim_run_ms(&sim, 100000);
	ck_assert_uint_eq(sim.asked[0], 1); /* the client keeps the address that answers */
}
END_TEST

START_TEST(a_refused_record_is_reported_and_tried_seldom)
{
	sim.registry_status = 422;
	ck_ok(rollcall_register(sim.client, &options, &registration));
	ck_fails(rollcall_registration_wait(registration, 5000), EPERM);
	sim_run_ms(&sim, 60000);
	ck_assert_uint_le(sim.asked[0], 10);
	sim.registry_status = 0;
	sim_run_ms(&sim, 16000);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
	sim.registry_status = 403;
	sim_run_ms(&sim, 12000);
	ck_fails(rollcall_registration_wait(registration, 5000), EACCES);
}
END_TEST

START_TEST(retry_after_is_honoured)
{
	sim.registry_status = 503;
	(void)snprintf(sim.registry_head, sizeof(sim.registry_head), "Retry-After: 30\r\n");
	ck_ok(rollcall_register(sim.client, &options, &registration));
	sim_run_ms(&sim, 29000);
	ck_assert_uint_eq(sim.asked[0], 1);
}
END_TEST

START_TEST(retry_after_of_one_address_is_not_taken_for_another_s)
{
	sim_close(&sim);
	sim_init(&sim, 3);
	sim.options.registry = "http://registry2:7655,http://registry1:7655";
	sim.down_one = true;
	sim.registry_status = 503;
	(void)snprintf(sim.registry_head, sizeof(sim.registry_head), "Retry-After: 30\r\n");
	sim_start(&sim);
	ck_ok(rollcall_register(sim.client, &options, &registration));
	sim_run_ms(&sim, 100); /* the second address, the last one tried, does not answer */
	ck_assert_uint_eq(sim.asked[1], 1);
	ck_assert_uint_eq(sim.asked[0], 1);
	sim_run_ms(&sim, 5000);
	ck_assert_uint_ge(sim.asked[1], 2);
}
END_TEST

START_TEST(draining_is_told_and_survives_a_registry_that_forgot)
{
	begin();
	ck_ok(rollcall_drain(registration, 1000));
	ck_assert(sim_record(&sim, "w1")->draining);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_DRAINING);
	sim_record(&sim, "w1")->here = false;
	sim_record(&sim, "w1")->draining = false;
	sim_run_ms(&sim, 14000);
	ck_assert(sim_record(&sim, "w1")->here);
	ck_assert(sim_record(&sim, "w1")->draining);
	ck_ok(rollcall_resume(registration, 1000));
	ck_assert(!sim_record(&sim, "w1")->draining);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(a_drain_ordered_by_an_operator_is_seen)
{
	begin();
	sim_record(&sim, "w1")->draining = true;
	sim_run_ms(&sim, 14000);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_DRAINING);
}
END_TEST

START_TEST(heartbeats_carry_the_load)
{
	begin();
	ck_fails(rollcall_registration_set_load(registration, 1.5), EINVAL);
	ck_ok(rollcall_registration_set_load(registration, 0.25));
	sim_run_ms(&sim, 14000);
	ck_assert_str_eq(sim_record(&sim, "w1")->body, "{\"load\":0.2500}");
}
END_TEST

START_TEST(deregistering_takes_it_out_within_its_deadline)
{
	begin();
	ck_ok(rollcall_deregister(registration, 1000));
	ck_assert(!sim_record(&sim, "w1")->here);
	begin();
	sim.down = true;
	int64_t began = sim.now_us;
	ck_fails(rollcall_deregister(registration, 2000), ETIMEDOUT);
	ck_assert_int_le(sim.now_us - began, 2000 * SIM_MS);
	sim.down = false;
	ck_ok(rollcall_register(sim.client, &options, &registration));
	ck_ok(rollcall_deregister(registration, 1000)); /* before anything was sent */
}
END_TEST

static rollcall_state states[16];
static int state_count;

static void on_state(rollcall_registration *r, rollcall_state state, void *arg)
{
	ck_assert_ptr_eq(r, registration);
	ck_assert_ptr_eq(arg, &sim);
	states[state_count++ % 16] = state;
}

START_TEST(the_callback_hears_of_each_state)
{
	state_count = 0;
	options.on_state = on_state;
	options.arg = &sim;
	begin();
	ck_ok(rollcall_drain(registration, 1000));
	sim_run_ms(&sim, 10);
	ck_assert_int_eq(state_count, 2);
	ck_assert_int_eq(states[0], ROLLCALL_REGISTERED);
	ck_assert_int_eq(states[1], ROLLCALL_DRAINING);
}
END_TEST

static void deregister_at_once(rollcall_registration *r, rollcall_state state, void *arg)
{
	(void)state;
	(void)arg;
	registration = NULL;
	ck_ok(rollcall_deregister(r, 1000));
}

START_TEST(a_callback_may_deregister_its_own)
{
	options.on_state = deregister_at_once;
	ck_ok(rollcall_register(sim.client, &options, &registration));
	sim_run_ms(&sim, 1000);
	ck_assert_ptr_null(registration);
	ck_assert(!sim_record(&sim, "w1")->here);
}
END_TEST

static void expect_state(rollcall_state state)
{
	ck_assert_int_eq(rollcall_registration_state(registration), state);
}

START_TEST(a_lease_that_nobody_confirms_is_reported_after_its_ttl)
{
	state_count = 0;
	options.on_state = on_state;
	options.arg = &sim;
	sim.registry_us = 1500 * SIM_MS; /* the lease begins when the registry has the request */
	begin();
	sim_run_ms(&sim, 100000); /* heartbeats keep the state */
	ck_assert_int_eq(state_count, 1);
	sim.down = true;
	int64_t confirmed_us = sim_record(&sim, "w1")->last_us;
	while (state_count == 1)
		sim_run_ms(&sim, 100);
	ck_assert_int_eq(states[1], ROLLCALL_UNCONFIRMED);
	expect_state(ROLLCALL_UNCONFIRMED);
	ck_assert_int_ge(sim.now_us - confirmed_us, 29999 * SIM_MS);
	ck_assert_int_le(sim.now_us - confirmed_us, 30200 * SIM_MS);
	sim_run_ms(&sim, 600000);
	ck_assert_int_eq(state_count, 2); /* once, not each TTL */

	sim.down = false;
	ck_ok(rollcall_registration_wait(registration, 16000));
	sim_run_ms(&sim, 10);
	ck_assert_int_eq(states[2], ROLLCALL_REGISTERED);
	expect_state(ROLLCALL_REGISTERED);
	sim_run_ms(&sim, 100000);
	ck_assert_int_eq(state_count, 3);
}
END_TEST

START_TEST(answers_that_do_not_renew_the_lease_do_not_confirm_it)
{
	begin();
	sim.registry_status = 503;
	sim_run_ms(&sim, 29000);
	expect_state(ROLLCALL_REGISTERED);
	sim_run_ms(&sim, 11000);
	expect_state(ROLLCALL_UNCONFIRMED);
	ck_fails(rollcall_registration_wait(registration, 1000), ETIMEDOUT);
	sim.registry_status = 0;
	ck_ok(rollcall_registration_wait(registration, 16000));
	expect_state(ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(the_time_in_which_the_process_is_stopped_counts)
{
	begin();
	sim_pass_ms(&sim, 31000);
	expect_state(ROLLCALL_UNCONFIRMED); /* before the client has run again */
	sim_record(&sim, "w1")->here = false;
	sim_run_ms(&sim, 100);
	expect_state(ROLLCALL_REGISTERED);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 2);
}
END_TEST

START_TEST(an_unconfirmed_one_can_drain_and_a_draining_one_can_be_unconfirmed)
{
	begin();
	sim.down = true;
	sim_run_ms(&sim, 40000);
	ck_fails(rollcall_drain(registration, 1000), ETIMEDOUT);
	expect_state(ROLLCALL_UNCONFIRMED);
	sim.down = false;
	sim_run_ms(&sim, 16000); /* sent when the registry answers again */
	expect_state(ROLLCALL_DRAINING);
	ck_assert(sim_record(&sim, "w1")->draining);
	sim.down = true;
	sim_run_ms(&sim, 40000);
	expect_state(ROLLCALL_UNCONFIRMED);
	sim.down = false;
	sim_run_ms(&sim, 16000);
	expect_state(ROLLCALL_DRAINING);
}
END_TEST

START_TEST(what_is_not_registered_is_not_unconfirmed)
{
	begin();
	sim.registry_status = 403;
	sim_run_ms(&sim, 12000);
	expect_state(ROLLCALL_REFUSED);
	sim_run_ms(&sim, 60000);
	expect_state(ROLLCALL_REFUSED);
	sim.registry_status = 0;
	sim_run_ms(&sim, 16000);
	expect_state(ROLLCALL_REGISTERED);
	sim.registry_status = 404;
	sim_run_ms(&sim, 12000);
	expect_state(ROLLCALL_PENDING);
	sim_run_ms(&sim, 60000);
	expect_state(ROLLCALL_PENDING);
}
END_TEST

START_TEST(a_drain_is_a_heartbeat_which_renews_the_lease)
{
	begin();
	sim.down = true;
	sim_run_ms(&sim, 40000);
	expect_state(ROLLCALL_UNCONFIRMED);
	sim.down = false;
	unsigned before = sim_record(&sim, "w1")->heartbeats;
	ck_ok(rollcall_drain(registration, 1000));
	ck_assert_uint_eq(sim_record(&sim, "w1")->heartbeats, before + 1);
	expect_state(ROLLCALL_DRAINING);
	int64_t confirmed_us = sim.now_us;
	sim.down = true;
	while (sim.now_us - confirmed_us < 29 * SIM_S)
		sim_run_ms(&sim, 100);
	expect_state(ROLLCALL_DRAINING);
}
END_TEST

START_TEST(a_heartbeat_under_way_does_not_confirm_a_resume)
{
	begin();
	sim_record(&sim, "w1")->draining = true; /* by an earlier process of this id */
	sim.registry_us = 100 * SIM_MS;
	while (sim_record(&sim, "w1")->heartbeats == 0)
		sim_run_ms(&sim, 1);
	ck_ok(rollcall_resume(registration, 1000));
	ck_assert(!sim_record(&sim, "w1")->draining);
	expect_state(ROLLCALL_REGISTERED);
}
END_TEST

START_TEST(a_drain_carries_the_load)
{
	begin();
	ck_ok(rollcall_registration_set_load(registration, 0.5));
	ck_ok(rollcall_drain(registration, 1000));
	ck_assert_str_eq(sim_record(&sim, "w1")->body, "{\"load\":0.5000,\"status\":\"draining\"}");
	ck_ok(rollcall_resume(registration, 1000));
	ck_assert_str_eq(sim_record(&sim, "w1")->body, "{\"load\":0.5000,\"status\":\"healthy\"}");
}
END_TEST

START_TEST(what_is_wanted_last_is_what_the_registry_hears)
{
	begin();
	ck_fails(rollcall_drain(registration, 0), ETIMEDOUT);
	ck_ok(rollcall_process(sim.client)); /* sends the status */
	ck_ok(rollcall_resume(registration, 1000));
	ck_assert(!sim_record(&sim, "w1")->draining);
	expect_state(ROLLCALL_REGISTERED);

	sim_record(&sim, "w1")->here = false;
	sim_record(&sim, "w1")->draining = false;
	unsigned before = sim.asked[0];
	ck_fails(rollcall_drain(registration, 0), ETIMEDOUT);
	while (sim.asked[0] < before + 2) /* the status, answered with 404, then the record */
	{
		ck_ok(rollcall_process(sim.client));
		sim_pass_ms(&sim, 1);
	}
	ck_ok(rollcall_resume(registration, 1000));
	ck_assert(!sim_record(&sim, "w1")->draining);
	expect_state(ROLLCALL_REGISTERED);
}
END_TEST

static void without_a_lease(void)
{
	options.ttl_ms = 0;
	state_count = 0;
	options.on_state = on_state;
	options.arg = &sim;
	begin();
}

START_TEST(without_a_lease_heartbeats_come_every_10_s)
{
	without_a_lease();
	ck_assert_str_eq(sim_record(&sim, "w1")->body,
	                 "{\"host\":\"10.1.1.1\",\"port\":8080,\"weight\":100,\"ttl_ms\":0,"
	                 "\"metadata\":{}}");
	sim_run_ms(&sim, 300000);
	ck_assert_uint_ge(sim_record(&sim, "w1")->heartbeats, 29);
	ck_assert_uint_le(sim_record(&sim, "w1")->heartbeats, 31);
	ck_assert_uint_eq(sim_record(&sim, "w1")->puts, 1);
}
END_TEST

START_TEST(without_a_lease_nothing_expires)
{
	without_a_lease();
	sim.down = true;
	sim_run_ms(&sim, 172800000);
	expect_state(ROLLCALL_REGISTERED);
	ck_assert_int_eq(state_count, 1);
	sim_pass_ms(&sim, 172800000);
	expect_state(ROLLCALL_REGISTERED);
	sim.down = false;
	ck_ok(rollcall_drain(registration, 30000));
	sim.down = true;
	sim_run_ms(&sim, 100000);
	expect_state(ROLLCALL_DRAINING);
}
END_TEST

START_TEST(without_a_lease_it_comes_back_to_a_registry_that_forgot)
{
	without_a_lease();
	sim_record(&sim, "w1")->here = false;
	sim_run_ms(&sim, 14000);
	ck_assert(sim_record(&sim, "w1")->here);
	ck_ok(rollcall_deregister(registration, 1000));
	ck_assert(!sim_record(&sim, "w1")->here);
}
END_TEST

START_TEST(without_a_lease_the_interval_is_free)
{
	options.interval_ms = 86400001;
	options.ttl_ms = 0;
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	options.interval_ms = 86400000;
	without_a_lease();
	sim_run_ms(&sim, 40000000); /* the first one comes after half an interval */
	ck_assert_uint_eq(sim_record(&sim, "w1")->heartbeats, 0);
	sim_run_ms(&sim, 100000000);
	ck_assert_uint_ge(sim_record(&sim, "w1")->heartbeats, 1);
	ck_assert_uint_le(sim_record(&sim, "w1")->heartbeats, 2);
}
END_TEST

START_TEST(a_lease_has_bounds)
{
	static const uint32_t bad[] = {1, 999, 86400001, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		options.ttl_ms = bad[i];
		ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	}
}
END_TEST

START_TEST(a_thousand_heartbeats_are_spread_over_the_interval)
{
	static rollcall_registration *all[1000];
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "w%d", i);
		options.id = id;
		ck_ok(rollcall_register(sim.client, &options, &all[i]));
	}
	sim_run_ms(&sim, 2000);
	sim_run_ms(&sim, 10000);
	for (int second = 0; second < 60; second++) {
		uint64_t before = sim.seen_heartbeats;

		sim_run_ms(&sim, 1000);
		uint64_t count = sim.seen_heartbeats - before;
		least = count < least ? count : least;
		most = count > most ? count : most;
	}
	ck_assert_uint_ge(least, 70); /* 100 per second would be perfectly even */
	ck_assert_uint_le(most, 130);
}
END_TEST

START_TEST(impossible_records_are_refused_at_once)
{
	options.port = 0;
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	options.port = 65536;
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	options.port = 1;
	options.service = "-web";
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	options.service = "web";
	options.id = "a b";
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	options.id = "a";
	options.interval_ms = 30000;
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
	options.interval_ms = 0;
	options.size = 4;
	ck_fails(rollcall_register(sim.client, &options, &registration), EINVAL);
}
END_TEST

START_TEST(closing_deregisters_all)
{
	rollcall_registration *other;

	begin();
	options.id = "w2";
	ck_ok(rollcall_register(sim.client, &options, &other));
	ck_ok(rollcall_registration_wait(other, 1000));
	ck_ok(rollcall_close(sim.client, 1000));
	ck_assert(!sim_record(&sim, "w1")->here);
	ck_assert(!sim_record(&sim, "w2")->here);
	sim_start(&sim);
}
END_TEST

SUITE("client registration", setup, teardown, the_record_is_put_as_given,
      untold_host_and_id_come_from_the_connection, heartbeats_come_every_third_of_the_ttl,
      no_pause_between_heartbeats_nears_the_ttl, a_registry_that_forgot_is_told_again,
      it_never_gives_up_on_a_registry_that_is_down, another_address_is_tried_when_one_fails,
      a_refused_record_is_reported_and_tried_seldom, retry_after_is_honoured,
      retry_after_of_one_address_is_not_taken_for_another_s,
      draining_is_told_and_survives_a_registry_that_forgot, a_drain_ordered_by_an_operator_is_seen,
      heartbeats_carry_the_load, deregistering_takes_it_out_within_its_deadline,
      the_callback_hears_of_each_state, a_callback_may_deregister_its_own,
      a_lease_that_nobody_confirms_is_reported_after_its_ttl,
      answers_that_do_not_renew_the_lease_do_not_confirm_it,
      the_time_in_which_the_process_is_stopped_counts,
      an_unconfirmed_one_can_drain_and_a_draining_one_can_be_unconfirmed,
      what_is_not_registered_is_not_unconfirmed, a_drain_is_a_heartbeat_which_renews_the_lease,
      a_drain_carries_the_load, a_heartbeat_under_way_does_not_confirm_a_resume,
      what_is_wanted_last_is_what_the_registry_hears, without_a_lease_heartbeats_come_every_10_s,
      without_a_lease_nothing_expires, without_a_lease_it_comes_back_to_a_registry_that_forgot,
      without_a_lease_the_interval_is_free, a_lease_has_bounds,
      a_thousand_heartbeats_are_spread_over_the_interval, impossible_records_are_refused_at_once,
      closing_deregisters_all)
