/* SPDX-License-Identifier: MIT */
#include "base/thread.h"
#include "suite.h"
#include "watch/receipt.h"
#include "watch/watch.h"

#include <stdatomic.h>

enum { HEALTHY = 1u << 0, UNHEALTHY = 1u << 1 };

static struct watch_hub *hub;
static int woken;

static void setup(void)
{
	thread_adopt();
	hub = watch_hub_new();
	ck_assert_ptr_nonnull(hub);
	woken = 0;
}

static void teardown(void)
{
	watch_hub_free(hub);
	thread_abandon();
}

static void count_wake(struct watcher *watcher)
{
	(void)watcher;
	woken++;
}

static struct watcher waiting(const char *topic, unsigned aspects, uint64_t seen)
{
	return (struct watcher){
		.topic = str_of(topic),
		.aspects = aspects,
		.seen = seen,
		.wake = count_wake,
	};
}

static size_t notify(const char *topic, uint64_t healthy, uint64_t unhealthy)
{
	struct watch_change change = {str_of(topic), {healthy, unhealthy, 0}};

	return watch_notify(hub, &change, NULL);
}

START_TEST(only_its_topic_and_its_aspects_wake_a_watcher)
{
	struct watcher web = waiting("web", HEALTHY, 10);

	watch_add(hub, &web);
	ck_assert_uint_eq(notify("api", 11, 11), 0);
	ck_assert_uint_eq(notify("web", 10, 12), 0);
	ck_assert_int_eq(woken, 0);
	ck_assert_uint_eq(notify("web", 13, 12), 1);
	ck_assert_int_eq(woken, 1);
	ck_assert_uint_eq(watch_count(hub), 0);
}
END_TEST

START_TEST(a_watcher_is_woken_once)
{
	struct watcher web = waiting("web", HEALTHY | UNHEALTHY, 0);

	watch_add(hub, &web);
	ck_assert_uint_eq(notify("web", 1, 1), 1);
	ck_assert_uint_eq(notify("web", 2, 2), 0);
	ck_assert(!watch_cancel(hub, &web));
	ck_assert_int_eq(woken, 1);
}
END_TEST

START_TEST(a_cancelled_watcher_is_not_woken)
{
	struct watcher web = waiting("web", HEALTHY, 0);

	watch_add(hub, &web);
	ck_assert(watch_cancel(hub, &web));
	ck_assert(!watch_cancel(hub, &web));
	ck_assert_uint_eq(notify("web", 1, 1), 0);
	ck_assert_int_eq(woken, 0);
}
END_TEST

START_TEST(any_change_wakes_those_without_a_topic)
{
	struct watcher any = waiting("", 0, 0);
	struct watcher web = waiting("web", HEALTHY, 0);

	ck_assert(!watch_is_wanted(hub, STR("web")));
	watch_add(hub, &any);
	ck_assert(watch_is_wanted(hub, STR("web")));
	watch_add(hub, &web);
	ck_assert_uint_eq(watch_notify_any(hub), 1);
	ck_assert_uint_eq(watch_count(hub), 1);
	ck_assert(watch_is_wanted(hub, STR("web")));
	ck_assert(watch_cancel(hub, &web));
	ck_assert(!watch_is_wanted(hub, STR("web")));
}
END_TEST

/* Wakes itself up again from within its own callback. */
static void add_again(struct watcher *watcher)
{
	woken++;
	watcher->seen = 5;
	watch_add(hub, watcher);
}

START_TEST(a_callback_may_wait_again)
{
	struct watcher web = waiting("web", HEALTHY, 0);

	web.wake = add_again;
	watch_add(hub, &web);
	ck_assert_uint_eq(notify("web", 5, 0), 1);
	ck_assert_uint_eq(watch_count(hub), 1);
	ck_assert_uint_eq(notify("web", 5, 0), 0);
	ck_assert(watch_cancel(hub, &web));
	ck_assert_int_eq(woken, 1);
}
END_TEST

static void note_wake_of_maker(void *arg)
{
	(*(int *)arg)++;
}

