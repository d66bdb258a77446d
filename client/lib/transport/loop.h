/* SPDX-License-Identifier: MIT */
/**
 * An event loop: timers, a transport, and a box for messages from other threads. The client has one
 * for its own work and asynchronous calls, and each blocking call borrows one.
 *
 * All but loop_wait(), loop_post() and loop_wake() belong to the thread that owns the loop at the
 * time, by whatever lock its owner keeps.
 */
#pragma once

#include "lib/base/env.h"
#include "lib/base/util.h"

#include <pthread.h>
#include <stdbool.h>

/** Embedded; needs no memory. */
struct timer {
	int64_t due_us;
	uint64_t order; /* of those due at the same time, the first set is the first to fire */
	void (*fire)(struct timer *timer);
	bool set;
	struct timer *child; /* of a pairing heap */
	struct timer *next;
	struct timer *prev; /* the parent, for a first child */
};

/** A message. Embedded; posted at most once at a time. */
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
	struct post *box; /* guarded by box_lock; latest first */
};

/** @param transport  owned from now on, also on failure; may be NULL: -ENOMEM */
int loop_init(struct loop *loop, const struct env *env, struct transport *transport) MUST_USE;
void loop_fini(struct loop *loop);

/** Fires once at @p due_us; a timer that is set is moved. @p fire must be set before. */
void loop_set_timer(struct loop *loop, struct timer *timer, int64_t due_us);
void loop_clear_timer(struct loop *loop, struct timer *timer);
/** When the first timer is due; -1: none is set. */
int64_t loop_due_us(const struct loop *loop);

/** Blocks until traffic, a message or @p until_us (-1: none). Takes no part in the owner's lock. */
void loop_wait(struct loop *loop, int64_t until_us);
/** Handles traffic that loop_wait() found, messages and timers that are due. */
void loop_step(struct loop *loop);

/** Any thread. The loop runs @p post in its next step. */
void loop_post(struct loop *loop, struct post *post);
/** Takes back what may have been posted. Not while a step is under way in another thread. */
void loop_unpost(struct loop *loop, struct post *post);
/** Any thread. Ends a loop_wait(), the present one or the next. */
void loop_wake(struct loop *loop);
