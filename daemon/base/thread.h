/* SPDX-License-Identifier: MIT */
/** Threads with the house rules: named, all signals blocked, registered with RCU. */
#pragma once

#include "base/attr.h"

#include <pthread.h>

/**
 * Makes stacks independent of RLIMIT_STACK: threads to come, those of libraries as well, get 1 MiB,
 * and the main thread's may grow to 512 KiB or more. Main only, first of all.
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
/** Waits for its end. */
void thread_join(pthread_t thread);
/** Gives it up: it may run until the process ends, and must use only what lives as long. */
void thread_leave(pthread_t thread);
/** Registers the calling thread with RCU, and the reverse: for main() and for tests. */
void thread_adopt(void);
void thread_abandon(void);
