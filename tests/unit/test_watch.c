/* SPDX-License-Identifier: MIT */
/*
 * The watch hub: which changes wake which watchers, and receipts, which report when all watchers
 * have been sent a change. The last tests race threads against each other.
 */
#include "base/attr.h"
#include "base/hash.h"
#include "base/thread.h"
#include "suite.h"
#include "watch/receipt.h"
#include "watch/watch.h"

#include <stdatomic.h>
#include <stdio.h>

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

	return watch_notify(hub, &change);
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

static struct watcher by_prefix(const char *prefix, uint64_t seen)
{
	struct watcher watcher = waiting(prefix, 0, seen);

	watcher.by_prefix = true;
	return watcher;
}

START_TEST(a_change_wakes_those_whose_prefix_it_has)
{
	const struct str topics[] = {STR("api"), STR("web"), STR("web.v2")};
	struct watcher watchers[] = {by_prefix("", 9),     by_prefix("a", 9),   by_prefix("web", 9),
	                             by_prefix("web.", 9), by_prefix("b", 9),   by_prefix("x", 9),
	                             by_prefix("apis", 9), by_prefix("web", 10)};
	const bool want[] = {true, true, true, true, false, false, false, false};

	for (size_t i = 0; i < ARRAY_LEN(watchers); i++)
		watch_add(hub, &watchers[i]);
	ck_assert(watch_has_prefixes(hub));
	ck_assert_uint_eq(watch_notify_any(hub), 0);
	ck_assert_uint_eq(notify("web", 10, 10), 0);
	ck_assert_uint_eq(watch_notify_prefixes(hub, topics, 0, 10, true), 0);
	ck_assert_uint_eq(watch_notify_prefixes(hub, topics, 3, 10, true), 4);
	for (size_t i = 0; i < ARRAY_LEN(watchers); i++) {
		ck_assert_msg(watch_cancel(hub, &watchers[i]) != want[i], "%zu", i);
		ck_assert(watchers[i].has_news == want[i]);
	}
	ck_assert(!watch_has_prefixes(hub));
}
END_TEST

/* A receipt for a change of "web" at @p revision, of healthy instances only. */
static struct watch_receipt *open_receipt(uint64_t revision)
{
	struct watch_change change = {STR("web"), {revision, revision - 1, 0}};
	struct watch_receipt *receipt = watch_receipt_new(hub);

	ck_assert_ptr_nonnull(receipt);
	watch_receipt_open(receipt, &change, revision);
	return receipt;
}

static void ck_count(struct watch_receipt *receipt, unsigned want_sent, unsigned want_open)
{
	unsigned sent;
	unsigned open;

	watch_receipt_count(receipt, &sent, &open);
	ck_assert_uint_eq(sent, want_sent);
	ck_assert_uint_eq(open, want_open);
}

/* A topic that shares a bucket with "web". */
static const char *neighbour(void)
{
	static char name[16];

	for (unsigned i = 0;; i++) {
		(void)snprintf(name, sizeof(name), "web%u", i);
		if (hash_str(str_of(name)) % 1024 == hash_str(STR("web")) % 1024)
			return name;
	}
}

START_TEST(topics_that_share_a_bucket_are_kept_apart)
{
	struct watcher web = waiting("web", HEALTHY, 0);
	struct watcher other = waiting(neighbour(), HEALTHY, 0);
	struct watcher far = waiting("far", HEALTHY, 0);

	watch_join(hub, &web, 0);
	watch_join(hub, &other, 0);
	watch_add(hub, &web);
	watch_add(hub, &other);
	watch_add(hub, &far);
	struct watch_receipt *receipt = open_receipt(1);
	ck_count(receipt, 0, 1);
	ck_assert_uint_eq(notify("web", 1, 0), 1);
	watch_leave(&other);
	ck_count(receipt, 0, 1);
	watch_leave(&web);
	watch_receipt_free(receipt);
	ck_assert(watch_is_wanted(hub, STR("web"))); /* true for each topic of the bucket */
	ck_assert(watch_cancel(hub, &other));
	ck_assert(!watch_is_wanted(hub, STR("web")));
	ck_assert(watch_cancel(hub, &far));
}
END_TEST

