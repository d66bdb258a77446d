/* SPDX-License-Identifier: MIT */
/**
 * New connections: accepted within the limits, held until their first bytes show whether the
 * request will wait, then passed on to the libmicrohttpd of that side. Loop's thread only.
 */
#pragma once

#include <stdbool.h>

struct loop;
struct side;
struct connection;
struct http_listener;

/** Starts or stops watching the listeners. */
void intake_watch(struct loop *loop, bool on);
/** Accepts all connections that wait at @p listener. */
void intake_accept(struct loop *loop, const struct http_listener *listener);
/** Passes @p connection on, which may free it, or waits for its first bytes or its end. */
void intake_sort(struct loop *loop, struct connection *connection);
/** Adds @p connection to @p side. @return false: no memory, and @p connection has been freed */
bool intake_pass_on(struct loop *loop, struct connection *connection, struct side *side);
