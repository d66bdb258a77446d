/* SPDX-License-Identifier: MIT */
/*
 * Receipts: any thread, under the lock of the hub.
 *
 * Invariant: `open` is the number of live watchers for which receipt_counts() is true. A watcher
 * settles when it moves past the change or leaves, so each is subtracted once. A list of the
 * watchers of each receipt would need memory that may fail after the change has been committed.
 */
#include "watch/receipt.h"

#include "base/check.h"
#include "base/hash.h"
#include "watch/internal.h"

#include <stdlib.h>
#include <string.h>

struct watch_receipt {
	struct watch_hub *hub;

	/* guarded by LOCK_WATCH */
	LIST_ENTRY(watch_receipt) link; /* in hub->receipts; then in the list of those to wake */
	bool is_listed;                 /* in hub->receipts */
	struct str topic;
	uint64_t hash;
	uint64_t moved[WATCH_ASPECTS]; /* each aspect's revision after the change */
	uint64_t revision;             /* of the change; 0: not opened */
	uint64_t joined;               /* hub->joined then: watchers that join later do not count */
	unsigned open;                 /* watchers that are not settled */
	unsigned sent;                 /* watchers that have been sent the change */
	void (*wake)(void *arg);       /* NULL: no request waits */
	void *arg;
};

struct watch_receipt *watch_receipt_new(struct watch_hub *hub)
{
	struct watch_receipt *receipt = calloc(1, sizeof(*receipt));

	if (receipt != NULL)
		receipt->hub = hub;
	return receipt;
}

static void unlist_locked(struct watch_receipt *receipt)
{
	CHECK(lock_held(&receipt->hub->lock));
	if (receipt->is_listed)
		LIST_REMOVE(receipt, link);
	receipt->is_listed = false;
}

void watch_receipt_free(struct watch_receipt *receipt)
{
	if (receipt == NULL)
		return;
	lock_take(&receipt->hub->lock);
	unlist_locked(receipt);
	lock_release(&receipt->hub->lock);
	free(receipt);
}

/* Must @p receipt wait for @p watcher if the client has been sent all up to @p sent_through? */
static bool receipt_counts(const struct watch_receipt *receipt, const struct watcher *watcher,
                           uint64_t sent_through)
{
	if (watcher->joined > receipt->joined || sent_through >= receipt->revision)
		return false;
	if (watcher->by_prefix)
		return str_begins(receipt->topic, watcher->topic);
	if (watcher->topic.len == 0)
		return true;
	if (watcher->hash != receipt->hash || !str_equal(watcher->topic, receipt->topic))
		return false;
	for (unsigned i = 0; i < WATCH_ASPECTS; i++)
		if ((watcher->aspects & 1u << i) != 0 && receipt->moved[i] > sent_through)
			return true;
	return false;
}

static unsigned count_locked(const struct watch_receipt *receipt, const struct live_watchers *list)
{
	const struct watcher *watcher;
	unsigned count = 0;

	LIST_FOREACH(watcher, list, live)
	{
		count += receipt_counts(receipt, watcher, watcher->sent_through);
	}
	return count;
}

void watch_receipt_open(struct watch_receipt *receipt, const struct watch_change *change,
                        uint64_t revision)
{
	struct watch_hub *hub = receipt->hub;

	lock_take(&hub->lock);
	CHECK(receipt->revision == 0);
	receipt->topic = change->topic;
	receipt->hash = hash_str(change->topic);
	receipt->revision = revision;
	receipt->joined = hub->joined;
	memcpy(receipt->moved, change->revision, sizeof(receipt->moved));
	receipt->open = count_locked(receipt, &hub->live[receipt->hash % BUCKETS]) +
	                count_locked(receipt, &hub->live_any);
	LIST_INSERT_HEAD(&hub->receipts, receipt, link);
	receipt->is_listed = true;
	lock_release(&hub->lock);
}

void receipts_settle_locked(struct watch_hub *hub, const struct watcher *watcher, uint64_t revision,
                            bool sent, struct receipts *ret_done)
{
	struct watch_receipt *next;

	CHECK(lock_held(&hub->lock));
	for (struct watch_receipt *receipt = LIST_FIRST(&hub->receipts); receipt != NULL;
	     receipt = next) {
		next = LIST_NEXT(receipt, link);
		if (!receipt_counts(receipt, watcher, watcher->sent_through) ||
		    receipt_counts(receipt, watcher, revision))
			continue;
		receipt->sent += sent;
		if (--receipt->open > 0)
			continue;
		unlist_locked(receipt);
		if (receipt->wake != NULL)
			LIST_INSERT_HEAD(ret_done, receipt, link);
	}
}

void receipts_wake(struct receipts *done)
{
	while (!LIST_EMPTY(done)) {
		struct watch_receipt *receipt = LIST_FIRST(done);

		LIST_REMOVE(receipt, link);
		receipt->wake(receipt->arg); /* the request may free it from now on */
	}
}

bool watch_receipt_await(struct watch_receipt *receipt, void (*wake)(void *arg), void *arg)
{
	lock_take(&receipt->hub->lock);
	bool waits = receipt->open > 0;

	receipt->wake = waits ? wake : NULL;
	receipt->arg = arg;
	lock_release(&receipt->hub->lock);
	return waits;
}

bool watch_receipt_cancel(struct watch_receipt *receipt)
{
	lock_take(&receipt->hub->lock);
	bool cancelled = receipt->open > 0;

	if (cancelled)
		receipt->wake = NULL;
	lock_release(&receipt->hub->lock);
	return cancelled;
}

void watch_receipt_count(struct watch_receipt *receipt, unsigned *ret_sent, unsigned *ret_open)
{
	lock_take(&receipt->hub->lock);
	*ret_sent = receipt->sent;
	*ret_open = receipt->open;
	lock_release(&receipt->hub->lock);
}
