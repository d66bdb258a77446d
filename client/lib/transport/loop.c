/* SPDX-License-Identifier: MIT */
/*
 * The event loop: a pairing heap of timers, and a box of messages under a lock of its own. A step
 * runs in the thread that owns the loop. Invariant: a step fires only timers that were due when it
 * began, and takes one message at a time from the box, because what it calls may set timers again
 * and take back messages. An array heap would be the plainer structure, but setting a timer would
 * then need memory, and a call must be able to time out without any.
 */
#include "lib/transport/loop.h"

#include "lib/transport/transport.h"

#include <errno.h>

/* --- timers: a pairing heap, so that setting one never needs memory ------------------------- */

static struct timer *timer_meld(struct timer *a, struct timer *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->due_us < a->due_us || (b->due_us == a->due_us && b->order < a->order)) {
		struct timer *swap = a;

		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	a->next = NULL;
	a->prev = NULL;
	return a;
}

/* The two passes, in pairs from left to right, then from right to left, keep the heap balanced. */
static struct timer *timer_meld_children(struct timer *first)
{
	struct timer *pairs = NULL;
	struct timer *all = NULL;

	while (first != NULL) {
		struct timer *a = first;
		struct timer *b = a->next;

		first = b != NULL ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b != NULL)
			b->next = b->prev = NULL;
		a = timer_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs != NULL) {
		struct timer *next = pairs->next;

		pairs->next = NULL;
		all = timer_meld(all, pairs);
		pairs = next;
	}
	return all;
}

void loop_clear_timer(struct loop *loop, struct timer *timer)
{
	if (!timer->set)
		return;
	timer->set = false;

	struct timer *below = timer_meld_children(timer->child);
	timer->child = NULL;
	if (loop->timers == timer) {
		loop->timers = below;
		return;
	}
	if (timer->prev->child == timer)
		timer->prev->child = timer->next;
	else
		timer->prev->next = timer->next;
	if (timer->next != NULL)
		timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
	loop->timers = timer_meld(loop->timers, below);
}

void loop_set_timer(struct loop *loop, struct timer *timer, int64_t due_us)
{
	loop_clear_timer(loop, timer);
	timer->due_us = due_us;
	timer->order = ++loop->timers_set;
	timer->set = true;
	timer->child = timer->next = timer->prev = NULL;
	loop->timers = timer_meld(loop->timers, timer);
}

int64_t loop_due_us(const struct loop *loop)
{
	int64_t transport = loop->transport->due_us(loop->transport);

	if (loop->timers == NULL)
		return transport;
	return transport < 0 ? loop->timers->due_us : min_i64(transport, loop->timers->due_us);
}

/* --- the box -------------------------------------------------------------------------------- */

void loop_wake(struct loop *loop)
{
	loop->transport->wake(loop->transport);
}

void loop_post(struct loop *loop, struct post *post)
{
	(void)pthread_mutex_lock(&loop->box_lock);
	if (!post->posted) {
		post->posted = true;
		post->next = loop->box;
		loop->box = post;
	}
	(void)pthread_mutex_unlock(&loop->box_lock);
	loop_wake(loop);
}

void loop_unpost(struct loop *loop, struct post *post)
{
	(void)pthread_mutex_lock(&loop->box_lock);
	for (struct post **at = &loop->box; post->posted && *at != NULL; at = &(*at)->next) {
		if (*at == post) {
			*at = post->next;
			post->posted = false;
			break;
		}
	}
	(void)pthread_mutex_unlock(&loop->box_lock);
}

/* One at a time: the function of a message may take back others. */
static struct post *loop_take_post(struct loop *loop)
{
	(void)pthread_mutex_lock(&loop->box_lock);
	struct post *post = loop->box;
	if (post != NULL) {
		loop->box = post->next;
		post->posted = false;
	}
	(void)pthread_mutex_unlock(&loop->box_lock);
	return post;
}

/* --- running -------------------------------------------------------------------------------- */

void loop_wait(struct loop *loop, int64_t until_us)
{
	loop->transport->wait(loop->transport, until_us);
}

void loop_step(struct loop *loop)
{
	struct post *post;

	loop->transport->step(loop->transport);
	while ((post = loop_take_post(loop)) != NULL)
		post->fn(post);

	/* Only timers that are due now: one that sets itself again must not keep the step going. */
	int64_t now = env_now(loop->env);
	while (loop->timers != NULL && loop->timers->due_us <= now) {
		struct timer *timer = loop->timers;

		loop_clear_timer(loop, timer);
		timer->fire(timer);
	}
}

int loop_init(struct loop *loop, const struct env *env, struct transport *transport)
{
	*loop = (struct loop){.env = env, .transport = transport};
	if (transport == NULL)
		return -ENOMEM;
	return -pthread_mutex_init(&loop->box_lock, NULL);
}

void loop_fini(struct loop *loop)
{
	if (loop->transport == NULL)
		return;
	loop->transport->free(loop->transport, false);
	(void)pthread_mutex_destroy(&loop->box_lock);
	loop->transport = NULL;
}
