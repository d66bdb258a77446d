/* SPDX-License-Identifier: MIT */
/**
 * The circuit breaker of one route. Closed: it admits every attempt. Open: none. Half open: one
 * attempt at a time, the probe, which holds a lease; when the lease expires the next probe is
 * admitted, so that a probe that never returns does not keep the breaker half open for ever.
 *
 * Each ticket carries the breaker's generation, which every change of state raises: reports of
 * attempts that were admitted before a change are ignored after it. The owner locks.
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
	uint32_t failures;  /* consecutive, while closed */
	uint32_t successes; /* of probes, while half open */
	uint32_t reopened;  /* consecutive probes that failed */
	int64_t open_until_us;
	uint32_t lease; /* number of the latest probe */
	bool leased;
	int64_t lease_until_us;
	uint64_t opened; /* how often, since the start */
	struct window window;
	uint32_t slots[10][WINDOW_COLUMNS];
};

struct breaker_ticket {
	uint32_t generation;
	uint32_t lease; /* 0: not a probe */
};

/** The inputs of a decision. */
struct breaker_rule {
	const rollcall_policy *policy;
	const struct env *env;
};

enum breaker_result { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_IGNORED };

void breaker_init(struct breaker *breaker);
/** @return whether the attempt may proceed; if so, *@p ret_ticket must be passed to
 * breaker_report() */
bool breaker_admit(struct breaker *breaker, const struct breaker_rule *rule, int64_t now_us,
                   struct breaker_ticket *ret_ticket);
/** @return whether no change of state has ended @p ticket since its admission */
bool breaker_current(const struct breaker *breaker, const struct breaker_ticket *ticket);
/** Counts the result of an admitted attempt, and opens or closes the breaker. A @p ticket that is
 * not current is ignored. */
void breaker_report(struct breaker *breaker, const struct breaker_rule *rule,
                    const struct breaker_ticket *ticket, enum breaker_result result,
                    int64_t latency_us, int64_t now_us);
/** Holds the breaker open or closed. ROLLCALL_FORCE_AUTO ends that: the breaker starts closed, with
 * all counts at 0. */
void breaker_force(struct breaker *breaker, rollcall_force force);
/** @return the state, or the one that breaker_force() holds it in */
rollcall_breaker_state breaker_state(const struct breaker *breaker);
