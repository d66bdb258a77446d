/* SPDX-License-Identifier: MIT */
/**
 * Who runs the client's own loop, and when. At any time one thread waits in it (the library's, a
 * blocking function's, or none when the caller polls); others that wait for something sleep on a
 * condition until that thread has made a step, and take over when it leaves.
 *
 * engine_lock() guards the loop, the registry, registrations, refreshes and asynchronous calls.
 * Lock order: engine, then a service, then a loop's box. No lock is held in a callback.
 */
#pragma once

#include "lib/transport/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/** A callback that is due. Embedded in its subject; queued at most once at a time. */
struct notice {
	/** Called with the lock held: copies the callback and its argument, releases the lock for
	 * the callback, and takes it again. The callback may free the subject. */
	void (*deliver)(struct notice *notice);
	struct notice *next;
	bool queued;
};

struct engine {
	const struct env *env;
	const volatile unsigned char *alive; /* a page that fork() wipes; NULL: compare pid */
	pid_t pid;

	pthread_mutex_t lock;
	pthread_cond_t changed;

	/* guarded by lock */
	struct loop loop;
	bool running;  /* a thread is in loop_wait() */
	bool stepping; /* this very thread is in loop_step() */
	bool polled;   /* somebody polls the descriptor */
	struct notice *notices;
	struct notice **notices_end;
	struct notice *delivering;
	pthread_t deliverer;
	bool silent; /* no callback begins any more */
	bool threaded;
	bool stopping;
	pthread_t thread;
};

/** @param transport  owned from now on, also on failure */
int engine_init(struct engine *engine, const struct env *env, struct transport *transport) MUST_USE;
/** Nobody may use it any more. */
void engine_fini(struct engine *engine);

/** Is this a child of the process that made it? */
bool engine_forked(const struct engine *engine);

void engine_lock(struct engine *engine);
void engine_unlock(struct engine *engine);

/* The rest is called with the lock held, but for the three at the end. */

/** After setting a timer or starting something, so that who waits looks again. */
void engine_kick(struct engine *engine);
/** Runs, or waits while another runs, until @p until says true. @return 0, or -ETIMEDOUT at
 * @p deadline_us */
int engine_run(struct engine *engine, bool (*until)(void *arg), void *arg, int64_t deadline_us);
/** When it has work even without traffic; -1: not known. */
int64_t engine_next_due(const struct engine *engine);
/** Queues a callback. */
void engine_notify(struct engine *engine, struct notice *notice);
/** Takes it back, and waits for it if another thread is in it. May release the lock meanwhile. */
void engine_settle(struct engine *engine, struct notice *notice);
/** Takes all back for good, and waits for the one that another thread is in. Not in a callback. */
void engine_silence(struct engine *engine);
/** Is the calling thread in a callback? */
bool engine_in_callback(const struct engine *engine);

int engine_process(struct engine *engine);
int engine_thread_start(struct engine *engine);
void engine_thread_stop(struct engine *engine);
