/* SPDX-License-Identifier: MIT */
/** A request as http/ passes it to api/, independent of libmicrohttpd. */
#pragma once

#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum api_method { API_GET, API_HEAD, API_PUT, API_POST, API_DELETE, API_OTHER, API_METHOD_COUNT };

#define API_HEAD_MAX 7680  /* bytes of a request's line and headers; http/ enforces it */
#define API_BODY_MAX 65536 /* bytes that most requests may have; a route may allow more */

struct route;
struct route_table;
#define ROUTE_PARAMS_MAX 2

/** The route of a target; see router.h. */
struct route_match {
	const struct route_table *table;
	const struct route *route;
	struct str param[ROUTE_PARAMS_MAX]; /* decoded; in the target, the scratch or `kept` */
	struct str query;                   /* raw, without the '?' */
};

/** A header of a request. */
struct api_field {
	struct str name; /* as it was sent, in any case */
	struct str value;
};
#define API_FIELDS_MAX 120 /* API_HEAD_MAX allows no more; http/ enforces it */

/** All zero at first; then http/ fills in its members. All strings are borrowed until the answer
 * has been sent. */
struct api_request {
	enum api_method method;
	struct str target; /* raw request target, undecoded: "/v1/services/a%2Fb?x=y" */
	struct str body;
	const struct api_field *fields; /* in the order of the request */
	size_t field_count;
	struct str peer; /* "127.0.0.1:51234", "[::1]:80", "unix:uid=0" */
	/** Set by http/: brings a parked request back to its http thread. Any thread; once; must
	 * not block. */
	void (*wake)(struct api_request *request);
	/** Set by api/: the route. match.route is NULL before it has been found, and when it must
	 * be found again because parameters had to be decoded. */
	struct route_match match;
	bool is_pretty; /* set by api/: ?pretty is given */
	void *park;     /* set by api/ while parked; freed by api_finish() or api_abandon() */
	/** Set by api/: a copy of what was decoded of the target, for a request that parks; freed
	 * by api_release(). */
	char *kept;
	/** Set by http/: the counter of answer bytes that the peer has not read on all its
	 * connections; NULL when the peers cannot be distinguished. */
	_Atomic(uint64_t) *peer_unsent;
	/* Set by api/: what the answer is counted as until api_release(). */
	uint64_t held;   /* bytes of memory, against max_unsent_bytes */
	uint64_t unsent; /* bytes of the answer, against max_unsent_bytes_per_peer */
	/** Set by api/: not NULL when http/ must call api_sent() after the answer. */
	void *sending;
	/** Set with API_PARKED: clock_ms() at which http/ calls api_expire(); 0: never, the request
	 * waits until woken. */
	int64_t park_until_ms;
};

/** The value of the first header called @p name; data is NULL when there is none. */
struct str api_header(const struct api_request *request, struct str name);
