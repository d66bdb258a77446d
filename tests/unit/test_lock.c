/* SPDX-License-Identifier: MIT */
/* Locks with ranks: their order, waiting, and the misuses that stop the process. */
#include "base/lock.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "suite.h"

#include <errno.h>

static struct lock outer;
static struct lock inner;
static pthread_cond_t cond;

static void setup(void)
{
	lock_init(&outer, LOCK_COMMIT_QUEUE);
	lock_init(&inner, LOCK_LOG);
	lock_cond_init(&cond);
}

static void teardown(void)
{
	lock_fini(&outer);
	lock_fini(&inner);
	(void)pthread_cond_destroy(&cond);
}

START_TEST(locks_nest_in_the_order_of_their_ranks)
{
	for (int i = 0; i < 2; i++) {
		lock_take(&outer);
		lock_take(&inner);
		lock_release(&inner);
		lock_release(&outer);
	}
}
END_TEST

START_TEST(a_thread_knows_what_it_holds)
{
	ck_assert(!lock_held(&outer));
	lock_take(&outer);
	ck_assert(lock_held(&outer));
	ck_assert(!lock_held(&inner));
	lock_take(&inner);
	lock_release(&outer);
	ck_assert(!lock_held(&outer));
	ck_assert(lock_held(&inner));
	lock_release(&inner);
}
END_TEST

static void look(void *arg)
{
	*(bool *)arg = lock_held(&outer);
}

START_TEST(what_one_thread_holds_another_does_not)
{
	bool held = true;
	pthread_t thread;

	lock_take(&outer);
	ck_ok(thread_start(&thread, "look", look, &held));
	thread_join(thread);
	lock_release(&outer);
	ck_assert(!held);
}
END_TEST

static int counter;

static void count(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10000; i++) {
		lock_take(&outer);
		counter++;
		lock_release(&outer);
	}
}

START_TEST(only_one_thread_is_inside)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_ok(thread_start(&threads[i], "count", count, NULL));
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	ck_assert_int_eq(counter, 40000);
}
END_TEST

static struct lock made_static = LOCK_INIT(LOCK_LEASES);

START_TEST(a_static_lock_has_its_rank)
{
	lock_take(&outer);
	lock_take(&made_static);
	lock_take(&inner);
	lock_release(&inner);
	lock_release(&made_static);
	lock_release(&outer);
	ck_assert_int_eq(made_static.rank, LOCK_LEASES);
}
END_TEST

static bool asked;
static bool answered;

static void answer(void *arg)
{
	(void)arg;
	lock_take(&outer);
	while (!asked)
		lock_wait(&outer, &cond);
	answered = true;
	CHECK_OK(pthread_cond_broadcast(&cond));
	lock_release(&outer);
}

START_TEST(a_wait_releases_the_lock_and_takes_it_again)
{
	pthread_t thread;

	ck_ok(thread_start(&thread, "answer", answer, NULL));
	lock_take(&outer);
	asked = true;
	CHECK_OK(pthread_cond_broadcast(&cond));
	while (!answered)
		ck_ok(lock_wait_until(&outer, &cond, INT64_MAX));
	ck_assert(lock_held(&outer));
	lock_release(&outer);
	thread_join(thread);
}
END_TEST

START_TEST(a_wait_ends_at_its_deadline_and_not_before)
{
	int64_t deadline_ms = clock_ms() + 20;

	lock_take(&outer);
	while (lock_wait_until(&outer, &cond, deadline_ms) == 0)
		continue;
	ck_assert_int_ge(clock_ms(), deadline_ms);
	ck_assert(lock_held(&outer));
	lock_release(&outer);
}
END_TEST

START_TEST(a_deadline_that_has_passed_does_not_wait)
{
	static const int64_t past[] = {INT64_MIN, -1, 0, 1};

	lock_take(&outer);
	for (size_t i = 0; i < ARRAY_LEN(past); i++)
		ck_fails(lock_wait_until(&outer, &cond, past[i]), ETIMEDOUT);
	lock_release(&outer);
}
END_TEST

START_TEST(waits_do_not_follow_virtual_time)
{
	int64_t passed_ms = clock_ms();

	clock_virtual_set(passed_ms - 3600000);
	lock_take(&outer);
	ck_fails(lock_wait_until(&outer, &cond, passed_ms), ETIMEDOUT);
	lock_release(&outer);
	clock_virtual_off();
}
END_TEST

START_TEST(taking_against_the_order_stops_the_process)
{
	lock_take(&inner);
	lock_take(&outer);
}
END_TEST

START_TEST(taking_twice_stops_the_process)
{
	lock_take(&outer);
	lock_take(&outer);
}
END_TEST

START_TEST(taking_two_of_one_rank_stops_the_process)
{
	struct lock other;

	lock_init(&other, LOCK_COMMIT_QUEUE);
	lock_take(&outer);
	lock_take(&other);
}
END_TEST

START_TEST(releasing_what_is_not_held_stops_the_process)
{
	lock_release(&outer);
	exit(EXIT_SUCCESS); /* before teardown(), where lock_fini() would stop the process too */
}
END_TEST

START_TEST(waiting_without_the_lock_stops_the_process)
{
	(void)lock_wait_until(&outer, &cond, 0);
}
END_TEST

START_TEST(waiting_with_another_lock_stops_the_process)
{
	lock_take(&outer);
	lock_take(&inner);
	(void)lock_wait_until(&inner, &cond, 0);
}
END_TEST

SUITE_ABORTS("lock", setup, teardown,
             (taking_against_the_order_stops_the_process, taking_twice_stops_the_process,
              taking_two_of_one_rank_stops_the_process,
              releasing_what_is_not_held_stops_the_process,
              waiting_without_the_lock_stops_the_process,
              waiting_with_another_lock_stops_the_process),
             locks_nest_in_the_order_of_their_ranks, a_thread_knows_what_it_holds,
             what_one_thread_holds_another_does_not, only_one_thread_is_inside,
             a_static_lock_has_its_rank, a_wait_releases_the_lock_and_takes_it_again,
             a_wait_ends_at_its_deadline_and_not_before, a_deadline_that_has_passed_does_not_wait,
             waits_do_not_follow_virtual_time)
