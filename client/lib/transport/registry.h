/* SPDX-License-Identifier: MIT */
/**
 * Requests to the registry: it has several addresses, which are tried in turn, and at most eight
 * requests that are no long polls are under way at a time; further ones queue. All functions are
 * called with the engine's lock held.
 *
 * A registry names its history in each answer: 64 random bits, which change when it loses or
 * restores its state. Revisions of two histories look alike, so only this id shows that the
 * registry which answers now is not the one that answered before.
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
	/** Called when the address in use answers with another history than before, before the
	 * request is done. */
	void (*history_changed)(struct registry *registry);

	/* guarded by the engine's lock */
	size_t current;    /* index of the address in use */
	unsigned inflight; /* requests under way, long polls not counted */
	struct registry_request *queue;
	struct registry_request **queue_end;
	uint64_t requests;  /* sent, each address counted */
	uint64_t failures;  /* requests that failed at all addresses */
	uint64_t failovers; /* changes of the address in use */
	uint64_t history;   /* that the address in use last answered with; 0: not known */
	int64_t history_us; /* when it became another one; 0: never */
};

/** One request. Embedded in its owner; used for one request after another. */
struct registry_request {
	struct exchange exchange; /* the result, in done() */
	void (*done)(struct registry_request *request);
	bool busy; /* from registry_send() until just before done() */

	/* private to registry.c */
	struct registry *registry;
	struct registry_request *next;
	struct timer failed; /* ends a request that could not be started */
	char *path;
	char *url;
	char *body;
	rollcall_pair headers[2];
	size_t address; /* index of the address that this is sent to */
	unsigned tries; /* addresses that have failed */
	uint32_t wait_ms;
	bool queued;
};

struct registry_options {
	const char *addresses; /* separated by commas */
	const char *token;     /* NULL: none */
	uint32_t timeout_ms;
	uint32_t connect_ms;
	void (*history_changed)(struct registry *registry);
};

/** @return 0; -ENOMEM; -EINVAL (an address cannot be parsed, there is none, or more than 16) */
int registry_init(struct registry *registry, struct engine *engine,
                  const struct registry_options *options) MUST_USE;
void registry_fini(struct registry *registry);

/** @param done  called from a step of the loop when the request has ended */
void registry_request_init(struct registry_request *request, struct registry *registry,
                           void (*done)(struct registry_request *request));
/** Cancels the request without a call of done(), and frees its memory. */
void registry_request_fini(struct registry_request *request);
/**
 * Sends a request, to the next address when one fails. done() is called from a later step in every
 * case; the result is in request->exchange.
 * @param path  memory from malloc(), owned by the request from now on; NULL: the result is -ENOMEM
 * @param body  the same; NULL: none
 * @param wait_ms  how long the registry may wait with its answer, for a long poll, which is never
 *                 queued; 0: no long poll
 */
void registry_send(struct registry_request *request, const char *method, char *path, char *body,
                   uint32_t wait_ms);
/** Appends the path of a service, "/v1/services/NAME". */
void registry_put_service(struct bytes *path, const char *service);
/** Frees the memory of the last request and its result. */
void registry_request_trim(struct registry_request *request);
/** @return whether no address answered, or only with 5xx */
bool registry_failed(const struct registry_request *request);
/** @return the id of the history that the answer belongs to; 0: it names none */
uint64_t registry_answer_history(const struct registry_request *request);
/** @return microseconds that the answer's Retry-After asks for, at most a minute; 0: none */
int64_t registry_pause_us(const struct registry_request *request);
