/* SPDX-License-Identifier: MIT */
/** Requests about the past: ?at= of reads, differences, the life of an instance. */
#pragma once

#include "v1/internal.h"

/** What ?at= says. */
struct moment {
	bool is_given; /* otherwise the read is of the present */
	struct past_query at;
};
/** @param rule  of the parameter */
bool travel_read_at(struct call *call, unsigned rule, struct moment *ret) MUST_USE;

/**
 * A question about the past while it is parked. First member of each kind of them, which owns
 * nothing else.
 */
struct travel {
	struct parked parked;
	struct archive_query query;
	struct registry *registry;
	struct buf out; /* the query's */
	/** travel_to(): answers from the snapshot of then, which ends with the request. */
	enum api_result (*put)(struct call *call, struct travel *travel,
	                       const struct snapshot *then);
};

static inline struct travel *travel_of(struct parked *parked)
{
	return container_of(parked, struct travel, parked);
}

/**
 * @param size  of the struct that begins with the travel; all zero
 * @return NULL when out of memory (refused)
 */
struct travel *travel_new(struct call *call, size_t size, enum archive_kind kind,
                          enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
/** A travel to what was registered then, of the service of the path if there is one. */
struct travel *travel_to(struct call *call, size_t size, const struct moment *moment,
                         enum api_result (*put)(struct call *, struct travel *,
                                                const struct snapshot *)) MUST_USE;
/** Asks the archive. Owns @p travel from now on, whatever happens. */
enum api_result travel_submit(struct call *call, struct travel *travel) MUST_USE;

/** Is @p other given with at? Then it is refused. */
bool travel_excludes(struct call *call, unsigned at, unsigned other, const char *name);

/** The value of @p item: a revision, a token of this history, or a time in RFC 3339. */
bool travel_moment(struct call *call, const char *name, const struct query_item *item,
                   struct past_query *ret) MUST_USE;
/** Why the past cannot be shown; @p name is the parameter that said what was @p asked. */
void travel_refuse(struct call *call, int error, const struct past_bounds *bounds, const char *name,
                   const struct past_query *asked);
