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
#include "api/request.h"
#include "api/response.h"
#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;

enum api_result { API_DONE, API_PARKED };

struct api_limits {
	int64_t watchers;              /* requests that wait for a change, streams among them */
	int64_t unsent_bytes;          /* of memory, of all answers that are not yet sent */
	int64_t unsent_bytes_per_peer; /* of the answers to one peer; 0: no limit */
	/* those that http/ enforces, for who shows all of them */
	int64_t connections;
	int64_t connections_per_peer;
};

struct api_options {
	/** Borrowed until api_close(). The first route that matches wins. */
	const struct route_table *const *tables;
	size_t table_count;
	/** The revision that an answer shows which shows none in particular. Any thread. */
	uint64_t (*revision)(void *arg);
	/** Bytes of what only unsent answers keep in memory, beside the answers. Any thread. */
	uint64_t (*retained_bytes)(void);
	void *arg;
	struct api_limits limits;
};

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

/**
 * Before the body is read: may this request have one, and how long?
 * @return the most bytes; 0: a body is not allowed
 */
uint64_t api_body_max(const struct api *api, struct api_request *request);

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
