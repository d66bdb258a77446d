/* SPDX-License-Identifier: MIT */
#include "lib/policy/breaker.h"
#include "suite.h"

#include <pthread.h>
#include <string.h>

#define MS 1000
#define S  1000000

static struct breaker breaker;
static rollcall_policy policy;
static struct env env;
static struct breaker_rule rule = {&policy, &env};
static double uniform;

static uint64_t fixed_random(void *arg)
{
	(void)arg;
	return (uint64_t)(uniform * 0x1p64);
}

static void setup(void)
{
	rollcall_policy_classic(&policy);
	env = (struct env){NULL, fixed_random, NULL};
	uniform = 0;
	breaker_init(&breaker);
}

static void run(enum breaker_result result, int64_t now)
{
	struct breaker_ticket ticket;

	ck_assert(breaker_admit(&breaker, &rule, now, &ticket));
	breaker_report(&breaker, &rule, &ticket, result, 0, now);
}

static void open_at(int64_t now)
{
	for (int i = 0; i < 5; i++)
		run(BREAKER_FAILURE, now);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_OPEN);
}

START_TEST(four_failures_and_a_success_leave_it_closed)
{
	for (int i = 0; i < 100; i++)
		run(i % 5 == 4 ? BREAKER_SUCCESS : BREAKER_FAILURE, 0);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
	run(BREAKER_FAILURE, 0);
	run(BREAKER_FAILURE, 0);
	run(BREAKER_FAILURE, 0);
	run(BREAKER_FAILURE, 0);
	run(BREAKER_IGNORED, 0); /* neither success nor failure */
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
	run(BREAKER_FAILURE, 0);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_OPEN);
}
END_TEST

START_TEST(open_lets_nobody_through_for_exactly_the_recovery_time)
{
	struct breaker_ticket ticket;

	open_at(7 * MS);
	ck_assert(!breaker_admit(&breaker, &rule, 7 * MS + 30 * S - 1, &ticket));
	ck_assert(breaker_admit(&breaker, &rule, 7 * MS + 30 * S, &ticket));
	ck_assert(!breaker_admit(&breaker, &rule, 7 * MS + 30 * S, &ticket)); /* one probe */
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_HALF_OPEN);
}
END_TEST

START_TEST(a_failed_probe_opens_it_again_for_as_long)
{
	struct breaker_ticket ticket;

	open_at(0);
	run(BREAKER_FAILURE, 30 * S);
	ck_assert(!breaker_admit(&breaker, &rule, 60 * S - 1, &ticket));
	run(BREAKER_SUCCESS, 60 * S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
	ck_assert_uint_eq(breaker.failures, 0);
}
END_TEST

/* resilience4j#903, #935, #1568, #2028, Polly#216 */
START_TEST(a_probe_that_never_returns_frees_its_place)
{
	struct breaker_ticket lost;
	struct breaker_ticket next;

	open_at(0);
	ck_assert(breaker_admit(&breaker, &rule, 30 * S, &lost));
	ck_assert(!breaker_admit(&breaker, &rule, 60 * S - 1, &next)); /* attempt_ms is 30 s */
	ck_assert(breaker_admit(&breaker, &rule, 60 * S, &next));
	breaker_report(&breaker, &rule, &lost, BREAKER_FAILURE, 0, 60 * S); /* ignored: too late */
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_HALF_OPEN);
	breaker_report(&breaker, &rule, &next, BREAKER_SUCCESS, 0, 61 * S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
}
END_TEST

/* Polly#217, #223 */
START_TEST(what_began_before_it_opened_has_no_say)
{
	struct breaker_ticket old[3];

	for (int i = 0; i < 3; i++)
		ck_assert(breaker_admit(&breaker, &rule, 0, &old[i]));
	open_at(0);
	breaker_report(&breaker, &rule, &old[0], BREAKER_SUCCESS, 0, S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_OPEN);

	struct breaker_ticket probe;
	ck_assert(breaker_admit(&breaker, &rule, 30 * S, &probe));
	breaker_report(&breaker, &rule, &old[1], BREAKER_SUCCESS, 0, 30 * S);
	breaker_report(&breaker, &rule, &old[2], BREAKER_FAILURE, 0, 30 * S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_HALF_OPEN);
	ck_assert(breaker_current(&breaker, &probe));
}
END_TEST

/* Polly#311 */
START_TEST(an_ignored_probe_gives_its_place_to_the_next)
{
	struct breaker_ticket ticket;

	open_at(0);
	run(BREAKER_IGNORED, 30 * S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_HALF_OPEN);
	ck_assert(breaker_admit(&breaker, &rule, 30 * S, &ticket));
}
END_TEST

START_TEST(several_probes_go_one_after_another)
{
	policy.breaker.probes = 3;
	open_at(0);
	run(BREAKER_SUCCESS, 30 * S);
	run(BREAKER_SUCCESS, 30 * S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_HALF_OPEN);
	run(BREAKER_SUCCESS, 30 * S);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
}
END_TEST

/* failsafe#70 */
START_TEST(jitter_keeps_many_clients_from_probing_at_once)
{
	struct breaker_ticket ticket;

	policy.breaker.open_jitter = 0.1;
	uniform = 0.5;
	open_at(0);
	ck_assert(!breaker_admit(&breaker, &rule, 31500 * MS - 1, &ticket));
	ck_assert(breaker_admit(&breaker, &rule, 31500 * MS, &ticket));
}
END_TEST

START_TEST(each_reopening_doubles_the_time_up_to_the_most)
{
	static const int64_t lengths[] = {30, 60, 120, 200, 200};
	struct breaker_ticket ticket;
	int64_t now = 0;

	policy.breaker.open_max_ms = 200000;
	open_at(0);
	for (int i = 0; i < 5; i++) {
		ck_assert(!breaker_admit(&breaker, &rule, now + lengths[i] * S - 1, &ticket));
		now += lengths[i] * S;
		run(BREAKER_FAILURE, now);
	}
	run(BREAKER_SUCCESS, now + 200 * S);
	open_at(now + 200 * S);
	ck_assert(breaker_admit(&breaker, &rule, now + 230 * S, &ticket));
}
END_TEST

START_TEST(a_share_of_failures_opens_it_once_there_are_enough_calls)
{
	policy.breaker.mode = ROLLCALL_B_RATIO;
	for (int i = 0; i < 19; i++)
		run(BREAKER_FAILURE, i * MS);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
	run(BREAKER_FAILURE, 20 * MS);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_OPEN);

	breaker_init(&breaker);
	for (int i = 0; i < 1000; i++)
		run(i % 9 == 2 || i % 9 == 4 || i % 9 == 6 || i % 9 == 8 ? BREAKER_FAILURE
		                                                         : BREAKER_SUCCESS,
		    i * 20 * MS);
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_CLOSED);
}
END_TEST

