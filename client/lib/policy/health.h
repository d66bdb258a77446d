/* SPDX-License-Identifier: MIT */
/**
 * What the client has learnt of each instance from its own calls: the load, for the strategies, and
 * failures, for ejection. The owner locks.
 */
#pragma once

#include "lib/base/env.h"
#include "rollcall.h"

#include <stdbool.h>

struct health {
	/* load */
	double cost_us; /* peak EWMA of the latency; 0: not measured */
	int64_t cost_at_us;
	uint32_t pending; /* attempts under way */

	/* ejection */
	uint32_t bad_5xx;         /* consecutive 5xx */
	uint32_t bad_local;       /* consecutive resets, timeouts and refused connections */
	uint32_t calls;           /* in this interval */
	uint32_t good;            /* of them, without a failure */
	uint32_t times;           /* recent ejections: the next lasts that much longer */
	int64_t ejected_until_us; /* 0: not ejected */
	bool was_ejected;         /* in this interval */
};

/** Counts a call that took @p latency_us. The caller passes a large latency for a failure:
 * otherwise an instance that fails fast would get all calls. */
void health_observe(struct health *health, int64_t latency_us, int64_t now_us);
/** @return the expected wait of a call at the instance, in microseconds */
double health_load(const struct health *health, int64_t now_us);

/** The ejections of one service. */
struct ejector {
	int64_t sweep_us;   /* when the next comparison is due; 0: none yet */
	uint32_t ejected;   /* instances ejected now */
	uint64_t ejections; /* since the start */
};

enum health_result { HEALTH_OK, HEALTH_5XX, HEALTH_LOCAL };

/** The instances of a service, in any order. */
struct health_set {
	struct health *const *hosts;
	size_t count;
};

/** Counts the result of a call of @p health, which is in @p set; may eject it. */
void ejector_report(struct ejector *ejector, const rollcall_policy *policy,
                    const struct health_set *set, struct health *health, enum health_result result,
                    const struct env *env);
/** Ends ejections whose time is over, and compares success rates when that is due, which may eject.
 * Cheap when nothing is due. */
void ejector_tick(struct ejector *ejector, const rollcall_policy *policy,
                  const struct health_set *set, const struct env *env, int64_t now_us);
/** Counts ejector->ejected again, after the set has changed. */
void ejector_recount(struct ejector *ejector, const struct health_set *set);
/** @return whether so few of @p count instances are usable that ejections must be ignored */
bool ejector_panic(const struct ejector *ejector, const rollcall_policy *policy, size_t count);
