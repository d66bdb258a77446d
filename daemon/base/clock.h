/* SPDX-License-Identifier: MIT */
/**
 * The two clocks. Deadlines use clock_ms() (CLOCK_MONOTONIC); clock_real_ms() (CLOCK_REALTIME) is
 * only displayed and stored. Any thread; never blocks.
 */
#pragma once

#include <stdint.h>

/** Milliseconds of the monotonic clock, which never goes back. */
int64_t clock_ms(void);
/** Microseconds of the same clock, for measuring latencies. */
int64_t clock_us(void);
/**
 * The first clock_ms() at which @p ms have passed in full. clock_ms() + @p ms is up to a
 * millisecond too early, because clock_ms() rounds down.
 */
int64_t clock_ms_after(int64_t ms);
/** Milliseconds since 1970-01-01 UTC. */
int64_t clock_real_ms(void);

/**
 * For tests: from now on clock_ms(), clock_us() and clock_real_ms() return @p ms (and multiples of
 * it) and move only by clock_virtual_advance(), for all threads.
 */
void clock_virtual_set(int64_t ms);
void clock_virtual_advance(int64_t ms);
/** Back to the system's clocks. */
void clock_virtual_off(void);

/** Length of clock_rfc3339()'s text, with its NUL: "2026-11-23T18:41:28.123Z". */
#define CLOCK_RFC3339_SIZE 32
/** Writes @p real_ms as RFC 3339 UTC with milliseconds. @return the text's length, NUL excluded */
unsigned clock_rfc3339(int64_t real_ms, char out[CLOCK_RFC3339_SIZE]);
