/* SPDX-License-Identifier: MIT */
/** Precomputed data that strategies read. Each belongs to one frozen version of a service. */
#pragma once

#include "balance/balance.h"

enum { INDEX_WEIGHTED, INDEX_RING };

/** One period of the smooth weighted sequence: indexes of service->healthy. */
struct weighted {
	struct service_index base;
	_Atomic(bool)
		used; /* it has been read since it was built, so its successor is worth building */
	uint32_t period;
	uint32_t order[];
};

/** The hash ring: places in ascending order and the members that own them. */
struct ring {
	struct service_index base;
	_Atomic(bool) used;
	uint32_t count;
	const uint32_t *owner; /* parallel to `place`: indexes of service->healthy */
	struct place {
		uint64_t high; /* the MD5, as a 128-bit big-endian number */
		uint64_t low;
	} place[];
};

/** The members of service->healthy that match a filter. */
struct view {
	struct service_index base;
	struct str filter; /* packed as instance metadata, in the order of the request */
	uint64_t hash;
	uint32_t count;
	const uint32_t *members; /* indexes of service->healthy, ascending */
	const uint64_t *bits;    /* a bit per index of service->healthy */
};

struct weighted *weighted_build(const struct service *service) MUST_USE;
/** Keeps the points of members that stay. @param old  the ring of @p previous; both may be NULL */
struct ring *ring_build(const struct service *service, const struct service *previous,
                        const struct ring *old) MUST_USE;
struct place ring_place(struct str key);
/** The first point at or after @p place, wrapping around. @param ring  not empty */
uint32_t ring_find(const struct ring *ring, struct place place);

/** The view of @p filter, built on first use and kept while there is room. @return 0 or -ENOMEM;
 * *ret_owned: it was not kept, the caller frees it */
int view_get(const struct service *service, const struct meta_filter *filter,
             struct view **ret_view, bool *ret_owned) MUST_USE;

static inline bool view_has(const struct view *view, uint32_t index)
{
	return view == NULL || (view->bits[index / 64] >> (index % 64) & 1) != 0;
}

static inline struct service_index *index_get(const struct service *service, int which)
{
	return atomic_load_explicit(&service->index[which], memory_order_acquire);
}
