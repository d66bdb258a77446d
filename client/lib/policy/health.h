/* SPDX-License-Identifier: MIT */
/**
 * What calls taught us about each instance: its load for the balancer, and whether it is ejected.
 * The owner locks.
 */
#pragma once

#include "lib/base/env.h"
#include "rollcall.h"

#include <stdbool.h>

struct health {
	/* load */
	double cost_us; /* peak EWMA; 0: not measured */
	int64_t cost_at_us;
	uint32_t pending;

	/* ejection */
	uint32_t bad_5xx; /* in a row */
	uint32_t bad_local;
	uint32_t calls; /* in this interval */
	uint32_t good;
	uint32_t times;           /* ejected: raises the length of the next */
	int64_t ejected_until_us; /* 0: not ejected */
	bool was_ejected;         /* in this interval */
};

/** Counts a call that took @p latency_us. A failure must be given as slow, or an instance that
 * fails fast would draw all calls to itself. */
void health_observe(struct health *health, int64_t latency_us, int64_t now_us);
/** Microseconds a call would wait there. */
double health_load(const struct health *health, int64_t now_us);

/** The instances of a service together. */
struct ejector {
	int64_t sweep_us; /* when the next comparison is due; 0: none planned */
	uint32_t ejected; /* now */
	uint64_t ejections;
};

enum health_result { HEALTH_OK, HEALTH_5XX, HEALTH_LOCAL };

/** Its members in no order. */
struct health_set {
	struct health *const *hosts;
	size_t count;
};

/** Counts how a call of @p health, one of @p set, ended; may eject it, or others. */
void ejector_report(struct ejector *ejector, const rollcall_policy *policy,
                    const struct health_set *set, struct health *health, enum health_result result,
                    const struct env *env);
/** Takes back in those whose time is over, and compares success rates when that is due. Cheap
 * when there is nothing to do. */
void ejector_tick(struct ejector *ejector, const rollcall_policy *policy,
                  const struct health_set *set, const struct env *env, int64_t now_us);
/** Counts again after the set has changed. */
void ejector_recount(struct ejector *ejector, const struct health_set *set);
/** Are so few usable that ejections must be ignored? */
bool ejector_panic(const struct ejector *ejector, const rollcall_policy *policy, size_t count);
