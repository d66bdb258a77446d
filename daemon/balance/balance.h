/* SPDX-License-Identifier: MIT */
/**
 * Load balancing: picks one instance, or several distinct ones, of the healthy instances of a
 * service by a strategy.
 *
 *	round_robin           in the order of registration; the n-th pick is instance n mod count
 *	weighted_round_robin  smooth weighted, as in nginx: before each pick add every weight to
 *	                      its instance's value, take the highest (the first of equals),
 *	                      subtract the total from it. Precomputed as one period of sum/gcd
 *	                      picks; approximated when that period times the count is above 2^24
 *	consistent_hash       a ring of 100 points per instance (Karger): point i of instance X is
 *	                      the MD5 of "X:i", the place of a key its MD5, both as 128-bit
 *	                      big-endian numbers; the first point at or after it, wrapping around
 *	random                uniform
 *	least_loaded          two at random, of which the one whose last heartbeat reported the
 *	                      lower load (Mitzenmacher)
 *
 * A pick never builds anything: weighted_round_robin and consistent_hash read an index that the
 * writer builds when the service changes, once a pick has asked for it. Until it has been built
 * balance_pick() returns -EAGAIN.
 */
#pragma once

#include "base/attr.h"
#include "snapshot/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICK_COUNT_MAX    64
#define PICK_EXCLUDE_MAX  64
#define PICK_FILTER_MAX   16
#define RING_POINTS       100
#define WEIGHTED_COST_MAX (1u << 24)

enum strategy {
	STRATEGY_ROUND_ROBIN,
	STRATEGY_WEIGHTED_ROUND_ROBIN,
	STRATEGY_CONSISTENT_HASH,
	STRATEGY_RANDOM,
	STRATEGY_LEAST_LOADED,
	STRATEGY_COUNT
};

const char *strategy_name(enum strategy strategy);
/** @return 0 or -EINVAL */
int strategy_parse(struct str text, enum strategy *ret_strategy) MUST_USE;

/** Matches instances whose metadata contain every pair. */
struct meta_filter {
	struct {
		struct str key;
		struct str value;
	} pair[PICK_FILTER_MAX];
	size_t count;
};

bool meta_filter_matches(const struct meta_filter *filter, const struct instance *instance);

struct pick {
	enum strategy strategy;
	struct str key; /* consistent_hash only; data NULL: a random place */
	struct meta_filter filter;
	struct str exclude[PICK_EXCLUDE_MAX]; /* ids */
	size_t exclude_count;
	size_t count; /* wanted, 1 .. PICK_COUNT_MAX, all different */
	/** Picks as if the service's cursor stood at `cursor`, and does not move it: repeats a pick
	 * of the past. */
	bool replay;
	uint64_t cursor;
	struct pick_trace
		*trace; /* filled with how the choice was made; the caller's; may be NULL */
};

/** The place at which a strategy began to look. */
struct pick_trace {
	bool has_cursor; /* round_robin, weighted_round_robin: the cursor before the pick */
	uint64_t cursor;
	bool has_place; /* consistent_hash: the key's place on the ring */
	uint64_t place_high;
	uint64_t place_low;
};

/**
 * Picks from @p service, inside a visit.
 * @param ret  room for pick->count members, filled from the front; borrowed like the service
 * @return the number of members (0: none is healthy and matches); -EAGAIN: the index is not built
 *         yet, ask the registry for it (COMMAND_INDEX) and pick again; -ENOMEM
 */
int balance_pick(const struct service *service, const struct pick *pick,
                 const struct member **ret) MUST_USE;

/**
 * Appends an explanation of @p pick as one JSON object: strategy, revision of the service,
 * candidates in the order of the strategy, why each other instance was left out, and the cursor or
 * place. The cost grows with the instances of the service.
 * @param trace  filled by balance_pick()
 */
void balance_explain(struct buf *out, const struct service *service, const struct pick *pick,
                     const struct pick_trace *trace);

/** The index of service->index[] that a strategy reads, or -1. */
int balance_index_of(enum strategy strategy);

/**
 * Builds into @p next every index that picks have asked for (service->life->wanted) and that has
 * been read since @p previous was published; reuses parts of @p previous. Writer only, before
 * @p next is published.
 * @return 0 or -ENOMEM (@p next is usable without the index)
 */
int balance_build(struct service *next, const struct service *previous) MUST_USE;
