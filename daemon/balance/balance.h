/* SPDX-License-Identifier: MIT */
/**
 * Picks: one instance, or several distinct ones, of a service's healthy instances by a strategy.
 *
 * round_robin           registration order; the n-th pick is instance n mod count.
 * weighted_round_robin  smooth weighted (as in nginx): before each pick add every weight to its
 * instance's current value, take the highest (first in order wins ties), subtract the total from
 * it. Precomputed as one period of sum/gcd picks; weights are scaled down when that period times
 * the count is above 2^24. consistent_hash       ring of 100 points an instance (Karger): point i
 * of instance X is MD5 of "X:i", the key's place is MD5 of the key, both as 128-bit big-endian
 * numbers; first point at or after it, wrapping. random                uniform. least_loaded two at
 * random, the one whose last heartbeat reported the lower load (Mitzenmacher).
 *
 * A pick never builds anything: what weighted_round_robin and consistent_hash read is an index that
 * the writer builds when the service changes, once a pick has asked for it; balance_pick() answers
 * -EAGAIN meanwhile.
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

/** Every pair must be in the instance's metadata. */
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
	/** Picks as if the service's cursor stood here, and leaves the cursor alone: what was or
	 * would have been picked. */
	bool replay;
	uint64_t cursor;
	struct pick_trace *trace; /* NULL, or told how the choice was made; the caller's */
};

/** Where a strategy looked. */
struct pick_trace {
	bool has_cursor; /* round_robin, weighted_round_robin: where the cursor stood */
	uint64_t cursor;
	bool has_place; /* consistent_hash: the key's place on the ring */
	uint64_t place_high;
	uint64_t place_low;
};

/**
 * Picks from @p service, which the caller is visiting.
 * @param ret  room for pick->count; filled from the front; borrowed like the service
 * @return how many there are (0: none is healthy and matches); -EAGAIN: the index is not built yet,
 * ask the registry for it (COMMAND_INDEX) and pick again; -ENOMEM
 */
int balance_pick(const struct service *service, const struct pick *pick,
                 const struct member **ret) MUST_USE;

/**
 * Appends how @p pick was made, as one JSON object: strategy, the
 * service's revision, the candidates in the order that the strategy saw, why each other instance
 * was left out, and the cursor or place. Costs as much as the service has instances. @param trace
 * what balance_pick() told
 */
void balance_explain(struct buf *out, const struct service *service, const struct pick *pick,
                     const struct pick_trace *trace);

/** Which of service->index[] a strategy reads, or -1. */
int balance_index_of(enum strategy strategy);

/**
 * Builds every index that picks have asked for (service->life->wanted) and that was read since @p
 * previous was published, into @p next, reusing what @p previous has. Writer only, before next is
 * published.
 * @return 0 or -ENOMEM (next is then usable without)
 */
int balance_build(struct service *next, const struct service *previous) MUST_USE;
