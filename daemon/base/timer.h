/* SPDX-License-Identifier: MIT */
/**
 * A hierarchical timing wheel (Varghese and Lauck, 1987) of timers that live inside what they time.
 * Arming and disarming are a few stores whatever else is armed; the cost of expiry follows what is
 * due, not what exists. No allocation, no thread, no lock: the caller's lock guards the wheel and
 * every timer that may be armed in it.
 *
 *	timers_arm(&timers, &lease->timer, due_ms);
 *	...
 *	while (timers_next_ms(&timers) <= now_ms) {
 *		struct timer *timer = timers_expired(&timers, now_ms);
 *		if (timer != NULL)
 *			expire(container_of(timer, struct lease, timer));
 *		... a good place to let go of the lock ...
 *	}
 *	sleep until timers_next_ms(&timers);
 *
 * Each level's slots are 64 times as wide as those of the level below. A timer stands on the level
 * of the highest digit, to base 64, in which its time differs from the wheel's, so it moves down a
 * level at most once per digit. The levels cover every int64_t: no time is too far.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_LEVELS 11 /* of 6 bits each: 63 bits and some */
#define TIMER_SLOTS  64

struct timer_link {
	struct timer_link *next;
	struct timer_link *prev;
};

/** Embedded. All zeros is a timer that is not armed. */
struct timer {
	struct timer_link link; /* next is NULL when not armed */
	int64_t due_ms;
};

struct timers {
	int64_t reached_ms;          /* everything due until then has left the slots */
	uint64_t busy[TIMER_LEVELS]; /* bit 1 << slot: it is not empty */
	struct timer_link slots[TIMER_LEVELS * TIMER_SLOTS];
	struct timer_link due;    /* due at reached_ms or before */
	struct timer_link moving; /* from a slot whose time has come, on the way down */
};

/** @param now_ms  where its time begins; 0 or more. It must not be moved in memory after. */
void timers_init(struct timers *timers, int64_t now_ms);

/** Arms @p timer, or arms it anew. A time that has passed is due at once. */
void timers_arm(struct timers *timers, struct timer *timer, int64_t due_ms);
/** Nothing happens when it is not armed. */
void timers_disarm(struct timers *timers, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
	return timer->link.next != NULL;
}

/**
 * Takes out one timer that is due, the earliest first but for those armed in the past; never one
 * with due_ms > @p now_ms. Does a bounded amount of work, so NULL means that nothing is due only
 * once timers_next_ms() > @p now_ms. Time that goes back makes timers late by as much, never early.
 */
struct timer *timers_expired(struct timers *timers, int64_t now_ms);

/**
 * When to look again: perhaps too early, never too late; in the past when something is due already.
 * @return INT64_MAX: nothing is armed
 */
int64_t timers_next_ms(const struct timers *timers);
