/* SPDX-License-Identifier: MIT */
/**
 * One attempt of a call. It passes its layers in this order: rate, throttle, breaker, bulkhead,
 * pick, timeout, fault, transport. An attempt belongs to the loop of its call and runs in the
 * thread that runs that loop; the state that it shares with other calls is under the service's
 * lock.
 */
#pragma once

#include "lib/call/trace.h"
#include "lib/service/service.h"

#define TRIED_MAX    32
#define HEADERS_MAX  64 /* of the request */
#define HEADERS_OURS 5  /* that the library adds */
#define NO_DEADLINE  INT64_MAX

/** What the attempts of one call share. */
struct call_context {
	/* set before the first attempt, never changed */
	rollcall_client *client;
	struct service *service;
	struct route *route;
	struct loop *loop;
	const rollcall_request *request; /* complete and valid; borrowed until the call has ended */
	rollcall_policy policy;          /* as it was at the beginning */
	int64_t began_us;
	int64_t deadline_us;
	bool safe; /* to send again: idempotent or keyed */
	struct trace_context trace;

	unsigned number;                 /* of attempts begun, hedges not included */
	unsigned sent;                   /* to the transport, hedges included */
	struct member *tried[TRIED_MAX]; /* references */
	size_t tried_count;
};

enum attempt_state {
	ATTEMPT_IDLE,
	ATTEMPT_QUEUED,  /* waits for a place in the bulkhead */
	ATTEMPT_DELAYED, /* by fault injection */
	ATTEMPT_SENT
};

struct attempt {
	struct call_context *call;
	void (*ended)(struct attempt *attempt);
	enum attempt_state state;
	bool hedge;
	bool admitted;    /* holds a breaker ticket */
	bool placed;      /* holds a place in the bulkhead */
	bool local;       /* failed in this process: no failure of the service, no retry */
	int fault_status; /* of fault injection: below 0 none; 0 a reset; else that status */
	struct breaker_ticket ticket;
	struct member *member; /* a reference */
	int64_t began_us;
	int64_t due_us;
	struct timer timer; /* end of the wait in the queue, of the delay, or of the attempt */
	struct bulkhead_waiter waiter;
	struct post granted;

	struct exchange exchange;
	struct bytes url;
	rollcall_pair headers[HEADERS_MAX + HEADERS_OURS];
	char timeout_text[24];
	char number_text[16];
	char traceparent[TRACE_PARENT_SIZE];

	/* the result */
	rollcall_class outcome;
	int error;
};

/** Sets up a zeroed attempt. @param ended  called when the attempt has ended, from attempt_start()
 * or from a later step of the loop; may start the attempt again */
void attempt_init(struct attempt *attempt, struct call_context *call,
                  void (*ended)(struct attempt *attempt));
/** Cancels the attempt, and frees its memory. */
void attempt_fini(struct attempt *attempt);
/** Starts an idle attempt. @param hedge  it is the second copy of a request */
void attempt_start(struct attempt *attempt, bool hedge);
/** Gives back what the attempt holds, without a call of ended(). Nothing when it is idle. */
void attempt_cancel(struct attempt *attempt);
