/* SPDX-License-Identifier: MIT */
/*
 * Load and ejection of instances. Everything runs inside a pick or a report, under the service's
 * lock; there is no timer, so an ejection whose time is over ends at the next pick. Invariant:
 * ejector->ejected is the number of members of the present set with ejected_until_us != 0, and at
 * least one member is never ejected. A plain average of latencies would not do for the load: the
 * peak EWMA rises at once with one slow answer and falls slowly, so that calls leave an instance
 * that becomes slow before it fails.
 */
#include "lib/policy/health.h"

#include "lib/base/util.h"

#include <math.h>

#define TAU_US     1e7
#define PENALTY_US 1e9 /* per attempt under way at an instance that was never measured */

static double decayed(const struct health *health, int64_t now_us, double *ret_weight)
{
	double weight = exp(-(double)(now_us - health->cost_at_us) / TAU_US);

	*ret_weight = weight;
	return health->cost_us * weight;
}

void health_observe(struct health *health, int64_t latency_us, int64_t now_us)
{
	double rtt = latency_us > 0 ? (double)latency_us : 1;
	double weight;
	double faded = decayed(health, now_us, &weight);

	health->cost_us = rtt > health->cost_us ? rtt : faded + rtt * (1 - weight);
	health->cost_at_us = now_us;
}

double health_load(const struct health *health, int64_t now_us)
{
	double weight;

	if (health->cost_us == 0)
		return health->pending > 0 ? PENALTY_US * health->pending : 0;
	return decayed(health, now_us, &weight) * (health->pending + 1.0);
}

bool ejector_panic(const struct ejector *ejector, const rollcall_policy *policy, size_t count)
{
	size_t usable = count - ejector->ejected;

	return usable == 0 || usable * 100 < (size_t)policy->outlier.panic_percent * count;
}

static void ejector_eject(struct ejector *ejector, const rollcall_policy *policy, size_t count,
                          struct health *health, const struct env *env)
{
	size_t most = count * policy->outlier.max_percent / 100;

	if (health->ejected_until_us != 0)
		return;
	if (most < 1)
		most = 1;
	if (ejector->ejected >= most || ejector->ejected + 1 >= count)
		return; /* never eject the last usable instance */

	health->times++;
	int64_t length = min_i64(us_of_ms(policy->outlier.max_ms),
	                         us_of_ms(policy->outlier.base_ms) * health->times);
	length += (int64_t)((double)length * policy->outlier.jitter * env_uniform(env));
	health->ejected_until_us = env_now(env) + length;
	health->was_ejected = true;
	ejector->ejected++;
	ejector->ejections++;
}

void ejector_report(struct ejector *ejector, const rollcall_policy *policy,
                    const struct health_set *set, struct health *health, enum health_result result,
                    const struct env *env)
{
	health->calls++;
	if (result == HEALTH_OK) {
		health->good++;
		health->bad_5xx = 0;
		health->bad_local = 0;
		return;
	}

	uint32_t *bad = result == HEALTH_5XX ? &health->bad_5xx : &health->bad_local;
	uint32_t most =
		result == HEALTH_5XX ? policy->outlier.consec_5xx : policy->outlier.consec_local;
	if (most == 0 || ++*bad < most)
		return;
	ejector_eject(ejector, policy, set->count, health, env);
	if (health->ejected_until_us != 0)
		*bad = 0;
}

static void ejector_compare(struct ejector *ejector, const rollcall_policy *policy,
                            const struct health_set *set, const struct env *env)
{
	double sum = 0;
	double squares = 0;
	uint32_t hosts = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct health *host = set->hosts[i];

		if (host->calls == 0 || host->calls < policy->outlier.min_volume)
			continue;
		double rate = (double)host->good / host->calls;
		sum += rate;
		squares += rate * rate;
		hosts++;
	}
	if (hosts == 0 || hosts < policy->outlier.min_hosts)
		return;

	double mean = sum / hosts;
	double variance = squares / hosts - mean * mean;
	double least = mean - policy->outlier.stdev_factor * sqrt(variance > 0 ? variance : 0);

	for (size_t i = 0; i < set->count; i++) {
		struct health *host = set->hosts[i];

		if (host->calls >= policy->outlier.min_volume && host->calls > 0 &&
		    (double)host->good / host->calls < least)
			ejector_eject(ejector, policy, set->count, host, env);
	}
}

static void ejector_end_interval(const struct health_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct health *host = set->hosts[i];

		if (!host->was_ejected && host->times > 0)
			host->times--;
		host->was_ejected = host->ejected_until_us != 0;
		host->calls = 0;
		host->good = 0;
	}
}

void ejector_tick(struct ejector *ejector, const rollcall_policy *policy,
                  const struct health_set *set, const struct env *env, int64_t now_us)
{
	for (size_t i = 0; ejector->ejected > 0 && i < set->count; i++) {
		struct health *host = set->hosts[i];

		if (host->ejected_until_us == 0 || now_us < host->ejected_until_us)
			continue;
		host->ejected_until_us = 0;
		ejector->ejected--;
	}

	if (now_us < ejector->sweep_us || policy->outlier.interval_ms == 0)
		return;
	if (ejector->sweep_us != 0) {
		if (policy->outlier.stdev_factor > 0)
			ejector_compare(ejector, policy, set, env);
		ejector_end_interval(set);
	}
	ejector->sweep_us = now_us + us_of_ms(policy->outlier.interval_ms);
}

void ejector_recount(struct ejector *ejector, const struct health_set *set)
{
	ejector->ejected = 0;
	for (size_t i = 0; i < set->count; i++)
		ejector->ejected += set->hosts[i]->ejected_until_us != 0;
}
