/* SPDX-License-Identifier: MIT */
/**
 * Requests that wait: for another thread's work, or for a change of what they read. Each kind of
 * parked request has a struct of its own, which holds the parsed request and embeds struct parked;
 * a resumed request is never parsed again.
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
	/** Frees the struct that embeds it. Never while wake() may still be called. */
	void (*free)(struct parked *parked);
	/** Ends the wait. NULL: this kind never parks with a park_until_ms. @return as
	 * api_expire() */
	bool (*cancel)(struct parked *parked);
	/** Called before it is freed. NULL: this kind never calls call_sending().
	 * @param sent  false: the answer was not sent, or became a refusal */
	void (*sent)(struct parked *parked, bool sent);
};

struct parked {
	struct magic magic;
	const struct parked_kind *kind;
	struct api_request *request;
	/** Makes the response, or parks again. Owns @p parked: frees it, or passes it to
	 * call_suspend() or call_sending(). */
	enum api_result (*finish)(struct call *call, struct parked *parked);
	bool expired;    /* cancelled: its time is over, or its client has gone */
	bool is_refused; /* the answer became a refusal, so the client did not see the result */
};
MAGIC(parked, 0x9a4ced);

/**
 * Prepares @p parked. Copies the decoded parts of the request to memory that stays until the answer
 * has been sent, and moves the path's parameters there; the caller moves other strings by
 * call_kept().
 * @return false when out of memory (refused): the caller still owns @p parked
 */
bool parked_init(struct parked *parked, struct call *call, const struct parked_kind *kind,
                 enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
void parked_free(struct parked *parked);
/** The place of @p text, a part of the request, after parked_init(). */
struct str call_kept(const struct call *call, struct str text);
/**
 * Parks the request as @p parked. @param error  result of asking the thread that will wake it: if
 * not 0 nothing will, so @p parked is freed and the response becomes the problem for @p error.
 */
enum api_result call_suspend(struct call *call, struct parked *parked, int error) MUST_USE;
/** The response is made: keeps @p parked until it has been sent, then calls sent() and frees it. */
void call_sending(struct call *call, struct parked *parked);
/** For api.c: the response is final. */
void call_answered(struct call *call);

/** Counts one more request that waits for a change, until waiting_leave(). @return false when there
 * are too many (refused) */
bool call_waiting_enter(struct call *call) MUST_USE;
void waiting_leave(struct api *api);
