/* SPDX-License-Identifier: MIT */
/** Threads: each is named, has all signals blocked and is registered with RCU. */
#pragma once

#include "base/attr.h"

#include <pthread.h>

/**
 * Makes stacks independent of RLIMIT_STACK: later threads, including those of libraries, get 1 MiB,
 * and the main thread's stack may grow to at least 512 KiB. Call it first in main().
 * @return 0; -EPERM, -EINVAL: the hard limit does not allow that much; -ENOMEM
 */
int thread_set_stacks(void) MUST_USE;
/**
 * Starts a thread that runs @p fn(@p arg).
 * @param name  borrowed for ever; 15 characters are shown
 * @return 0, -ENOMEM or -EAGAIN (no more threads)
 */
int thread_start(pthread_t *ret_thread, const char *name, void (*fn)(void *arg),
                 void *arg) MUST_USE;
/** Waits until @p thread ends. */
void thread_join(pthread_t thread);
/** Detaches @p thread: it may run until the process ends, and must use only data that lives as
 * long. */
void thread_leave(pthread_t thread);
/** Register and unregister the calling thread with RCU, for main() and tests. */
void thread_adopt(void);
void thread_abandon(void);
