/* SPDX-License-Identifier: MIT */
/**
 * Requests and answers without sockets. http/ fills a struct api_request, calls api_handle(), and
 *sends the struct api_response, now or once the request has been woken. Nothing here knows
 *libmicrohttpd.
 *
 *	if (api_handle(api, request, response) == API_PARKED)
 *		... park the connection; request->wake() will be called, on any thread, once ...
 *		... back on the http thread: api_finish(api, request, response) ...
 *	... send ...
 *	api_response_fini(response);
 */
#pragma once

#include "api/problem_codes.h"
#include "base/attr.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;

enum api_method { API_GET, API_HEAD, API_PUT, API_POST, API_DELETE, API_OTHER, API_METHOD_COUNT };
enum api_result { API_DONE, API_PARKED };

#define API_HEAD_MAX 7168  /* bytes of a request's line and headers; http/ enforces it */
#define API_BODY_MAX 65536 /* bytes that most requests may have; a route may allow more */

struct route;
struct route_table;
#define ROUTE_PARAMS_MAX 2

/** Where a target leads; see router.h. */
struct route_match {
	const struct route_table *table;
	const struct route *route;
	struct str param[ROUTE_PARAMS_MAX]; /* decoded; in the target or in the scratch */
	struct str query;                   /* raw, without the '?' */
};

/** A header of a request. */
struct api_field {
	struct str name; /* as it was sent: case does not count */
	struct str value;
};
#define API_FIELDS_MAX 149 /* API_HEAD_MAX allows no more; http/ enforces it */

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
	/** api/'s: where the target leads, once it was found without decoding anything. */
	struct route_match match;
	void *park; /* api/'s while parked; freed by api_finish() or api_abandon() */
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

/**
 * An answer that goes on: http/ reads it piece by piece, as its client takes it. Made and closed on
 * the http thread, and used there only.
 */
#define API_STREAM_END    (-1)
#define API_STREAM_BROKEN (-2)
struct api_stream {
	/**
	 * Copies what comes next.
	 * @return bytes; 0: nothing now: request->wake() will be called once, as after API_PARKED,
	 * then read again; or, with a park_until_ms, http/ calls expire() at that time;
	 * API_STREAM_END; API_STREAM_BROKEN: it cannot go on, so the connection is to be closed
	 */
	long (*read)(struct api_stream *stream, char *to, size_t most);
	/** As api_expire(): after true, read again. Only after a read() that gave 0. */
	bool (*expire)(struct api_stream *stream);
	/** Frees it. Not between a read() that gave 0 and its wake(). */
	void (*close)(struct api_stream *stream);
	bool ending; /* set by http/: it should end with what it has begun to send */
	/** It never waits: its client has the time of one answer for all of it. */
	bool is_whole;
	uint64_t length; /* of all that read() gives; 0: not known before its end */
};

/* Each header has a place of its own, so that setting one again replaces it, and none lacks room.
 */
enum api_header_place {
	HEADER_ALLOW,
	HEADER_RETRY_AFTER,
	HEADER_EXPIRY_HELD,
	HEADER_ACCEL_BUFFERING,
	HEADER_COUNT
};
struct api_header {
	const char *name; /* static; NULL: the answer does not have it */
	char value[104];
};

#define CACHE_NEVER "no-store"
#define CACHE_ASK   "no-cache" /* may be kept, and is asked for again by its ETag each time */

struct refusal;
struct api_response {
	unsigned status;
	const char *content_type; /* static; NULL: no body */
	struct blob *blob; /* one reference is the response's; NULL: the bytes are elsewhere */
	struct str lent;   /* static bytes; NULL data: they are in body */
	struct buf body;
	char etag[48];     /* with quotes; empty: none */
	uint64_t revision; /* X-Rollcall-Revision, on every answer */
	char *location;    /* owned; Location of what was created, or NULL */
	const char *cache; /* Cache-Control: one of CACHE_..., or NULL */
	bool varies;       /* Vary: Accept: the route negotiates the form */
	struct api_header header[HEADER_COUNT];
	/** How a refusal is rendered; NULL: problem_render(). Status, Cache-Control and Retry-After
	 * are set already, or will be. */
	void (*refuse)(struct api_response *response, const struct refusal *refusal);
	bool close;                /* close the connection afterwards */
	struct api_stream *stream; /* owned; in place of blob and body, or NULL */
};

