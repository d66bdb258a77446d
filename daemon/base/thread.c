/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include "base/check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <urcu.h>

/* Measured: threads use up to 40 KiB, and formatting the longest log line 64 KiB more. Pages that
 * are never used take no memory. */
#define STACK_BYTES      (1 << 20)
#define MAIN_STACK_BYTES (512 << 10)

struct start {
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

static void name_self(const char *name)
{
	char shown[16] = {0}; /* the kernel's limit */

	memcpy(shown, name, strnlen(name, sizeof(shown) - 1));
	(void)pthread_setname_np(pthread_self(), shown); /* the name is only displayed */
}

static void *thread_main(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	name_self(start.name);
	rcu_register_thread();
	start.fn(start.arg);
	rcu_unregister_thread();
	return NULL;
}

int thread_set_stacks(void)
{
	struct rlimit limit;
	pthread_attr_t attr;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, STACK_BYTES));
	int r = pthread_setattr_default_np(&attr);
	CHECK_OK(pthread_attr_destroy(&attr));
	if (r != 0)
		return -r;

	if (getrlimit(RLIMIT_STACK, &limit) < 0)
		return -errno;
	if (limit.rlim_cur >= MAIN_STACK_BYTES)
		return 0;
	limit.rlim_cur = MAIN_STACK_BYTES; /* the kernel reads it whenever the stack grows */
	return setrlimit(RLIMIT_STACK, &limit) < 0 ? -errno : 0;
}

int thread_start(pthread_t *ret_thread, const char *name, void (*fn)(void *arg), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	sigset_t all;
	sigset_t before;
	pthread_t thread;

	if (start == NULL)
		return -ENOMEM;
	*start = (struct start){name, fn, arg};

	/* The new thread inherits the mask, so it never handles a signal. */
	CHECK_OK(sigfillset(&all));
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, &before));
	int r = pthread_create(&thread, NULL, thread_main, start);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	if (r != 0) {
		free(start);
		return -r;
	}
	*ret_thread = thread;
	return 0;
}

void thread_join(pthread_t thread)
{
	CHECK_OK(pthread_join(thread, NULL));
}

void thread_leave(pthread_t thread)
{
	CHECK_OK(pthread_detach(thread));
}

void thread_adopt(void)
{
	rcu_register_thread();
}

void thread_abandon(void)
{
	rcu_unregister_thread();
}
