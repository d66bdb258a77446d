/* SPDX-License-Identifier: MIT */
/* Backoff, retry budget, bulkhead, rate limit, throttle and ejection, each without the others. */
#include "lib/base/util.h"
#include "lib/policy/backoff.h"
#include "lib/policy/budget.h"
#include "lib/policy/bulkhead.h"
#include "lib/policy/health.h"
#include "lib/policy/limiter.h"
#include "suite.h"

#include <math.h>
#include <string.h>

#define MS 1000
#define S  1000000

static rollcall_policy policy;
static uint64_t state;
static int64_t now;

static uint64_t seeded(void *arg)
{
	(void)arg;
	return random_step(&state);
}

static int64_t clock_us(void *arg)
{
	(void)arg;
	return now;
}

static const struct env env = {clock_us, seeded, NULL};

static void setup(void)
{
	rollcall_policy_default(&policy);
	state = 7;
	now = S;
}

/* --- backoff -------------------------------------------------------------------------------- */

/* Checks the mean of many pauses, and by chi square that ten equal parts of the range are equally
 * likely. */
static void is_uniform(const struct backoff *rule, unsigned n, int64_t least, int64_t most)
{
	enum { DRAWS = 20000 };
	int parts[10] = {0};
	double sum = 0;
	double chi = 0;

	for (int i = 0; i < DRAWS; i++) {
		int64_t pause = backoff_us(rule, n, 0, &env);

		ck_assert_int_ge(pause, least);
		ck_assert_int_le(pause, most);
		parts[min_i64(9, (pause - least) * 10 / (most - least))]++;
		sum += (double)pause;
	}
	for (int i = 0; i < 10; i++)
		chi += pow(parts[i] - DRAWS / 10.0, 2) / (DRAWS / 10.0);
	ck_assert_double_lt(chi, 27.9); /* p = 0.001 with 9 degrees of freedom */
	ck_assert_double_eq_tol(sum / DRAWS, (double)(least + most) / 2,
	                        (double)(most - least) / 100);
}

START_TEST(each_jitter_is_uniform_in_its_range)
{
	struct backoff rule = {.base_ms = 1000, .max_ms = 60000, .jitter = ROLLCALL_J_CLASSIC};

	is_uniform(&rule, 0, 500 * MS, 1500 * MS);
	is_uniform(&rule, 3, 4 * S, 12 * S);
	is_uniform(&rule, 10, 30 * S, 90 * S); /* up to 1.5 times the cap, as published */
	rule.jitter = ROLLCALL_J_FULL;
	is_uniform(&rule, 1, 0, 2 * S);
	rule.jitter = ROLLCALL_J_EQUAL;
	is_uniform(&rule, 2, 2 * S, 4 * S);
	rule.jitter = ROLLCALL_J_DECORR;
	is_uniform(&rule, 5, 1 * S, 3 * S);
}
END_TEST

START_TEST(pauses_double_up_to_the_cap)
{
	struct backoff rule = {.base_ms = 50, .max_ms = 2000, .jitter = ROLLCALL_J_NONE};
	static const int64_t want[] = {50, 100, 200, 400, 800, 1600, 2000, 2000};

	for (unsigned n = 0; n < ARRAY_LEN(want); n++)
		ck_assert_int_eq(backoff_us(&rule, n, 0, &env), want[n] * MS);
	ck_assert_int_eq(backoff_us(&rule, 4000000000U, 0, &env), 2 * S);
	rule.jitter = ROLLCALL_J_CLASSIC;
	rule.recap = true;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_le(backoff_us(&rule, 20, 0, &env), 2 * S);
}
END_TEST

START_TEST(decorrelated_jitter_grows_from_the_pause_before)
{
	struct backoff rule = {.base_ms = 100, .max_ms = 1000, .jitter = ROLLCALL_J_DECORR};
	int64_t pause = 0;

	for (int i = 0; i < 1000; i++) {
		int64_t most = max_i64(3 * max_i64(pause, 100 * MS), 300 * MS);

		pause = backoff_us(&rule, 0, pause, &env);
		ck_assert_int_ge(pause, 100 * MS);
		ck_assert_int_le(pause, min_i64(most, 1000 * MS));
	}
}
END_TEST

