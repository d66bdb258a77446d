/* SPDX-License-Identifier: MIT */
/**
 * call/ calls a service: a call (here) retries and hedges attempts (attempt.h), and runs on a loop
 * of its own (blocking.c) or on the client's (async.h). This header has one call around its
 * attempts: fallback, deadline, retries, hedge. A call belongs to one loop and runs in the thread
 * that runs that loop; it shares only the state of the service, under the service's lock.
 */
#pragma once

#include "lib/call/attempt.h"

struct call {
	struct call_context context;
	rollcall_response *response; /* borrowed until it has ended */
	void (*ended)(struct call *call);

	struct attempt attempts[2]; /* the attempt, and its hedge */
	struct timer timer;         /* end of the pause before a retry, or time to hedge */
	bool begun;
	bool pausing;
	bool hedged;
	bool has_ended;
	bool has_result; /* of an attempt that the client did not refuse itself */
	int64_t pause_us;
};

/** Copies a request of the program, with defaults filled in, and checks it. @return 0; -EINVAL;
 * -E2BIG (a newer header's, with a field that the library does not know) */
int call_check_request(const rollcall_request *given, rollcall_request *request) MUST_USE;

/**
 * Sets up a zeroed call of @p service on @p loop, whose time begins now. @p request, which
 * call_check_request() has checked, and @p response are borrowed until ended().
 */
void call_init(struct call *call, struct service *service, struct loop *loop,
               const rollcall_request *request, rollcall_response *response,
               void (*ended)(struct call *call));
/**
 * Begins the first attempt. The caller has waited for the first answer of the registry. ended() is
 * called from here or from a later step of the loop.
 */
void call_begin(struct call *call);
/** Calls the policy's fallback if the call has failed. Called after ended() and without a lock,
 * because the fallback may use the client. */
void call_fall_back(struct call *call);
/** Ends the call without a call of ended(). Nothing when it has not begun, or has ended. */
void call_cancel(struct call *call);
