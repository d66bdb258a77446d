/* SPDX-License-Identifier: MIT */
/**
 * One call: fallback, deadline, retries, hedge (call.c), around attempts: rate, throttle, breaker,
 * bulkhead, pick, timeout, fault, transport (attempt.c). It lives on one loop, and all of it runs
 * in the thread that runs that loop; only the service's state is shared.
 */
#pragma once

#include "lib/service/service.h"
#include "lib/transport/transport.h"

#define TRIED_MOST   32
#define HEADERS_MOST 64
#define HEADERS_OURS 5
#define NO_DEADLINE  INT64_MAX

struct call;

enum attempt_state {
	ATTEMPT_IDLE,
	ATTEMPT_QUEUED,  /* waits for a place in the bulkhead */
	ATTEMPT_DELAYED, /* by a fault on purpose */
	ATTEMPT_SENT
};

struct attempt {
	struct call *call;
	enum attempt_state state;
	bool hedge;
	bool admitted;    /* holds a breaker ticket */
	bool placed;      /* holds a place in the bulkhead */
	bool local;       /* what went wrong is ours: counts against nobody, is not retried */
	int fault_status; /* below 0: no fault; 0: reset; else that answer */
	struct breaker_ticket ticket;
	struct member *member; /* a reference */
	int64_t began_us;
	int64_t due_us;
	struct timer timer; /* end of the queue's patience, of the delay, or of the attempt */
	struct bulkhead_waiter waiter;
	struct post granted;

	struct exchange exchange;
	struct bytes url;
	rollcall_pair headers[HEADERS_MOST + HEADERS_OURS];
	char timeout_text[24];
	char number_text[16];
	char traceparent[56];

	/* the result */
	rollcall_class outcome;
	int error;
};

struct call {
	/* set by call_begin(), never changed */
	rollcall_client *client;
	struct service *service;
	struct route *route;
	struct loop *loop;
	const rollcall_request *request; /* complete and valid; borrowed until it has ended */
	rollcall_response *response;     /* borrowed likewise */
	rollcall_policy policy;          /* as it was at the beginning */
	void (*ended)(struct call *call);
	int64_t began_us;
	int64_t deadline_us;
	bool safe;        /* to send again: idempotent or keyed */
	char trace[33];   /* the trace id in hex */
	bool sampled;     /* by the caller */
	char *tracestate; /* owned; NULL: none */

	struct attempt attempts[2]; /* the one, and its hedge */
	struct timer timer;         /* end of a pause, or time to hedge */
	bool pausing;
	bool hedged;
	bool has_ended;
	bool has_result; /* of an attempt that was sent, or should have been */
	unsigned number; /* of attempts begun, hedges not included */
	unsigned sent;
	int64_t pause_us;
	struct member *tried[TRIED_MOST]; /* references */
	size_t tried_count;
};

/** What a caller gave, checked and complete. @return 0, -EINVAL, -E2BIG */
int call_check_request(const rollcall_request *given, rollcall_request *request) MUST_USE;

/** When a call with @p request that begins now must have ended. */
int64_t call_deadline(struct service *service, const rollcall_request *request, int64_t now_us);

/**
 * Begins, once the first answer of the registry was awaited. @p call, zeroed, has client, service,
 * loop, request, response, ended, began_us and deadline_us. ended() is called from here or from a
 * later step of the loop.
 */
void call_begin(struct call *call);
/** Calls the policy's fallback if the call ended badly: after ended(), without a lock, because the
 * fallback may use the client. */
void call_fall_back(struct call *call);
/** Ends it without ended(). Nothing when it has ended. */
void call_cancel(struct call *call);

/* attempt.c */

void attempt_init(struct attempt *attempt, struct call *call);
void attempt_fini(struct attempt *attempt);
/** Ends in call_attempt_ended(), now or later. */
void attempt_start(struct attempt *attempt, bool hedge);
/** Gives back what it holds, without a word. */
void attempt_cancel(struct attempt *attempt);
/** In call.c. */
void call_attempt_ended(struct call *call, struct attempt *attempt);

/* trace.c */

/** Takes over the trace of a traceparent that is valid, else begins one. */
void trace_begin(struct call *call);
/** The traceparent of one attempt. @param out  of 56 */
void trace_attempt(const struct call *call, char *out);
