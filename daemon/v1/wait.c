/* SPDX-License-Identifier: MIT */
#include "v1/wait.h"

#include "base/clock.h"
#include "v1/internal.h"

bool wait_read(struct call *call, const struct query_rule *rules, unsigned revision_rule,
               unsigned wait_rule, struct wait_query *ret)
{
	*ret = (struct wait_query){0};
	if (!call_revision(call, rules, revision_rule, &ret->revision) ||
	    !call_number(call, rules, wait_rule, 0, WAIT_MS_MAX, &ret->wait_ms))
		return false;
	if (ret->wait_ms > 0 && query_get(&call->query, revision_rule) == NULL) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "wait_ms needs revision: the revision of the result that you have");
		return false;
	}
	return true;
}

static void wait_wake(struct watcher *watcher)
{
	struct wait *wait = container_of(watcher, struct wait, watcher);

	wait->parked.request->wake(wait->parked.request);
}

bool wait_init(struct wait *wait, struct call *call, const struct parked_kind *kind,
               enum api_result (*finish)(struct call *, struct parked *), uint64_t wait_ms)
{
	if (!call_waiting_enter(call))
		return false;
	wait->counted = call->api;
	wait->hub = registry_watch(v1_of(call)->registry);
	call->request->park_until_ms = clock_ms_after((int64_t)wait_ms);
	return parked_init(&wait->parked, call, kind, finish);
}

static void wait_leave(struct wait *wait)
{
	if (wait->counted != NULL)
		waiting_leave(wait->counted);
	wait->counted = NULL;
}

void wait_fini(struct wait *wait)
{
	watch_leave(&wait->watcher);
	wait_leave(wait);
}

void wait_add(struct wait *wait, const struct watcher *watcher)
{
	struct watcher *mine = &wait->watcher;

	if (mine->hub == NULL) {
		mine->topic = watcher->topic;
		mine->aspects = watcher->aspects;
		mine->by_prefix = watcher->by_prefix;
		mine->wake = wait_wake;
		watch_join(wait->hub, mine, watcher->sent_through);
	}
	/* After a spurious wake-up: the changes up to here need not be sent to this watcher. */
	watch_sent(mine, watcher->sent_through, false);
	mine->seen = watcher->seen;
	watch_add(wait->hub, mine);
}

bool wait_remove(struct wait *wait)
{
	return watch_cancel(wait->hub, &wait->watcher);
}

void wait_answered(struct wait *wait, struct call *call, uint64_t revision)
{
	if (wait == NULL)
		return;
	wait_leave(wait);
	wait->answered = revision;
	call_sending(call, &wait->parked);
}

bool wait_cancel(struct parked *parked)
{
	struct wait *wait = wait_of(parked);

	return watch_cancel(wait->hub, &wait->watcher);
}

void wait_sent(struct parked *parked, bool sent)
{
	struct wait *wait = wait_of(parked);

	if (sent)
		watch_sent(&wait->watcher, wait->answered, true);
}
