/* SPDX-License-Identifier: MIT */
/*
 * Leases without a writer: each is due once, whatever happens to it while it is due. The test plays
 * the writer; the clock is virtual.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "registry/leases.h"
#include "suite.h"

#include <stdlib.h>

#define TTL_MS 10000

static struct leases *leases;
static int64_t horizon;
static unsigned found; /* how often the sweeper reported due leases */
static struct service_life *life;
static struct member member;
static struct tenure *tenure;

static void note_found(void *arg)
{
	(void)arg;
	found++;
}

static int64_t horizon_ms(void *arg)
{
	(void)arg;
	return horizon;
}

static void settle(int64_t decided_on_ms)
{
	leases_settle(leases, tenure, &member, decided_on_ms, clock_real_ms());
}

static void setup(void)
{
	struct leases_options options = {
		.sweep_by_hand = true, .horizon_ms = horizon_ms, .found = note_found};

	thread_adopt();
	log_set_level(LOG_ERR);
	clock_virtual_set(1000000000);
	found = 0;
	horizon = NEVER;
	ck_ok(leases_open(&options, &leases));
	life = calloc(1, sizeof(*life) + 4);
	ck_assert_ptr_nonnull(life);
	tenure = tenure_new(leases_now(leases), clock_real_ms());
	ck_assert_ptr_nonnull(tenure);
	member = (struct member){
		.value = {.service = {life->name, 3}, .ttl_ms = TTL_MS, .remove_after_ms = 0},
		.lease = tenure_lease(tenure),
	};
	settle(NEVER);
}

static void teardown(void)
{
	leases_end(leases, tenure);
	rcu_drain();
	leases_close(leases);
	free(life);
	clock_virtual_off();
	thread_abandon();
}

static void pass(int64_t ms)
{
	for (int64_t passed = 0; passed < ms; passed += SWEEP_MS) {
		clock_virtual_advance(SWEEP_MS);
		leases_sweep(leases);
	}
}

static size_t take_due(void)
{
	struct due_lease due[4];
	size_t count = leases_take_due(leases, due, ARRAY_LEN(due));

	for (size_t i = 0; i < count; i++) {
		ck_assert_ptr_eq(due[i].tenure, tenure);
		ck_assert_ptr_eq(due[i].member, &member);
	}
	return count;
}

static int64_t renewed_ms(void)
{
	return atomic_load(&member.lease->renewed_ms);
}

static unsigned due_count(void)
{
	return atomic_load(&life->due);
}

START_TEST(a_heartbeat_amid_the_decision_makes_it_due_once_more)
{
	int64_t decided_on = renewed_ms();

	pass(TTL_MS + 200);
	ck_assert_uint_eq(take_due(), 1);
	leases_renew(leases, member.lease);
	member.value.lease_out = true;
	settle(decided_on);
	pass(200);
	ck_assert_uint_eq(take_due(), 1);
	pass(200);
	ck_assert_uint_eq(take_due(), 0);
}
END_TEST

START_TEST(without_a_heartbeat_amid_the_decision_it_is_not)
{
	pass(TTL_MS + 200);
	ck_assert_uint_eq(take_due(), 1);
	member.value.lease_out = true;
	settle(renewed_ms());
	pass(2 * TTL_MS);
	ck_assert_uint_eq(take_due(), 0);
}
END_TEST

START_TEST(what_is_due_already_is_not_due_twice)
{
	pass(TTL_MS + 200); /* found due */
	settle(NEVER);
	pass(200); /* found again */
	pass(200);
	ck_assert_uint_eq(take_due(), 1);
	ck_assert_uint_eq(due_count(), 1);
	leases_postpone(leases, tenure, 0);
	ck_assert_uint_eq(due_count(), 0);
}
END_TEST

START_TEST(what_is_taken_counts_as_due_until_it_is_given_back)
{
	pass(TTL_MS + 200);
	ck_assert_uint_gt(found, 0);
	ck_assert_uint_eq(take_due(), 1);
	ck_assert_uint_eq(due_count(), 1);
	member.value.lease_out = true;
	settle(renewed_ms());
	ck_assert_uint_eq(due_count(), 0);
}
END_TEST

START_TEST(what_ends_while_it_is_taken_does_not_count_any_more)
{
	pass(TTL_MS + 200);
	ck_assert_uint_eq(take_due(), 1);
	leases_end(leases, tenure);
	ck_assert_uint_eq(due_count(), 0);
	pass(2 * TTL_MS);
	ck_assert_uint_eq(take_due(), 0);
	tenure = tenure_new(leases_now(leases), clock_real_ms()); /* for teardown() */
	ck_assert_ptr_nonnull(tenure);
	member.lease = tenure_lease(tenure);
	settle(NEVER);
}
END_TEST

START_TEST(what_is_postponed_is_due_again_then_and_not_before)
{
	pass(TTL_MS + 200);
	ck_assert_uint_eq(take_due(), 1);
	leases_postpone(leases, tenure, leases_now(leases) + 1000);
	pass(900);
	ck_assert_uint_eq(take_due(), 0);
	pass(300);
	ck_assert_uint_eq(take_due(), 1);
}
END_TEST

START_TEST(nothing_is_due_beyond_the_horizon)
{
	horizon = leases_now(leases) + TTL_MS / 2;
	pass(2 * TTL_MS);
	ck_assert_uint_eq(take_due(), 0);
	horizon = renewed_ms() + TTL_MS;
	pass(200);
	ck_assert_uint_eq(take_due(), 1);
}
END_TEST

START_TEST(without_a_ttl_it_is_not_due_any_more)
{
	pass(TTL_MS + 200); /* found due */
	member.value.ttl_ms = 0;
	settle(NEVER);
	ck_assert_uint_eq(take_due(), 0);
	ck_assert_uint_eq(due_count(), 0);
	pass(2 * TTL_MS);
	ck_assert_uint_eq(take_due(), 0);
}
END_TEST

START_TEST(without_a_ttl_it_is_due_for_the_end_of_a_drain_and_does_not_count)
{
	member.value.ttl_ms = 0;
	member.value.drained = true;
	member.value.drained_until_ms = clock_real_ms() + 1000;
	settle(NEVER);
	pass(800);
	ck_assert_uint_eq(take_due(), 0);
	pass(400);
	ck_assert_uint_eq(due_count(), 0);
	ck_assert_uint_eq(take_due(), 1);
}
END_TEST

SUITE("leases", setup, teardown, a_heartbeat_amid_the_decision_makes_it_due_once_more,
      without_a_heartbeat_amid_the_decision_it_is_not, what_is_due_already_is_not_due_twice,
      what_is_taken_counts_as_due_until_it_is_given_back,
      what_ends_while_it_is_taken_does_not_count_any_more,
      what_is_postponed_is_due_again_then_and_not_before, nothing_is_due_beyond_the_horizon,
      without_a_ttl_it_is_not_due_any_more,
      without_a_ttl_it_is_due_for_the_end_of_a_drain_and_does_not_count)
