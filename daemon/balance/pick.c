/* SPDX-License-Identifier: MIT */
/*
 * The strategies. Any thread, inside a visit of the snapshot.
 *
 * Invariant: a pick changes nothing but atomics, so picks of all threads share a service without a
 * lock, and no result has a member twice. Cursors belong to the service, not to a version of it
 * (service->life): otherwise each change would begin at the first instance again, which would then
 * get most of the picks.
 */
#include "balance/internal.h"

#include "base/check.h"
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>

/* The state of one pick. */
struct picking {
	const struct service *service;
	const struct pick *pick;
	const struct view *view; /* NULL: all healthy members */
	uint32_t candidates;     /* number of members in the view */
	const struct member *excluded[PICK_EXCLUDE_MAX];
	size_t excluded_count;
	size_t target; /* how many members to find */
	const struct member **found;
	size_t found_count;
};

static const struct member *candidate(const struct picking *picking, uint64_t n)
{
	CHECK(picking->candidates > 0);
	uint64_t at = n % picking->candidates;

	return picking->service->healthy[picking->view != NULL ? picking->view->members[at] : at];
}

static bool pick_holds(const struct member *const *list, size_t count, const struct member *member)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == member)
			return true;
	}
	return false;
}

static bool pick_accepts(const struct picking *picking, const struct member *member)
{
	return !pick_holds(picking->excluded, picking->excluded_count, member) &&
	       !pick_holds(picking->found, picking->found_count, member);
}

static void pick_take(struct picking *picking, const struct member *member)
{
	if (pick_accepts(picking, member))
		picking->found[picking->found_count++] = member;
}

/* Each filter has a cursor of its own, so that picks with one filter are fair among themselves. */
static _Atomic uint64_t *cursor_of(const struct picking *picking, _Atomic uint64_t *plain)
{
	if (picking->view == NULL)
		return plain;
	return &picking->service->life->filtered[picking->view->hash % SERVICE_CURSORS];
}

static void trace_cursor(const struct picking *picking, uint64_t cursor)
{
	struct pick_trace *trace = picking->pick->trace;

	if (trace != NULL) {
		trace->has_cursor = true;
		trace->cursor = cursor;
	}
}

static void round_robin(struct picking *picking)
{
	_Atomic uint64_t *cursor = cursor_of(picking, &picking->service->life->round_robin);
	uint64_t n = picking->pick->replay ? picking->pick->cursor
	                                   : atomic_fetch_add_explicit(cursor, picking->target,
	                                                               memory_order_relaxed);

	trace_cursor(picking, n);

	for (uint32_t i = 0; i < picking->candidates && picking->found_count < picking->target; i++)
		pick_take(picking, candidate(picking, n + i));
}

/* Picks from @p start on until all are found. @return the number of steps */
static uint32_t weighted_steps(struct picking *picking, const struct weighted *weighted,
                               uint64_t start)
{
	uint32_t steps = 0;

	picking->found_count = 0;
	for (; steps < weighted->period && picking->found_count < picking->target; steps++) {
		uint32_t index = weighted->order[(start + steps) % weighted->period];

		if (view_has(picking->view, index))
			pick_take(picking, picking->service->healthy[index]);
	}
	return steps;
}

static void weighted_walk(struct picking *picking, const struct weighted *weighted)
{
	_Atomic uint64_t *cursor = cursor_of(picking, &picking->service->life->weighted);
	uint64_t start = picking->pick->replay ? picking->pick->cursor
	                                       : atomic_load_explicit(cursor, memory_order_relaxed);
	uint32_t steps;

	do {
		steps = weighted_steps(picking, weighted, start);
	} while (!picking->pick->replay && !atomic_compare_exchange_weak_explicit(
						   cursor, &start, start + steps,
						   memory_order_relaxed, memory_order_relaxed));
	trace_cursor(picking, start);
	if (picking->found_count == 0) /* all candidates have weight 0 */
		round_robin(picking);
}

static int weighted_round_robin(struct picking *picking)
{
	struct service_index *index = index_get(picking->service, INDEX_WEIGHTED);

	if (index == NULL)
		return -EAGAIN;

	struct weighted *weighted = container_of(index, struct weighted, base);
	if (!atomic_load_explicit(&weighted->used, memory_order_relaxed))
		atomic_store_explicit(&weighted->used, true, memory_order_relaxed);
	if (picking->view == NULL && picking->excluded_count == 0 && picking->target == 1 &&
	    !picking->pick->replay) {
		uint64_t n = atomic_fetch_add_explicit(&picking->service->life->weighted, 1,
		                                       memory_order_relaxed);

		trace_cursor(picking, n);
		picking->found[picking->found_count++] =
			picking->service->healthy[weighted->order[n % weighted->period]];
		return 0;
	}
	weighted_walk(picking, weighted);
	return 0;
}

