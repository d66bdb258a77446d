/* SPDX-License-Identifier: MIT */
#include "lib/transport/loops.h"

#include <stdlib.h>

#define IDLE_MAX 64

void loop_pool_init(struct loop_pool *pool, const struct transport_source *transports)
{
	*pool = (struct loop_pool){.transports = transports};
	(void)pthread_mutex_init(&pool->lock, NULL); /* cannot fail with default attributes */
}

void loop_pool_fini(struct loop_pool *pool, bool forked)
{
	while (pool->idle != NULL) {
		struct pooled_loop *loop = pool->idle;

		pool->idle = loop->next;
		if (forked)
			loop->loop.transport->free(loop->loop.transport, true);
		else
			loop_fini(&loop->loop);
		free(loop);
	}
	if (!forked)
		(void)pthread_mutex_destroy(&pool->lock);
}

struct pooled_loop *loop_pool_borrow(struct loop_pool *pool)
{
	struct transport *transport = NULL;

	(void)pthread_mutex_lock(&pool->lock);
	struct pooled_loop *loop = pool->idle;
	if (loop != NULL) {
		pool->idle = loop->next;
		pool->idle_count--;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (loop != NULL)
		return loop;

	loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return NULL;
	(void)transport_new(pool->transports, &transport); /* loop_init() refuses NULL */
	if (loop_init(&loop->loop, pool->transports->options.env, transport) < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_pool_return(struct loop_pool *pool, struct pooled_loop *loop)
{
	bool kept;

	(void)pthread_mutex_lock(&pool->lock);
	kept = pool->idle_count < IDLE_MAX;
	if (kept) {
		loop->next = pool->idle;
		pool->idle = loop;
		pool->idle_count++;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (!kept) {
		loop_fini(&loop->loop);
		free(loop);
	}
}
