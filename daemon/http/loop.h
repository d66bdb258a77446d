/* SPDX-License-Identifier: MIT */
/**
 * One http thread: an epoll of its own over the listening sockets, a wake-up eventfd and
 * libmicrohttpd's epolls; then MHD_run(). It accepts connections itself, so that limits, deadlines
 * and the address families are in one place.
 */
#pragma once

#include "base/attr.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/progress.h"
#include "base/timer.h"
#include "http/connection.h"
#include "http/http.h"
#include "http/peers.h"
#include "http/reply.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;

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

/** Once no loop accepts any more. */
void http_close_listeners(struct http *http);

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

/** @return 0, or a negative errno; loop_fini() takes it in any case */
int loop_init(struct loop *loop, struct http *http, unsigned index) MUST_USE;
int loop_start(struct loop *loop) MUST_USE;
/** Forgets @p connection, which libmicrohttpd has closed or never had. Loop's thread. */
void loop_end(struct loop *loop, struct connection *connection);
/**
 * Sees the next of these events, and no more, of a socket that libmicrohttpd may wait for too.
 * Loop's thread.
 * @return 0; the error of epoll_ctl()
 */
int loop_see_once(struct loop *loop, struct connection *connection, uint32_t events) MUST_USE;
/** Sees, once, when @p connection's peer hangs up. Loop's thread. */
void loop_watch_hangup(struct loop *loop, struct connection *connection);
/** Wakes the thread up. Any thread. */
void loop_wake(struct loop *loop);
/** After the thread has ended and every parked request has been woken. */
void loop_fini(struct loop *loop);
