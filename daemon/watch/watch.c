/* SPDX-License-Identifier: MIT */
/*
 * The lists of watchers, under one lock; any thread adds and cancels, the writer notifies.
 *
 * Invariant: no change is lost between a watcher's last look at the snapshot and watch_add(),
 * although the writer takes no lock to see that no watcher waits. Four operations matter:
 *
 *	watcher's thread			writer
 *	W1  add 1 to the counts (watch_add)	P1  store the snapshot (snapshot_draft_publish)
 *	W2  load the snapshot (snapshot_enter)	P2  load the counts (watch_is_wanted)
 *
 * All four are sequentially consistent, so they have one total order in which each thread's own
 * order holds (C11 5.1.2.4, 7.17.3). If W2 comes before P1, and the watcher thus reads the old
 * snapshot, then W1 < W2 < P1 < P2: the writer counts the watcher and notifies. With a weaker order
 * both loads may return the old value (the store-buffering litmus test): x86 forbids that only as
 * long as a locked instruction happens to stand between P1 and P2, ARM and POWER allow it.
 */
#include "watch/watch.h"

#include "base/check.h"
#include "base/hash.h"
#include "watch/internal.h"

#include <stdlib.h>

struct watch_hub *watch_hub_new(void)
{
	struct watch_hub *hub = calloc(1, sizeof(*hub));

	if (hub == NULL)
		return NULL;
	lock_init(&hub->lock, LOCK_WATCH);
	for (size_t i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&hub->bucket[i]);
	TAILQ_INIT(&hub->any);
	TAILQ_INIT(&hub->prefixes);
	/* zeros are empty lists of the other kind */
	return hub;
}

void watch_hub_free(struct watch_hub *hub)
{
	if (hub == NULL)
		return;
	CHECK(watch_count(hub) == 0 && LIST_EMPTY(&hub->receipts));
	lock_fini(&hub->lock);
	free(hub);
}

/* The list that a watcher belongs to, and the number of watchers on it. */
static struct watchers *list_of(struct watch_hub *hub, const struct watcher *watcher,
                                _Atomic uint32_t **ret_count)
{
	size_t at = watcher->hash % BUCKETS;

	if (watcher->by_prefix) {
		*ret_count = &hub->prefix_count;
		return &hub->prefixes;
	}
	*ret_count = watcher->topic.len == 0 ? &hub->any_count : &hub->bucket_count[at];
	return watcher->topic.len == 0 ? &hub->any : &hub->bucket[at];
}

static void watch_leave_locked(struct watch_hub *hub, struct watcher *watcher)
{
	_Atomic uint32_t *count;
	struct watchers *list = list_of(hub, watcher, &count);

	CHECK(lock_held(&hub->lock) && watcher->is_waiting);
	TAILQ_REMOVE(list, watcher, link);
	watcher->is_waiting = false;
	atomic_fetch_sub(count, 1);
	atomic_fetch_sub(&hub->count, 1);
}

void watch_join(struct watch_hub *hub, struct watcher *watcher, uint64_t sent_through)
{
	watcher->hash = hash_str(watcher->topic); /* in no list yet, so without the lock */
	watcher->hub = hub;
	watcher->sent_through = sent_through;
	lock_take(&hub->lock);
	watcher->joined = ++hub->joined;
	LIST_INSERT_HEAD(watcher->topic.len == 0 || watcher->by_prefix
	                         ? &hub->live_any
	                         : &hub->live[watcher->hash % BUCKETS],
	                 watcher, live);
	lock_release(&hub->lock);
}

void watch_sent(struct watcher *watcher, uint64_t revision, bool sent)
{
	struct receipts done = LIST_HEAD_INITIALIZER(done);
	struct watch_hub *hub = watcher->hub;

	if (hub == NULL || revision <= watcher->sent_through)
		return;
	lock_take(&hub->lock);
	receipts_settle_locked(hub, watcher, revision, sent, &done);
	watcher->sent_through = revision;
	lock_release(&hub->lock);
	receipts_wake(&done);
}

void watch_leave(struct watcher *watcher)
{
	struct receipts done = LIST_HEAD_INITIALIZER(done);
	struct watch_hub *hub = watcher->hub;

	if (hub == NULL)
		return;
	lock_take(&hub->lock);
	receipts_settle_locked(hub, watcher, UINT64_MAX, false, &done);
	LIST_REMOVE(watcher, live);
	lock_release(&hub->lock);
	watcher->hub = NULL;
	receipts_wake(&done);
}

