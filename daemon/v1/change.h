/* SPDX-License-Identifier: MIT */
/**
 * A request that waits for the writer: a parked request with its command.
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

/** The first member of the struct of each kind of such requests. */
struct change {
	struct parked parked;
	struct command command;
	char author[STATUS_BY_MAX]; /* holds the command's author if that is an operator */
};

static inline struct change *change_of(struct parked *parked)
{
	return container_of(parked, struct change, parked);
}

/**
 * Makes a change whose command has the service and the id of the path.
 * @param size  size of the struct that begins with the change and owns no other memory; it is
 * zeroed
 * @param finish  called on the call's http thread once the command is done
 * @return NULL: refused, out of memory
 */
struct change *change_new(struct call *call, size_t size, enum command_kind kind,
                          enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
/** The same for a struct that owns more: its free() in @p parked_kind calls change_free() last. */
struct change *change_new_kind(struct call *call, size_t size, enum command_kind kind,
                               enum api_result (*finish)(struct call *, struct parked *),
                               const struct parked_kind *parked_kind) MUST_USE;
void change_free(struct change *change);
/** Sets author, peer and agent, and submits the command, or refuses the call. Takes ownership of
 * @p change in either case. */
enum api_result change_submit(struct call *call, struct change *change) MUST_USE;

/** The address of the client, without port and brackets; at most AUTHOR_MAX bytes of it. Borrowed
 * from @p peer. */
struct str peer_address(struct str peer);
/** The client's address as the host of an instance: an IPv4 address mapped into IPv6 becomes the
 * IPv4 address. Empty: the request came over a Unix socket. Borrowed from @p peer. */
struct str peer_host(struct str peer);
