/* SPDX-License-Identifier: MIT */
/*
 * Runs the client's own loop in one thread at a time, and the program's callbacks outside of the
 * lock. Any thread may enter: it either becomes the one that runs the loop or waits on a condition
 * for the steps of the one that does. Invariant: at most one thread is between running = true and
 * running = false, and at most one callback is under way (delivering). Calling callbacks straight
 * from the step would be simpler, but the lock would be held in them, and a callback could free
 * what the step still uses: so they are queued as notices and delivered after the step.
 */
#include "lib/transport/engine.h"

#include "lib/transport/transport.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A page that reads as zero in a child makes the check for a fork one load; getpid() is a system
 * call. */
static void watch_forks(struct engine *engine)
{
	unsigned char *page =
		mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	engine->pid = getpid();
	if (page == MAP_FAILED)
		return;
	if (madvise(page, 1, MADV_WIPEONFORK) < 0) {
		(void)munmap(page, 1);
		return;
	}
	*page = 1;
	engine->alive = page;
}

bool engine_forked(const struct engine *engine)
{
	return engine->alive != NULL ? *engine->alive == 0 : engine->pid != getpid();
}

int engine_init(struct engine *engine, const struct env *env, struct transport *transport)
{
	pthread_condattr_t attr;

	*engine = (struct engine){.env = env};
	engine->notices_end = &engine->notices;
	int r = loop_init(&engine->loop, env, transport);
	if (r < 0)
		return r;
	r = -pthread_mutex_init(&engine->lock, NULL);
	if (r < 0)
		goto fail;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	r = -pthread_cond_init(&engine->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (r < 0)
		goto fail;
	watch_forks(engine);
	return 0;

fail:
	loop_fini(&engine->loop);
	return r;
}

void engine_fini(struct engine *engine)
{
	if (engine_forked(engine)) {
		engine->loop.transport->free(engine->loop.transport, true);
	} else {
		loop_fini(&engine->loop);
		(void)pthread_cond_destroy(&engine->changed);
		(void)pthread_mutex_destroy(&engine->lock);
	}
	if (engine->alive != NULL)
		(void)munmap((void *)(uintptr_t)engine->alive, 1);
}

void engine_lock(struct engine *engine)
{
	(void)pthread_mutex_lock(&engine->lock);
}

void engine_unlock(struct engine *engine)
{
	(void)pthread_mutex_unlock(&engine->lock);
}

/* --- callbacks ------------------------------------------------------------------------------ */

void engine_notify(struct engine *engine, struct notice *notice)
{
	if (notice->queued || engine->silent)
		return;
	notice->queued = true;
	notice->next = NULL;
	*engine->notices_end = notice;
	engine->notices_end = &notice->next;
	engine_kick(engine);
}

static void engine_take_back(struct engine *engine, struct notice *notice)
{
	for (struct notice **at = &engine->notices; *at != NULL; at = &(*at)->next) {
		if (*at != notice)
			continue;
		*at = notice->next;
		if (engine->notices_end == &notice->next)
			engine->notices_end = at;
		notice->queued = false;
		return;
	}
}

bool engine_in_callback(const struct engine *engine)
{
	return engine->delivering != NULL && pthread_equal(engine->deliverer, pthread_self()) != 0;
}

void engine_settle(struct engine *engine, struct notice *notice)
{
	if (notice->queued)
		engine_take_back(engine, notice);
	while (engine->delivering == notice && !engine_in_callback(engine))
		(void)pthread_cond_wait(&engine->changed, &engine->lock);
}

void engine_silence(struct engine *engine)
{
	engine->silent = true;
	while (engine->notices != NULL)
		engine_take_back(engine, engine->notices);
	while (engine->delivering != NULL)
		(void)pthread_cond_wait(&engine->changed, &engine->lock);
}

static void engine_deliver_all(struct engine *engine)
{
	if (engine->delivering != NULL)
		return; /* the thread in that callback delivers the rest afterwards */
	while (engine->notices != NULL) {
		struct notice *notice = engine->notices;

		engine->notices = notice->next;
		if (engine->notices == NULL)
			engine->notices_end = &engine->notices;
		notice->queued = false;
		engine->delivering = notice;
		engine->deliverer = pthread_self();
		notice->deliver(notice);
		engine->delivering = NULL;
		(void)pthread_cond_broadcast(&engine->changed);
	}
}

/* --- running -------------------------------------------------------------------------------- */

void engine_kick(struct engine *engine)
{
	if (!engine->stepping && (engine->running || engine->polled))
		loop_wake(&engine->loop);
}

int64_t engine_next_due(const struct engine *engine)
{
	return engine->notices != NULL && engine->delivering == NULL ? 0
	                                                             : loop_due_us(&engine->loop);
}

static void engine_step(struct engine *engine)
{
	engine->stepping = true;
	loop_step(&engine->loop);
	engine->stepping = false;
	/* Wake the waiting threads first: one of them runs the loop during the callbacks. */
	(void)pthread_cond_broadcast(&engine->changed);
	engine_deliver_all(engine);
	if (engine->polled)
		engine->loop.transport->set_alarm(engine->loop.transport, engine_next_due(engine));
}

static void engine_wait_for_other(struct engine *engine, int64_t wait_us)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	wait_us = min_i64(wait_us, (int64_t)3600 * US_PER_S) + until.tv_nsec / 1000;
	until.tv_sec += wait_us / US_PER_S;
	until.tv_nsec = wait_us % US_PER_S * 1000;
	(void)pthread_cond_timedwait(&engine->changed, &engine->lock, &until);
}

