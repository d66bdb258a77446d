/* SPDX-License-Identifier: MIT */
/**
 * At most so many attempts at once; others wait in a bounded queue, first come first served. The
 * limit is fixed or follows what the service can do. The owner locks.
 */
#pragma once

#include "rollcall.h"

#include <stdbool.h>

/** In the queue. Embedded in who waits. */
struct bulkhead_waiter {
	struct bulkhead_waiter *next;
	struct bulkhead_waiter *prev;
	bool queued;
	bool granted; /* has a place now, which bulkhead_leave() gives back */
	/** Told of the grant, with the owner's lock held. */
	void (*grant)(struct bulkhead_waiter *waiter);
};

struct bulkhead {
	uint32_t inflight;
	uint32_t queued;
	struct bulkhead_waiter *first;
	struct bulkhead_waiter *last;
	double limit; /* of the adaptive kinds; 0: not used yet */
	double long_us;
	double short_us;
};

enum bulkhead_entry { BULKHEAD_ENTERED, BULKHEAD_QUEUED, BULKHEAD_REJECTED };

/** @param waiter  used only when the answer is BULKHEAD_QUEUED, and then until it is granted or
 * abandoned */
enum bulkhead_entry bulkhead_enter(struct bulkhead *bulkhead, const rollcall_policy *policy,
                                   struct bulkhead_waiter *waiter);
/** Leaves the queue. Not for one that was granted. */
void bulkhead_abandon(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter);

enum bulkhead_result {
	BULKHEAD_OK,
	BULKHEAD_DROP,   /* timed out, or refused for load */
	BULKHEAD_NOTHING /* says nothing about the service */
};

/** Gives a place back, learns from @p result, and grants who waits. */
void bulkhead_leave(struct bulkhead *bulkhead, const rollcall_policy *policy,
                    enum bulkhead_result result, int64_t latency_us);
/** How many may be under way now. */
uint32_t bulkhead_limit(const struct bulkhead *bulkhead, const rollcall_policy *policy);
