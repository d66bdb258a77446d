/* SPDX-License-Identifier: MIT */
/** The client itself: what its modules share. */
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
	rollcall_options options; /* its strings are below, or of the caller's callbacks */
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
	uint32_t long_polls;
	uint64_t registered_ever;
	uint64_t heartbeats;
	uint64_t reregistrations;
	uint64_t
		seen_revision; /* the highest any answer named, of the registry's present history */
	int64_t went_back_us;  /* when an answer first named a lower one; 0: none did */
	uint64_t next_call_id;
	rollcall_policy default_policy;

	/* written with the engine's lock held, read without: entries are only ever added */
	_Atomic(struct service *) services[SERVICE_BUCKETS];

	struct loop_pool loops; /* of blocking calls */
};

static inline bool client_forked(const rollcall_client *client)
{
	return engine_forked(&client->engine);
}

/** How long to pause between tries to reach the registry: options.retry_base_ms and retry_max_ms.
 */
struct backoff client_backoff(const rollcall_client *client);

/** 1-128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit? */
bool client_valid_service(const char *name);
