/* SPDX-License-Identifier: MIT */
/**
 * The bulkhead of one route: a limit on attempts at once. Further attempts wait in a bounded queue,
 * first come first served. The limit is fixed or follows the latency of the service. The owner
 * locks.
 */
#pragma once

#include "rollcall.h"

#include <stdbool.h>

/** A place in the queue. Embedded in the attempt that waits. */
struct bulkhead_waiter {
	struct bulkhead_waiter *next;
	struct bulkhead_waiter *prev;
	bool queued;
	bool granted; /* holds a place, which bulkhead_leave() gives back */
	/** Called when the waiter gets a place, with the owner's lock held. */
	void (*grant)(struct bulkhead_waiter *waiter);
};

struct bulkhead {
	uint32_t inflight;
	uint32_t queued;
	struct bulkhead_waiter *first;
	struct bulkhead_waiter *last;
	double limit;    /* of the adaptive kinds; 0: nothing learnt yet */
	double long_us;  /* latency, averaged over about 600 attempts */
	double short_us; /* and over about 10 */
};

enum bulkhead_entry { BULKHEAD_ENTERED, BULKHEAD_QUEUED, BULKHEAD_REJECTED };

/** Asks for a place. @param waiter  stays in the queue, and in place, after BULKHEAD_QUEUED until
 * it is granted or abandoned; not used otherwise */
enum bulkhead_entry bulkhead_enter(struct bulkhead *bulkhead, const rollcall_policy *policy,
                                   struct bulkhead_waiter *waiter);
/** Takes @p waiter out of the queue; does nothing when it was granted a place. */
void bulkhead_abandon(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter);

enum bulkhead_result {
	BULKHEAD_OK,
	BULKHEAD_DROP,   /* timed out, or refused for load */
	BULKHEAD_NOTHING /* not caused by the service */
};

/** Gives a place back, adapts the limit to @p result, and grants places to waiters. */
void bulkhead_leave(struct bulkhead *bulkhead, const rollcall_policy *policy,
                    enum bulkhead_result result, int64_t latency_us);
/** @return how many attempts may be under way now */
uint32_t bulkhead_limit(const struct bulkhead *bulkhead, const rollcall_policy *policy);
