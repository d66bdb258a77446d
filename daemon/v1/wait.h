/* SPDX-License-Identifier: MIT */
/**
 * Long polls: requests with ?wait_ms=, which wait until the result that they read changes. Each
 * kind embeds struct wait as its first member. All functions run on the http thread of their call.
 *
 *	if (!wait_init(&mine->wait, call, &mine_kind, look_again, wait_ms))
 *		...
 *	wait_add(&mine->wait, &watcher);
 *	... check again: if the change has happened and wait_remove() succeeds, answer at once ...
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

/** ?wait_ms= and ?revision=: wait until the result differs from that at `revision`. */
struct wait_query {
	uint64_t revision;
	uint64_t wait_ms; /* 0: do not wait */
};
/** Reads both parameters; ?wait_ms= needs ?revision=. @return false: refused with 400 or 410 */
bool wait_read(struct call *call, const struct query_rule *rules, unsigned revision_rule,
               unsigned wait_rule, struct wait_query *ret) MUST_USE;

struct wait {
	struct parked parked;
	struct watcher watcher;
	struct watch_hub *hub;
	struct api *counted; /* NULL, or the api that counts the request as waiting */
	uint64_t answered;   /* revision of the answer */
};

static inline struct wait *wait_of(struct parked *parked)
{
	return container_of(parked, struct wait, parked);
}

/**
 * Begins a wait that ends @p wait_ms from now. @p wait must be zeroed; call wait_fini() in either
 * case.
 * @return false: refused, because too many requests wait or there is no memory
 */
bool wait_init(struct wait *wait, struct call *call, const struct parked_kind *kind,
               enum api_result (*finish)(struct call *, struct parked *),
               uint64_t wait_ms) MUST_USE;
/** Ends the wait. Takes a zeroed wait, too. */
void wait_fini(struct wait *wait);
/**
 * Adds the watcher of @p wait: copies topic, aspects and by_prefix from @p watcher the first time,
 * `seen` and `sent_through` (the revision that was read without a new result) each time. Check
 * again after this call: the change may have happened before it.
 */
void wait_add(struct wait *wait, const struct watcher *watcher);
/** Removes the watcher, because the change has happened. @return true: the request will not be
 * woken; false: it is being woken, so it must be parked */
bool wait_remove(struct wait *wait) MUST_USE;
/** The response shows @p revision: the watcher stays joined until it has been sent. Takes NULL. */
void wait_answered(struct wait *wait, struct call *call, uint64_t revision);

/** For struct parked_kind. */
bool wait_cancel(struct parked *parked);
void wait_sent(struct parked *parked, bool sent);
