/* SPDX-License-Identifier: MIT */
/** What watch.c and receipt.c share. */
#pragma once

#include "base/lock.h"
#include "watch/watch.h"

#include <stdatomic.h>

/* Watchers of different topics that share a bucket only make the search longer. */
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
	uint64_t joined;               /* how many ever have */
	struct receipts receipts;
};

/**
 * What watch_sent() and watch_leave() do: @p watcher moves on to @p revision.
 * Moves those receipts to @p ret_done that wait for nobody else.
 */
void receipts_settle_locked(struct watch_hub *hub, const struct watcher *watcher, uint64_t revision,
                            bool sent, struct receipts *ret_done);
/** Without the lock: wakes the makers of what was moved to @p done. */
void receipts_wake(struct receipts *done);
