/* SPDX-License-Identifier: MIT */
/**
 * An event loop: timers, a transport, and a box for messages from other threads. The client has one
 * for its own work and asynchronous calls, and each blocking call borrows one.
 *
 * The client's loop is under the engine's lock; a borrowed loop belongs to the thread of its call.
 * loop_wait() runs without that lock, and loop_post(), loop_unpost() and loop_wake() take none.
 */
#pragma once

#include "lib/base/env.h"
#include "lib/base/util.h"

#include <pthread.h>
#include <stdbool.h>

/** A timer. Embedded in its owner; setting it needs no memory. */
struct timer {
	int64_t due_us;
	uint64_t order; /* of timers due at the same time, the one set first fires first */
	void (*fire)(struct timer *timer);
	bool set;
	struct timer *child; /* of a pairing heap */
	struct timer *next;
	struct timer *prev; /* of a first child: its parent */
};

/** A message from another thread. Embedded in its owner; in the box at most once. */
struct post {
	void (*fn)(struct post *post);
	struct post *next;
	bool posted;
};

struct transport;

struct loop {
	const struct env *env;
	struct transport *transport; /* owned */
	struct timer *timers;
	uint64_t timers_set;

	pthread_mutex_t box_lock;
	struct post *box; /* guarded by box_lock; the latest first */
};

/** @param transport  owned by the loop, also on failure. @return 0; -ENOMEM (@p transport is NULL);
 * or the negative errno of pthread_mutex_init() */
int loop_init(struct loop *loop, const struct env *env, struct transport *transport) MUST_USE;
void loop_fini(struct loop *loop);

/** Sets @p timer to fire once at @p due_us, or moves it there. timer->fire must be set. */
void loop_set_timer(struct loop *loop, struct timer *timer, int64_t due_us);
void loop_clear_timer(struct loop *loop, struct timer *timer);
/** @return when the first timer, or the transport, is due; -1: never */
int64_t loop_due_us(const struct loop *loop);

/** Blocks until there is traffic or a message, or until @p until_us (-1: no limit). Called without
 * the lock of the loop. */
void loop_wait(struct loop *loop, int64_t until_us);
/** Handles what loop_wait() found: traffic, messages, and timers that are due. */
void loop_step(struct loop *loop);

/** Any thread. Puts @p post into the box: the next step of the loop calls post->fn(). */
void loop_post(struct loop *loop, struct post *post);
/** Takes @p post out of the box, if it is there. Not while another thread is in loop_step(). */
void loop_unpost(struct loop *loop, struct post *post);
/** Any thread. Ends a loop_wait(): the present one, or the next. */
void loop_wake(struct loop *loop);
