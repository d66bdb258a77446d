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

/** State that all threads share. */
struct http {
	/* set in http_start(), never changed */
	struct api *api;
	struct http_listener listener[HTTP_LISTENERS_MAX];
	size_t listener_count;
	struct loop *loop;
	unsigned loop_count;
	unsigned started; /* loops that have a thread */
	/* atomic; changed by http_reload() */
	atomic_uint connections_max;
	atomic_uint connections_per_peer_max;
	_Atomic(int64_t) request_ms;
	_Atomic(int64_t) idle_ms;
	_Atomic(int64_t) parked_ms;
	/* atomic */
	atomic_uint accepting;    /* loops that still accept; the last one closes the listeners */
	_Atomic(int64_t) stop_ms; /* clock_ms() at which connections are cut off; 0: not stopping */
	struct peers peers;
};

/*
 * A libmicrohttpd that resumes one request walks all requests that it has suspended. Long polls and
 * streams therefore have a libmicrohttpd of their own, which resuming a write does not walk. The
 * side of a connection is guessed from its first bytes (intake.h): a wrong guess costs time only.
 */
enum { SIDE_SHORT, SIDE_LONG, SIDES };

struct side {
	struct MHD_Daemon *mhd;
	bool due; /* MHD_run() has work in this pass */
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
	struct exchange *done; /* woken requests, first woken first */
	struct exchange **done_tail;

	/* loop's thread only (http_free()'s thread once the loop's has ended) */
	struct progress progress;
	struct side side[SIDES];
	struct lanes lanes;
	struct timers timers;      /* of requests that wait for a change */
	struct connection *adding; /* for notice_connection(), while MHD_add_connection() runs */
	struct exchange *spare;
	unsigned spare_count;
	unsigned connections;
	unsigned parked;
	int64_t now_ms; /* at the start of this pass */
	int64_t now_us;
	int64_t accept_again_ms; /* out of descriptors: when to accept again; 0: accepting */
	int64_t swept_ms;
	bool stopping;
	bool abandoning; /* http_free() runs: parked requests get no answer */
	struct replies replies;
};
MAGIC(loop, 0x100b100b);

/**
 * One request and its answer. Lives from the request's first line to the last byte of the answer,
 * or until a parked request has been woken, whichever is later. Loop's thread only; any thread may
 * call request.wake().
 */
enum exchange_state {
	EXCHANGE_BEGUN,    /* the request's first line has arrived */
	EXCHANGE_READING,  /* all headers have arrived; the body may follow */
	EXCHANGE_PARKED,   /* suspended, before its answer or amid a stream */
	EXCHANGE_WOKEN,    /* api_finish() or api_abandon() is due */
	EXCHANGE_FINISHED, /* api_finish() has been called; nothing is left to abandon */
	EXCHANGE_ANSWERED  /* the response is queued or sent */
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
	const char *raw_target; /* in libmicrohttpd's memory, which libmicrohttpd changes later */
	struct buf target;      /* a copy of raw_target */
	size_t head_size;       /* bytes of the request line and the headers; see head_check() */
	struct buf fields;      /* struct api_field; the strings are in libmicrohttpd's memory */
	struct buf body;
	uint64_t body_max;
	bool too_long;         /* the body is longer than body_max */
	bool blocked;          /* the last sweep found unread bytes of the body */
	int64_t began_us;      /* start of the pass that found the first line */
	struct exchange *next; /* in the loop's list `spare` or `done` */
	struct timer timer;    /* in LANE_WATCH: runs out at request.park_until_ms */
	bool gone;             /* the client has closed the connection */
};
MAGIC(exchange, 0xe8c4a29e);

/** Wakes the thread up. Any thread. */
static inline void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	(void)!write(loop->wake_fd, &one, sizeof(one)); /* fails only when it is ready anyway */
}

/** Called by the last loop that stops accepting. */
void http_close_listeners(struct http *http);
