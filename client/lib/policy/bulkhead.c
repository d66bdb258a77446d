/* SPDX-License-Identifier: MIT */
#include "lib/policy/bulkhead.h"

#include "lib/base/util.h"

static double bulkhead_clamp(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

uint32_t bulkhead_limit(const struct bulkhead *bulkhead, const rollcall_policy *policy)
{
	if (policy->bulkhead.max_inflight == 0)
		return UINT32_MAX;
	if (policy->bulkhead.limit == ROLLCALL_L_FIXED || bulkhead->limit == 0)
		return policy->bulkhead.max_inflight;
	return (uint32_t)bulkhead->limit;
}

enum bulkhead_entry bulkhead_enter(struct bulkhead *bulkhead, const rollcall_policy *policy,
                                   struct bulkhead_waiter *waiter)
{
	if (bulkhead->inflight < bulkhead_limit(bulkhead, policy) && bulkhead->first == NULL) {
		bulkhead->inflight++;
		return BULKHEAD_ENTERED;
	}
	if (bulkhead->queued >= policy->bulkhead.max_queue || policy->bulkhead.max_wait_ms == 0)
		return BULKHEAD_REJECTED;

	waiter->next = NULL;
	waiter->prev = bulkhead->last;
	waiter->queued = true;
	waiter->granted = false;
	if (bulkhead->last != NULL)
		bulkhead->last->next = waiter;
	else
		bulkhead->first = waiter;
	bulkhead->last = waiter;
	bulkhead->queued++;
	return BULKHEAD_QUEUED;
}

void bulkhead_abandon(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
	if (!waiter->queued)
		return;
	if (waiter->prev != NULL)
		waiter->prev->next = waiter->next;
	else
		bulkhead->first = waiter->next;
	if (waiter->next != NULL)
		waiter->next->prev = waiter->prev;
	else
		bulkhead->last = waiter->prev;
	waiter->queued = false;
	bulkhead->queued--;
}

/* The limit grows by one only while at least half of it is in use, so that it does not rise when
 * the service is idle. */
static double aimd(const struct bulkhead *bulkhead, double limit, bool drop)
{
	if (drop)
		return limit * 0.9;
	return 2.0 * bulkhead->inflight >= limit ? limit + 1 : limit;
}

/* The limit gets its allowance for a queue only while latency does not grow: with it the limit
 * would rise under mild overload. A drop lowers the limit whatever its latency: attempts that all
 * time out take equally long, so their latency shows no growth. */
static double gradient2(struct bulkhead *bulkhead, double limit, bool drop, double latency)
{
	if (drop)
		return limit * 0.9;

	bulkhead->short_us += (latency - bulkhead->short_us) * 0.1;
	bulkhead->long_us += (latency - bulkhead->long_us) * (1.0 / 600);
	if (bulkhead->long_us == 0 || bulkhead->short_us == 0)
		return limit;
	if (bulkhead->long_us > 2 * bulkhead->short_us)
		bulkhead->long_us *= 0.95; /* forgets a long slow period sooner */

	double gradient = bulkhead_clamp(1.5 * bulkhead->long_us / bulkhead->short_us, 0.5, 1);
	double queue = gradient < 1 ? 0 : 4;

	if (2.0 * bulkhead->inflight < limit)
		return limit; /* the limit is not what bounds the load */
	return 0.8 * limit + 0.2 * (gradient * limit + queue);
}

static void bulkhead_learn(struct bulkhead *bulkhead, const rollcall_policy *policy, bool drop,
                           int64_t latency_us)
{
	double latency = (double)latency_us;

	if (bulkhead->limit == 0)
		bulkhead->limit = policy->bulkhead.max_inflight;
	if (bulkhead->long_us == 0)
		bulkhead->long_us = bulkhead->short_us = latency;
	bulkhead->limit = policy->bulkhead.limit == ROLLCALL_L_AIMD
	                          ? aimd(bulkhead, bulkhead->limit, drop)
	                          : gradient2(bulkhead, bulkhead->limit, drop, latency);
	bulkhead->limit =
		bulkhead_clamp(bulkhead->limit, policy->bulkhead.lim_min, policy->bulkhead.lim_max);
}

void bulkhead_leave(struct bulkhead *bulkhead, const rollcall_policy *policy,
                    enum bulkhead_result result, int64_t latency_us)
{
	if (policy->bulkhead.limit != ROLLCALL_L_FIXED && result != BULKHEAD_NOTHING)
		bulkhead_learn(bulkhead, policy, result == BULKHEAD_DROP, latency_us);
	bulkhead->inflight--;

	while (bulkhead->first != NULL && bulkhead->inflight < bulkhead_limit(bulkhead, policy)) {
		struct bulkhead_waiter *waiter = bulkhead->first;

		bulkhead_abandon(bulkhead, waiter);
		bulkhead->inflight++;
		waiter->granted = true;
		waiter->grant(waiter);
	}
}
