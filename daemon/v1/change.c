/* SPDX-License-Identifier: MIT */
#include "v1/change.h"

#include "base/parse.h"
#include "model/valid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void change_wake(struct command *command)
{
	struct change *change = container_of(command, struct change, command);

	change->parked.request->wake(change->parked.request);
}

static void change_free_parked(struct parked *parked)
{
	change_free(change_of(parked));
}

struct change *change_new(struct call *call, size_t size, enum command_kind kind,
                          enum api_result (*finish)(struct call *, struct parked *))
{
	static const struct parked_kind plain = {.free = change_free_parked};

	return change_new_kind(call, size, kind, finish, &plain);
}

struct change *change_new_kind(struct call *call, size_t size, enum command_kind kind,
                               enum api_result (*finish)(struct call *, struct parked *),
                               const struct parked_kind *parked_kind)
{
	struct change *change = calloc(1, size);

	if (change == NULL) {
		problem_errno(call->response, -ENOMEM);
		return NULL;
	}
	if (!parked_init(&change->parked, call, parked_kind, finish)) {
		free(change);
		return NULL;
	}
	change->command.kind = kind;
	change->command.instance.service = path_service(call);
	change->command.instance.id = path_id(call);
	change->command.done = change_wake;
	return change;
}

void change_free(struct change *change)
{
	free(change);
}

/* The User-Agent, cut to AUTHOR_MAX bytes; empty if it is not a valid text. */
static struct str change_agent(struct str agent)
{
	if (agent.len > AUTHOR_MAX)
		agent.len = AUTHOR_MAX;
	return valid_text(agent, AUTHOR_MAX) ? agent : (struct str){NULL, 0};
}

static bool peer_is_unix(struct str peer)
{
	return str_begins(peer, STR("unix:"));
}

struct str peer_address(struct str peer)
{
	size_t len = peer.len;

	if (peer_is_unix(peer))
		len = 0;
	while (len > 0 && peer.data[len - 1] != ':')
		len--;
	if (len > 1)
		peer.len = len - 1;
	if (peer.len > AUTHOR_MAX)
		peer.len = AUTHOR_MAX;
	if (peer.len > 2 && peer.data[0] == '[' && peer.data[peer.len - 1] == ']')
		return (struct str){peer.data + 1, peer.len - 2};
	return peer;
}

struct str peer_host(struct str peer)
{
	const struct str mapped = STR("::ffff:");
	unsigned char address[PARSE_IP_MAX];

	if (peer_is_unix(peer))
		return (struct str){NULL, 0};
	peer = peer_address(peer);
	if (str_begins(peer, mapped)) {
		struct str rest = {peer.data + mapped.len, peer.len - mapped.len};

		if (parse_ip(rest, address) == 4)
			return rest;
	}
	return peer;
}

/* Writes "operator:ADDRESS" to change->author: without authentication the address is the author. */
static struct str change_operator(struct change *change)
{
	static const struct str prefix = {"operator:", 9};
	struct str peer = change->command.peer;

	memcpy(change->author, prefix.data, prefix.len);
	if (peer.len > 0)
		memcpy(change->author + prefix.len, peer.data, peer.len);
	return (struct str){change->author, prefix.len + peer.len};
}

enum api_result change_submit(struct call *call, struct change *change)
{
	struct command *command = &change->command;

	command->peer = peer_address(call->request->peer);
	command->author =
		command->kind == COMMAND_STATUS ? change_operator(change) : STR("instance");
	command->agent = change_agent(api_header(call->request, STR("user-agent")));
	return call_suspend(call, &change->parked, registry_submit(v1_of(call)->registry, command));
}
