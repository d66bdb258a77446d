/* SPDX-License-Identifier: MIT */
/** What watch.c and receipt.c share. */
#pragma once

#include "base/lock.h"
#include "watch/watch.h"

#include <stdatomic.h>

/* Watchers of different topics may share a bucket, which makes the search longer. */
#define BUCKETS 1024

TAILQ_HEAD(watchers, watcher);
LIST_HEAD(live_watchers, watcher);
LIST_HEAD(receipts, watch_receipt);

struct watch_hub {
	/* atomic, written under the lock */
	_Atomic size_t count;
	_Atomic uint32_t bucket_count[BUCKETS];
	_Atomic uint32_t any_count;
	_Atomic uint32_t prefix_count;

	/* guarded by lock */
	struct lock lock;
	struct watchers bucket[BUCKETS];
	struct watchers any; /* without a topic */
	struct watchers prefixes;
	struct live_watchers live[BUCKETS];
	struct live_watchers live_any; /* without a topic, or by prefix */
	uint64_t joined;               /* the number of calls of watch_join() so far */
	struct receipts receipts;
};

/**
 * Part of watch_sent() and watch_leave(): settles @p watcher up to @p revision. Receipts that wait
 * for no other watcher move to @p ret_done.
 */
void receipts_settle_locked(struct watch_hub *hub, const struct watcher *watcher, uint64_t revision,
                            bool sent, struct receipts *ret_done);
/** Calls the wake() of all receipts of @p done. Call it without the lock. */
void receipts_wake(struct receipts *done);
