/* SPDX-License-Identifier: MIT */
#include "instant.h"

#include "lib/base/env.h"
#include "lib/base/util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AT_ONCE 64

struct instant {
	struct transport transport;
	const struct env *env;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct exchange *ready[AT_ONCE];
	int count;
	bool woken;
};

static atomic_uint lookups;
static atomic_uint heartbeats;

static struct instant *self(struct transport *transport)
{
	return container_of(transport, struct instant, transport);
}

static void answer(struct exchange *exchange)
{
	char body[256] = "{\"status\":\"healthy\"}";

	exchange->status = 200;
	exchange->sent = true;
	if (strcmp(exchange->method, "DELETE") == 0) {
		exchange->status = 204;
		return;
	}
	if (strcmp(exchange->method, "POST") == 0 && atomic_fetch_add(&heartbeats, 1) % 2 == 0)
		(void)snprintf(body, sizeof(body), "{\"status\":\"draining\"}");
	if (strcmp(exchange->method, "GET") == 0) {
		unsigned nth = atomic_fetch_add(&lookups, 1) + 1;

		(void)snprintf(body, sizeof(body),
		               "{\"revision\":%u,\"instances\":[{\"id\":\"i\",\"host\":\"h\","
		               "\"port\":1,\"weight\":%u}]}",
		               nth, nth % 1000);
	}
	bytes_put(&exchange->answer, body);
}

static int start(struct transport *transport, struct exchange *exchange)
{
	struct instant *instant = self(transport);
	int r = 0;

	(void)pthread_mutex_lock(&instant->lock);
	if (instant->count == AT_ONCE)
		r = -ENOMEM;
	else
		instant->ready[instant->count++] = exchange;
	(void)pthread_mutex_unlock(&instant->lock);
	return r;
}

static void cancel(struct transport *transport, struct exchange *exchange)
{
	struct instant *instant = self(transport);

	(void)pthread_mutex_lock(&instant->lock);
	for (int i = 0; i < instant->count; i++)
		if (instant->ready[i] == exchange)
			instant->ready[i--] = instant->ready[--instant->count];
	(void)pthread_mutex_unlock(&instant->lock);
}

static struct exchange *take(struct instant *instant)
{
	struct exchange *exchange = NULL;

	(void)pthread_mutex_lock(&instant->lock);
	if (instant->count > 0)
		exchange = instant->ready[--instant->count];
	(void)pthread_mutex_unlock(&instant->lock);
	return exchange;
}

static void wait(struct transport *transport, int64_t until_us)
{
	struct instant *instant = self(transport);
	struct timespec until = {until_us / US_PER_S, until_us % US_PER_S * 1000};
	int r = 0;

	(void)pthread_mutex_lock(&instant->lock);
	while (instant->count == 0 && !instant->woken && r == 0 &&
	       (until_us < 0 || env_now(instant->env) < until_us))
		r = until_us < 0
		            ? pthread_cond_wait(&instant->changed, &instant->lock)
		            : pthread_cond_timedwait(&instant->changed, &instant->lock, &until);
	(void)pthread_mutex_unlock(&instant->lock);
}

static void step(struct transport *transport)
{
	struct instant *instant = self(transport);
	struct exchange *exchange;

	(void)pthread_mutex_lock(&instant->lock);
	instant->woken = false;
	(void)pthread_mutex_unlock(&instant->lock);
	while ((exchange = take(instant)) != NULL) {
		answer(exchange);
		exchange->done(exchange);
	}
}

static void wake(struct transport *transport)
{
	struct instant *instant = self(transport);

	(void)pthread_mutex_lock(&instant->lock);
	instant->woken = true;
	(void)pthread_cond_signal(&instant->changed);
	(void)pthread_mutex_unlock(&instant->lock);
}

static int fd(struct transport *transport)
{
	(void)transport;
	return -EMFILE;
}

static void set_alarm(struct transport *transport, int64_t due_us)
{
	(void)transport;
	(void)due_us;
}

static int64_t due_us(struct transport *transport)
{
	struct instant *instant = self(transport);

	(void)pthread_mutex_lock(&instant->lock);
	int64_t due = instant->count > 0 ? 0 : -1;
	(void)pthread_mutex_unlock(&instant->lock);
	return due;
}

static void free_transport(struct transport *transport, bool forked)
{
	struct instant *instant = self(transport);

	(void)forked;
	(void)pthread_cond_destroy(&instant->changed);
	(void)pthread_mutex_destroy(&instant->lock);
	free(instant);
}

int instant_transport(const struct transport_options *options, void *arg,
                      struct transport **ret_transport)
{
	struct instant *instant = calloc(1, sizeof(*instant));
	pthread_condattr_t attr;

	(void)arg;
	if (instant == NULL)
		return -ENOMEM;
	instant->env = options->env;
	instant->transport = (struct transport){
		.start = start,
		.cancel = cancel,
		.wait = wait,
		.step = step,
		.wake = wake,
		.fd = fd,
		.set_alarm = set_alarm,
		.due_us = due_us,
		.free = free_transport,
	};
	(void)pthread_mutex_init(&instant->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&instant->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	*ret_transport = &instant->transport;
	return 0;
}
