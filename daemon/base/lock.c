/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include "base/check.h"

#include <errno.h>
#include <time.h>

_Static_assert(LOCK_COUNT <= 32, "the ranks fit the mask");

static _Thread_local uint32_t held; /* bit 1 << rank */

static uint32_t rank_bit(enum lock_rank rank)
{
	return UINT32_C(1) << rank;
}

void lock_init(struct lock *lock, enum lock_rank rank)
{
	CHECK_OK(pthread_mutex_init(&lock->mutex, NULL));
	lock->rank = rank;
}

void lock_fini(struct lock *lock)
{
	CHECK_OK(pthread_mutex_destroy(&lock->mutex));
}

void lock_take(struct lock *lock)
{
	CHECK(held < rank_bit(lock->rank)); /* no lock of this rank or a later one is held */
	CHECK_OK(pthread_mutex_lock(&lock->mutex));
	held |= rank_bit(lock->rank);
}

void lock_release(struct lock *lock)
{
	CHECK(lock_held(lock));
	held &= ~rank_bit(lock->rank);
	CHECK_OK(pthread_mutex_unlock(&lock->mutex));
}

bool lock_held(const struct lock *lock)
{
	return (held & rank_bit(lock->rank)) != 0;
}

void lock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	CHECK_OK(pthread_condattr_init(&attr));
	CHECK_OK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	CHECK_OK(pthread_cond_init(cond, &attr));
	CHECK_OK(pthread_condattr_destroy(&attr));
}

/* A thread that waited with another lock held would block all threads that take that lock. */
void lock_wait(struct lock *lock, pthread_cond_t *cond)
{
	CHECK(held == rank_bit(lock->rank));
	CHECK_OK(pthread_cond_wait(cond, &lock->mutex));
}

int lock_wait_until(struct lock *lock, pthread_cond_t *cond, int64_t deadline_ms)
{
	struct timespec deadline = {.tv_sec = 0};

	CHECK(held == rank_bit(lock->rank));
	if (deadline_ms > 0) {
		deadline.tv_sec = deadline_ms / 1000;
		deadline.tv_nsec = (long)(deadline_ms % 1000) * 1000000;
	}
	int r = pthread_cond_timedwait(cond, &lock->mutex, &deadline);
	CHECK(r == 0 || r == ETIMEDOUT);
	return -r;
}
