/* SPDX-License-Identifier: MIT */
/**
 * Requests that wait for the writer: a parked request with its command.
 *
 *	struct change *change = change_new(call, sizeof(*change), COMMAND_DEREGISTER, deregistered);
 *	if (change == NULL)
 *		return API_DONE;
 *	...
 *	return change_submit(call, change);
 */
#pragma once

#include "base/attr.h"
#include "registry/registry.h"
#include "v1/internal.h"

/** First member of each kind of such requests, so that it can be freed as one. */
struct change {
	struct parked parked;
	struct command command;
	char author[STATUS_BY_MAX]; /* the command's, when that is an operator */
};

static inline struct change *change_of(struct parked *parked)
{
	return container_of(parked, struct change, parked);
}

/**
 * For service and id of the path.
 * @param size  of the struct that begins with the change, and that owns nothing else; all zero
 * @return NULL when out of memory (refused)
 */
struct change *change_new(struct call *call, size_t size, enum command_kind kind,
                          enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
/** The same, for a kind that owns more: @p parked_kind frees it by change_free(). */
struct change *change_new_kind(struct call *call, size_t size, enum command_kind kind,
                               enum api_result (*finish)(struct call *, struct parked *),
                               const struct parked_kind *parked_kind) MUST_USE;
void change_free(struct change *change);
/** Fills author, peer and agent, sends the command. Owns @p change from now on, whatever happens.
 */
enum api_result change_submit(struct call *call, struct change *change) MUST_USE;

/** Who sends the request, without the port. */
struct str peer_address(struct str peer);
/** The host that an instance has at the sender's address, without brackets; an IPv4 address mapped
 * into IPv6 is that IPv4 address. Empty: the request came over a Unix socket. */
struct str peer_host(struct str peer);
