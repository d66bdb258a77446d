/* SPDX-License-Identifier: MIT */
/**
 * One http thread: an epoll of its own over the listening sockets, a wake-up eventfd and
 * libmicrohttpd's epolls; then MHD_run(). It accepts connections itself, so that limits, deadlines
 * and the address families are in one place.
 */
#pragma once

#include "base/attr.h"

struct http;
struct loop;

/** @return 0, or a negative errno; loop_fini() takes it in any case */
int loop_init(struct loop *loop, struct http *http, unsigned index) MUST_USE;
int loop_start(struct loop *loop) MUST_USE;
/** After the thread has ended and every parked request has been woken. */
void loop_fini(struct loop *loop);
