/* SPDX-License-Identifier: MIT */
/*
 * Progress marks of threads, by which the daemon decides whether a thread is stuck. The clock is
 * virtual.
 */
#include "base/progress.h"

#include "base/clock.h"
#include "base/thread.h"
#include "suite.h"

static struct progress http;
static struct progress writer;

static void setup(void)
{
	clock_virtual_set(1000);
}

static void add_both(void)
{
	progress_add(&http, "http", PROGRESS_INGRESS);
	progress_add(&writer, "writer", PROGRESS_WORKER);
}

START_TEST(without_threads_none_is_late)
{
	const char *name = "untouched";

	ck_assert_int_eq(progress_oldest_ms(-1, &name), 0);
	ck_assert_str_eq(name, "untouched");
	ck_assert(progress_ingress_passed(INT64_MAX));
}
END_TEST

START_TEST(the_thread_that_stopped_is_named_with_its_age)
{
	const char *name = NULL;

	add_both();
	clock_virtual_advance(50);
	progress_mark(&http);
	clock_virtual_advance(25);
	ck_assert_int_eq(progress_oldest_ms(-1, &name), 75);
	ck_assert_str_eq(name, "writer");
	ck_assert_int_eq(progress_oldest_ms(PROGRESS_INGRESS, &name), 25);
	ck_assert_str_eq(name, "http");
	progress_mark(&writer);
	ck_assert_int_eq(progress_oldest_ms(PROGRESS_WORKER, NULL), 0);
	ck_assert_int_eq(progress_oldest_ms(-1, NULL), 25);
	ck_assert_uint_eq(atomic_load(&http.passes), 1);
}
END_TEST

START_TEST(a_mark_in_the_future_is_no_age)
{
	add_both();
	clock_virtual_set(900);
	ck_assert_int_eq(progress_oldest_ms(-1, NULL), 0);
}
END_TEST

START_TEST(a_thread_that_left_is_not_late)
{
	const char *name = NULL;

	add_both();
	clock_virtual_advance(10);
	progress_remove(&http);
	ck_assert_int_eq(progress_oldest_ms(-1, &name), 10);
	ck_assert_str_eq(name, "writer");
	ck_assert(progress_ingress_passed(INT64_MAX));
	progress_remove(&writer);
	ck_assert_int_eq(progress_oldest_ms(-1, &name), 0);
	add_both();
	progress_remove(&writer);
	progress_remove(&http);
	ck_assert_int_eq(progress_oldest_ms(-1, &name), 0);
}
END_TEST

START_TEST(a_pass_counts_only_if_it_began_after_the_time)
{
	add_both();
	clock_virtual_set(2000);
	progress_mark(&http); /* ends a pass that began at 1000 */
	ck_assert(progress_ingress_passed(999));
	ck_assert(
		!progress_ingress_passed(1000)); /* it may have begun earlier in that millisecond */
	ck_assert(!progress_ingress_passed(1500));
	clock_virtual_set(3000);
	ck_assert(!progress_ingress_passed(1500));
	progress_mark(&http); /* ends a pass that began at 2000 */
	ck_assert(progress_ingress_passed(1500));
	ck_assert(!progress_ingress_passed(2000));
}
END_TEST

START_TEST(a_thread_without_a_whole_pass_has_not_passed)
{
	add_both();
	ck_assert(!progress_ingress_passed(0));
	clock_virtual_set(1001);
	progress_mark(&http);
	ck_assert(progress_ingress_passed(0));
}
END_TEST

START_TEST(every_ingress_thread_must_pass_and_workers_need_not)
{
	struct progress other;

	add_both();
	progress_add(&other, "http2", PROGRESS_INGRESS);
	for (int i = 0; i < 3; i++) {
		clock_virtual_advance(10);
		progress_mark(&http);
	}
	ck_assert(!progress_ingress_passed(1000));
	progress_mark(&other);
	clock_virtual_advance(10);
	progress_mark(&other);
	ck_assert(progress_ingress_passed(1000));
}
END_TEST

START_TEST(a_thread_that_waits_for_the_disk_is_not_late)
{
	const char *name = NULL;

	add_both();
	ck_assert_int_eq(progress_disk_ms(&name), 0);
	ck_assert_ptr_null(name);
	progress_disk_begin(&writer);
	clock_virtual_advance(70);
	progress_mark(&http);
	ck_assert_int_eq(progress_oldest_ms(-1, NULL), 0);
	ck_assert_int_eq(progress_disk_ms(&name), 70);
	ck_assert_str_eq(name, "writer");

	/* The time of the thread counts again, but not the time of the disk. */
	progress_disk_end(&writer);
	ck_assert_int_eq(progress_disk_ms(&name), 0);
	clock_virtual_advance(5);
	ck_assert_int_eq(progress_oldest_ms(PROGRESS_WORKER, NULL), 5);
}
END_TEST

static void mark_much(void *arg)
{
	struct progress *own = arg;

	progress_add(own, "marker", PROGRESS_INGRESS);
	for (int i = 0; i < 10000; i++)
		progress_mark(own);
	progress_remove(own);
}

START_TEST(readers_run_while_threads_join_mark_and_leave)
{
	struct progress own[2];
	pthread_t threads[2];

	clock_virtual_off();
	for (int i = 0; i < 2; i++)
		ck_ok(thread_start(&threads[i], "marker", mark_much, &own[i]));
	for (int i = 0; i < 1000; i++) {
		const char *name = "";
		ck_assert_int_ge(progress_oldest_ms(-1, &name), 0);
		(void)progress_ingress_passed(0);
	}
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(atomic_load(&own[0].passes), 10000);
}
END_TEST

START_TEST(removing_a_stranger_stops_the_process)
{
	progress_remove(&http);
}
END_TEST

SUITE_ABORTS("progress", setup, NULL, (removing_a_stranger_stops_the_process),
             without_threads_none_is_late, the_thread_that_stopped_is_named_with_its_age,
             a_mark_in_the_future_is_no_age, a_thread_that_left_is_not_late,
             a_pass_counts_only_if_it_began_after_the_time,
             a_thread_without_a_whole_pass_has_not_passed,
             every_ingress_thread_must_pass_and_workers_need_not,
             a_thread_that_waits_for_the_disk_is_not_late,
             readers_run_while_threads_join_mark_and_leave)
