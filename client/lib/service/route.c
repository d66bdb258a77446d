/* SPDX-License-Identifier: MIT */
#include "lib/service/route.h"

#include "lib/base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LATENCY_INTERVAL_US (10 * US_PER_S)
#define LATENCY_FIRST_US    100.0
#define LATENCY_STEP        1.189207 /* a quarter of an octave */
#define SAMPLES_MIN         20

int route_set_policy(struct route *route, const rollcall_policy *policy)
{
	if (policy->throttle.k > 0) {
		if (route->throttle == NULL)
			route->throttle = malloc(sizeof(*route->throttle));
		if (route->throttle == NULL)
			return -ENOMEM;
		if (route->policy.throttle.k <= 0 ||
		    route->policy.throttle.window_ms != policy->throttle.window_ms)
			throttle_init(route->throttle, policy->throttle.window_ms);
	}
	if (policy->fault.seed != route->policy.fault.seed || route->fault_state == 0)
		route->fault_state = policy->fault.seed;
	route->policy = *policy;
	return 0;
}

int route_init(struct route *route, const char *prefix, const rollcall_policy *policy)
{
	*route = (struct route){0};
	breaker_init(&route->breaker);
	budget_init(&route->budget);
	budget_init(&route->hedges);
	route->prefix = text_copy(prefix);
	if (route->prefix == NULL)
		return -ENOMEM;
	return route_set_policy(route, policy);
}

void route_fini(struct route *route)
{
	free(route->prefix);
	free(route->throttle);
	route->prefix = NULL;
	route->throttle = NULL;
}

void route_count_latency(struct route *route, int64_t latency_us, int64_t now_us)
{
	double edge = LATENCY_FIRST_US;
	unsigned bucket = 0;

	if (now_us - route->latency_turn_us > LATENCY_INTERVAL_US) {
		memcpy(route->latency_before, route->latency, sizeof(route->latency));
		memset(route->latency, 0, sizeof(route->latency));
		route->latency_turn_us = now_us;
	}
	for (; bucket < LATENCY_BUCKETS - 1 && (double)latency_us >= edge; edge *= LATENCY_STEP)
		bucket++;
	route->latency[bucket]++;
}

int64_t route_latency_at(const struct route *route, double share)
{
	uint64_t total = 0;
	uint64_t below = 0;
	double edge = LATENCY_FIRST_US;

	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		total += route->latency[i] + route->latency_before[i];
	if (total < SAMPLES_MIN)
		return -1;
	for (size_t i = 0; i < LATENCY_BUCKETS; i++, edge *= LATENCY_STEP) {
		below += route->latency[i] + route->latency_before[i];
		if ((double)below >= share * (double)total)
			break;
	}
	return (int64_t)edge;
}