/* A callback that waits again. */
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
	struct watcher watchers[3];
	int made = 0;

	for (int i = 0; i < 3; i++) {
		watchers[i] = waiting("web", HEALTHY, 0);
		watch_join(hub, &watchers[i], 4);
	}
	watch_add(hub, &watchers[0]); /* the others are busy */

	struct watch_receipt *receipt = open_receipt(5);
	ck_count(receipt, 0, 3);
	ck_assert_uint_eq(notify("web", 5, 0), 1);
	watch_sent(&watchers[0], 5, true);
	ck_count(receipt, 1, 2);
	ck_assert(watch_receipt_await(receipt, note_wake_of_maker, &made));
	watch_sent(&watchers[1], 4, true); /* an earlier revision does not count */
	watch_sent(&watchers[1], 6, false);
	watch_sent(&watchers[1], 7, true); /* a watcher counts once only */
	watch_leave(&watchers[1]);
	ck_count(receipt, 1, 1);
	ck_assert_int_eq(made, 0);
	watch_sent(&watchers[2], 5, true);
	ck_count(receipt, 2, 0);
	ck_assert_int_eq(made, 1);
	ck_assert(!watch_receipt_cancel(receipt));
	watch_leave(&watchers[0]);
	watch_leave(&watchers[2]);
	ck_count(receipt, 2, 0);
	ck_assert_int_eq(made, 1);
	watch_receipt_free(receipt);
}
END_TEST

START_TEST(a_watcher_that_leaves_is_neither_awaited_nor_counted)
{
	struct watcher watcher = waiting("web", HEALTHY, 0);
	int made = 0;

	watch_join(hub, &watcher, 0);
	struct watch_receipt *receipt = open_receipt(1);
	ck_assert(watch_receipt_await(receipt, note_wake_of_maker, &made));
	watch_leave(&watcher);
	ck_assert_int_eq(made, 1);
	ck_count(receipt, 0, 0);
	watch_leave(&watcher); /* a second time has no effect */
	watch_sent(&watcher, 9, true);
	watch_receipt_free(receipt);
	receipt = open_receipt(2);
	ck_count(receipt, 0, 0);
	watch_receipt_free(receipt);
}
END_TEST

START_TEST(a_maker_without_watchers_or_after_a_cancellation_is_not_woken)
{
	struct watcher watcher = waiting("web", HEALTHY, 0);
	int made = 0;

	struct watch_receipt *receipt = open_receipt(1);
	ck_assert(!watch_receipt_await(receipt, note_wake_of_maker, &made));
	watch_receipt_free(receipt);

	watch_join(hub, &watcher, 0);
	receipt = open_receipt(1);
	ck_assert(watch_receipt_await(receipt, note_wake_of_maker, &made));
	ck_assert(watch_receipt_cancel(receipt));
	watch_sent(&watcher, 1, true); /* after the cancellation */
	ck_count(receipt, 1, 0);
	watch_receipt_free(receipt);

	receipt = open_receipt(2);
	watch_receipt_free(receipt); /* before the watcher has been sent the change */
	watch_sent(&watcher, 2, true);
	watch_leave(&watcher);
	watch_receipt_free(NULL);
	ck_assert_int_eq(made, 0);
}
END_TEST

START_TEST(a_receipt_counts_joined_watchers_that_observe_the_change)
{
	struct watcher other_topic = waiting("api", HEALTHY, 0);
	struct watcher other_aspect = waiting("web", UNHEALTHY, 0);
	struct watcher has_it = waiting("web", HEALTHY, 0);
	struct watcher all = waiting("", 0, 0);
	struct watcher both = waiting("web", HEALTHY | UNHEALTHY, 0);
	struct watcher late = waiting("web", HEALTHY, 0);
	struct watcher late_for_all = waiting("", 0, 0);
	struct watcher never = waiting("web", HEALTHY, 0);

	watch_join(hub, &other_topic, 0);
	watch_join(hub, &other_aspect, 4);
	watch_join(hub, &has_it, 5);
	watch_join(hub, &all, 0);
	watch_join(hub, &both, 0);
	watch_add(hub, &never); /* waits, but has not joined */

	struct watch_receipt *receipt = open_receipt(5);
	ck_count(receipt, 0, 2);
	watch_join(hub, &late, 0);
	watch_join(hub, &late_for_all, 0);
	struct watcher *others[] = {&other_topic, &other_aspect, &has_it,
	                            &late,        &late_for_all, &never};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		watch_sent(others[i], 5 + i, true);
		ck_count(receipt, 0, 2);
		watch_leave(others[i]);
		ck_count(receipt, 0, 2);
	}
	watch_sent(&all, 5, true);
	watch_sent(&both, 5, true);
	ck_count(receipt, 2, 0);
	watch_leave(&all);
	watch_leave(&both);
	ck_assert(watch_cancel(hub, &never));
	watch_receipt_free(receipt);
}
END_TEST

