/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel of timer.h. The caller's lock guards it; no thread of its own.
 *
 * Invariant: a timer in a slot is due after reached_ms, and its slot is that of the highest digit
 * in which due_ms and reached_ms differ. A heap would move a timer O(log n) times each time it is
 * armed; here a timer moves at most once per digit in its life.
 */
#include "base/timer.h"

#include "base/attr.h"
#include "base/check.h"

#include <stddef.h>

#define DIGIT_BITS 6
#define WORK_MAX   256 /* timers moved down a level by one call */

_Static_assert(TIMER_SLOTS == 1 << DIGIT_BITS, "a slot for each value of a digit");
_Static_assert(TIMER_LEVELS *DIGIT_BITS >= 63, "a level for each digit of an int64_t");

static bool is_empty(const struct timer_link *list)
{
	return list->next == list;
}

static void list_init(struct timer_link *list)
{
	list->next = list;
	list->prev = list;
}

static void slot_append(struct timer_link *list, struct timer_link *link)
{
	link->next = list;
	link->prev = list->prev;
	list->prev->next = link;
	list->prev = link;
}

static void unlink_timer(struct timers *timers, struct timer_link *link)
{
	struct timer_link *next = link->next;

	link->prev->next = next;
	next->prev = link->prev;
	*link = (struct timer_link){NULL, NULL};

	/* Only a list's head can be its own neighbour. */
	if (next->next == next && next >= timers->slots &&
	    next < timers->slots + ARRAY_LEN(timers->slots)) {
		size_t slot = (size_t)(next - timers->slots);
		timers->busy[slot / TIMER_SLOTS] &= ~(UINT64_C(1) << slot % TIMER_SLOTS);
	}
}

static void timer_place(struct timers *timers, struct timer *timer)
{
	if (timer->due_ms <= timers->reached_ms) {
		slot_append(&timers->due, &timer->link);
		return;
	}

	uint64_t differs = (uint64_t)timer->due_ms ^ (uint64_t)timers->reached_ms;
	unsigned level = (63 - (unsigned)__builtin_clzll(differs)) / DIGIT_BITS;
	unsigned digit = (unsigned)((uint64_t)timer->due_ms >> level * DIGIT_BITS) % TIMER_SLOTS;
	slot_append(&timers->slots[level * TIMER_SLOTS + digit], &timer->link);
	timers->busy[level] |= UINT64_C(1) << digit;
}

void timers_init(struct timers *timers, int64_t now_ms)
{
	CHECK(now_ms >= 0);
	*timers = (struct timers){.reached_ms = now_ms};
	for (size_t i = 0; i < ARRAY_LEN(timers->slots); i++)
		list_init(&timers->slots[i]);
	list_init(&timers->due);
	list_init(&timers->moving);
}

void timers_arm(struct timers *timers, struct timer *timer, int64_t due_ms)
{
	timers_disarm(timers, timer);
	timer->due_ms = due_ms;
	timer_place(timers, timer);
}

void timers_disarm(struct timers *timers, struct timer *timer)
{
	if (timer_is_armed(timer))
		unlink_timer(timers, &timer->link);
}

/*
 * The first slot that is not empty. All on a level share the wheel's higher digits and come after
 * its own digit there, so a lower level's slots come before a higher level's.
 */
static bool first_slot(const struct timers *timers, size_t *ret_slot, int64_t *ret_start_ms)
{
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		if (timers->busy[level] == 0)
			continue;
		unsigned digit = (unsigned)__builtin_ctzll(timers->busy[level]);
		unsigned shift = level * DIGIT_BITS;
		uint64_t higher = ~UINT64_C(0);
		higher = level + 1 < TIMER_LEVELS ? higher << (shift + DIGIT_BITS) : 0;
		uint64_t start = ((uint64_t)timers->reached_ms & higher) | (uint64_t)digit << shift;

		*ret_slot = level * TIMER_SLOTS + digit;
		*ret_start_ms = (int64_t)start;
		return true;
	}
	return false;
}

/* Moves the wheel to the next slot that is not empty. @return false when that is after @p now_ms */
static bool wheel_turn(struct timers *timers, int64_t now_ms)
{
	size_t slot = 0;
	int64_t start_ms = 0;

	if (!first_slot(timers, &slot, &start_ms) || start_ms > now_ms) {
		if (now_ms > timers->reached_ms)
			timers->reached_ms = now_ms;
		return false;
	}
	timers->reached_ms = start_ms;

	struct timer_link *list = &timers->slots[slot];
	struct timer_link *moving = &timers->moving;
	*moving = *list;
	moving->next->prev = moving;
	moving->prev->next = moving;
	list_init(list);
	timers->busy[slot / TIMER_SLOTS] &= ~(UINT64_C(1) << slot % TIMER_SLOTS);
	return true;
}

struct timer *timers_expired(struct timers *timers, int64_t now_ms)
{
	for (unsigned work = 0; work < WORK_MAX; work++) {
		if (!is_empty(&timers->moving)) {
			struct timer *down = container_of(timers->moving.next, struct timer, link);
			unlink_timer(timers, &down->link);
			timer_place(timers, down);
		} else if (!is_empty(&timers->due)) {
			struct timer *first = container_of(timers->due.next, struct timer, link);
			if (first->due_ms > now_ms) /* the caller's time went back */
				return NULL;
			unlink_timer(timers, &first->link);
			return first;
		} else if (!wheel_turn(timers, now_ms)) {
			return NULL;
		}
	}
	return NULL;
}

int64_t timers_next_ms(const struct timers *timers)
{
	size_t slot = 0;
	int64_t start_ms = 0;

	if (!is_empty(&timers->moving))
		return timers->reached_ms;
	if (!is_empty(&timers->due))
		return container_of(timers->due.next, const struct timer, link)->due_ms;
	return first_slot(timers, &slot, &start_ms) ? start_ms : INT64_MAX;
}