/* --- budget --------------------------------------------------------------------------------- */

START_TEST(the_budget_is_a_share_and_a_floor_over_ten_seconds)
{
	struct budget budget;
	int allowed = 0;

	budget_init(&budget);
	for (int i = 0; i < 1000; i++)
		budget_request(&budget, S);
	for (int i = 0; i < 1000; i++)
		allowed += budget_retry(&budget, 0.2, 3, 2 * S);
	ck_assert_int_eq(allowed, 230);
	ck_assert(!budget_has(&budget, 0.2, 3, 10 * S));
	/* The requests have left the window, the retries have not. */
	ck_assert(!budget_has(&budget, 0.2, 3, 11 * S));
	ck_assert(budget_has(&budget, 0.2, 3, 12 * S));
	ck_assert(budget_retry(&budget, -1, 0, 2 * S)); /* no budget */
}
END_TEST

/* --- bulkhead ------------------------------------------------------------------------------- */

struct guest {
	struct bulkhead_waiter waiter;
	int order;
};

static int order;

static void granted(struct bulkhead_waiter *waiter)
{
	container_of(waiter, struct guest, waiter)->order = ++order;
}

START_TEST(the_queue_is_served_in_order_and_can_be_left)
{
	struct bulkhead bulkhead = {0};
	struct guest guests[4] = {0};

	order = 0;
	policy.bulkhead.max_inflight = 1;
	policy.bulkhead.max_queue = 3;
	for (int i = 0; i < 4; i++)
		guests[i].waiter.grant = granted;
	ck_assert_int_eq(bulkhead_enter(&bulkhead, &policy, &guests[0].waiter), BULKHEAD_ENTERED);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(bulkhead_enter(&bulkhead, &policy, &guests[i].waiter),
		                 BULKHEAD_QUEUED);
	ck_assert_int_eq(bulkhead_enter(&bulkhead, &policy, &guests[3].waiter), BULKHEAD_REJECTED);
	bulkhead_abandon(&bulkhead, &guests[1].waiter);
	bulkhead_leave(&bulkhead, &policy, BULKHEAD_OK, 1);
	ck_assert_int_eq(guests[0].order, 1);
	ck_assert_int_eq(guests[2].order, 0);
	bulkhead_leave(&bulkhead, &policy, BULKHEAD_OK, 1);
	ck_assert_int_eq(guests[2].order, 2);
	bulkhead_leave(&bulkhead, &policy, BULKHEAD_OK, 1);
	ck_assert_uint_eq(bulkhead.inflight, 0);
	ck_assert_ptr_null(bulkhead.first);
	ck_assert_ptr_null(bulkhead.last);
}
END_TEST

static uint32_t settle(struct bulkhead *bulkhead, int64_t latency, bool drop, int rounds)
{
	struct guest guest = {.waiter = {.grant = granted}};

	policy.bulkhead.max_queue = 0;
	for (int i = 0; i < rounds; i++) {
		uint32_t entered = 0;

		while (bulkhead_enter(bulkhead, &policy, &guest.waiter) == BULKHEAD_ENTERED)
			entered++;
		while (entered-- > 0)
			bulkhead_leave(bulkhead, &policy, drop ? BULKHEAD_DROP : BULKHEAD_OK,
			               latency);
	}
	return bulkhead_limit(bulkhead, &policy);
}

START_TEST(aimd_grows_while_used_and_falls_on_drops)
{
	struct bulkhead bulkhead = {0};

	policy.bulkhead.max_inflight = 10;
	policy.bulkhead.limit = ROLLCALL_L_AIMD;
	policy.bulkhead.lim_max = 50;
	ck_assert_uint_eq(settle(&bulkhead, 1000, false, 100), 50);
	ck_assert_uint_lt(settle(&bulkhead, 1000, true, 1), 10);
	ck_assert_uint_eq(settle(&bulkhead, 1000, true, 20), 1);
}
END_TEST

