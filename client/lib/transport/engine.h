/* SPDX-License-Identifier: MIT */
/**
 * The engine decides which thread runs the client's own loop. At most one thread waits in the loop:
 * the library's, or that of a blocking function; none while the program polls. Other threads that
 * wait for a result sleep on a condition until that thread has made a step, and one of them takes
 * over when it leaves.
 *
 * engine_lock() guards the loop, the registry, registrations, refreshes, watches and asynchronous
 * calls. Lock order: engine, then a service, then the box of a loop. No lock is held in a callback.
 */
#pragma once

#include "lib/transport/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/** A callback of the program that is due. Embedded in its subject; in the queue at most once. */
struct notice {
	/** Called with the lock held. Copies the callback and its argument, releases the lock,
	 * calls the callback, which may free the subject, and takes the lock again. */
	void (*deliver)(struct notice *notice);
	struct notice *next;
	bool queued;
};

struct engine {
	const struct env *env;
	const volatile unsigned char *alive; /* a page that reads as 0 in a child; NULL: use pid */
	pid_t pid;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* after each step and each callback */

	/* guarded by lock */
	struct loop loop;
	bool running;  /* a thread is in loop_wait() */
	bool stepping; /* a thread is in loop_step(), with the lock */
	bool polled;   /* the program polls the descriptor */
	struct notice *notices;
	struct notice **notices_end;
	struct notice *delivering; /* its callback runs, in the thread deliverer */
	pthread_t deliverer;
	bool silent;   /* no callback begins any more */
	bool threaded; /* thread runs */
	bool stopping; /* it must end */
	pthread_t thread;
};

/** @param transport  owned by the engine, also on failure. @return 0, or a negative errno */
int engine_init(struct engine *engine, const struct env *env, struct transport *transport) MUST_USE;
/** Frees; no thread may use the engine any more. */
void engine_fini(struct engine *engine);

/** @return whether this process is a child, by fork(), of the one that made the engine. Any thread,
 * no lock. */
bool engine_forked(const struct engine *engine);

void engine_lock(struct engine *engine);
void engine_unlock(struct engine *engine);

/* The following functions are called with the lock held. */

/** Wakes the thread that waits in the loop, after a timer was set or an exchange started. */
void engine_kick(struct engine *engine);
/** Runs the loop, or waits while another thread runs it, until @p until returns true. Blocks, and
 * releases the lock meanwhile. @return 0, or -ETIMEDOUT at @p deadline_us */
int engine_run(struct engine *engine, bool (*until)(void *arg), void *arg, int64_t deadline_us);
/** @return when the loop has work even without traffic; -1: no such time is known */
int64_t engine_next_due(const struct engine *engine);
/** Queues a callback; nothing when it is queued already, or after engine_silence(). */
void engine_notify(struct engine *engine, struct notice *notice);
/** Takes a callback out of the queue, and waits while another thread runs it, which releases the
 * lock. */
void engine_settle(struct engine *engine, struct notice *notice);
/** Empties the queue for good, and waits for the callback that another thread runs. Not in a
 * callback. */
void engine_silence(struct engine *engine);
/** @return whether the calling thread is in a callback */
bool engine_in_callback(const struct engine *engine);

/* The following functions take the lock. */

/** Makes one step without blocking; nothing while another thread runs the loop. @return 0 */
int engine_process(struct engine *engine);
/** @return 0; -EALREADY; or the negative errno of pthread_create() */
int engine_thread_start(struct engine *engine);
/** Blocks until the thread has ended; nothing when there is none. */
void engine_thread_stop(struct engine *engine);
