/* SPDX-License-Identifier: MIT */
/** A request as http/ hands it over. Nothing here knows libmicrohttpd. */
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

/** Where a target leads; see router.h. */
struct route_match {
	const struct route_table *table;
	const struct route *route;
	struct str
		param[ROUTE_PARAMS_MAX]; /* decoded: in the target, the scratch, or what was kept */
	struct str query;                /* raw, without the '?' */
};

/** A header of a request. */
struct api_field {
	struct str name; /* as it was sent: case does not count */
	struct str value;
};
#define API_FIELDS_MAX 120 /* API_HEAD_MAX allows no more; http/ enforces it */

/** All zero but for what http/ fills in. All strings are borrowed until the answer has been sent.
 */
struct api_request {
	enum api_method method;
	struct str target; /* raw request target, undecoded: "/v1/services/a%2Fb?x=y" */
	struct str body;
	const struct api_field *fields; /* in the order of the request */
	size_t field_count;
	struct str peer; /* "127.0.0.1:51234", "unix:pid=17,uid=0" */
	/** Given by http/: brings a parked request back to its http thread. Any thread; once; must
	 * not block. */
	void (*wake)(struct api_request *request);
	/** api/'s: where the target leads. Its route is NULL while that is not known, or is to be
	 * found again since parameters had to be decoded. */
	struct route_match match;
	bool is_pretty; /* api/'s: ?pretty is given */
	void *park;     /* api/'s while parked; freed by api_finish() or api_abandon() */
	/** api/'s: what was decoded of the target of a request that was parked, until
	 * api_release(). */
	char *kept;
	/** Given by http/: bytes of answers that the request's peer has not read, of all its
	 * connections; NULL when its peers cannot be told apart. */
	_Atomic(uint64_t) *peer_unsent;
	/** api/'s: what the answer counts for until api_release(). */
	uint64_t held;   /* bytes of memory, against max_unsent_bytes */
	uint64_t unsent; /* bytes of the answer, against max_unsent_bytes_per_peer */
	/** api/'s: not NULL when http/ is to call api_sent() once the answer has been sent. */
	void *sending;
	/** Set with API_PARKED: clock_ms() at which http/ calls api_expire(); 0: it waits until
	 * woken. */
	int64_t park_until_ms;
};

/** The first header of @p name; its data is NULL when there is none. */
struct str api_header(const struct api_request *request, struct str name);
