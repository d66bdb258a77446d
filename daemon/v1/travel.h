/* SPDX-License-Identifier: MIT */
/** Requests about the past: ?at= of reads, differences, the life of an instance. */
#pragma once

#include "api/call.h"

/** A page of differences or of a life ends with what reaches so many bytes. */
#define PAST_PAGE_BYTES (4u << 20)

/** Where a reader wants to be. */
struct travel {
	unsigned at;      /* rule of the parameter that says when */
	bool one_id;      /* only the instance of the path is needed */
	uint32_t indexes; /* bit per index that picks will read */
	/** Answers from the snapshot of then, which ends with it. */
	enum api_result (*put)(struct call *call, const struct snapshot *then);
};
/** Rebuilds what was registered then, of the service of the path if there is one, and answers. */
enum api_result travel_to(struct call *call, const struct travel *travel);
/** Is @p other given with at? Then it is refused (told). */
bool travel_excludes(struct call *call, unsigned at, unsigned other, const char *name);

/** GET of one instance: its parameters, and its answer when at is one of them. */
#define TRAVEL_INSTANCE_RULES 3
extern const struct query_rule travel_instance_rules[TRAVEL_INSTANCE_RULES];
bool travel_instance(struct call *call, enum api_result *ret_result);

/** A question about the past while it is parked: the parked's `more`. */
struct voyage {
	struct archive_query query;
	struct api_request *request;
	struct registry *registry;
	struct str service; /* of the path, kept */
	struct str id;
	struct buf out; /* the query's */
	enum api_result (*put)(struct call *call, const struct snapshot *then);
};
/** @return NULL when out of memory (told) */
struct parked *travel_park(struct call *call, struct voyage **ret_voyage,
                           enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
/** Asks the archive. Owns @p parked from now on. */
enum api_result travel_submit(struct call *call, struct parked *parked);
/** The value of @p item: a revision, or a time in RFC 3339. */
bool travel_moment(struct call *call, const char *name, const struct query_item *item,
                   struct past_query *ret) MUST_USE;
/** Why the past cannot be shown; @p name is the parameter that said what was @p asked. */
void travel_refuse(struct call *call, int error, const struct past_bounds *bounds, const char *name,
                   const struct past_query *asked);