START_TEST(a_watcher_behind_in_another_aspect_counts_until_it_has_that)
{
	struct watcher watcher = waiting("web", UNHEALTHY, 0);

	watch_join(hub, &watcher, 2);
	struct watch_receipt *receipt = open_receipt(5); /* the other aspect moved at 4 */
	ck_count(receipt, 0, 1);
	watch_sent(&watcher, 3, true);
	ck_count(receipt, 0, 1);
	watch_sent(&watcher, 4, true);
	ck_count(receipt, 1, 0);
	watch_sent(&watcher, 3, true); /* older than what it was sent before */
	watch_receipt_free(receipt);
	receipt = open_receipt(5);
	ck_count(receipt, 0, 0);
	watch_leave(&watcher);
	ck_assert_ptr_null(watcher.hub);
	watch_receipt_free(receipt);
}
END_TEST

START_TEST(several_makers_wait_for_the_same_watcher)
{
	struct watcher watcher = waiting("web", HEALTHY, 0);
	struct watch_receipt *receipts[3];
	int made[3] = {0, 0, 0};

	watch_join(hub, &watcher, 0);
	for (unsigned i = 0; i < 3; i++) {
		receipts[i] = open_receipt(i + 1);
		ck_assert(watch_receipt_await(receipts[i], note_wake_of_maker, &made[i]));
	}
	watch_sent(&watcher, 2, true);
	ck_assert_int_eq(made[0] + made[1], 2);
	ck_assert_int_eq(made[2], 0);
	watch_leave(&watcher);
	ck_assert_int_eq(made[2], 1);
	ck_count(receipts[1], 1, 0);
	ck_count(receipts[2], 0, 0);
	for (unsigned i = 0; i < 3; i++)
		watch_receipt_free(receipts[i]);
}
END_TEST

/* Threads wait and cancel while another notifies: each watcher is either woken or cancelled. */
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

		(void)watch_notify(hub, &change);
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
		while (!atomic_load(&racing.was_woken)) /* the wake-up is in progress */
			;
	}
	atomic_store(&finished, true);
	thread_join(thread);
	ck_assert_uint_eq(atomic_load(&wakes) + cancelled, ROUNDS);
}
END_TEST

static void count_receipts_all_the_time(void *arg)
{
	(void)arg;
	for (uint64_t revision = 2; !atomic_load(&finished); revision++)
		watch_receipt_free(open_receipt(revision));
}

/* ThreadSanitizer fails this test if there is a data race. */
START_TEST(a_live_watcher_may_wait_again_while_receipts_count_it)
{
	struct watcher web = waiting("web", HEALTHY, UINT64_MAX);
	pthread_t thread;

	watch_join(hub, &web, 1);
	ck_ok(thread_start(&thread, "maker", count_receipts_all_the_time, NULL));
	for (int i = 0; i < ROUNDS; i++) {
		watch_add(hub, &web);
		ck_assert(watch_cancel(hub, &web));
	}
	atomic_store(&finished, true);
	thread_join(thread);
	watch_leave(&web);
}
END_TEST

SUITE("watch", setup, teardown, only_its_topic_and_its_aspects_wake_a_watcher,
      a_watcher_is_woken_once, a_cancelled_watcher_is_not_woken,
      any_change_wakes_those_without_a_topic, a_change_wakes_those_whose_prefix_it_has,
      topics_that_share_a_bucket_are_kept_apart, a_callback_may_wait_again,
      a_live_watcher_may_wait_again_while_receipts_count_it,
      each_watcher_is_either_woken_or_cancelled,
      the_maker_of_a_change_is_woken_when_all_have_been_sent_it,
      a_watcher_that_leaves_is_neither_awaited_nor_counted,
      a_maker_without_watchers_or_after_a_cancellation_is_not_woken,
      a_receipt_counts_joined_watchers_that_observe_the_change,
      a_watcher_behind_in_another_aspect_counts_until_it_has_that,
      several_makers_wait_for_the_same_watcher)
