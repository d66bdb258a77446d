/* SPDX-License-Identifier: MIT */
/** Leases without a writer: each is due once, whatever happens to it while it is. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "registry/internal.h"
#include "suite.h"

#include <stdlib.h>

#define TTL_MS 10000

static struct registry *registry;
static struct service_life *life;
static struct member member;
static struct tenure *tenure;

static void setup(void)
{
	thread_adopt();
	log_set_level(LOG_ERR);
	clock_virtual_set(1000000000);
	registry = calloc(1, sizeof(*registry));
	ck_assert_ptr_nonnull(registry);
	lock_init(&registry->queue_lock, LOCK_COMMIT_QUEUE);
	lock_cond_init(&registry->queue_filled);
	leases_init(&registry->leases);
	life = calloc(1, sizeof(*life) + 4);
	ck_assert_ptr_nonnull(life);
	tenure = tenure_new(leases_now(&registry->leases), clock_real_ms());
	ck_assert_ptr_nonnull(tenure);
	member = (struct member){
		.value = {.service = {life->name, 3}, .ttl_ms = TTL_MS, .remove_after_ms = 0},
		.lease = &tenure->lease,
	};
	leases_settle(&registry->leases, tenure, &member, NEVER);
}

static void teardown(void)
{
	leases_end(&registry->leases, tenure);
	rcu_drain();
	leases_fini(&registry->leases);
	ck_ok(pthread_cond_destroy(&registry->queue_filled));
	lock_fini(&registry->queue_lock);
	free(registry);
	free(life);
	clock_virtual_off();
	thread_abandon();
}

static void pass(int64_t ms)
{
	for (int64_t passed = 0; passed < ms; passed += SWEEP_MS) {
		clock_virtual_advance(SWEEP_MS);
		sweep(registry);
	}
}

static size_t take_due(void)
{
	struct tenure *due[4];
	size_t count = leases_take_due(&registry->leases, due, ARRAY_LEN(due));

	for (size_t i = 0; i < count; i++)
		ck_assert_ptr_eq(due[i], tenure);
	return count;
}

static int64_t renewed_ms(void)
{
	return atomic_load(&tenure->lease.renewed_ms);
}

START_TEST(a_heartbeat_amid_the_decision_makes_it_due_once_more)
{
	int64_t decided_on = renewed_ms();

	pass(TTL_MS + 200);
	ck_assert_uint_eq(take_due(), 1);
	leases_uncount(tenure);
	tenure_renew(tenure, leases_now(&registry->leases), clock_real_ms());
	member.value.lease_out = true;
	leases_settle(&registry->leases, tenure, &member, decided_on);
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
	leases_settle(&registry->leases, tenure, &member, renewed_ms());
	pass(2 * TTL_MS);
	ck_assert_uint_eq(take_due(), 0);
}
END_TEST

START_TEST(what_is_due_already_is_not_due_twice)
{
	int64_t decided_on = renewed_ms();

	pass(TTL_MS + 200); /* found due */
	tenure_renew(tenure, decided_on + 1, clock_real_ms());
	leases_settle(&registry->leases, tenure, &member, decided_on);
	pass(200); /* found again */
	pass(200);
	ck_assert_uint_eq(take_due(), 1);
	ck_assert_uint_eq(atomic_load(&life->due), 1);
	leases_uncount(tenure);
	ck_assert_uint_eq(atomic_load(&life->due), 0);
}
END_TEST

SUITE("leases", setup, teardown, a_heartbeat_amid_the_decision_makes_it_due_once_more,
      without_a_heartbeat_amid_the_decision_it_is_not, what_is_due_already_is_not_due_twice)
