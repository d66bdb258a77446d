/* SPDX-License-Identifier: MIT */
/**
 * Watchers: requests that wait for a change. A watcher names a topic (a service) and the aspects of
 * it that the request observes (the sets of instances by status). The hub wakes it once, by
 * callback, when one of these aspects moves past the revision that the request has seen.
 *
 *	watcher.topic = name; watcher.aspects = 1u << STATUS_HEALTHY; watcher.seen = revision;
 *	watch_add(hub, &watcher);
 *	... look again: if the aspect moved before the watcher was added, watch_cancel() ...
 *
 * The cost of a notification grows with the watchers that it wakes, not with those that wait: a
 * topic without watchers costs the writer one load.
 *
 * From watch_join() to watch_leave() a watcher is live: a request that makes a change can wait
 * until every live watcher has been sent the change (watch/receipt.h), whether the watcher waits at
 * that moment or is still sending an earlier result.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define WATCH_ASPECTS 4

struct watch_hub;

/** Owned by the request; must stay in place until it has been woken or cancelled. */
struct watcher {
	/* set before watch_add() */
	struct str topic; /* borrowed; empty: any change */
	bool by_prefix; /* the topic is a prefix of topics: only watch_notify_prefixes() wakes it */
	unsigned aspects; /* a bit per aspect; unused when the topic is empty or a prefix */
	uint64_t seen;    /* wake when the revision of an aspect is greater */
	/** Called once, on the notifying thread, without locks; must not block. */
	void (*wake)(struct watcher *watcher);

	/* private to the hub, guarded by LOCK_WATCH */
	TAILQ_ENTRY(watcher) link;
	uint64_t hash;
	bool is_waiting;
	bool has_news; /* by_prefix: a topic with the prefix was among those that changed */
	LIST_ENTRY(watcher) live;
	struct watch_hub *hub; /* NULL: not live */
	uint64_t joined;       /* its number in the order of watch_join() */
	uint64_t sent_through; /* its client has been sent every change it observes up to here */
};

/** A change of one topic. */
struct watch_change {
	struct str topic;
	uint64_t revision[WATCH_ASPECTS]; /* of the latest change of each aspect */
};

struct watch_hub *watch_hub_new(void) MUST_USE;
/** Call it when no watcher waits any more. Takes NULL. */
void watch_hub_free(struct watch_hub *hub);

/**
 * Makes @p watcher live; its topic and aspects must not change any more.
 * @param sent_through  the client has been sent, or does not observe, all changes up to here
 */
void watch_join(struct watch_hub *hub, struct watcher *watcher, uint64_t sent_through);
/**
 * Records that the client has been sent every change up to @p revision. Thread: the one that serves
 * the watcher. Does nothing unless the watcher is live.
 * @param sent  false: nothing up to @p revision concerned this watcher, so nothing was sent
 */
void watch_sent(struct watcher *watcher, uint64_t revision, bool sent);
/** Ends its life: no receipt waits for it any more. Also takes a watcher that is not live. */
void watch_leave(struct watcher *watcher);

/** Starts to wait. Any thread; never fails. If a snapshot that is entered afterwards is not yet the
 * changed one, the change will notify this watcher: watch.c has the proof. */
void watch_add(struct watch_hub *hub, struct watcher *watcher);
/**
 * Stops waiting. Any thread.
 * @return true: wake() will not be called; false: it has been called or is being called
 */
bool watch_cancel(struct watch_hub *hub, struct watcher *watcher);

/** The number of watchers that wait. Any thread; one load. */
size_t watch_count(const struct watch_hub *hub);
/** May a watcher wait for @p topic, or for any change? Two loads. After publishing, false is
 * reliable: a watcher that is added later reads what was published. Any thread. */
bool watch_is_wanted(const struct watch_hub *hub, struct str topic);
/**
 * Wakes the watchers of @p change. Thread: the writer.
 * @return the number of watchers woken
 */
size_t watch_notify(struct watch_hub *hub, const struct watch_change *change);
/** Wakes all watchers of any change. Thread: the writer. */
size_t watch_notify_any(struct watch_hub *hub);
/** Does any watcher wait by prefix? Any thread; one load. */
bool watch_has_prefixes(const struct watch_hub *hub);
/**
 * Wakes the watchers by prefix of one of @p topics that have not seen @p revision. Costs a binary
 * search for each watcher. Thread: the writer.
 * @param topics    in order of str_compare()
 * @param has_news  false: nothing they show has changed; they are woken so that they call
 *                  watch_sent() for @p revision, for which a receipt waits
 * @return the number of watchers woken
 */
size_t watch_notify_prefixes(struct watch_hub *hub, const struct str *topics, size_t count,
                             uint64_t revision, bool has_news);
