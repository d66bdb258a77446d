/* SPDX-License-Identifier: MIT */
/**
 * Finds the route of a raw request target. The target is first split at '/', then each segment is
 * decoded, so that an id may hold an encoded '/'. Never allocates. Any thread.
 */
#pragma once

#include "api/api.h"
#include "base/attr.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct call;
typedef enum api_result (*route_fn)(struct call *call);

#define SCRATCH_SIZE 8192

/** Memory for decoded strings while one request is handled; on the stack of api_handle(). */
struct scratch {
	size_t used;
	char data[SCRATCH_SIZE];
};

/** What a request does, for access control. */
enum verb {
	VERB_NONE,      /* not used by any route */
	VERB_PUBLIC,    /* allowed without credentials */
	VERB_KNOWN,     /* allowed for every principal */
	VERB_HEARTBEAT, /* renew the lease of an instance */
	VERB_REGISTER,  /* register and remove instances, and set what their owner reports */
	VERB_LOOKUP,    /* read present and past state; with wait_ms it is VERB_WATCH */
	VERB_WATCH,     /* read changes */
	VERB_OPERATE,   /* set an operator's intent */
	VERB_METRICS
};

/** Where a request names its service. */
enum service_place {
	SERVICE_NONE,    /* nowhere: it concerns all services, and the handler hides some of them */
	SERVICE_IN_PATH, /* in the first parameter of the path */
	SERVICE_IN_BODY  /* in each entry of the body: the handler refuses single entries */
};

struct right {
	enum verb verb;
	enum service_place service;
};

struct endpoint {
	route_fn handle; /* NULL: 405 */
	struct right right;
	uint32_t body_max; /* bytes; 0: a body is an error */
	bool negotiates;   /* the form of the answer depends on Accept */
};

#define ROUTE_TAIL 0x100u

struct route {
	/**
	 * As in the OpenAPI: "/v1/services/{service}"; braces match one segment. A pattern with a
	 * tail, "/ui/{path...}", has as its last parameter the rest of the path, decoded as one
	 * string. The tail may be empty or hold empty segments; an encoded '/' looks like any
	 * other.
	 */
	const char *pattern;
	unsigned depth; /* segments of the pattern; with a tail | ROUTE_TAIL */
	struct endpoint on[API_METHOD_COUNT]; /* API_HEAD stays empty: API_GET serves it */
};

/** The routes of one protocol. */
struct route_table {
	const struct route *routes;
	size_t count;
	void *self; /* the protocol's state; its handlers find it in call->match.table */
	/** Renders the refusal of a request to one of these routes; NULL: problem_render(). */
	void (*refuse)(struct api_response *response, const struct refusal *refusal);
};

/**
 * Finds the first route of @p tables that matches @p target.
 * @return 0; -ENOENT: none; -EINVAL: not a path, or badly percent-encoded; -EMSGSIZE: does not fit
 * the scratch
 */
int router_find(const struct route_table *const *tables, size_t count, struct str target,
                struct scratch *scratch, struct route_match *ret_match) MUST_USE;
/** Does the route have a handler for @p method (HEAD counts as GET)? */
static inline bool route_allows(const struct route *route, enum api_method method)
{
	return route->on[method == API_HEAD ? API_GET : method].handle != NULL;
}
/** "GET, HEAD, PUT" for the Allow header; @p out of 64 bytes is enough. */
void route_allow(const struct route *route, char *out, size_t size);
/**
 * Percent-decodes @p text; into the scratch if anything is encoded, else the result is @p text.
 * @param plus_is_space  as in a query
 * @return 0; -EINVAL: badly encoded, or holds a NUL; -EMSGSIZE
 */
int scratch_decode(struct scratch *scratch, struct str text, bool plus_is_space,
                   struct str *ret_text) MUST_USE;
