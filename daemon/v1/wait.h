/* SPDX-License-Identifier: MIT */
/**
 * Requests that wait for a change of what they read: ?wait_ms=. A kind of them embeds struct wait
 * as its first member.
 *
 *	if (!wait_init(&mine->wait, call, &mine_kind, look_again, wait_ms))
 *		...
 *	wait_add(&mine->wait, &watcher);
 *	... look again: when it has happened before and wait_remove() succeeds, go on at once ...
 *	return call_suspend(call, &mine->wait.parked, 0);
 *	... in look_again(), once the response is made ...
 *	wait_answered(&mine->wait, call, revision);
 */
#pragma once

#include "base/attr.h"
#include "v1/internal.h"
#include "watch/watch.h"

#include <stdbool.h>
#include <stdint.h>

/** ?wait_ms= and ?revision=: wait until the result differs from what it was at that revision. */
struct wait_query {
	uint64_t revision;
	uint64_t wait_ms; /* 0: do not wait */
};
bool wait_read(struct call *call, const struct query_rule *rules, unsigned revision_rule,
               unsigned wait_rule, struct wait_query *ret) MUST_USE;

struct wait {
	struct parked parked;
	struct watcher watcher;
	struct watch_hub *hub;
	struct api *counted; /* where it counts as waiting; NULL: nowhere */
	uint64_t answered;   /* the revision that it was answered from */
};

static inline struct wait *wait_of(struct parked *parked)
{
	return container_of(parked, struct wait, parked);
}

/**
 * Begins a wait that ends @p wait_ms from now. All zero before; wait_fini() takes it in any case.
 * @return false when refused
 */
bool wait_init(struct wait *wait, struct call *call, const struct parked_kind *kind,
               enum api_result (*finish)(struct call *, struct parked *),
               uint64_t wait_ms) MUST_USE;
/** Takes one whose wait_init() has not been called, if it is all zero. */
void wait_fini(struct wait *wait);
/**
 * Adds the watcher of @p wait: copies topic, aspects and by_prefix from @p watcher the first time,
 * `seen` and `sent_through` (the revision that was looked at without a result) each time. Then look
 * again, because the change may have happened before.
 */
void wait_add(struct wait *wait, const struct watcher *watcher);
/** It did. @return true: it will not be woken; false: it is being woken: park */
bool wait_remove(struct wait *wait) MUST_USE;
/** The response shows @p revision: its watcher stays until that has been sent. Takes NULL. */
void wait_answered(struct wait *wait, struct call *call, uint64_t revision);

/** For struct parked_kind. */
bool wait_cancel(struct parked *parked);
void wait_sent(struct parked *parked, bool sent);
