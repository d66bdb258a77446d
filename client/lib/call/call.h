/* SPDX-License-Identifier: MIT */
/**
 * One call around its attempts: fallback, deadline, retries, hedge. It lives on one loop, and all
 * of it runs in the thread that runs that loop; only the service's state is shared.
 */
#pragma once

#include "lib/call/attempt.h"

struct call {
	struct call_context context;
	rollcall_response *response; /* borrowed until it has ended */
	void (*ended)(struct call *call);

	struct attempt attempts[2]; /* the one, and its hedge */
	struct timer timer;         /* end of a pause, or time to hedge */
	bool begun;
	bool pausing;
	bool hedged;
	bool has_ended;
	bool has_result; /* of an attempt that was sent, or should have been */
	int64_t pause_us;
};

/** Completes what a caller gave, and checks it. @return 0, -EINVAL, -E2BIG */
int call_check_request(const rollcall_request *given, rollcall_request *request) MUST_USE;

/**
 * Sets up a call of @p service on @p loop that begins its time now. @p request is of
 * call_check_request(), and stays valid until ended(), as @p response does.
 */
void call_init(struct call *call, struct service *service, struct loop *loop,
               const rollcall_request *request, rollcall_response *response,
               void (*ended)(struct call *call));
/**
 * Begins the first attempt, once the first answer of the registry was awaited. ended() is called
 * from here or from a later step of the loop.
 */
void call_begin(struct call *call);
/** Calls the policy's fallback if the call ended badly: after ended(), without a lock, because the
 * fallback may use the client. */
void call_fall_back(struct call *call);
/** Ends it without ended(). Nothing when it has not begun, or has ended. */
void call_cancel(struct call *call);
