/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include "base/attr.h"
#include "base/thread.h"
#include "suite.h"

#include <time.h>

static int64_t system_ms(clockid_t id)
{
	struct timespec now;

	ck_assert_int_eq(clock_gettime(id, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(the_clocks_are_those_of_the_system)
{
	int64_t before_ms = system_ms(CLOCK_MONOTONIC);
	int64_t ms = clock_ms();
	int64_t us = clock_us();
	int64_t after_ms = system_ms(CLOCK_MONOTONIC);

	ck_assert_int_le(before_ms, ms);
	ck_assert_int_le(ms, us / 1000);
	ck_assert_int_le(us / 1000, after_ms);

	before_ms = system_ms(CLOCK_REALTIME);
	ms = clock_real_ms();
	ck_assert_int_le(before_ms, ms);
	ck_assert_int_le(ms, system_ms(CLOCK_REALTIME));
}
END_TEST

START_TEST(virtual_time_moves_only_by_hand)
{
	clock_virtual_set(5000);
	ck_assert_int_eq(clock_ms(), 5000);
	ck_assert_int_eq(clock_us(), 5000000);
	ck_assert_int_eq(clock_real_ms(), 5000);
	clock_virtual_advance(30001);
	ck_assert_int_eq(clock_ms(), 35001);
	ck_assert_int_eq(clock_us(), 35001000);
	clock_virtual_off();
	ck_assert_int_ne(clock_real_ms(), 35001);
	ck_assert_int_ge(clock_ms(), system_ms(CLOCK_MONOTONIC) - 1000);
}
END_TEST

START_TEST(a_time_to_come_is_not_too_early)
{
	int64_t begun_us = clock_us();

	/* For several milliseconds, so that reads fall on all parts of a millisecond. */
	while (clock_us() - begun_us < 5000) {
		int64_t before_us = clock_us();
		int64_t at_us = clock_ms_after(7) * 1000;

		ck_assert_int_ge(at_us, before_us + 7000);
		ck_assert_int_lt(at_us, clock_us() + 8000);
	}
	clock_virtual_set(5000);
	ck_assert_int_eq(clock_ms_after(7), 5007);
}
END_TEST

static void read_clock(void *arg)
{
	*(int64_t *)arg = clock_ms();
}

START_TEST(all_threads_see_virtual_time)
{
	int64_t seen_ms = 0;
	pthread_t thread;

	clock_virtual_set(42);
	ck_ok(thread_start(&thread, "clock", read_clock, &seen_ms));
	thread_join(thread);
	ck_assert_int_eq(seen_ms, 42);
}
END_TEST

START_TEST(times_are_shown_in_utc_with_milliseconds)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{-86400000, "1969-12-31T00:00:00.000Z"},
		{1795459288123, "2026-11-23T18:41:28.123Z"},
		{951782400000, "2000-02-29T00:00:00.000Z"},
		{1709164799999, "2024-02-28T23:59:59.999Z"},
		{1709164800000, "2024-02-29T00:00:00.000Z"},
		{4107542399000, "2100-02-28T23:59:59.000Z"},
		{4107542400000, "2100-03-01T00:00:00.000Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
		{INT64_MAX, "9999-12-31T23:59:59.999Z"},
		{-62167219200000, "0000-01-01T00:00:00.000Z"},
		{INT64_MIN, "0000-01-01T00:00:00.000Z"},
	};
	char out[CLOCK_RFC3339_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_uint_eq(clock_rfc3339(rows[i].ms, out), 24);
		ck_assert_str_eq(out, rows[i].text);
	}
}
END_TEST

START_TEST(every_day_of_four_centuries_is_as_the_c_library_says)
{
	char out[CLOCK_RFC3339_SIZE];

	for (int64_t day = -60000; day < 86097; day++) {
		time_t second = (time_t)(day * 86400 + 43201);
		struct tm tm;
		char expected[CLOCK_RFC3339_SIZE];

		(void)gmtime_r(&second, &tm);
		(void)strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.007Z", &tm);
		(void)clock_rfc3339((int64_t)second * 1000 + 7, out);
		if (strcmp(out, expected) != 0)
			ck_abort_msg("%s is not %s", out, expected);
	}
}
END_TEST

START_TEST(advancing_the_systems_clock_stops_the_process)
{
	clock_virtual_advance(1);
}
END_TEST

SUITE_ABORTS("clock", NULL, NULL, (advancing_the_systems_clock_stops_the_process),
             the_clocks_are_those_of_the_system, virtual_time_moves_only_by_hand,
             a_time_to_come_is_not_too_early, all_threads_see_virtual_time,
             times_are_shown_in_utc_with_milliseconds,
             every_day_of_four_centuries_is_as_the_c_library_says)
