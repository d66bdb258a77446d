/* SPDX-License-Identifier: MIT */
/** Requests about the past: reads with ?at=, differences, the history of an instance. Functions
 * without another note run on the http thread of their call. */
#pragma once

#include "v1/internal.h"

/** The value of ?at=. */
struct moment {
	bool is_given; /* false: the request reads the present state */
	struct past_query at;
};
/** Reads ?at=. @param rule  of the parameter. @return false: refused with 400 or 410 */
bool past_request_read_at(struct call *call, unsigned rule, struct moment *ret) MUST_USE;

/**
 * A query about the past, parked until the archive thread has completed it. The first member of the
 * struct of each kind, which owns no other memory.
 */
struct past_request {
	struct parked parked;
	struct archive_query query;
	struct registry *registry;
	struct buf out; /* the query's */
	/** Of past_request_new_state(): answers from the snapshot @p then, which is freed with the
	 * request. */
	enum api_result (*put)(struct call *call, struct past_request *past,
	                       const struct snapshot *then);
};

static inline struct past_request *past_request_of(struct parked *parked)
{
	return container_of(parked, struct past_request, parked);
}

/**
 * @param size  size of the struct that begins with the past_request; it is zeroed
 * @param finish  called once the query is complete
 * @return NULL: refused, out of memory
 */
struct past_request *past_request_new(struct call *call, size_t size, enum archive_kind kind,
                                      enum api_result (*finish)(struct call *,
                                                                struct parked *)) MUST_USE;
/** Makes a request for the state at @p moment: of the path's service, or of all if the path has
 * none.
 * @return as past_request_new() */
struct past_request *past_request_new_state(
	struct call *call, size_t size, const struct moment *moment,
	enum api_result (*put)(struct call *, struct past_request *,
                               const struct snapshot *)) MUST_USE;
/** Submits the query to the archive thread, or refuses the call. Takes ownership of @p past in
 * either case. */
enum api_result past_request_submit(struct call *call, struct past_request *past) MUST_USE;

/** Does the query have both parameters, @p at and @p other, which cannot be combined?
 * @return true: refused with 400 */
bool past_request_excludes(struct call *call, unsigned at, unsigned other, const char *name);

/** Reads the value of @p item: a revision, a token of this history, or an RFC 3339 time.
 * @return false: refused with 400 or 410 */
bool past_request_moment(struct call *call, const char *name, const struct query_item *item,
                         struct past_query *ret) MUST_USE;
/** Answers with the problem for @p error of a query about the past. @param name  the parameter with
 * the value @p asked */
void past_request_refuse(struct call *call, int error, const struct past_bounds *bounds,
                         const char *name, const struct past_query *asked);
