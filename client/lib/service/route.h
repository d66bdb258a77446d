/* SPDX-License-Identifier: MIT */
/**
 * A route: one policy of a service, with the state of its breaker, bulkhead and budgets. Each
 * service has a route for all paths, and one for each prefix with a policy of its own. Guarded by
 * the service's lock.
 */
#pragma once

#include "lib/base/util.h"
#include "lib/policy/breaker.h"
#include "lib/policy/budget.h"
#include "lib/policy/bulkhead.h"
#include "lib/policy/limiter.h"

#define ROUTES_MAX      64
#define LATENCY_BUCKETS 64 /* quarters of octaves, from 100 us */

struct route {
	struct route *next;
	char *prefix; /* "" for the service's own */
	rollcall_policy policy;
	struct breaker breaker;
	struct bulkhead bulkhead;
	struct budget budget;
	struct rate_limit rate;
	struct throttle *throttle; /* NULL until a policy has one */
	uint64_t fault_state;      /* of its random sequence */
	struct budget hedges;      /* counts hedges as its retries */

	/* latencies of this interval of 10 s and of the one before, for the delay of hedges */
	uint32_t latency[LATENCY_BUCKETS];
	uint32_t latency_before[LATENCY_BUCKETS];
	int64_t latency_turn_us; /* when this interval began */
};

/** Sets up a route. @return 0; -ENOMEM; route_fini() undoes it in both cases */
int route_init(struct route *route, const char *prefix, const rollcall_policy *policy) MUST_USE;
/** Replaces the policy and keeps the state. @return 0, or -ENOMEM: nothing changed */
int route_set_policy(struct route *route, const rollcall_policy *policy) MUST_USE;
void route_fini(struct route *route);

/** Counts the latency of one attempt, for route_latency_at(). */
void route_count_latency(struct route *route, int64_t latency_us, int64_t now_us);
/** The latency in microseconds that @p share (0-1) of the attempts of the last two intervals stayed
 * below; -1: fewer than 20 attempts were counted. */
int64_t route_latency_at(const struct route *route, double share);