int engine_run(struct engine *engine, bool (*until)(void *arg), void *arg, int64_t deadline_us)
{
	int r = 0;

	while (!until(arg)) {
		int64_t now = env_now(engine->env);

		if (now >= deadline_us) {
			r = -ETIMEDOUT;
			break;
		}
		if (engine->running) {
			engine_wait_for_other(engine, deadline_us - now);
			continue;
		}
		int64_t due = engine_next_due(engine);
		int64_t wait_until = due < 0 ? deadline_us : min_i64(due, deadline_us);

		engine->running = true;
		engine_unlock(engine);
		loop_wait(&engine->loop, wait_until);
		engine_lock(engine);
		engine->running = false;
		engine_step(engine);
	}
	return r; /* the last step has woken the others, one of which runs the loop now */
}

int engine_process(struct engine *engine)
{
	engine_lock(engine);
	if (!engine->running) {
		loop_wait(&engine->loop, 0);
		engine_step(engine);
	}
	engine_unlock(engine);
	return 0;
}

static bool is_stopping(void *arg)
{
	const struct engine *engine = arg;

	return engine->stopping;
}

static void *engine_thread_main(void *arg)
{
	struct engine *engine = arg;

	(void)pthread_setname_np(pthread_self(), "rollcall"); /* cosmetic */
	engine_lock(engine);
	(void)engine_run(engine, is_stopping, engine, INT64_MAX);
	engine_unlock(engine);
	return NULL;
}

int engine_thread_start(struct engine *engine)
{
	sigset_t all;
	sigset_t before;
	int r = 0;

	engine_lock(engine);
	if (engine->threaded) {
		r = -EALREADY;
	} else {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		r = -pthread_create(&engine->thread, NULL, engine_thread_main, engine);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		engine->threaded = r == 0;
	}
	engine_unlock(engine);
	return r;
}

void engine_thread_stop(struct engine *engine)
{
	engine_lock(engine);
	bool stop = engine->threaded;
	engine->stopping = stop;
	loop_wake(&engine->loop);
	(void)pthread_cond_broadcast(&engine->changed);
	engine_unlock(engine);
	if (!stop)
		return;
	(void)pthread_join(engine->thread, NULL);
	engine_lock(engine);
	engine->threaded = false;
	engine->stopping = false;
	engine_unlock(engine);
}
