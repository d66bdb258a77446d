/* SPDX-License-Identifier: MIT */
/**
 * One http thread: it waits on an epoll of its own, which holds the listening sockets, a wake-up
 * eventfd and libmicrohttpd's epolls, then calls MHD_run(). The thread accepts connections itself,
 * so that limits, deadlines and address families are handled in one place.
 */
#pragma once

#include "base/attr.h"

struct http;
struct loop;

/** @return 0, or a negative errno; call loop_fini() in both cases */
int loop_init(struct loop *loop, struct http *http, unsigned index) MUST_USE;
int loop_start(struct loop *loop) MUST_USE;
/** Call it after the thread has ended and every parked request has been woken. */
void loop_fini(struct loop *loop);
