/* SPDX-License-Identifier: MIT */
#include "api/park.h"

#include "api/call.h"
#include "api/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** Is @p text in the scratch? */
static bool is_decoded(const struct call *call, struct str text)
{
	return (uintptr_t)text.data - (uintptr_t)call->scratch.data < call->scratch.used;
}

struct str call_kept(const struct call *call, struct str text)
{
	if (text.data != NULL && is_decoded(call, text))
		text.data = call->request->kept + (text.data - call->scratch.data);
	return text;
}

bool parked_init(struct parked *parked, struct call *call, const struct parked_kind *kind,
                 enum api_result (*finish)(struct call *, struct parked *))
{
	struct api_request *request = call->request;

	parked->magic = MAGIC_INIT(parked);
	parked->kind = kind;
	parked->request = request;
	parked->finish = finish;
	if (call->scratch.used > 0) {
		CHECK(request->kept == NULL); /* a resumed request decodes nothing */
		request->kept = malloc(call->scratch.used);
		if (request->kept == NULL) {
			problem_errno(call->response, -ENOMEM);
			return false;
		}
		memcpy(request->kept, call->scratch.data, call->scratch.used);
	}
	for (size_t i = 0; i < ROUTE_PARAMS_MAX; i++)
		call->match.param[i] = call_kept(call, call->match.param[i]);
	request->match = call->match;
	return true;
}

enum api_result call_suspend(struct call *call, struct parked *parked, int error)
{
	if (error == 0) {
		call->request->park = parked;
		return API_PARKED;
	}
	parked_free(parked);
	problem_errno(call->response, error);
	return API_DONE;
}

void parked_free(struct parked *parked)
{
	parked->kind->free(parked);
}

bool call_waiting_enter(struct call *call)
{
	int64_t most = atomic_load_explicit(&call->api->max_watchers, memory_order_relaxed);

	if ((int64_t)atomic_fetch_add(&call->api->waiting, 1) < most)
		return true;
	waiting_leave(call->api);
	problem(call->response, PROBLEM_TOO_MANY_WATCHERS,
	        "%" PRId64 " requests wait already: ask again without wait_ms, or later", most);
	return false;
}

void waiting_leave(struct api *api)
{
	atomic_fetch_sub(&api->waiting, 1);
}

void call_sending(struct call *call, struct parked *parked)
{
	call->request->sending = parked;
}

void call_answered(struct call *call)
{
	struct parked *parked = call->request->sending;

	if (parked != NULL && call->response->status >= 500)
		parked->is_refused = true;
}

void api_sent(struct api_request *request, bool sent)
{
	struct parked *parked = request->sending;

	CHECK_MAGIC(parked, parked);
	request->sending = NULL;
	parked->kind->sent(parked, sent && !parked->is_refused);
	parked_free(parked);
}

bool api_expire(struct api *api, struct api_request *request)
{
	struct parked *parked = request->park;

	CHECK_MAGIC(api, api);
	CHECK_MAGIC(parked, parked);
	parked->expired = parked->kind->cancel(parked);
	return parked->expired;
}

void api_abandon(struct api *api, struct api_request *request)
{
	struct parked *parked = request->park;

	CHECK_MAGIC(api, api);
	CHECK_MAGIC(parked, parked);
	request->park = NULL;
	parked_free(parked);
}
