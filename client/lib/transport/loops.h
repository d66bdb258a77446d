/* SPDX-License-Identifier: MIT */
/**
 * A pool of event loops. Each blocking call borrows one and runs it in its own thread; a loop that
 * is returned keeps its connections for the next call. Any thread; nothing here blocks.
 */
#pragma once

#include "lib/transport/loop.h"
#include "lib/transport/transport.h"

struct pooled_loop {
	struct loop loop;
	struct pooled_loop *next; /* of the idle ones */
};

struct loop_pool {
	/* set in loop_pool_init(), never changed */
	const struct transport_source *transports; /* borrowed */

	pthread_mutex_t lock;
	struct pooled_loop *idle; /* guarded by lock */
	unsigned idle_count;      /* guarded by lock */
};

void loop_pool_init(struct loop_pool *pool, const struct transport_source *transports);
/** Frees the idle loops; none may be borrowed. @param forked  in a child of fork() */
void loop_pool_fini(struct loop_pool *pool, bool forked);

/** @return a loop of the caller's until loop_pool_return(); NULL: no memory, or no descriptors */
struct pooled_loop *loop_pool_borrow(struct loop_pool *pool) MUST_USE;
/** Keeps @p loop for the next call, or frees it when 64 are idle already. */
void loop_pool_return(struct loop_pool *pool, struct pooled_loop *loop);
