/* SPDX-License-Identifier: MIT */
/**
 * core/ is the client itself: the structure that services, calls and registrations share. It names
 * their parts but knows none of them; what each of them does with its part is in its own layer.
 */
#pragma once

#include "lib/policy/backoff.h"
#include "lib/transport/engine.h"
#include "lib/transport/loops.h"
#include "lib/transport/registry.h"
#include "lib/transport/transport.h"
#include "rollcall.h"

#include <stdatomic.h>

#define SERVICE_BUCKETS  1024
#define SERVICE_NAME_MAX 128

struct service;

struct rollcall_client {
	/* set in client_open(), never changed */
	struct env env;
	rollcall_options options; /* of its strings only those below are valid later */
	char *ca_file;
	char *user_agent;
	struct transport_source transports;

	struct engine engine;
	struct registry registry;

	/* guarded by the engine's lock */
	rollcall_registration *registrations;
	rollcall_watch *watches;
	struct async_call *calls;
	uint32_t registration_count;
	uint32_t service_count;
	uint32_t long_polls;      /* services that hold one of options.max_watches */
	uint64_t registered_ever; /* accepted records: spreads the heartbeats */
	uint64_t heartbeats;      /* accepted */
	uint64_t reregistrations; /* accepted records that were not a registration's first */
	uint64_t seen_revision;   /* the highest revision in any answer of the present history */
	int64_t went_back_us;     /* when an answer first had a lower one; 0: none had */
	uint64_t next_call_id;
	rollcall_policy default_policy;

	/* written with the engine's lock held, read without: entries are added, never removed */
	_Atomic(struct service *) services[SERVICE_BUCKETS];

	struct loop_pool loops; /* for blocking calls; has a lock of its own */
};

/** @return whether this process is a child, by fork(), of the one that opened the client */
static inline bool client_forked(const rollcall_client *client)
{
	return engine_forked(&client->engine);
}

/** @return the rule for pauses between requests to a registry that fails, from
 * options.retry_base_ms and retry_max_ms */
struct backoff client_backoff(const rollcall_client *client);

/** @return whether @p name is 1-128 of A-Z a-z 0-9 . _ -, and begins with a letter or a digit;
 * false for NULL */
bool client_valid_service(const char *name);