START_TEST(a_share_of_slow_answers_opens_it_too)
{
	struct breaker_ticket ticket;

	policy.breaker.mode = ROLLCALL_B_RATIO;
	policy.breaker.slow_ms = 100;
	policy.breaker.slow_ratio = 0.5;
	for (int i = 0; i < 20; i++) {
		ck_assert(breaker_admit(&breaker, &rule, 0, &ticket));
		breaker_report(&breaker, &rule, &ticket, BREAKER_SUCCESS,
		               i % 2 == 0 ? 100 * MS : 99 * MS, 0);
	}
	ck_assert_int_eq(breaker_state(&breaker), ROLLCALL_BREAKER_OPEN);
}
END_TEST

/* resilience4j#1432, Polly#254 */
#define RACERS 16
#define ROUNDS 700

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static int admitted;

static void *race(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct breaker_ticket ticket;

		(void)pthread_barrier_wait(&barrier);
		(void)pthread_mutex_lock(&lock);
		admitted += breaker_admit(&breaker, &rule, 30 * S, &ticket);
		(void)pthread_mutex_unlock(&lock);
		if (pthread_barrier_wait(&barrier) != PTHREAD_BARRIER_SERIAL_THREAD)
			continue;
		(void)pthread_mutex_lock(&lock);
		breaker_init(&breaker);
		for (int j = 0; j < 5; j++)
			run(BREAKER_FAILURE, 0);
		(void)pthread_mutex_unlock(&lock);
	}
	return NULL;
}

START_TEST(of_ten_thousand_racing_for_the_probe_one_wins_each_time)
{
	pthread_t threads[RACERS];

	open_at(0);
	admitted = 0;
	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, RACERS), 0);
	for (int i = 0; i < RACERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, race, NULL), 0);
	for (int i = 0; i < RACERS; i++)
		(void)pthread_join(threads[i], NULL);
	/* The next round may begin before the reset: then all its attempts find the probe taken. */
	ck_assert_int_le(admitted, ROUNDS);
	ck_assert_int_gt(admitted, 0);
}
END_TEST

SUITE("client breaker", setup, NULL, four_failures_and_a_success_leave_it_closed,
      open_lets_nobody_through_for_exactly_the_recovery_time,
      a_failed_probe_opens_it_again_for_as_long, a_probe_that_never_returns_frees_its_place,
      what_began_before_it_opened_has_no_say, an_ignored_probe_gives_its_place_to_the_next,
      several_probes_go_one_after_another, jitter_keeps_many_clients_from_probing_at_once,
      each_reopening_doubles_the_time_up_to_the_most,
      a_share_of_failures_opens_it_once_there_are_enough_calls,
      a_share_of_slow_answers_opens_it_too, of_ten_thousand_racing_for_the_probe_one_wins_each_time)