/* concurrency-limits#137, #176: timeouts are drops, although their latency does not grow */
START_TEST(gradient2_falls_when_everything_times_out_alike)
{
	struct bulkhead bulkhead = {0};

	policy.bulkhead.max_inflight = 20;
	policy.bulkhead.limit = ROLLCALL_L_GRADIENT2;
	policy.bulkhead.lim_max = 100;
	(void)settle(&bulkhead, 3 * S, false, 5);
	ck_assert_uint_eq(settle(&bulkhead, 3 * S, true, 50), 1);
}
END_TEST

/* concurrency-limits#134 */
START_TEST(gradient2_does_not_creep_up_under_mild_overload)
{
	struct bulkhead bulkhead = {0};

	policy.bulkhead.max_inflight = 20;
	policy.bulkhead.limit = ROLLCALL_L_GRADIENT2;
	policy.bulkhead.lim_max = 1000;
	(void)settle(&bulkhead, 1000, false, 1);
	uint32_t before = bulkhead_limit(&bulkhead, &policy);
	(void)settle(&bulkhead, 2000, false, 3); /* twice as slow: gradient below 1 */
	ck_assert_uint_le(bulkhead_limit(&bulkhead, &policy), before);
}
END_TEST

/* --- rate, throttle ------------------------------------------------------------------------- */

START_TEST(the_rate_is_kept_and_the_burst_is_bounded)
{
	struct rate_limit limit = {0};
	int taken = 0;

	for (int ms = 0; ms < 10000; ms++)
		for (int i = 0; i < 3; i++)
			taken += rate_limit_take(&limit, 100, 20, ms * MS);
	ck_assert_int_ge(taken, 1018);
	ck_assert_int_le(taken, 1020);
	ck_assert(rate_limit_take(&limit, 0, 0, 0));
}
END_TEST

START_TEST(the_throttle_follows_its_formula_and_forgets)
{
	struct throttle throttle;

	throttle_init(&throttle, 120000);
	for (int i = 0; i < 100; i++)
		throttle_sent(&throttle, S);
	for (int i = 0; i < 20; i++)
		throttle_accepted(&throttle, S);
	ck_assert_double_eq_tol(throttle_probability(&throttle, 2, S), 60.0 / 101, 1e-9);
	for (int i = 0; i < 30; i++)
		throttle_accepted(&throttle, S);
	ck_assert_double_eq(throttle_probability(&throttle, 2, S), 0);
	ck_assert_double_eq(throttle_probability(&throttle, 2, 200 * S), 0);
}
END_TEST

/* --- health --------------------------------------------------------------------------------- */

static struct health hosts[20];
static struct health *host_list[20];
static struct ejector ejector;

static struct health_set hosts_of(size_t count)
{
	memset(hosts, 0, sizeof(hosts));
	memset(&ejector, 0, sizeof(ejector));
	for (size_t i = 0; i < 20; i++)
		host_list[i] = &hosts[i];
	return (struct health_set){host_list, count};
}

static void fail_host(const struct health_set *set, int host, int times)
{
	for (int i = 0; i < times; i++)
		ejector_report(&ejector, &policy, set, &hosts[host], HEALTH_5XX, &env);
}

START_TEST(five_failures_in_a_row_eject_for_longer_each_time)
{
	struct health_set set = hosts_of(10);

	policy.outlier.jitter = 0;
	for (int times = 1; times <= 3; times++) { /* envoy#26758 */
		fail_host(&set, 0, 4);
		ck_assert_int_eq(hosts[0].ejected_until_us, 0);
		fail_host(&set, 0, 1);
		ck_assert_int_eq(hosts[0].ejected_until_us, now + 30LL * S * times);
		now = hosts[0].ejected_until_us;
		ejector_tick(&ejector, &policy, &set, &env, now);
		ck_assert_int_eq(hosts[0].ejected_until_us, 0);
		ck_assert_uint_eq(ejector.ejected, 0);
		ejector.sweep_us = now + 3600LL * S;
	}
}
END_TEST

