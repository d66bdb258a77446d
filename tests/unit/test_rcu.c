/* SPDX-License-Identifier: MIT */
#include "base/rcu.h"

#include "base/attr.h"
#include "base/thread.h"
#include "suite.h"

#include <stdatomic.h>
#include <stdbool.h>

struct thing {
	struct retired retired;
	int value;
	int again; /* equal to the other number until it is reclaimed */
};

static _Atomic(struct thing *) latest;
static atomic_int reclaimed;

static struct thing *thing_new(int value)
{
	struct thing *thing = malloc(sizeof(*thing));

	if (thing == NULL)
		abort();
	thing->value = value;
	thing->again = value;
	return thing;
}

static void reclaim(struct retired *retired)
{
	struct thing *thing = container_of(retired, struct thing, retired);

	thing->again = -1; /* a visitor that still sees it notices */
	free(thing);
	atomic_fetch_add(&reclaimed, 1);
}

static void setup(void)
{
	thread_adopt();
}

static void teardown(void)
{
	thread_abandon();
}

START_TEST(what_is_retired_is_reclaimed_once)
{
	for (int i = 0; i < 100; i++)
		rcu_retire(&thing_new(i)->retired, reclaim);
	rcu_drain();
	ck_assert_int_eq(atomic_load(&reclaimed), 100);
}
END_TEST

static atomic_int stage;

static void visit(void *arg)
{
	(void)arg;
	rcu_enter();
	rcu_enter();
	rcu_leave(); /* the end of a nested visit reclaims nothing */
	const struct thing *seen = atomic_load_explicit(&latest, memory_order_acquire);
	atomic_store(&stage, 1);
	while (atomic_load(&stage) == 1)
		continue;
	if (seen->value != 1 || seen->again != 1)
		abort();
	rcu_leave();
}

static void drain(void *arg)
{
	(void)arg;
	rcu_drain();
	atomic_store(&stage, 3);
}

START_TEST(a_visit_keeps_what_it_saw)
{
	struct thing *old = thing_new(1);
	pthread_t visitor;
	pthread_t drainer;

	atomic_store(&latest, old);
	ck_ok(thread_start(&visitor, "visit", visit, NULL));
	while (atomic_load(&stage) != 1)
		continue;
	atomic_store_explicit(&latest, thing_new(2), memory_order_release);
	rcu_retire(&old->retired, reclaim);
	ck_assert_int_eq(atomic_load(&reclaimed), 0);
	ck_ok(thread_start(&drainer, "drain", drain, NULL));

	/* The visitor compares only after this; its comparison is the test. */
	atomic_store(&stage, 2);
	thread_join(visitor);
	thread_join(drainer);
	ck_assert_int_eq(atomic_load(&reclaimed), 1);
	free(atomic_load(&latest));
}
END_TEST

static atomic_bool stop;

static void visit_much(void *arg)
{
	long *visits = arg;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		rcu_enter();
		const struct thing *seen = atomic_load_explicit(&latest, memory_order_acquire);
		if (seen->value != seen->again)
			abort();
		rcu_leave();
		++*visits;
	}
}

START_TEST(visitors_never_see_what_was_reclaimed)
{
	pthread_t threads[2];
	long visits[2] = {0, 0};

	atomic_store(&latest, thing_new(0));
	for (int i = 0; i < 2; i++)
		ck_ok(thread_start(&threads[i], "visit", visit_much, &visits[i]));
	for (int i = 1; i <= 2000; i++) {
		struct thing *old = atomic_exchange(&latest, thing_new(i));
		rcu_retire(&old->retired, reclaim);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	rcu_drain();
	ck_assert_int_eq(atomic_load(&reclaimed), 2000);
	free(atomic_load(&latest));
}
END_TEST

SUITE("rcu", setup, teardown, what_is_retired_is_reclaimed_once, a_visit_keeps_what_it_saw,
      visitors_never_see_what_was_reclaimed)
