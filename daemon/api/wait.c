/* SPDX-License-Identifier: MIT */
/** Requests that wait for a change of what they read. */
#include "api/call.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

bool call_wait_query(struct call *call, const struct query_rule *rules, unsigned revision_rule,
                     unsigned wait_rule, struct wait_query *ret)
{
	*ret = (struct wait_query){0};
	if (!call_number(call, rules, revision_rule, 0, INT64_MAX, &ret->revision) ||
	    !call_number(call, rules, wait_rule, 0, WAIT_MS_MAX, &ret->wait_ms))
		return false;
	if (ret->wait_ms > 0 && query_get(&call->query, revision_rule) == NULL) {
		problem(call->response, "invalid-parameter",
		        "wait_ms needs revision: the one of the result that you have");
		return false;
	}
	return true;
}

bool call_waiting_enter(struct call *call)
{
	int64_t most = atomic_load_explicit(&call->api->max_watchers, memory_order_relaxed);

	if ((int64_t)atomic_fetch_add(&call->api->waiting, 1) < most)
		return true;
	waiting_leave(call->api);
	problem(call->response, "too-many-watchers",
	        "%" PRId64 " requests wait already: ask again without wait_ms, or later", most);
	return false;
}

void waiting_leave(struct api *api)
{
	atomic_fetch_sub(&api->waiting, 1);
}

static struct parked *begin(struct call *call, const struct watcher *watcher,
                            const struct wait_query *wait,
                            enum api_result (*finish)(struct call *, struct parked *))
{
	if (!call_waiting_enter(call))
		return NULL;
	struct parked *parked = call_park(call, watcher->topic.len, finish);
	if (parked == NULL) {
		waiting_leave(call->api);
		return NULL;
	}
	parked->wait.counted = call->api;
	call->request->park_until_ms = clock_ms_after((int64_t)wait->wait_ms);
	if (watcher->topic.len > 0)
		memcpy(parked->memory, watcher->topic.data, watcher->topic.len);
	return parked;
}

static void wake(struct watcher *watcher)
{
	struct parked *parked = container_of(watcher, struct parked, wait.watcher);

	parked->request->wake(parked->request);
}

bool call_wait(struct call *call, struct parked **parked, const struct watcher *watcher,
               const struct wait_query *wait,
               enum api_result (*finish)(struct call *, struct parked *))
{
	if (*parked == NULL)
		*parked = begin(call, watcher, wait, finish);
	if (*parked == NULL)
		return false;

	struct watch_hub *hub = registry_watch(call->api->registry);
	struct watcher *mine = &(*parked)->wait.watcher;
	if (mine->hub == NULL) {
		mine->topic = (struct str){(*parked)->memory, watcher->topic.len};
		mine->aspects = watcher->aspects;
		mine->by_prefix = watcher->by_prefix;
		mine->wake = wake;
		watch_join(hub, mine, watcher->has);
	}
	watch_sent(mine, watcher->has, false); /* it was woken for nothing that it reads */
	mine->seen = watcher->seen;
	call->request->park = *parked;
	watch_add(hub, mine);
	return true;
}

bool call_unwait(struct call *call, struct parked *parked)
{
	if (!watch_cancel(registry_watch(call->api->registry), &parked->wait.watcher))
		return false;
	call->request->park = NULL;
	return true;
}

void call_waited(struct call *call, struct parked *parked, uint64_t revision)
{
	if (parked == NULL)
		return;
	if (parked->wait.counted != NULL)
		waiting_leave(parked->wait.counted);
	parked->wait.counted = NULL;
	parked->wait.answered = revision;
	call->request->sending = parked;
}

void call_answered(struct call *call)
{
	struct parked *parked = call->request->sending;

	if (parked != NULL && call->response->status >= 500)
		parked->wait.answered = 0;
}

void api_sent(struct api_request *request, bool sent)
{
	struct parked *parked = request->sending;

	CHECK_MAGIC(parked, parked);
	request->sending = NULL;
	if (parked->kind != NULL) {
		parked->kind->sent(parked, sent);
		parked_free(parked);
		return;
	}
	if (sent)
		watch_sent(&parked->wait.watcher, parked->wait.answered, true);
	parked_free(parked);
}

bool api_expire(struct api *api, struct api_request *request)
{
	struct parked *parked = request->park;

	CHECK_MAGIC(api, api);
	CHECK_MAGIC(parked, parked);
	if (parked->kind != NULL) {
		parked->expired = parked->kind->cancel(parked);
		return parked->expired;
	}
	if (!watch_cancel(registry_watch(api->registry), &parked->wait.watcher))
		return false;
	parked->wait.expired = true;
	return true;
}