START_TEST(a_healthy_interval_takes_a_level_back)
{
	struct health_set set = hosts_of(10);

	policy.outlier.jitter = 0;
	ejector_tick(&ejector, &policy, &set, &env, now);
	fail_host(&set, 0, 5);
	ck_assert_uint_eq(hosts[0].times, 1);
	for (int i = 0; i < 6; i++) {
		now += 10LL * S;
		ejector_tick(&ejector, &policy, &set, &env, now);
	}
	ck_assert_uint_eq(hosts[0].times, 0);
}
END_TEST

/* envoy#19869 */
START_TEST(no_more_than_the_share_is_ejected_at_once)
{
	struct health_set set = hosts_of(20);

	for (int i = 0; i < 20; i++)
		fail_host(&set, i, 10);
	ck_assert_uint_eq(ejector.ejected, 2);
	set = hosts_of(3);
	for (int i = 0; i < 3; i++)
		fail_host(&set, i, 10);
	ck_assert_uint_eq(ejector.ejected, 1); /* at least one may be ejected */
	set = hosts_of(1);
	fail_host(&set, 0, 10);
	ck_assert_uint_eq(ejector.ejected, 0); /* but never the last instance */
}
END_TEST

START_TEST(few_usable_ones_are_a_panic)
{
	ejector.ejected = 5;
	ck_assert(!ejector_panic(&ejector, &policy, 10));
	ejector.ejected = 6;
	ck_assert(ejector_panic(&ejector, &policy, 10));
}
END_TEST

START_TEST(a_low_success_rate_is_found_by_comparison)
{
	struct health_set set = hosts_of(10);

	ejector_tick(&ejector, &policy, &set, &env, now);
	for (int i = 0; i < 10; i++)
		for (int call = 0; call < 200; call++)
			ejector_report(&ejector, &policy, &set, &hosts[i],
			               i == 6 && call % 2 == 0 ? HEALTH_5XX : HEALTH_OK, &env);
	ck_assert_uint_eq(ejector.ejected, 0);
	now += 10LL * S;
	ejector_tick(&ejector, &policy, &set, &env, now);
	ck_assert_uint_eq(ejector.ejected, 1);
	ck_assert_int_ne(hosts[6].ejected_until_us, 0);
}
END_TEST

START_TEST(the_load_jumps_up_and_decays_down)
{
	struct health health = {0};

	ck_assert_double_eq(health_load(&health, 0), 0);
	health.pending = 1;
	ck_assert_double_gt(health_load(&health, 0), 1e8);
	health.pending = 0;
	health_observe(&health, 1000, 0);
	ck_assert_double_eq_tol(health_load(&health, 0), 1000, 1e-6);
	health_observe(&health, 5000, 0);
	ck_assert_double_eq_tol(health_load(&health, 0), 5000, 1e-6);
	ck_assert_double_eq_tol(health_load(&health, 10LL * S), 5000 * exp(-1), 1);
	health_observe(&health, 1000, 10LL * S);
	ck_assert_double_eq_tol(health.cost_us, 5000 * exp(-1) + 1000 * (1 - exp(-1)), 1);
	health.pending = 3;
	ck_assert_double_eq_tol(health_load(&health, 10LL * S), 4 * health.cost_us, 1);
}
END_TEST

SUITE("client limits", setup, NULL, each_jitter_is_uniform_in_its_range,
      pauses_double_up_to_the_cap, decorrelated_jitter_grows_from_the_pause_before,
      the_budget_is_a_share_and_a_floor_over_ten_seconds,
      the_queue_is_served_in_order_and_can_be_left, aimd_grows_while_used_and_falls_on_drops,
      gradient2_falls_when_everything_times_out_alike,
      gradient2_does_not_creep_up_under_mild_overload, the_rate_is_kept_and_the_burst_is_bounded,
      the_throttle_follows_its_formula_and_forgets,
      five_failures_in_a_row_eject_for_longer_each_time, a_healthy_interval_takes_a_level_back,
      no_more_than_the_share_is_ejected_at_once, few_usable_ones_are_a_panic,
      a_low_success_rate_is_found_by_comparison, the_load_jumps_up_and_decays_down)
