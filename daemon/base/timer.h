/* SPDX-License-Identifier: MIT */
/**
 * A hierarchical timing wheel (Varghese and Lauck, 1987) of timers embedded in the objects that
 * they time. Arming and disarming are a few stores, however many timers are armed; the cost of
 * expiry grows with the timers that are due, not with those that exist. No allocation, no thread,
 * no lock: the caller's lock guards the wheel and every timer that may be armed in it.
 *
 *	timers_arm(&timers, &lease->timer, due_ms);
 *	...
 *	while (timers_next_ms(&timers) <= now_ms) {
 *		struct timer *timer = timers_expired(&timers, now_ms);
 *		if (timer != NULL)
 *			expire(container_of(timer, struct lease, timer));
 *		... the lock may be released here ...
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
	int64_t reached_ms;          /* no timer that is due until then is left in the slots */
	uint64_t busy[TIMER_LEVELS]; /* bit 1 << slot: the slot is not empty */
	struct timer_link slots[TIMER_LEVELS * TIMER_SLOTS];
	struct timer_link due;    /* timers due at reached_ms or before */
	struct timer_link moving; /* timers of a slot whose time has come, moving to lower levels */
};

/** @param now_ms  the current time, 0 or more. @p timers must not move in memory afterwards. */
void timers_init(struct timers *timers, int64_t now_ms);

/** Arms @p timer, which may be armed. A timer whose time has passed is due at once. */
void timers_arm(struct timers *timers, struct timer *timer, int64_t due_ms);
/** Disarms @p timer; does nothing when it is not armed. */
void timers_disarm(struct timers *timers, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
	return timer->link.next != NULL;
}

/**
 * Disarms and returns one timer that is due, the earliest first except for those that were armed
 * with a past time; never one with due_ms > @p now_ms. A call does a bounded amount of work: after
 * NULL call again unless timers_next_ms() > @p now_ms. If time goes back, timers are late by as
 * much, never early.
 */
struct timer *timers_expired(struct timers *timers, int64_t now_ms);

/**
 * When to call timers_expired() again: perhaps too early, never too late; in the past when a timer
 * is due.
 * @return INT64_MAX: no timer is armed
 */
int64_t timers_next_ms(const struct timers *timers);
