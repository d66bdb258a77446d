/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include "base/check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <urcu.h>

struct start {
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

static void name_self(const char *name)
{
	char shown[16] = {0}; /* the kernel's limit */

	memcpy(shown, name, strnlen(name, sizeof(shown) - 1));
	(void)pthread_setname_np(pthread_self(), shown); /* only for people */
}

static void *run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	name_self(start.name);
	rcu_register_thread();
	start.fn(start.arg);
	rcu_unregister_thread();
	return NULL;
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

	/* The thread inherits the mask, so no signal can reach it before it runs. */
	CHECK_OK(sigfillset(&all));
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, &before));
	int r = pthread_create(&thread, NULL, run, start);
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
