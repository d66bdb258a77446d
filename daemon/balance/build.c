/* SPDX-License-Identifier: MIT */
#include "balance/internal.h"

#include <errno.h>

static const struct str names[STRATEGY_COUNT] = {
	[STRATEGY_ROUND_ROBIN] = STR("round_robin"),
	[STRATEGY_WEIGHTED_ROUND_ROBIN] = STR("weighted_round_robin"),
	[STRATEGY_CONSISTENT_HASH] = STR("consistent_hash"),
	[STRATEGY_RANDOM] = STR("random"),
	[STRATEGY_LEAST_LOADED] = STR("least_loaded"),
};

const char *strategy_name(enum strategy strategy)
{
	return names[strategy].data;
}

int strategy_parse(struct str text, enum strategy *ret_strategy)
{
	for (size_t i = 0; i < STRATEGY_COUNT; i++) {
		if (str_equal(text, names[i])) {
			*ret_strategy = (enum strategy)i;
			return 0;
		}
	}
	return -EINVAL;
}

int balance_index_of(enum strategy strategy)
{
	switch (strategy) {
	case STRATEGY_WEIGHTED_ROUND_ROBIN:
		return INDEX_WEIGHTED;
	case STRATEGY_CONSISTENT_HASH:
		return INDEX_RING;
	case STRATEGY_ROUND_ROBIN:
	case STRATEGY_RANDOM:
	case STRATEGY_LEAST_LOADED:
	case STRATEGY_COUNT:
		break;
	}
	return -1;
}

static _Atomic(bool) *used_flag(struct service_index *index, int which)
{
	return which == INDEX_WEIGHTED ? &container_of(index, struct weighted, base)->used
	                               : &container_of(index, struct ring, base)->used;
}

static struct service_index *index_build(const struct service *service,
                                         const struct service *previous, int which)
{
	if (which == INDEX_WEIGHTED) {
		struct weighted *weighted = weighted_build(service);

		return weighted != NULL ? &weighted->base : NULL;
	}

	struct service_index *old = previous != NULL ? index_get(previous, which) : NULL;
	struct ring *ring = ring_build(service, previous,
	                               old != NULL ? container_of(old, struct ring, base) : NULL);
	return ring != NULL ? &ring->base : NULL;
}

/* An index that no pick has read since it was built is not built again; the next pick asks for
 * it. */
static bool is_wanted(struct service *next, const struct service *previous, int which)
{
	uint32_t wanted = atomic_load_explicit(&next->life->wanted, memory_order_relaxed);
	struct service_index *old = previous != NULL ? index_get(previous, which) : NULL;

	if ((wanted & (1u << which)) == 0)
		return false;
	if (old != NULL && !atomic_load_explicit(used_flag(old, which), memory_order_relaxed)) {
		atomic_fetch_and_explicit(&next->life->wanted, ~(1u << which),
		                          memory_order_relaxed);
		return false;
	}
	return true;
}

int balance_build(struct service *next, const struct service *previous)
{
	if (next->status_count[STATUS_HEALTHY] == 0)
		return 0;
	for (int which = 0; which < SERVICE_INDEXES; which++) {
		if (index_get(next, which) != NULL || !is_wanted(next, previous, which))
			continue;

		struct service_index *index = index_build(next, previous, which);
		if (index == NULL)
			return -ENOMEM;
		/* Without a previous version a pick waits for the index: that counts as a read. */
		atomic_init(used_flag(index, which), previous == NULL);
		atomic_store_explicit(&next->index[which], index, memory_order_release);
	}
	return 0;
}
