/* SPDX-License-Identifier: MIT */
/**
 * A ledger whose order the test decides: each proposal stays open until fake_win() or fake_lose(),
 * and batches that other daemons committed arrive by fake_foreign().
 */
#pragma once

#include "ledger/engine.h"
#include "suite.h"

#include <errno.h>

#define FAKE_ITEMS_MAX 16

static struct fake_ledger {
	struct ledger ledger;
	void (*wake)(void *arg);
	void *wake_arg;
	struct ledger_item items[FAKE_ITEMS_MAX];
	size_t first;
	size_t count;
	bool is_open;
	bool is_stopped;
	unsigned proposals;
	/* of the latest proposal */
	size_t proposed_count;
	enum event_kind proposed_kind;
} fake;

static inline void fake_push(struct ledger_item item)
{
	ck_assert_uint_lt(fake.count, FAKE_ITEMS_MAX);
	fake.items[fake.count++] = item;
	if (fake.wake != NULL)
		fake.wake(fake.wake_arg);
}

/** Another daemon has committed @p events. They and their strings must last until fake_done(). */
static inline void fake_foreign(struct event *events, size_t count)
{
	fake_push((struct ledger_item){.kind = LEDGER_EVENTS, .events = events, .count = count});
}

/** @param revision  of the first event */
static inline void fake_win(uint64_t revision)
{
	ck_assert(fake.is_open);
	fake.is_open = false;
	fake_push((struct ledger_item){.kind = LEDGER_WON, .revision = revision});
}

static inline void fake_lose(int error)
{
	ck_assert(fake.is_open);
	fake.is_open = false;
	fake_push((struct ledger_item){.kind = LEDGER_LOST, .error = error});
}

static inline int fake_open(const struct ledger_options *options, struct journal *journal,
                            struct ledger **ret_ledger, struct journal_error *ret_error)
{
	(void)journal;
	(void)ret_error;
	fake = (struct fake_ledger){.first = 0};
	ledger_init(&fake.ledger, options->engine);
	*ret_ledger = &fake.ledger;
	return 0;
}

static inline int fake_start(struct ledger *ledger, void (*wake)(void *arg), void *arg)
{
	(void)ledger;
	fake.wake = wake;
	fake.wake_arg = arg;
	return 0;
}

static inline int fake_propose(struct ledger *ledger, struct event *events, size_t count)
{
	(void)ledger;
	if (fake.is_stopped)
		return -ESHUTDOWN;
	ck_assert_msg(!fake.is_open, "one proposal at a time");
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(events[i].revision, 0);
	fake.is_open = true;
	fake.proposals++;
	fake.proposed_count = count;
	fake.proposed_kind = events[0].kind;
	return -EINPROGRESS;
}

static inline struct ledger_item *fake_next(struct ledger *ledger)
{
	(void)ledger;
	return fake.first < fake.count ? &fake.items[fake.first] : NULL;
}

static inline void fake_done(struct ledger *ledger, struct ledger_item *item)
{
	(void)ledger;
	ck_assert_ptr_eq(item, &fake.items[fake.first]);
	for (size_t i = 0; i < item->count; i++)
		item->events[i].instance.service = (struct str){NULL, 1}; /* a later use crashes */
	if (++fake.first == fake.count)
		fake.first = fake.count = 0;
}

static inline void fake_stop(struct ledger *ledger)
{
	(void)ledger;
	fake.is_stopped = true;
	if (fake.is_open)
		fake_lose(-ESHUTDOWN);
}

static inline void fake_close(struct ledger *ledger)
{
	(void)ledger;
}

static const struct ledger_engine fake_engine = {
	.open = fake_open,
	.start = fake_start,
	.propose = fake_propose,
	.next = fake_next,
	.done = fake_done,
	.stop = fake_stop,
	.close = fake_close,
};
