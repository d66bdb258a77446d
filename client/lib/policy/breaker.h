/* SPDX-License-Identifier: MIT */
/**
 * The circuit breaker of one route. Closed: all pass. Open: none. Half open: one at a time, the
 * probe, on a lease that runs out, so that a probe that never returns blocks nothing.
 *
 * Each admission carries the breaker's generation, which every change of state raises: what was
 * begun before a change has no say after it. The owner locks.
 */
#pragma once

#include "lib/base/env.h"
#include "lib/policy/window.h"
#include "rollcall.h"

#include <stdbool.h>

struct breaker {
	rollcall_breaker_state state;
	rollcall_force force;
	uint32_t generation;
	uint32_t failures;  /* in a row, while closed */
	uint32_t successes; /* of probes, while half open */
	uint32_t reopened;  /* times in a row that a probe failed */
	int64_t open_until_us;
	uint32_t lease; /* number of the latest probe */
	bool leased;
	int64_t lease_until_us;
	uint64_t opened; /* ever */
	struct window window;
	uint32_t slots[10][WINDOW_COLUMNS];
};

struct breaker_ticket {
	uint32_t generation;
	uint32_t lease; /* 0: not a probe */
};

/** The part of the policy, and what it needs from elsewhere. */
struct breaker_rule {
	const rollcall_policy *policy;
	const struct env *env;
};

enum breaker_result { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_IGNORED };

void breaker_init(struct breaker *breaker);
/** @return whether the call may go on; if so, @p ret_ticket must be given to breaker_report() */
bool breaker_admit(struct breaker *breaker, const struct breaker_rule *rule, int64_t now_us,
                   struct breaker_ticket *ret_ticket);
/** Is what was admitted with @p ticket still of this time? */
bool breaker_current(const struct breaker *breaker, const struct breaker_ticket *ticket);
void breaker_report(struct breaker *breaker, const struct breaker_rule *rule,
                    const struct breaker_ticket *ticket, enum breaker_result result,
                    int64_t latency_us, int64_t now_us);
/** Holds it open or closed; back to ROLLCALL_FORCE_AUTO it starts closed and with a clean slate. */
void breaker_force(struct breaker *breaker, rollcall_force force);
/** What it shows to the outside. */
rollcall_breaker_state breaker_state(const struct breaker *breaker);
