/* SPDX-License-Identifier: MIT */
/** The client itself: what its modules share. */
#pragma once

#include "lib/transport/engine.h"
#include "lib/transport/registry.h"
#include "lib/transport/transport.h"
#include "rollcall.h"

#include <stdatomic.h>

#define SERVICE_BUCKETS   1024
#define METADATA_MOST     64
#define SERVICE_NAME_MOST 128

struct service;

/** A loop that a blocking call borrows; keeps its connections for the next. */
struct call_loop {
	struct loop loop;
	struct call_loop *next;
};

/** Makes one transport; called for the client's loop and each loop of blocking calls. */
typedef int (*transport_fn)(const struct transport_options *options, void *arg,
                            struct transport **ret_transport);

struct rollcall_client {
	/* set in client_open(), never changed */
	struct env env;
	rollcall_options options; /* its strings are below, or of the caller's callbacks */
	char *ca_file;
	char *user_agent;
	transport_fn make_transport;
	void *transport_arg;

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

	pthread_mutex_t pool_lock;
	struct call_loop *pool; /* guarded by pool_lock */
	unsigned pool_count;
};

/** rollcall_open() with a transport of another kind. @param given  as there. @param make  NULL:
 * libcurl */
int client_open(const rollcall_options *given, transport_fn make, void *arg,
                rollcall_client **ret_client) MUST_USE;

static inline bool client_forked(const rollcall_client *client)
{
	return engine_forked(&client->engine);
}

/** @return a loop of the caller's until client_return_loop(); NULL when out of memory or
 * descriptors */
struct call_loop *client_borrow_loop(rollcall_client *client);
void client_return_loop(rollcall_client *client, struct call_loop *loop);

/** 1-128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit? */
bool client_valid_service(const char *name);

/** Ends all registrations; with the engine's lock held. */
int registrations_close(rollcall_client *client, int64_t deadline_us);
/** Frees without a word. */
void registrations_free(rollcall_client *client);
void watches_free(rollcall_client *client);
void async_calls_free(rollcall_client *client);
