/* SPDX-License-Identifier: MIT */
/**
 * Read-copy-update: readers visit shared data without locks; writers retire objects that readers
 * may still use. Publish pointers with C11 release stores and read them with acquire loads inside a
 * visit.
 *
 *	rcu_enter();
 *	const struct thing *now = atomic_load_explicit(&latest, memory_order_acquire);
 *	... use now, copy out or blob_ref() what must outlive the visit; never block ...
 *	rcu_leave();
 */
#pragma once

#include <urcu.h>

/** First member of each object that is retired. */
struct retired {
	struct rcu_head head;
	void (*reclaim)(struct retired *);
};

/** Begins a visit. Visits nest, never block, never fail. Thread: one that thread_start() or
 * thread_adopt() has registered. */
void rcu_enter(void);
void rcu_leave(void);
/** Calls @p fn(@p object) on RCU's own thread once all current visits have ended. */
void rcu_retire(struct retired *object, void (*fn)(struct retired *));
/** Waits until all objects that were retired before have been reclaimed. Not inside a visit. */
void rcu_drain(void);
/** Starts the library's own thread, which inherits the caller's signal mask. Without this call the
 * first rcu_retire() starts it. */
void rcu_prepare(void);
