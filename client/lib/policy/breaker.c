/* SPDX-License-Identifier: MIT */
/*
 * The state machine of one route's breaker. It runs in the thread of the attempt, under
 * the service's lock, and needs no timer: an open breaker becomes half open when the next attempt
 * asks after open_until_us. Invariant: a report changes the state only if its ticket has the
 * present generation, and while half open only if it also has the present lease. Without
 * generations a burst of old failures, arriving late, would open a breaker again that a probe has
 * just closed.
 */
#include "lib/policy/breaker.h"

#include "lib/base/util.h"

enum { CALLS, FAILURES, SLOW };

void breaker_init(struct breaker *breaker)
{
	*breaker = (struct breaker){.generation = 1};
	window_init(&breaker->window, breaker->slots, ARRAY_LEN(breaker->slots), US_PER_S);
}

static void breaker_move_to(struct breaker *breaker, rollcall_breaker_state state)
{
	breaker->state = state;
	breaker->generation++;
	breaker->failures = 0;
	breaker->successes = 0;
	breaker->leased = false;
	window_clear(&breaker->window);
}

static void breaker_open(struct breaker *breaker, const struct breaker_rule *rule, int64_t now_us)
{
	int64_t pause = us_of_ms(rule->policy->breaker.recovery_ms);
	int64_t most = us_of_ms(rule->policy->breaker.open_max_ms);

	for (uint32_t i = 0; i < breaker->reopened && pause < most; i++)
		pause = min_i64(pause * 2, most);
	pause += (int64_t)((double)pause * rule->policy->breaker.open_jitter *
	                   env_uniform(rule->env));
	breaker_move_to(breaker, ROLLCALL_BREAKER_OPEN);
	breaker->open_until_us = now_us + pause;
	breaker->opened++;
}

static void breaker_lease_probe(struct breaker *breaker, const struct breaker_rule *rule,
                                int64_t now_us)
{
	uint32_t lease_ms = rule->policy->breaker.recovery_ms / 10;

	if (lease_ms < rule->policy->time.attempt_ms)
		lease_ms = rule->policy->time.attempt_ms;
	breaker->leased = true;
	breaker->lease_until_us = now_us + us_of_ms(lease_ms);
	if (++breaker->lease == 0)
		breaker->lease = 1;
}

bool breaker_admit(struct breaker *breaker, const struct breaker_rule *rule, int64_t now_us,
                   struct breaker_ticket *ret_ticket)
{
	if (breaker->force == ROLLCALL_FORCE_OPEN)
		return false;
	if (breaker->force == ROLLCALL_FORCE_CLOSED ||
	    rule->policy->breaker.mode == ROLLCALL_B_OFF ||
	    breaker->state == ROLLCALL_BREAKER_CLOSED) {
		*ret_ticket = (struct breaker_ticket){breaker->generation, 0};
		return true;
	}

	if (breaker->state == ROLLCALL_BREAKER_OPEN) {
		if (now_us < breaker->open_until_us)
			return false;
		breaker_move_to(breaker, ROLLCALL_BREAKER_HALF_OPEN);
	}
	if (breaker->leased && now_us < breaker->lease_until_us)
		return false;
	breaker_lease_probe(breaker, rule, now_us);
	*ret_ticket = (struct breaker_ticket){breaker->generation, breaker->lease};
	return true;
}

bool breaker_current(const struct breaker *breaker, const struct breaker_ticket *ticket)
{
	return ticket->generation == breaker->generation &&
	       (ticket->lease == 0 || (breaker->leased && ticket->lease == breaker->lease));
}

static void report_probe(struct breaker *breaker, const struct breaker_rule *rule,
                         enum breaker_result result, int64_t now_us)
{
	breaker->leased = false;
	if (result == BREAKER_FAILURE) {
		breaker->reopened++;
		breaker_open(breaker, rule, now_us);
	} else if (result == BREAKER_SUCCESS &&
	           ++breaker->successes >= rule->policy->breaker.probes) {
		breaker->reopened = 0;
		breaker_move_to(breaker, ROLLCALL_BREAKER_CLOSED);
	}
}

static bool share_reached(struct breaker *breaker, const rollcall_policy *policy, int64_t now_us)
{
	double calls = window_sum(&breaker->window, now_us, CALLS);
	double failures = window_sum(&breaker->window, now_us, FAILURES);
	double slow = window_sum(&breaker->window, now_us, SLOW);

	if (calls < policy->breaker.min_calls)
		return false;
	return failures >= policy->breaker.ratio * calls ||
	       (policy->breaker.slow_ratio > 0 && slow >= policy->breaker.slow_ratio * calls);
}

static bool report_ratio(struct breaker *breaker, const rollcall_policy *policy, bool failed,
                         int64_t latency_us, int64_t now_us)
{
	int64_t width = max_i64(1, us_of_ms(policy->breaker.window_ms) / 10);

	if (breaker->window.width_us != width) { /* the policy has changed */
		window_clear(&breaker->window);
		breaker->window.width_us = width;
		breaker->window.newest = 0;
	}
	window_add(&breaker->window, now_us, CALLS, 1);
	if (failed)
		window_add(&breaker->window, now_us, FAILURES, 1);
	if (policy->breaker.slow_ms > 0 && latency_us >= us_of_ms(policy->breaker.slow_ms))
		window_add(&breaker->window, now_us, SLOW, 1);
	return share_reached(breaker, policy, now_us);
}

void breaker_report(struct breaker *breaker, const struct breaker_rule *rule,
                    const struct breaker_ticket *ticket, enum breaker_result result,
                    int64_t latency_us, int64_t now_us)
{
	const rollcall_policy *policy = rule->policy;
	bool failed = result == BREAKER_FAILURE;

	if (policy->breaker.mode == ROLLCALL_B_OFF || breaker->force != ROLLCALL_FORCE_AUTO ||
	    !breaker_current(breaker, ticket))
		return;
	if (breaker->state == ROLLCALL_BREAKER_HALF_OPEN) {
		report_probe(breaker, rule, result, now_us);
		return;
	}
	if (result == BREAKER_IGNORED)
		return;

	bool trip;
	if (policy->breaker.mode == ROLLCALL_B_RATIO) {
		trip = report_ratio(breaker, policy, failed, latency_us, now_us);
	} else {
		breaker->failures = failed ? breaker->failures + 1 : 0;
		trip = breaker->failures >= policy->breaker.failure_threshold;
	}
	if (trip)
		breaker_open(breaker, rule, now_us);
}

void breaker_force(struct breaker *breaker, rollcall_force force)
{
	if (breaker->force == force)
		return;
	breaker->force = force;
	breaker->reopened = 0;
	breaker_move_to(breaker, ROLLCALL_BREAKER_CLOSED);
}

rollcall_breaker_state breaker_state(const struct breaker *breaker)
{
	switch (breaker->force) {
	case ROLLCALL_FORCE_OPEN:
		return ROLLCALL_BREAKER_OPEN;
	case ROLLCALL_FORCE_CLOSED:
		return ROLLCALL_BREAKER_CLOSED;
	case ROLLCALL_FORCE_AUTO:
	default:
		return breaker->state;
	}
}
