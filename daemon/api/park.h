/* SPDX-License-Identifier: MIT */
/**
 * Requests that wait: for a thread that does what they ask for, or for a change of what they read.
 * Each kind has a struct of its own, which holds what was asked for, parsed, and embeds struct
 * parked; when the request goes on, nothing of it is parsed again.
 *
 *	struct mine *mine = calloc(1, sizeof(*mine));
 *	if (!parked_init(&mine->parked, call, &mine_kind, mine_finish))
 *		... free it; the response is a refusal ...
 *	mine->name = call_kept(call, name);
 *	return call_suspend(call, &mine->parked, ask_some_thread(mine));
 *
 * Thread: the request's http thread, which wake() brings it back to.
 */
#pragma once

#include "api/api.h"
#include "base/attr.h"
#include "base/check.h"
#include "base/str.h"

#include <stdbool.h>

struct call;
struct parked;

/** What a kind of parked requests does. */
struct parked_kind {
	/** Frees all of it. Not while it may still be woken. */
	void (*free)(struct parked *parked);
	/** It need not wait any longer. NULL: it never parks with a park_until_ms. @return as
	 * api_expire() */
	bool (*cancel)(struct parked *parked);
	/** Its answer has been sent, or will not be, or was none; then it is freed. NULL: it is
	 * never given to call_sending(). */
	void (*sent)(struct parked *parked, bool sent);
};

struct parked {
	struct magic magic;
	const struct parked_kind *kind;
	struct api_request *request;
	/** Makes the response, or parks again. Owns the parked: frees it, suspends the call with
	 * it, or gives it to call_sending(). */
	enum api_result (*finish)(struct call *call, struct parked *parked);
	bool expired;    /* cancelled: its time is over, or its client has gone */
	bool is_refused; /* its answer became a refusal, which shows nothing of what it read */
};
MAGIC(parked, 0x9a4ced);

/**
 * Begins to park @p call. What was decoded of the request moves to memory that stays until the
 * answer has been sent, the path's parameters with it; other strings follow by call_kept().
 * @return false when out of memory (refused): @p parked is still the caller's
 */
bool parked_init(struct parked *parked, struct call *call, const struct parked_kind *kind,
                 enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
void parked_free(struct parked *parked);
/** Where @p text, which is a part of the request, is once parked_init() has been called. */
struct str call_kept(const struct call *call, struct str text);
/**
 * Parks as @p parked, which something will wake that was asked for with the result @p error: when
 * that is not 0 nothing will, so it is freed and the response is the problem that stands for it.
 */
enum api_result call_suspend(struct call *call, struct parked *parked, int error) MUST_USE;
/** The response is made: @p parked is freed once it has been sent. */
void call_sending(struct call *call, struct parked *parked);
/** For api.c: the response is what will be sent. */
void call_answered(struct call *call);

/** Counts one more that waits for a change: waiting_leave() ends it. @return false when they are
 * too many (refused) */
bool call_waiting_enter(struct call *call) MUST_USE;
void waiting_leave(struct api *api);
