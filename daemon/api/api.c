/* SPDX-License-Identifier: MIT */
/*
 * The life of one request in api/: find the route, call its handler, complete the answer. Runs on
 * the http thread of the request; limits and `stopping` are atomic, and any thread sets them.
 *
 * Invariant: what is common to all answers (revision, Cache-Control, newline and indentation of
 * JSON, counting of unsent bytes) happens in request_end(), which api_handle() and api_finish()
 * both end with: a handler cannot forget it.
 */
#include "api/api.h"

#include "api/call.h"
#include "api/internal.h"
#include "api/park.h"
#include "api/pretty.h"

#include <errno.h>
#include <stdlib.h>

int api_open(const struct api_options *options, struct api **ret_api)
{
	struct api *api = calloc(1, sizeof(*api));

	if (api == NULL)
		return -ENOMEM;
	api->magic = MAGIC_INIT(api);
	api->options = *options;
	history_write(options->history, api->history);
	atomic_init(&api->stopping, false);
	api_reload(api, &options->limits);
	*ret_api = api;
	return 0;
}

void api_close(struct api *api)
{
	free(api);
}

void api_reload(struct api *api, const struct api_limits *limits)
{
	atomic_store_explicit(&api->max_watchers, limits->watchers, memory_order_relaxed);
	atomic_store_explicit(&api->max_unsent_bytes, limits->unsent_bytes, memory_order_relaxed);
	atomic_store_explicit(&api->max_unsent_bytes_per_peer, limits->unsent_bytes_per_peer,
	                      memory_order_relaxed);
	atomic_store_explicit(&api->connections, limits->connections, memory_order_relaxed);
	atomic_store_explicit(&api->connections_per_peer, limits->connections_per_peer,
	                      memory_order_relaxed);
}

struct api_limits api_limits(const struct api *api)
{
	return (struct api_limits){
		.watchers = atomic_load_explicit(&api->max_watchers, memory_order_relaxed),
		.unsent_bytes = atomic_load_explicit(&api->max_unsent_bytes, memory_order_relaxed),
		.unsent_bytes_per_peer =
			atomic_load_explicit(&api->max_unsent_bytes_per_peer, memory_order_relaxed),
		.connections = atomic_load_explicit(&api->connections, memory_order_relaxed),
		.connections_per_peer =
			atomic_load_explicit(&api->connections_per_peer, memory_order_relaxed),
	};
}

uint64_t api_history(const struct api *api)
{
	return api->options.history;
}

const char *api_history_text(const struct api *api)
{
	return api->history;
}

void api_stopping(struct api *api)
{
	atomic_store_explicit(&api->stopping, true, memory_order_relaxed);
}

bool api_is_stopping(const struct api *api)
{
	return atomic_load_explicit(&api->stopping, memory_order_relaxed);
}

/** Called before the body is read and again to handle the request. The match is kept unless it
 * refers to the scratch, which is on the stack. */
static int find_route(const struct api *api, struct api_request *request, struct scratch *scratch,
                      struct route_match *ret_match)
{
	if (request->match.route != NULL) {
		*ret_match = request->match;
		return 0;
	}
	int r = router_find(api->options.tables, api->options.table_count, request->target, scratch,
	                    ret_match);
	if (r == 0 && scratch->used == 0)
		request->match = *ret_match;
	else if (r == 0)
		request->match.table = ret_match->table;
	return r;
}

/** HEAD is answered as GET. */
static enum api_method method_of(const struct api_request *request)
{
	return request->method == API_HEAD ? API_GET : request->method;
}

uint64_t api_body_max(const struct api *api, struct api_request *request)
{
	struct scratch scratch;
	struct route_match match;

	CHECK_MAGIC(api, api);
	scratch.used = 0;
	/* No route: api_handle() will refuse it with a better reason than "body too large". */
	if (find_route(api, request, &scratch, &match) < 0 ||
	    !route_allows(match.route, request->method))
		return API_BODY_MAX;
	return match.route->on[method_of(request)].body_max;
}

/** How many bytes of a target to show: the path, at most 200. */
static int shown_path(struct str target)
{
	size_t len = 0;

	while (len < target.len && len < 200 && target.data[len] != '?')
		len++;
	return (int)len;
}

/** Finds the route and fills the call's path. @return NULL when refused */
static const struct route *route(struct call *call)
{
	struct api_response *response = call->response;
	struct api_request *request = call->request;
	struct route_match *match = &call->match;
	char allow[64];

	int r = find_route(call->api, request, &call->scratch, match);
	if (r == -ENOENT)
		problem(response, PROBLEM_NOT_FOUND,
		        "there is nothing at '%.*s'; GET / lists what there is",
		        shown_path(request->target), request->target.data);
	else if (r == -EMSGSIZE)
		problem(response, PROBLEM_TARGET_TOO_LONG, "the path is too long");
	else if (r < 0)
		problem(response, PROBLEM_MALFORMED_TARGET,
		        "the path does not begin with '/' or is badly percent-encoded");
	if (r < 0)
		return NULL;
	response->refuse = match->table->refuse;
	if (!route_allows(match->route, request->method)) {
		route_allow(match->route, allow, sizeof(allow));
		problem(response, PROBLEM_METHOD_NOT_ALLOWED, "%s takes %s only",
		        match->route->pattern, allow);
		response_header(response, HEADER_ALLOW, "%s", allow);
		return NULL;
	}
	response->varies = match->route->on[method_of(request)].negotiates;
	return match->route;
}

static void request_begin(struct call *call, struct api *api, struct api_request *request,
                          struct api_response *response)
{
	CHECK_MAGIC(api, api);
	call->api = api;
	call->request = request;
	call->response = response;
	call->match = (struct route_match){0};
	call->query.count = 0;
	call->scratch.used = 0;
}

/** Sets Cache-Control of answers to GET, which a cache may store when it is missing; caches store
 * answers to other methods only if a header allows it. */
static void set_cache(struct call *call)
{
	struct api_response *response = call->response;

	if (method_of(call->request) == API_GET && response->cache == NULL)
		response->cache = response->etag[0] != '\0' ? CACHE_ASK : CACHE_NEVER;
}

/** Completes an answer: a body that failed becomes a problem, and every answer has a revision. */
static enum api_result request_end(struct call *call, enum api_result result)
{
	struct api_response *response = call->response;

	if (result == API_PARKED)
		return result;
	if (buf_error(&response->body) < 0 && response->content_type != NULL)
		problem_errno(response, buf_error(&response->body));
	if (response->stream == NULL && call_is_pretty(call))
		pretty_response(response);
	call_hold_response(call);
	call_answered(call);
	set_cache(call);
	if (response->revision == 0)
		response->revision = call->api->options.revision(call->api->options.arg);
	return result;
}

enum api_result api_handle(struct api *api, struct api_request *request,
                           struct api_response *response)
{
	struct call call;

	request_begin(&call, api, request, response);
	const struct route *found = route(&call);
	if (found == NULL)
		return request_end(&call, API_DONE);
	request->is_pretty = call.match.query.len > 0 && pretty_is_wanted(call.match.query);
	return request_end(&call, found->on[method_of(request)].handle(&call));
}

enum api_result api_finish(struct api *api, struct api_request *request,
                           struct api_response *response)
{
	struct parked *parked = request->park;
	struct call call;

	api_response_renew(response);
	request_begin(&call, api, request, response);
	CHECK_MAGIC(parked, parked);
	if (route(&call) == NULL) /* it has been found before, so it is found again */
		CHECK(!"a parked request has a route");
	request->park = NULL;
	return request_end(&call, parked->finish(&call, parked));
}
