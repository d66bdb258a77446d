/* SPDX-License-Identifier: MIT */
/**
 * Who waits for what. A watcher names a topic (a service) and the aspects of it that its reader
 *looks at (the sets of instances by status); it is woken once, by callback, when one of those moves
 *past the revision that the reader has seen.
 *
 *	watcher.topic = name; watcher.aspects = 1u << STATUS_HEALTHY; watcher.seen = revision;
 *	watch_add(hub, &watcher);
 *	... look again: if it moved before the watcher was added, watch_cancel() ...
 *
 * A wake-up costs what is woken, not what waits: topics that nobody waits for cost the writer one
 *load.
 *
 * From watch_join() to watch_leave() a watcher is live: who makes a change can wait until it has
 *been sent it (watch/receipt.h), whether it waits at that moment or is still busy with what came
 *before.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define WATCH_ASPECTS 3

struct watch_hub;

/** Owned by who waits; must stay until it has been woken or cancelled. */
struct watcher {
	/* set before watch_add() */
	struct str topic; /* borrowed; empty: any change at all */
	bool by_prefix;   /* the topic is the beginning of many: watch_notify_prefixes() wakes it,
	                     and nothing else does */
	unsigned aspects; /* bit per aspect; not looked at when the topic is empty or a prefix */
	uint64_t seen;    /* wake when an aspect's revision is greater */
	/** Called once, on the notifying thread, without locks; must not block. */
	void (*wake)(struct watcher *watcher);

	/* the hub's, guarded by LOCK_WATCH */
	TAILQ_ENTRY(watcher) link;
	uint64_t hash;
	bool is_waiting;
	bool has_news; /* by_prefix: a topic of its was among those that changed when it was woken
	                */
	LIST_ENTRY(watcher) live;
	struct watch_hub *hub; /* while it is live, otherwise NULL */
	uint64_t joined;       /* its number among all that have */
	uint64_t has;          /* its reader has been sent all up to here that he looks at */
};

/** One topic's news. */
struct watch_change {
	struct str topic;
	uint64_t revision[WATCH_ASPECTS]; /* of the latest change of each aspect */
};

struct watch_hub *watch_hub_new(void) MUST_USE;
/** Nobody waits any more. Takes NULL. */
void watch_hub_free(struct watch_hub *hub);

/**
 * It is live from now on; its topic and aspects stay as they are.
 * @param has  its reader has been sent, or does not look at, what happened up to here
 */
void watch_join(struct watch_hub *hub, struct watcher *watcher, uint64_t has);
/**
 * All up to @p revision has been sent to its reader (or, @p sent false, nothing of it was for him).
 * Thread: the one that the watcher is served by. Nothing happens unless it is live.
 */
void watch_sent(struct watcher *watcher, uint64_t revision, bool sent);
/** What it has not been sent it never will be. Takes one that is not live. */
void watch_leave(struct watcher *watcher);

/** Any thread; never fails. A snapshot that is entered afterwards, and is not yet the changed one,
 * means that the change will notify this watcher: watch.c has the proof. */
void watch_add(struct watch_hub *hub, struct watcher *watcher);
/**
 * Any thread.
 * @return true: it will not be woken any more; false: it has been, or is being woken at this moment
 */
bool watch_cancel(struct watch_hub *hub, struct watcher *watcher);

/** How many wait now. Any thread; one load. */
size_t watch_count(const struct watch_hub *hub);
/** Could a watcher wait for this topic, or for any change? Two loads. After publishing, a "no" is
 * reliable: each watcher that is added later reads what was published. Any thread. */
bool watch_is_wanted(const struct watch_hub *hub, struct str topic);
/**
 * Wakes who waits for this. Thread: the writer.
 * @return how many were woken
 */
size_t watch_notify(struct watch_hub *hub, const struct watch_change *change);
/** Wakes all that wait for any change. Thread: the writer. */
size_t watch_notify_any(struct watch_hub *hub);
/** Does anybody wait for topics by prefix? Any thread; one load. */
bool watch_has_prefixes(const struct watch_hub *hub);
/**
 * Wakes those who wait for a prefix of one of @p topics and have not seen @p revision. Costs a
 * binary search for each watcher. Thread: the writer.
 * @param topics    in order of str_compare()
 * @param has_news  false: they are woken only to say that they have been sent all up to @p
 * revision, which a receipt waits for
 * @return how many were woken
 */
size_t watch_notify_prefixes(struct watch_hub *hub, const struct str *topics, size_t count,
                             uint64_t revision, bool has_news);
