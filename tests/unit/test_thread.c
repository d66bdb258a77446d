/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include "base/rcu.h"
#include "fault.h"
#include "suite.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

struct seen {
	char name[32];
	sigset_t blocked;
	bool visited;
};

static void look(void *arg)
{
	struct seen *seen = arg;

	(void)pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	(void)pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
	rcu_enter(); /* crashes in a thread that is not registered with liburcu */
	rcu_leave();
	seen->visited = true;
}

static void run(const char *name, struct seen *seen)
{
	pthread_t thread;

	memset(seen, 0, sizeof(*seen));
	ck_ok(thread_start(&thread, name, look, seen));
	thread_join(thread);
	ck_assert(seen->visited);
}

START_TEST(a_thread_has_its_name)
{
	struct seen seen;

	run("writer", &seen);
	ck_assert_str_eq(seen.name, "writer");
	run("a name that is too long", &seen);
	ck_assert_str_eq(seen.name, "a name that is ");
}
END_TEST

START_TEST(a_thread_has_all_signals_blocked)
{
	static const int some[] = {SIGTERM, SIGHUP, SIGINT, SIGCHLD, SIGPIPE, SIGALRM, SIGUSR1};
	struct seen seen;

	run("blocked", &seen);
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		ck_assert_int_eq(sigismember(&seen.blocked, some[i]), 1);
}
END_TEST

START_TEST(the_starter_of_a_thread_keeps_its_signals)
{
	struct seen seen;
	sigset_t before;
	sigset_t after;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	run("other", &seen);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		ck_assert_int_eq(sigismember(&before, sig), sigismember(&after, sig));
}
END_TEST

START_TEST(out_of_memory_starts_no_thread)
{
	struct seen seen = {.visited = false};
	pthread_t thread;

	fault_arm(0);
	ck_fails(thread_start(&thread, "none", look, &seen), ENOMEM);
	ck_assert(fault_hit());
	ck_assert(!seen.visited);
}
END_TEST

START_TEST(a_thread_that_cannot_start_is_an_error)
{
	struct seen seen = {.visited = false};
	pthread_attr_t attr;
	pthread_t thread;

	/* This stack is larger than any address space. */
	ck_ok(pthread_getattr_default_np(&attr));
	ck_ok(pthread_attr_setstacksize(&attr, (size_t)1 << 47));
	ck_ok(pthread_setattr_default_np(&attr));
	ck_fails(thread_start(&thread, "none", look, &seen), EAGAIN);
	ck_assert(!seen.visited);
}
END_TEST

START_TEST(the_first_thread_can_visit_once_adopted)
{
	thread_adopt();
	rcu_enter();
	rcu_leave();
	thread_abandon();
	thread_adopt();
	thread_abandon();
}
END_TEST

SUITE("thread", NULL, NULL, a_thread_has_its_name, a_thread_has_all_signals_blocked,
      the_starter_of_a_thread_keeps_its_signals, out_of_memory_starts_no_thread,
      a_thread_that_cannot_start_is_an_error, the_first_thread_can_visit_once_adopted)
