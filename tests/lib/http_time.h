/* SPDX-License-Identifier: MIT */
/** The http loop in virtual time: no test waits for a deadline or fails on a slow machine. */
#pragma once

#include "http_fixture.h"

#define REQUEST_MS 10000
#define IDLE_MS    75000
#define PARKED_MS  60000

static int other; /* its answers show that the loop has handled what was sent before */

/* Call this after http_setup(), with the other options set. */
static inline void serve_in_virtual_time(void)
{
	clock_virtual_set(1000000);
	options.request_ms = REQUEST_MS;
	options.idle_ms = IDLE_MS;
	options.parked_ms = PARKED_MS;
	serve();
	other = dial();
}

static inline void end_virtual_time(void)
{
	close(other);
	http_teardown();
	clock_virtual_off();
}

/* Waits until the loop has received all that was sent before, and has checked the deadlines. */
static inline void sync_with_loop(void)
{
	for (unsigned i = 0; i < 3; i++) {
		get(other, "/other");
		ck_assert_int_eq(read_answer(other)->status, 200);
	}
}

static inline void pass_time(int64_t ms)
{
	clock_virtual_advance(ms);
	sync_with_loop();
}
