/* SPDX-License-Identifier: MIT */
/**
 * What the modules of http/ share: all threads' state, one thread's state (struct loop), one
 * request's state (struct exchange). loop.c calls exchange.c and intake.c; neither calls loop.c.
 */
#pragma once

#include "api/api.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/progress.h"
#include "base/timer.h"
#include "http/connection.h"
#include "http/guard.h"
#include "http/http.h"
#include "http/peers.h"
#include "http/reply.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/** What all threads share. */
struct http {
	/* set in http_start(), never changed */
	struct api *api;
	struct http_listener listener[HTTP_LISTENERS_MAX];
	size_t listener_count;
	struct loop *loop;
	unsigned loop_count;
	unsigned started; /* of them: have a thread */
	/* atomic; changed by http_reload() */
	atomic_uint connections_max;
	atomic_uint connections_per_peer_max;
	_Atomic(int64_t) request_ms;
	_Atomic(int64_t) idle_ms;
	_Atomic(int64_t) parked_ms;
	/* atomic */
	atomic_uint accepting; /* loops that still accept; the last to cease closes the listeners */
	_Atomic(int64_t) stop_ms; /* stopping: when to give up; 0: not stopping */
	struct peers peers;
};

/*
 * Each libmicrohttpd that resumes a request walks all that it has suspended. So those who wait long
 * have one of their own, which a write that was waiting for the disk does not walk. Who is where is
 * guessed from a connection's first bytes (intake.h): a wrong guess costs time, nothing else.
 */
enum { SIDE_ASKERS, SIDE_WAITERS, SIDES };

struct side {
	struct MHD_Daemon *mhd;
	bool due; /* it has something to do in this pass */
};

struct loop {
	struct magic magic;

	/* set in loop_start(), never changed */
	struct http *http;
	pthread_t thread;
	char name[16];
	int epoll_fd;
	int wake_fd;

	/* guarded by done_lock */
	struct lock done_lock;
	struct exchange *done; /* woken requests, in the order of their waking */
	struct exchange **done_tail;

	/* loop's thread only (and http_free()'s once the thread has ended) */
	struct progress progress;
	struct side side[SIDES];
	struct lanes lanes;
	struct timers timers;      /* of requests that wait for a change */
	struct connection *adding; /* passed to libmicrohttpd's callback */
	struct exchange *spare;
	unsigned spare_count;
	unsigned connections;
	unsigned parked;
	int64_t now_ms; /* at the start of this pass */
	int64_t now_us;
	int64_t accept_again_ms; /* no descriptors left: accept again then; 0: accepting */
	int64_t swept_ms;
	bool stopping;
	bool abandoning; /* http_free(): what was parked gets no answer any more */
	struct replies replies;
};
MAGIC(loop, 0x100b100b);

/**
 * One request and its answer. Lives from the request's first line to the last byte of the answer,
 * or until a parked request has been woken, whichever is later. Loop's thread only, but for
 * request.wake().
 */
enum exchange_state {
	EXCHANGE_BEGUN,    /* the request's first line has arrived */
	EXCHANGE_READING,  /* all headers have; the body may follow */
	EXCHANGE_PARKED,   /* suspended, before its answer or amid a stream; others refer to it */
	EXCHANGE_WOKEN,    /* the writer is done with it; api_finish() or api_abandon() is due */
	EXCHANGE_FINISHED, /* api_finish() has been called; nothing is left to abandon */
	EXCHANGE_ANSWERED
};

struct exchange {
	struct magic magic;
	struct loop *loop;
	struct connection *connection;
	struct MHD_Connection *mhd;
	enum exchange_state state;
	struct api_request request;
	struct api_response response;
	struct guard guard;
	const char
		*raw_target; /* in libmicrohttpd's memory, which it changes: `target` is the copy */
	struct buf target;
	size_t head_size;  /* bytes of the request line and the headers; see head_check() */
	struct buf fields; /* struct api_field, whose strings are in libmicrohttpd's memory */
	struct buf body;
	uint64_t body_max;
	bool too_long;         /* the body is */
	bool blocked;          /* bytes of the body were unread when last looked at */
	int64_t began_us;      /* the start of the pass that found its first line */
	struct exchange *next; /* in the loop's list of spare or of done ones */
	struct timer timer;    /* in LANE_WATCH: when it need not wait any longer */
	bool gone;             /* its client is */
};
MAGIC(exchange, 0xe8c4a29e);

/** Wakes the thread up. Any thread. */
static inline void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	(void)!write(loop->wake_fd, &one, sizeof(one)); /* fails only when it is ready anyway */
}

/** Once no loop accepts any more. */
void http_close_listeners(struct http *http);
