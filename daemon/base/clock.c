/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include "base/check.h"

#include <stdatomic.h>
#include <time.h>

#define VIRTUAL_OFF INT64_MIN

static _Atomic(int64_t) virtual_ms = VIRTUAL_OFF;

static int64_t system_us(clockid_t id)
{
	struct timespec now;

	CHECK_OK(clock_gettime(id, &now));
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	int64_t ms = atomic_load_explicit(&virtual_ms, memory_order_relaxed);

	return ms != VIRTUAL_OFF ? ms : system_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_us(void)
{
	int64_t ms = atomic_load_explicit(&virtual_ms, memory_order_relaxed);

	return ms != VIRTUAL_OFF ? ms * 1000 : system_us(CLOCK_MONOTONIC);
}

int64_t clock_ms_after(int64_t ms)
{
	return (clock_us() + 999) / 1000 + ms;
}

int64_t clock_real_ms(void)
{
	int64_t ms = atomic_load_explicit(&virtual_ms, memory_order_relaxed);

	return ms != VIRTUAL_OFF ? ms : system_us(CLOCK_REALTIME) / 1000;
}

void clock_virtual_set(int64_t ms)
{
	CHECK(ms != VIRTUAL_OFF);
	atomic_store_explicit(&virtual_ms, ms, memory_order_relaxed);
}

void clock_virtual_advance(int64_t ms)
{
	int64_t before = atomic_fetch_add_explicit(&virtual_ms, ms, memory_order_relaxed);

	CHECK(before != VIRTUAL_OFF && ms >= 0);
}

void clock_virtual_off(void)
{
	atomic_store_explicit(&virtual_ms, VIRTUAL_OFF, memory_order_relaxed);
}

/* Days from 1970-01-01 to a date in the Gregorian calendar (H. Hinnant, civil_from_days). */
static void date_of(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	/* Count from 0000-03-01, so that a leap day is the last of its year; 400 years are an era.
	 */
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned of_era = (unsigned)(days - era * 146097);
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153; /* from March */

	*ret_day = of_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 3 : month - 9;
	*ret_year = era * 400 + year + (*ret_month <= 2);
}

static char *put_two(char *out, unsigned value)
{
	out[0] = (char)('0' + value / 10);
	out[1] = (char)('0' + value % 10);
	return out + 2;
}

unsigned clock_rfc3339(int64_t real_ms, char out[CLOCK_RFC3339_SIZE])
{
	/* Years have four digits. */
	static const int64_t least = -62167219200000; /* 0000-01-01T00:00:00.000Z */
	static const int64_t most = 253402300799999;  /* 9999-12-31T23:59:59.999Z */
	static const int64_t day_ms = 86400000;

	if (real_ms < least)
		real_ms = least;
	if (real_ms > most)
		real_ms = most;

	int64_t days = real_ms / day_ms - (real_ms % day_ms < 0);
	unsigned ms = (unsigned)(real_ms - days * day_ms);
	int64_t year = 0;
	unsigned month = 0;
	unsigned day = 0;
	date_of(days, &year, &month, &day);

	char *at = put_two(out, (unsigned)year / 100);
	at = put_two(at, (unsigned)year % 100);
	*at++ = '-';
	at = put_two(at, month);
	*at++ = '-';
	at = put_two(at, day);
	*at++ = 'T';
	at = put_two(at, ms / 3600000);
	*at++ = ':';
	at = put_two(at, ms / 60000 % 60);
	*at++ = ':';
	at = put_two(at, ms / 1000 % 60);
	*at++ = '.';
	*at++ = (char)('0' + ms / 100 % 10);
	at = put_two(at, ms % 100);
	*at++ = 'Z';
	*at = '\0';
	return (unsigned)(at - out);
}