static int consistent_hash(struct picking *picking)
{
	struct service_index *index = index_get(picking->service, INDEX_RING);

	if (index == NULL)
		return -EAGAIN;

	struct ring *ring = container_of(index, struct ring, base);
	if (!atomic_load_explicit(&ring->used, memory_order_relaxed))
		atomic_store_explicit(&ring->used, true, memory_order_relaxed);

	struct place place = picking->pick->key.data != NULL
	                             ? ring_place(picking->pick->key)
	                             : (struct place){random_u64(), random_u64()};
	uint32_t at = ring_find(ring, place);
	struct pick_trace *trace = picking->pick->trace;
	if (trace != NULL) {
		trace->has_place = true;
		trace->place_high = place.high;
		trace->place_low = place.low;
	}
	for (uint32_t i = 0; i < ring->count && picking->found_count < picking->target; i++) {
		uint32_t owner = ring->owner[at];

		if (view_has(picking->view, owner))
			pick_take(picking, picking->service->healthy[owner]);
		at = at + 1 == ring->count ? 0 : at + 1;
	}
	return 0;
}

/*
 * One of the remaining candidates, uniformly. Exclusions are few, so among many candidates drawing
 * again until one is acceptable ends soon; few candidates are cheap to count.
 */
#define FEW_CANDIDATES 512

static const struct member *draw(const struct picking *picking)
{
	if (picking->excluded_count + picking->found_count == 0)
		return candidate(picking, random_below(picking->candidates));
	if (picking->candidates > FEW_CANDIDATES) {
		const struct member *member;

		do {
			member = candidate(picking, random_below(picking->candidates));
		} while (!pick_accepts(picking, member));
		return member;
	}

	uint64_t left = 0;
	for (uint32_t i = 0; i < picking->candidates; i++)
		left += pick_accepts(picking, candidate(picking, i));
	uint64_t skip = random_below(left);
	for (uint32_t i = 0;; i++) {
		const struct member *member = candidate(picking, i);

		if (pick_accepts(picking, member) && skip-- == 0)
			return member;
	}
}

static void at_random(struct picking *picking)
{
	while (picking->found_count < picking->target) {
		const struct member *member = draw(picking);

		picking->found[picking->found_count++] = member;
	}
}

static uint32_t load_of(const struct member *member)
{
	return atomic_load_explicit(&member->lease->load_ppm, memory_order_relaxed);
}

/* The power of two choices (Mitzenmacher, 1996): two different candidates if there are two. */
static void least_loaded(struct picking *picking)
{
	while (picking->found_count < picking->target) {
		const struct member *one = draw(picking);
		size_t at = picking->found_count++;

		picking->found[at] = one;
		if (picking->candidates - picking->excluded_count == picking->found_count)
			continue; /* `one` was the last candidate */

		const struct member *other = draw(picking);
		if (load_of(other) < load_of(one))
			picking->found[at] = other;
	}
}

/* Finds the members of the excluded ids, and sets the target. */
static void pick_prepare(struct picking *picking)
{
	const struct pick *pick = picking->pick;

	for (size_t i = 0; i < pick->exclude_count; i++) {
		const struct member *member = service_member(picking->service, pick->exclude[i]);

		if (member != NULL && member->value.status == STATUS_HEALTHY &&
		    meta_filter_matches(&pick->filter, &member->value) &&
		    !pick_holds(picking->excluded, picking->excluded_count, member))
			picking->excluded[picking->excluded_count++] = member;
	}
	picking->target = picking->candidates - picking->excluded_count;
	if (picking->target > pick->count)
		picking->target = pick->count;
}

static int pick_choose(struct picking *picking)
{
	pick_prepare(picking);
	if (picking->target == 0)
		return 0;
	switch (picking->pick->strategy) {
	case STRATEGY_ROUND_ROBIN:
		round_robin(picking);
		return 0;
	case STRATEGY_WEIGHTED_ROUND_ROBIN:
		return weighted_round_robin(picking);
	case STRATEGY_CONSISTENT_HASH:
		return consistent_hash(picking);
	case STRATEGY_RANDOM:
		at_random(picking);
		return 0;
	case STRATEGY_LEAST_LOADED:
		least_loaded(picking);
		return 0;
	case STRATEGY_COUNT:
		break;
	}
	return -EINVAL;
}

int balance_pick(const struct service *service, const struct pick *pick, const struct member **ret)
{
	struct picking picking; /* not = {0}: `excluded` is large and need not be cleared */
	struct view *view = NULL;
	bool owned = false;

	picking.service = service;
	picking.pick = pick;
	picking.view = NULL;
	picking.candidates = service->status_count[STATUS_HEALTHY];
	picking.excluded_count = 0;
	picking.target = 0;
	picking.found = ret;
	picking.found_count = 0;
	if (picking.candidates > 0 && pick->filter.count > 0) {
		int r = view_get(service, &pick->filter, &view, &owned);

		if (r < 0)
			return r;
		picking.view = view;
		picking.candidates = view->count;
	}

	int r = pick_choose(&picking);
	if (owned)
		free(view);
	if (r == -EAGAIN)
		atomic_fetch_or_explicit(&service->life->wanted,
		                         1u << balance_index_of(pick->strategy),
		                         memory_order_relaxed);
	return r < 0 ? r : (int)picking.found_count;
}
