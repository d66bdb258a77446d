/* SPDX-License-Identifier: MIT */
/**
 * Requests to the registry: several addresses, tried in turn, and a few at a time. All with the
 * engine's lock held.
 */
#pragma once

#include "lib/transport/engine.h"
#include "lib/transport/transport.h"

#define REGISTRY_ADDRESSES_MAX 16

struct registry {
	/* set in registry_init(), never changed */
	struct engine *engine;
	char *addresses[REGISTRY_ADDRESSES_MAX]; /* "http://host:port", no '/' at the end */
	size_t count;
	char *authorization; /* "Bearer ...", or NULL */
	uint32_t timeout_ms;
	uint32_t connect_ms;

	/* guarded by the engine's lock */
	size_t current;
	unsigned inflight;
	struct registry_request *queue;
	struct registry_request **queue_end;
	uint64_t requests;
	uint64_t failures;
	uint64_t failovers;
};

/** Embedded in who asks. */
struct registry_request {
	struct exchange exchange; /* the result, in done() */
	void (*done)(struct registry_request *request);
	bool busy; /* from registry_send() until just before done() */

	/* the registry's own */
	struct registry *registry;
	struct registry_request *next;
	struct timer failed;
	char *path;
	char *url;
	char *body;
	rollcall_pair headers[2];
	size_t address;
	unsigned tries;
	uint32_t wait_ms;
	bool queued;
};

struct registry_options {
	const char *addresses; /* separated by commas */
	const char *token;     /* NULL: none */
	uint32_t timeout_ms;
	uint32_t connect_ms;
};

/** @return 0, -ENOMEM, -EINVAL (no usable address, or more than 16) */
int registry_init(struct registry *registry, struct engine *engine,
                  const struct registry_options *options) MUST_USE;
void registry_fini(struct registry *registry);

void registry_request_init(struct registry_request *request, struct registry *registry,
                           void (*done)(struct registry_request *request));
/** Cancels, frees. */
void registry_request_fini(struct registry_request *request);
/**
 * Sends, to the next address when one fails; done() is called from a later step, whatever happens.
 * @param path, body  taken over (malloc); path NULL: done() will report -ENOMEM; body may be NULL
 * @param wait_ms  0, or how long the registry was asked to wait: such requests are not queued
 */
void registry_send(struct registry_request *request, const char *method, char *path, char *body,
                   uint32_t wait_ms);
/** Appends the path of a service, "/v1/services/NAME". */
void registry_put_service(struct bytes *path, const char *service);
/** Frees the memory of the last result. */
void registry_request_trim(struct registry_request *request);
/** Did no address answer, or only with a failure of its own? */
bool registry_failed(const struct registry_request *request);
/** Microseconds that the answer's Retry-After asks for, at most a minute; 0: none. */
int64_t registry_pause_us(const struct registry_request *request);
