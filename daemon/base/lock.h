/* SPDX-License-Identifier: MIT */
/**
 * Mutexes with ranks.
 *
 * Every lock in the daemon is a line of LOCKS below, outermost first. A thread may take a lock only
 * if it holds none of the same or a later rank, so the order in this file proves that the daemon
 * cannot deadlock. Breaking it aborts the process, in every build: the check costs one thread-local
 * compare.
 */
#pragma once

#include "base/attr.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define LOCKS(X)                                                                  \
	X(LOCK_COMMIT_QUEUE, "commands waiting for the writer thread")                \
	X(LOCK_RELOAD,       "new options for the writer")                            \
	X(LOCK_HISTORY,      "queries waiting for the history thread")                \
	X(LOCK_ARCHIVE,      "queries waiting for the archive thread")                \
	X(LOCK_WATCH,        "requests that wait for a change")                       \
	X(LOCK_STREAMS,      "the list of open streams")                              \
	X(LOCK_LEASES,       "the timers of all leases and the list of due ones")     \
	X(LOCK_HTTP_PEERS,   "how many connections each address has open")            \
	X(LOCK_HTTP_DONE,    "finished requests on their way back to an http thread") \
	X(LOCK_PROGRESS,     "the list of threads that must make progress")           \
	X(LOCK_LOG,          "the order of lines on standard error")
/* clang-format on */

enum lock_rank {
#define LOCK_MEMBER(name, guards) name,
	LOCKS(LOCK_MEMBER)
#undef LOCK_MEMBER
		LOCK_COUNT
};

struct lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

/** For a lock with static storage: static struct lock list_lock = LOCK_INIT(LOCK_LOG); */
#define LOCK_INIT(rank)                         \
	{                                       \
		PTHREAD_MUTEX_INITIALIZER, rank \
	}

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_fini(struct lock *lock);
void lock_take(struct lock *lock);
void lock_release(struct lock *lock);
/** Does this thread hold a lock of this rank? For CHECK in functions named _locked. */
bool lock_held(const struct lock *lock);

/** A condition on CLOCK_MONOTONIC. */
void lock_cond_init(pthread_cond_t *cond);
/** Waits and releases @p lock meanwhile; the thread must hold no other. May return without a
 * signal: call it in a loop. */
void lock_wait(struct lock *lock, pthread_cond_t *cond);
/** The same until at most @p deadline_ms of CLOCK_MONOTONIC, even when the virtual clock is on.
 * @return 0 or -ETIMEDOUT */
int lock_wait_until(struct lock *lock, pthread_cond_t *cond, int64_t deadline_ms);
