/* SPDX-License-Identifier: MIT */
/**
 * Counts the memory of answers from when they are made until they have been sent, so that clients
 * that do not read cannot use up all memory. Two numbers, because many answers share the bytes that
 * they send:
 *
 *	held    memory that only unsent answers use: bodies, slices, pages of streams, and the old
 *	        versions that they keep (retained_bytes()); bounded in total
 *	unsent  length of the answers, also of shared bytes; bounded for each peer
 *
 * Any thread; only one at a time works on a request. The bound is checked before the answer is
 * counted, so threads that answer at the same moment may exceed it by one answer each.
 */
#include "api/call.h"
#include "api/internal.h"
#include "metrics/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

/* Smaller answers fit the socket's buffer and are not counted. */
#define COUNTED_BODY 4096
#define COUNTED_BLOB 65536 /* bytes of a blob, or lent */

enum bound { BOUND_NONE, BOUND_ALL, BOUND_PEER };

uint64_t api_held_bytes(const struct api *api)
{
	return atomic_load_explicit(&api->held, memory_order_relaxed) +
	       api->options.retained_bytes();
}

static uint64_t most_of(const _Atomic(int64_t) *limit)
{
	return (uint64_t)atomic_load_explicit(limit, memory_order_relaxed);
}

/** The bound that is exceeded if @p request counts as @p held and @p unsent from now on. */
static enum bound bound_passed(const struct api *api, const struct api_request *request,
                               uint64_t held, uint64_t unsent)
{
	uint64_t most = most_of(&api->max_unsent_bytes_per_peer);

	if (held <= request->held && unsent <= request->unsent)
		return BOUND_NONE;
	if (api_held_bytes(api) - request->held + held > most_of(&api->max_unsent_bytes))
		return BOUND_ALL;
	if (request->peer_unsent == NULL || most == 0)
		return BOUND_NONE;
	uint64_t others =
		atomic_load_explicit(request->peer_unsent, memory_order_relaxed) - request->unsent;
	/* The only answer of a peer is allowed at any length: else it could never be read. */
	return others > 0 && others + unsent > most ? BOUND_PEER : BOUND_NONE;
}

static void unsent_count(struct api *api, struct api_request *request, uint64_t held,
                         uint64_t unsent)
{
	atomic_fetch_add_explicit(&api->held, held - request->held, memory_order_relaxed);
	if (request->peer_unsent != NULL)
		atomic_fetch_add_explicit(request->peer_unsent, unsent - request->unsent,
		                          memory_order_relaxed);
	request->held = held;
	request->unsent = unsent;
}

bool api_hold(struct api *api, struct api_request *request, uint64_t held, uint64_t unsent)
{
	if (bound_passed(api, request, held, unsent) != BOUND_NONE) {
		metrics_count(METRIC_UNSENT_REFUSED, 1);
		return false;
	}
	unsent_count(api, request, held, unsent);
	return true;
}

void api_unhold(struct api *api, struct api_request *request)
{
	if (request->held > 0 || request->unsent > 0)
		unsent_count(api, request, 0, 0);
}

void api_release(struct api *api, struct api_request *request)
{
	api_unhold(api, request);
	free(request->kept);
	request->kept = NULL;
}

static void unsent_refuse(struct call *call, enum bound bound)
{
	const struct api *api = call->api;

	metrics_count(METRIC_UNSENT_REFUSED, 1);
	if (bound == BOUND_PEER)
		problem(call->response, PROBLEM_TOO_MUCH_UNSENT,
		        "your address has not read %" PRIu64 " bytes of other answers; "
		        "max_unsent_bytes_per_peer is %" PRIu64,
		        atomic_load_explicit(call->request->peer_unsent, memory_order_relaxed),
		        most_of(&api->max_unsent_bytes_per_peer));
	else
		problem(call->response, PROBLEM_TOO_MUCH_UNSENT,
		        "answers that their clients have not read hold %" PRIu64
		        " bytes; max_unsent_bytes is %" PRIu64,
		        api_held_bytes(api), most_of(&api->max_unsent_bytes));
}

bool call_hold(struct call *call, uint64_t held, uint64_t unsent)
{
	enum bound bound = bound_passed(call->api, call->request, held, unsent);

	if (bound != BOUND_NONE) {
		unsent_refuse(call, bound);
		return false;
	}
	unsent_count(call->api, call->request, held, unsent);
	return true;
}

void call_hold_response(struct call *call)
{
	struct api_response *response = call->response;
	enum api_method method = call->request->method;
	uint64_t held = response->body.len > COUNTED_BODY ? response->body.size : 0;
	uint64_t unsent = held > 0 ? response->body.len : 0;

	if (response->stream != NULL)
		return; /* a stream counts itself */
	size_t shared = api_response_bytes(response).len;
	if ((response->blob != NULL || response->lent.data != NULL) && shared > COUNTED_BLOB)
		unsent += shared;
	if (held + unsent == 0)
		return; /* too small to count */
	enum bound bound = bound_passed(call->api, call->request, held, unsent);
	/* The answer to a change is never refused: the change has been made. */
	if (bound != BOUND_NONE && (method == API_GET || method == API_HEAD)) {
		buf_fini(&response->body);
		unsent_refuse(call, bound);
		return;
	}
	unsent_count(call->api, call->request, held, unsent);
}