START_TEST(the_maker_of_a_change_is_woken_when_all_have_been_sent_it)
{
	struct watch_change change = {STR("web"), {1, 0, 0}};
	struct watch_receipt *receipt = watch_receipt_new();
	struct watcher watchers[3];
	unsigned sent;
	unsigned open;
	int made = 0;

	for (int i = 0; i < 3; i++) {
		watchers[i] = waiting("web", HEALTHY, 0);
		watch_add(hub, &watchers[i]);
	}
	ck_assert_uint_eq(watch_notify(hub, &change, receipt), 3);
	watch_receipt_await(receipt, note_wake_of_maker, &made);
	ck_assert(!watch_receipt_settle_own(receipt));
	watch_receipt_settle(watchers[0].receipt, true);
	watch_receipt_settle(watchers[1].receipt, false);
	watch_receipt_count(receipt, &sent, &open);
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(open, 1);
	ck_assert_int_eq(made, 0);
	watch_receipt_settle(watchers[2].receipt, true);
	ck_assert_int_eq(made, 1);
	ck_assert(!watch_receipt_cancel(receipt));
	watch_receipt_unref(receipt);
}
END_TEST

START_TEST(a_maker_that_is_last_or_gives_up_is_not_woken)
{
	struct watch_change change = {STR("web"), {1, 0, 0}};
	struct watch_receipt *receipt = watch_receipt_new();
	struct watcher watcher = waiting("web", HEALTHY, 0);
	int made = 0;

	watch_receipt_await(receipt, note_wake_of_maker, &made);
	ck_assert(watch_receipt_settle_own(receipt)); /* nobody was woken */
	watch_receipt_unref(receipt);

	receipt = watch_receipt_new();
	watch_add(hub, &watcher);
	ck_assert_uint_eq(watch_notify(hub, &change, receipt), 1);
	watch_receipt_await(receipt, note_wake_of_maker, &made);
	ck_assert(!watch_receipt_settle_own(receipt));
	ck_assert(watch_receipt_cancel(receipt));
	watch_receipt_unref(receipt);
	watch_receipt_settle(watcher.receipt, true); /* late: it is still there to be settled */
	ck_assert_int_eq(made, 0);
}
END_TEST

/* Threads that wait and cancel while another notifies: each watcher ends in exactly one of the two
 * ways. */
#define ROUNDS 20000

static _Atomic uint64_t wakes;
static _Atomic bool finished;

struct racing {
	struct watcher watcher;
	_Atomic bool was_woken;
};

static void note_wake(struct watcher *watcher)
{
	struct racing *racing = (struct racing *)(void *)watcher;

	atomic_fetch_add(&wakes, 1);
	atomic_store(&racing->was_woken, true);
}

static void notify_all_the_time(void *arg)
{
	(void)arg;
	for (uint64_t revision = 1; !atomic_load(&finished); revision++) {
		struct watch_change change = {STR("web"), {revision, 0, 0}};

		(void)watch_notify(hub, &change, NULL);
	}
}

START_TEST(each_watcher_is_either_woken_or_cancelled)
{
	uint64_t cancelled = 0;
	pthread_t thread;

	ck_ok(thread_start(&thread, "notifier", notify_all_the_time, NULL));
	for (int i = 0; i < ROUNDS; i++) {
		struct racing racing = {.watcher = waiting("web", HEALTHY, 0)};

		racing.watcher.wake = note_wake;
		watch_add(hub, &racing.watcher);
		if (watch_cancel(hub, &racing.watcher)) {
			cancelled++;
			ck_assert(!atomic_load(&racing.was_woken));
			continue;
		}
		while (!atomic_load(&racing.was_woken)) /* it is under way */
			;
	}
	atomic_store(&finished, true);
	thread_join(thread);
	ck_assert_uint_eq(atomic_load(&wakes) + cancelled, ROUNDS);
}
END_TEST

SUITE("watch", setup, teardown, only_its_topic_and_its_aspects_wake_a_watcher,
      a_watcher_is_woken_once, a_cancelled_watcher_is_not_woken,
      any_change_wakes_those_without_a_topic, a_callback_may_wait_again,
      each_watcher_is_either_woken_or_cancelled,
      the_maker_of_a_change_is_woken_when_all_have_been_sent_it,
      a_maker_that_is_last_or_gives_up_is_not_woken)
