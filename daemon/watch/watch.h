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
struct watch_receipt; /* see watch/receipt.h */

/** Owned by who waits; must stay until it has been woken or cancelled. */
struct watcher {
	/* set before watch_add() */
	struct str topic; /* borrowed; empty: any change at all */
	unsigned aspects; /* bit per aspect; not looked at when the topic is empty */
	uint64_t seen;    /* wake when an aspect's revision is greater */
	/** Called once, on the notifying thread, without locks; must not block. */
	void (*wake)(struct watcher *watcher);

	/**
	 * Set before wake(): somebody waits until this watcher's reader has been sent the news. The
	 * watcher's owner settles it, once. NULL: nobody does.
	 */
	struct watch_receipt *receipt;

	/* the hub's, guarded by LOCK_WATCH */
	TAILQ_ENTRY(watcher) link;
	uint64_t hash;
	bool is_waiting;
};

/** One topic's news. */
struct watch_change {
	struct str topic;
	uint64_t revision[WATCH_ASPECTS]; /* of the latest change of each aspect */
};

struct watch_hub *watch_hub_new(void) MUST_USE;
/** Nobody waits any more. Takes NULL. */
void watch_hub_free(struct watch_hub *hub);

/** Any thread; never fails. */
void watch_add(struct watch_hub *hub, struct watcher *watcher);
/**
 * Any thread.
 * @return true: it will not be woken any more; false: it has been, or is being woken at this moment
 */
bool watch_cancel(struct watch_hub *hub, struct watcher *watcher);

/** How many wait now. Any thread; one load. */
size_t watch_count(const struct watch_hub *hub);
/** Could anybody wait for this topic (or for any change)? A cheap no is reliable for watchers added
 * before. Any thread. */
bool watch_is_wanted(const struct watch_hub *hub, struct str topic);
/**
 * Wakes who waits for this. Thread: the writer.
 * @param receipt  given to each that is woken, or NULL
 * @return how many were woken
 */
size_t watch_notify(struct watch_hub *hub, const struct watch_change *change,
                    struct watch_receipt *receipt);
/** Wakes all that wait for any change. Thread: the writer. */
size_t watch_notify_any(struct watch_hub *hub);