void watch_add(struct watch_hub *hub, struct watcher *watcher)
{
	uint64_t hash = hash_str(watcher->topic);
	_Atomic uint32_t *count;

	lock_take(&hub->lock);
	watcher->hash =
		hash; /* under the lock, because a receipt reads it while the watcher is live */
	TAILQ_INSERT_TAIL(list_of(hub, watcher, &count), watcher, link);
	watcher->is_waiting = true;
	atomic_fetch_add(count, 1);
	atomic_fetch_add(&hub->count, 1);
	lock_release(&hub->lock);
}

bool watch_cancel(struct watch_hub *hub, struct watcher *watcher)
{
	lock_take(&hub->lock);
	bool was_waiting = watcher->is_waiting;

	if (was_waiting)
		watch_leave_locked(hub, watcher);
	lock_release(&hub->lock);
	return was_waiting;
}

size_t watch_count(const struct watch_hub *hub)
{
	return atomic_load(&hub->count);
}

bool watch_is_wanted(const struct watch_hub *hub, struct str topic)
{
	if (watch_count(hub) == 0)
		return false;
	return atomic_load(&hub->any_count) > 0 ||
	       atomic_load(&hub->bucket_count[hash_str(topic) % BUCKETS]) > 0;
}

static bool has_moved(const struct watcher *watcher, const struct watch_change *change)
{
	for (size_t i = 0; i < WATCH_ASPECTS; i++) {
		if ((watcher->aspects & (1u << i)) != 0 && change->revision[i] > watcher->seen)
			return true;
	}
	return false;
}

/* Without the lock: once a watcher is off its list, only its own callback uses it. */
static size_t wake_all(struct watchers *woken)
{
	size_t count = 0;

	while (!TAILQ_EMPTY(woken)) {
		struct watcher *watcher = TAILQ_FIRST(woken);

		TAILQ_REMOVE(woken, watcher, link);
		watcher->wake(watcher);
		count++;
	}
	return count;
}

size_t watch_notify(struct watch_hub *hub, const struct watch_change *change)
{
	uint64_t hash = hash_str(change->topic);
	struct watchers *list = &hub->bucket[hash % BUCKETS];
	struct watchers woken = TAILQ_HEAD_INITIALIZER(woken);

	lock_take(&hub->lock);
	struct watcher *next;
	for (struct watcher *watcher = TAILQ_FIRST(list); watcher != NULL; watcher = next) {
		next = TAILQ_NEXT(watcher, link);
		if (watcher->hash != hash || !str_equal(watcher->topic, change->topic) ||
		    !has_moved(watcher, change))
			continue;
		watch_leave_locked(hub, watcher);
		TAILQ_INSERT_TAIL(&woken, watcher, link);
	}
	lock_release(&hub->lock);
	return wake_all(&woken);
}

size_t watch_notify_any(struct watch_hub *hub)
{
	struct watchers woken = TAILQ_HEAD_INITIALIZER(woken);

	lock_take(&hub->lock);
	while (!TAILQ_EMPTY(&hub->any)) {
		struct watcher *watcher = TAILQ_FIRST(&hub->any);

		watch_leave_locked(hub, watcher);
		TAILQ_INSERT_TAIL(&woken, watcher, link);
	}
	lock_release(&hub->lock);
	return wake_all(&woken);
}

bool watch_has_prefixes(const struct watch_hub *hub)
{
	return atomic_load(&hub->prefix_count) > 0;
}

/* Does one of the sorted @p topics begin with @p prefix? */
static bool has_prefixed(const struct str *topics, size_t count, struct str prefix)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (str_compare(topics[middle], prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && str_begins(topics[low], prefix);
}

size_t watch_notify_prefixes(struct watch_hub *hub, const struct str *topics, size_t count,
                             uint64_t revision, bool has_news)
{
	struct watchers woken = TAILQ_HEAD_INITIALIZER(woken);
	struct watcher *next;

	if (count == 0)
		return 0;
	lock_take(&hub->lock);
	for (struct watcher *watcher = TAILQ_FIRST(&hub->prefixes); watcher != NULL;
	     watcher = next) {
		next = TAILQ_NEXT(watcher, link);
		if (revision <= watcher->seen || !has_prefixed(topics, count, watcher->topic))
			continue;
		watch_leave_locked(hub, watcher);
		watcher->has_news = has_news;
		TAILQ_INSERT_TAIL(&woken, watcher, link);
	}
	lock_release(&hub->lock);
	return wake_all(&woken);
}
