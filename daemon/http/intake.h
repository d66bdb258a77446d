/* SPDX-License-Identifier: MIT */
/**
 * New connections: accepted within the limits, kept here until their first bytes tell who they are,
 * then passed on to the libmicrohttpd of their side. Loop's thread only.
 */
#pragma once

#include <stdbool.h>

struct loop;
struct side;
struct connection;
struct http_listener;

/** Watches the listeners, or no longer. */
void intake_watch(struct loop *loop, bool on);
/** Takes all that have come to @p listener. */
void intake_accept(struct loop *loop, const struct http_listener *listener);
/** Passes @p connection on, which may end it, or waits for its first bytes or its end. */
void intake_sort(struct loop *loop, struct connection *connection);
/** @return false: libmicrohttpd has no memory for it, @p connection is gone */
bool intake_pass_on(struct loop *loop, struct connection *connection, struct side *side);