struct api_limits {
	int64_t watchers;              /* requests that wait for a change, streams among them */
	int64_t unsent_bytes;          /* of memory, of all answers that are not yet sent */
	int64_t unsent_bytes_per_peer; /* of the answers to one peer; 0: no limit */
	/* those that http/ enforces, for who shows all of them */
	int64_t connections;
	int64_t connections_per_peer;
};

struct api_options {
	const struct route_table *const
		*tables; /* borrowed until api_close(); the first match wins */
	size_t table_count;
	/** The revision that an answer shows which shows none in particular. Any thread. */
	uint64_t (*revision)(void *arg);
	/** Bytes of what only unsent answers keep in memory, beside the answers. Any thread. */
	uint64_t (*retained_bytes)(void);
	void *arg;
	struct api_limits limits;
};

/** The bytes of an answer that is no stream, wherever they are. */
static inline struct str api_response_bytes(const struct api_response *response)
{
	if (response->blob != NULL)
		return (struct str){response->blob->data, response->blob->len};
	if (response->lent.data != NULL)
		return response->lent;
	return (struct str){response->body.data, response->body.len};
}

/** @return 0 or -ENOMEM */
int api_open(const struct api_options *options, struct api **ret_api) MUST_USE;
/** Takes NULL. */
void api_close(struct api *api);
/** Takes over what a reload may change. Any thread. */
void api_reload(struct api *api, const struct api_limits *limits);
struct api_limits api_limits(const struct api *api);
/** From now on api_is_stopping(), which readiness probes are to say. Any thread. */
void api_stopping(struct api *api);
bool api_is_stopping(const struct api *api);

/** The first header of @p name; its data is NULL when there is none. */
struct str api_header(const struct api_request *request, struct str name);

/**
 * Before the body is read: may this request have one, and how long?
 * @return the most bytes; 0: a body is not allowed
 */
uint64_t api_body_max(const struct api *api, struct api_request *request);

void api_response_init(struct api_response *response);
void api_response_fini(struct api_response *response);
/** Empties it for another answer; keeps the memory of its body. */
void api_response_renew(struct api_response *response);

/** Thread: an http thread (registered with RCU). Never blocks. */
enum api_result api_handle(struct api *api, struct api_request *request,
                           struct api_response *response) MUST_USE;
/**
 * After wake(): the answer of a parked request; may park again. Empties @p response first: nothing
 * of an earlier attempt is in the answer.
 */
enum api_result api_finish(struct api *api, struct api_request *request,
                           struct api_response *response) MUST_USE;
/**
 * Its time is over, or its client has gone: it need not wait any longer. Only while it is parked
 * with a park_until_ms.
 * @return true: it will not be woken: go on as after wake(); false: wake() is on its way
 */
bool api_expire(struct api *api, struct api_request *request) MUST_USE;
/** The answer to a request with `sending` has been sent, or will not be. */
void api_sent(struct api_request *request, bool sent);
/** The answer has been sent, or will not be: what it counted for is free again, and so is what was
 * kept of the request. After api_sent(). */
void api_release(struct api *api, struct api_request *request);
/** After wake(), when the client has gone: frees what was parked. */
void api_abandon(struct api *api, struct api_request *request);

/** Refuses @p request before api_handle(): as its protocol does, if api_body_max() has found which.
 */
void api_problem(const struct api_request *request, struct api_response *response,
                 enum problem code, const char *format, ...) PRINTF_LIKE(4, 5);
