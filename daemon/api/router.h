/* SPDX-License-Identifier: MIT */
/**
 * From a raw request target to a route. The target is split at '/' first and each segment decoded
 * afterwards, so that an id may hold an encoded '/'. Never allocates. Any thread.
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

/** Room for what is decoded while one request is handled; on the handler's stack. */
struct scratch {
	size_t used;
	char data[SCRATCH_SIZE];
};

/** What a request does, as access control will see it. */
enum verb {
	VERB_NONE,      /* no route has it */
	VERB_PUBLIC,    /* whatever anyone may do */
	VERB_KNOWN,     /* whatever every principal may do */
	VERB_HEARTBEAT, /* renew the lease of an instance */
	VERB_REGISTER,  /* register and remove instances, and what their owner says of them */
	VERB_LOOKUP,    /* read what is and was registered; with wait_ms it is VERB_WATCH */
	VERB_WATCH,     /* read changes */
	VERB_OPERATE,   /* an operator's intent */
	VERB_METRICS
};

/** Where the service stands that a request is about. */
enum service_place {
	SERVICE_NONE, /* nowhere: it is about all, and the handler leaves out what may not be seen
	               */
	SERVICE_IN_PATH, /* its first parameter */
	SERVICE_IN_BODY  /* each entry of it has one: the handler refuses by entry */
};

struct right {
	enum verb verb;
	enum service_place service;
};

struct endpoint {
	route_fn handle; /* NULL: 405 */
	struct right right;
	uint32_t body_max; /* bytes; 0: a body is an error */
	bool negotiates;   /* the form of its answer depends on Accept */
};

#define ROUTE_TAIL 0x100u

struct route {
	/**
	 * As in the OpenAPI: "/v1/services/{service}"; braces match any one segment. Or with a
	 * tail:
	 * "/ui/{path...}", whose last parameter is all that is left of the path, decoded as one. It
	 * may be empty or hold empty segments, and an encoded '/' cannot be told from another.
	 */
	const char *pattern;
	unsigned depth;                       /* segments in it */
	struct endpoint on[API_METHOD_COUNT]; /* API_HEAD is left empty: it is served as API_GET */
};

/** The routes of one protocol. */
struct route_table {
	const struct route *routes;
	size_t count;
	void *self; /* the protocol's own: its handlers find it in call->match.table */
	/** Renders a refusal of a request to one of these routes; NULL: problem_render(). */
	void (*refuse)(struct api_response *response, const struct refusal *refusal);
};

/**
 * Finds the route of @p target among the routes of @p tables: the first that matches.
 * @return 0; -ENOENT: none; -EINVAL: not a path, or badly percent-encoded; -EMSGSIZE: does not fit
 * the scratch
 */
int router_find(const struct route_table *const *tables, size_t count, struct str target,
                struct scratch *scratch, struct route_match *ret_match) MUST_USE;
/** Does the route know @p method (HEAD counts as GET)? */
bool route_allows(const struct route *route, enum api_method method);
/** "GET, HEAD, PUT" for the Allow header; @p out of 64 bytes is enough. */
void route_allow(const struct route *route, char *out, size_t size);
/**
 * Percent-decodes @p text, into the scratch when it has to.
 * @param plus_is_space  as in a query
 * @return 0; -EINVAL: badly encoded, or holds a NUL; -EMSGSIZE
 */
int scratch_decode(struct scratch *scratch, struct str text, bool plus_is_space,
                   struct str *ret_text) MUST_USE;
