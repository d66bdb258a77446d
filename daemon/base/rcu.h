/* SPDX-License-Identifier: MIT */
/**
 * Read-copy-update: readers visit without locks, writers retire what readers may still see.
 * Publish pointers with C11 release stores and read them with acquire loads inside a visit.
 *
 *	rcu_enter();
 *	const struct thing *now = atomic_load_explicit(&latest, memory_order_acquire);
 *	... use now, copy out or blob_ref() what must outlive the visit; never block ...
 *	rcu_leave();
 */
#pragma once

#include <urcu.h>

/** First member of what is retired. */
struct retired {
	struct rcu_head head;
	void (*reclaim)(struct retired *);
};

/** Visits nest, never block, never fail. Thread: one that thread_start() or thread_adopt()
 * registered. */
void rcu_enter(void);
void rcu_leave(void);
/** Calls @p fn(@p object), on RCU's own thread, once every visit that is under way now has ended.
 */
void rcu_retire(struct retired *object, void (*fn)(struct retired *));
/** Waits until all that was retired before is reclaimed. Not inside a visit. */
void rcu_drain(void);
/** Starts the library's own thread, which keeps the signal mask that the caller has now. Else the
 * first rcu_retire() does. */
void rcu_prepare(void);
