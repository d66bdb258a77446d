/* SPDX-License-Identifier: MIT */
/*
 * Round robin, random, two choices and smooth weighted round robin. A strategy's state belongs to
 * one set of instances, and all its functions run under the service's lock, so they need no
 * atomics. Invariant: pick() returns an index below choice->count that choice->skip does not mark,
 * or ROLLCALL_NONE. Skipped instances are passed over at the pick: building a shorter list for each
 * pick would cost memory, and would lose the positions that round robin relies on.
 */
#include "lib/policy/strategy.h"

#include "lib/base/util.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t strategy_any(const rollcall_choice *choice)
{
	size_t usable = choice->count;

	if (choice->skip != NULL) {
		usable = 0;
		for (size_t i = 0; i < choice->count; i++)
			usable += choice->skip[i] == 0;
	}
	if (usable == 0)
		return ROLLCALL_NONE;

	size_t nth = choice->random_below(choice, usable);
	if (choice->skip == NULL)
		return nth;
	for (size_t i = 0;; i++)
		if (choice->skip[i] == 0 && nth-- == 0)
			return i;
}

/* --- round robin, random -------------------------------------------------------------------- */

struct cursor {
	uint64_t next;
};

static void *cursor_create(const rollcall_instance *instances, size_t count, uint64_t random,
                           void *arg)
{
	struct cursor *cursor = malloc(sizeof(*cursor));

	(void)instances;
	(void)count;
	(void)arg;
	if (cursor != NULL)
		cursor->next = random >> 1; /* 2^63 picks away from wrapping */
	return cursor;
}

static void cursor_inherit(void *state, const void *previous)
{
	struct cursor *cursor = state;

	*cursor = *(const struct cursor *)previous;
}

static size_t cursor_pick(void *state, const rollcall_choice *choice)
{
	struct cursor *cursor = state;

	for (size_t tries = 0; tries < choice->count; tries++) {
		size_t index = cursor->next++ % choice->count;

		if (strategy_usable(choice, index))
			return index;
	}
	return ROLLCALL_NONE;
}

static size_t random_pick(void *state, const rollcall_choice *choice)
{
	(void)state;
	return strategy_any(choice);
}

const rollcall_strategy strategy_round_robin = {
	.size = sizeof(rollcall_strategy),
	.name = "round_robin",
	.create = cursor_create,
	.inherit = cursor_inherit,
	.pick = cursor_pick,
	.destroy = free,
};

const rollcall_strategy strategy_random = {
	.size = sizeof(rollcall_strategy),
	.name = "random",
	.create = cursor_create,
	.pick = random_pick,
	.destroy = free,
};

/* --- power of two choices ------------------------------------------------------------------- */

static size_t p2c_pick(void *state, const rollcall_choice *choice)
{
	size_t a = ROLLCALL_NONE;
	size_t b = ROLLCALL_NONE;

	(void)state;
	if (choice->skip == NULL && choice->count > 1) {
		a = choice->random_below(choice, choice->count);
		b = choice->random_below(choice, choice->count - 1);
		b += b >= a;
	} else {
		a = strategy_any(choice);
		if (a == ROLLCALL_NONE)
			return a;
		for (int tries = 0; tries < 8 && (b == ROLLCALL_NONE || b == a); tries++)
			b = strategy_any(choice); /* 8 equal draws: there is hardly another */
	}
	if (a == b)
		return a;
	return choice->load(choice, b) < choice->load(choice, a) ? b : a;
}

const rollcall_strategy strategy_p2c = {
	.size = sizeof(rollcall_strategy),
	.name = "p2c",
	.create = cursor_create,
	.pick = p2c_pick,
	.destroy = free,
};

/* --- smooth weighted round robin ------------------------------------------------------------ */

struct weighted {
	const rollcall_instance *instances; /* valid until destroy() */
	size_t count;
	int64_t current[];
};

static void *weighted_create(const rollcall_instance *instances, size_t count, uint64_t random,
                             void *arg)
{
	struct weighted *weighted = calloc(1, sizeof(*weighted) + count * sizeof(int64_t));

	(void)random;
	(void)arg;
	if (weighted == NULL)
		return NULL;
	weighted->instances = instances;
	weighted->count = count;
	return weighted;
}

/* Both lists are in the order of registration, so the search for the next id begins behind the last
 * one that was found. */
static void weighted_inherit(void *state, const void *previous)
{
	struct weighted *to = state;
	const struct weighted *from = previous;
	size_t at = 0;

	for (size_t i = 0; i < to->count; i++) {
		for (size_t j = at; j < from->count; j++) {
			if (strcmp(to->instances[i].id, from->instances[j].id) != 0)
				continue;
			to->current[i] = from->current[j];
			at = j + 1;
			break;
		}
	}
}

static int64_t weighted_weight(const rollcall_choice *choice, size_t index, bool all_zero)
{
	return all_zero ? 1 : (int64_t)choice->instances[index].weight;
}

static size_t weighted_pick(void *state, const rollcall_choice *choice)
{
	struct weighted *weighted = state;
	size_t best = ROLLCALL_NONE;
	bool all_zero = true;
	int64_t total = 0;

	for (size_t i = 0; i < choice->count && all_zero; i++)
		all_zero = !strategy_usable(choice, i) || choice->instances[i].weight == 0;
	for (size_t i = 0; i < choice->count; i++) {
		if (!strategy_usable(choice, i))
			continue;
		int64_t weight = weighted_weight(choice, i, all_zero);

		weighted->current[i] += weight;
		total += weight;
		if (weight > 0 &&
		    (best == ROLLCALL_NONE || weighted->current[i] > weighted->current[best]))
			best = i;
	}
	if (best != ROLLCALL_NONE)
		weighted->current[best] -= total;
	return best;
}

const rollcall_strategy strategy_weighted = {
	.size = sizeof(rollcall_strategy),
	.name = "weighted_round_robin",
	.create = weighted_create,
	.inherit = weighted_inherit,
	.pick = weighted_pick,
	.destroy = free,
};

/* -------------------------------------------------------------------------------------------- */

const rollcall_strategy *rollcall_strategy_named(const char *name)
{
	static const rollcall_strategy *const all[] = {
		&strategy_p2c,  &strategy_round_robin, &strategy_weighted,
		&strategy_ring, &strategy_random,
	};

	for (size_t i = 0; name != NULL && i < ARRAY_LEN(all); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}
