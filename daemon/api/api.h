/* SPDX-License-Identifier: MIT */
/**
 * The core of any HTTP API: routes requests to handlers and makes answers, without sockets, without
 * libmicrohttpd, and without knowing what the API is about. http/ fills a struct api_request, calls
 * api_handle(), and sends the struct api_response at once, or after the request has been woken.
 *
 *	if (api_handle(api, request, response) == API_PARKED)
 *		... park the connection; request->wake() will be called, on any thread, once ...
 *		... back on the http thread: api_finish(api, request, response) ...
 *	... send ...
 *	api_response_fini(response);
 */
#pragma once

#include "api/problem_codes.h"
#include "api/request.h"
#include "api/response.h"
#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;

enum api_result { API_DONE, API_PARKED };

struct api_limits {
	int64_t watchers;              /* requests that wait for a change, including streams */
	int64_t unsent_bytes;          /* bytes of memory of all answers that are not yet sent */
	int64_t unsent_bytes_per_peer; /* bytes of the answers to one peer; 0: no limit */
	/* enforced by http/, here for handlers that show all limits */
	int64_t connections;
	int64_t connections_per_peer;
};

struct api_options {
	/** Borrowed until api_close(). The first route that matches wins. */
	const struct route_table *const *tables;
	size_t table_count;
	uint64_t history; /* id of the history that all revisions belong to */
	/** The revision for answers whose handler has set none. Any thread. */
	uint64_t (*revision)(void *arg);
	/** Bytes of old versions that only unsent answers keep in memory. Any thread. */
	uint64_t (*retained_bytes)(void);
	void *arg;
	struct api_limits limits;
};

/** @return 0 or -ENOMEM */
int api_open(const struct api_options *options, struct api **ret_api) MUST_USE;
/** Takes NULL. */
void api_close(struct api *api);
/** Sets new limits. Any thread. */
void api_reload(struct api *api, const struct api_limits *limits);
struct api_limits api_limits(const struct api *api);
uint64_t api_history(const struct api *api);
/** The id of the history in 16 hex digits: X-Rollcall-History, on every answer. Any thread. */
const char *api_history_text(const struct api *api);
/** Makes api_is_stopping() true, which readiness probes report. Any thread. */
void api_stopping(struct api *api);
bool api_is_stopping(const struct api *api);

/**
 * Called before the body is read.
 * @return the most bytes that the body of @p request may have; 0: it may have none
 */
uint64_t api_body_max(const struct api *api, struct api_request *request);

/** Handles a request whose body has been read. Thread: an http thread, registered with RCU. Never
 * blocks. */
enum api_result api_handle(struct api *api, struct api_request *request,
                           struct api_response *response) MUST_USE;
/**
 * Called after wake(): makes the answer of a parked request, or parks it again. Empties @p response
 * first, so that nothing of an earlier attempt remains.
 */
enum api_result api_finish(struct api *api, struct api_request *request,
                           struct api_response *response) MUST_USE;
/**
 * Ends the wait of a request that is parked with a park_until_ms: its time is over, or its client
 * has gone.
 * @return true: wake() will not be called, go on as after wake(); false: wake() is on its way
 */
bool api_expire(struct api *api, struct api_request *request) MUST_USE;
/** Called for a request with `sending`. @param sent  true: the answer has been sent; false: it never
 * will be */
void api_sent(struct api_request *request, bool sent);
/** Called last, after api_sent(), when the answer has been sent or never will be: stops counting
 * the answer and frees what was kept of the request. */
void api_release(struct api *api, struct api_request *request);
/** Called in place of api_finish() when the client has gone: frees what was parked. */
void api_abandon(struct api *api, struct api_request *request);

/** Refuses @p request in place of api_handle(), in the form of its protocol if api_body_max() has
 * found a route. */
void api_problem(const struct api_request *request, struct api_response *response,
                 enum problem code, const char *format, ...) PRINTF_LIKE(4, 5);
