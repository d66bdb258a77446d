/* SPDX-License-Identifier: MIT */
/** The http loop in virtual time: nothing waits for a deadline, and no machine is too slow for it.
 */
#pragma once

#include "http_fixture.h"

#define REQUEST_MS 10000
#define IDLE_MS    75000
#define PARKED_MS  60000

static int other; /* a connection that shows what the loop has seen */

/* After http_setup() and what else the options need. */
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

/* When it returns the loop has taken all that was sent before, and checked the deadlines. */
static inline void let_it_see(void)
{
	for (unsigned i = 0; i < 3; i++) {
		get(other, "/other");
		ck_assert_int_eq(hear(other)->status, 200);
	}
}

static inline void pass_time(int64_t ms)
{
	clock_virtual_advance(ms);
	let_it_see();
}
