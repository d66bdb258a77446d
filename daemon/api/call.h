/* SPDX-License-Identifier: MIT */
/**
 * What every handler works with: one request while it is handled, and what is kept of it while it
 * is parked. Helpers that can refuse return false once they have made the response a problem:
 *
 *	if (!call_query(call, rules, ARRAY_LEN(rules)))
 *		return API_DONE;
 */
#pragma once

#include "api/api.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/router.h"
#include "api/stream.h"
#include "base/attr.h"
#include "base/check.h"
#include "registry/registry.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct api {
	struct magic magic;

	/* set in api_open(), never changed */
	struct registry *registry;
	struct snapshot_store *store;
	int64_t started_ms;

	/* atomic, relaxed: what a reload may change, and the end */
	_Atomic(int64_t) default_ttl_ms;
	_Atomic(int64_t) default_remove_after_ms;
	_Atomic(int64_t) max_instances;
	_Atomic(int64_t) max_registry_bytes;
	_Atomic(int64_t) max_watchers;
	_Atomic(int64_t) max_unsent_bytes;
	_Atomic(int64_t) max_unsent_bytes_per_peer;
	atomic_uint connections;
	atomic_uint connections_per_peer;
	atomic_bool stopping;

	_Atomic(uint64_t) held; /* bytes of memory of all answers that are not yet sent */
	atomic_uint waiting;    /* long polls and streams, as max_watchers counts them */
	struct streams streams;
};
MAGIC(api, 0xa9150);

/** One request while a thread is in it; on that thread's stack. */
struct call {
	struct api *api;
	struct api_request *request;
	struct api_response *response;
	struct str service; /* from the path, decoded; empty when the route has none */
	struct str id;
	struct str raw_query;
	struct route_match match; /* where the target leads: what the three above are taken from */
	struct query query;       /* after call_query() */
	struct scratch scratch;
};

struct parked;

/** What a kind of parked requests does. Each kind has a struct of its own, which embeds struct
 * parked. */
struct parked_kind {
	/** Frees the whole of it. Not while it may still be woken. */
	void (*free)(struct parked *parked);
	/** It need not wait any longer. NULL: it never parks with a park_until_ms. @return as
	 * api_expire() */
	bool (*cancel)(struct parked *parked);
	/** Its answer has been sent, or will not be; then it is freed. NULL: it never stands in
	 * `sending`. */
	void (*sent)(struct parked *parked, bool sent);
};

/** A request while it waits: what the registry works on, and what answers once it is done. */
struct parked {
	struct magic magic;
	const struct parked_kind *kind;
	struct api *api;
	struct api_request *request;
	/* Makes the response, or parks again. Owns the parked: frees it, or submits it. */
	enum api_result (*finish)(struct call *call, struct parked *parked);
	bool expired; /* cancelled: its time is over, or its client has gone */
	unsigned tries;
	struct history history;
	struct buf out; /* history's */
	struct wait {
		struct watcher watcher;
		uint64_t fingerprint; /* of the result that was seen */
		bool expired;
		struct api *counted; /* where it counts as waiting; NULL: nowhere */
		uint64_t answered;   /* the revision that it was answered from */
	} wait;
	void *more; /* a finisher's own */
	void (*free_more)(void *more);
	char memory[]; /* strings of the command that live nowhere else */
};
MAGIC(parked, 0x9a4ced);

/** The first rule of each table: what api.c does for every answer in JSON. */
#define QUERY_PRETTY        \
	{                   \
		"pretty", 0 \
	}
enum { PARAM_PRETTY };

bool call_query(struct call *call, const struct query_rule *rules, size_t count) MUST_USE;
/** For requests that take nothing but ?pretty. */
bool call_no_query(struct call *call) MUST_USE;
/** A number from the query, or @p *ret as it was when it is absent. */
bool call_number(struct call *call, const struct query_rule *rules, unsigned rule, uint64_t least,
                 uint64_t most, uint64_t *ret) MUST_USE;
/** The decoded value of @p item. */
bool call_text(struct call *call, const struct query_item *item, struct str *ret) MUST_USE;
/** ?format= when @p format is a rule that was given, else what Accept prefers. */
bool call_wants_text(struct call *call, const struct query_item *format, bool *ret) MUST_USE;
/** Does Accept name @p type, and prefer it to JSON? */
bool call_accepts(const struct call *call, struct str type) MUST_USE;
/** A list of statuses between commas, or "any", as bits. */
bool call_statuses(struct call *call, struct str text, unsigned *ret_statuses) MUST_USE;
/** ?meta.KEY=VALUE, all of them. */
struct meta_filter;
bool call_meta_filter(struct call *call, unsigned rule, struct meta_filter *ret) MUST_USE;
/** Once @p call is parked, the strings of @p filter are elsewhere. */
void meta_filter_keep(struct meta_filter *filter, const struct call *call);

/** Are service and id of the path valid words? For what was not found, or will be created. */
bool call_path_is_valid(struct call *call) MUST_USE;
/**
 * If-Match: "REVISION" or *, as conditions of @p command.
 * @return false: it is neither (told)
 */
bool call_conditions(struct call *call, struct command *command) MUST_USE;
/** Is ?pretty given? */
bool call_is_pretty(const struct call *call) MUST_USE;
/** Is the body's type JSON? */
bool call_body_is_json(struct call *call) MUST_USE;
/** Refuses with what stands for the registry's @p error; names the instance that is not there. */
void call_refuse(struct call *call, int error);
/** Refuses a body as @p r and @p errors say. */
void call_refuse_body(struct call *call, int r, struct field_errors *errors);

/** The revision of the snapshot that is being read, for X-Rollcall-Revision. */
void call_seen(struct call *call, const struct snapshot *snapshot);
/** Sets the header that tells about a held expiry; inside the visit. */
void call_tell_held(struct call *call, const struct service *service);
/** Answers with what is in the body. An ETag that the client has makes it 304. */
enum api_result call_answer(struct call *call, unsigned status, const char *content_type);
/**
 * Counts what the answer holds until it has been sent, in place of what it counted for before.
 * @param held    bytes of memory that are this answer's own
 * @param unsent  bytes that its client must read
 * @return false: its peer has not read enough of its other answers, or all that are unsent hold too
 *         much (told); what was counted before stays
 */
bool call_hold(struct call *call, uint64_t held, uint64_t unsent) MUST_USE;
/** The same for what stands in the response: when it is too much, a read becomes a problem. */
void call_hold_response(struct call *call);
/** The same for an answer that is under way, which cannot become a problem. */
bool api_hold(struct api *api, struct api_request *request, uint64_t held,
              uint64_t unsent) MUST_USE;
/** Nothing of it is on its way: what it counted for is free again. */
void api_unhold(struct api *api, struct api_request *request);
/** Bytes of memory that unsent answers hold, with the versions that only they keep. Any thread. */
uint64_t api_held_bytes(const struct api *api);
/** Sets the ETag. @return does the client have it? Then the answer is 304 and nothing is rendered
 */
bool call_etag(struct call *call, uint64_t revision, bool text) MUST_USE;

#define TYPE_JSON  "application/json"
#define TYPE_TEXT  "text/plain; charset=utf-8"
#define TYPE_SSE   "text/event-stream"
#define TYPE_JSONL "application/jsonl"

/**
 * Begins to park @p call as @p parked. What was decoded of the request moves to memory that stays
 * until the answer has been sent, the path's parameters with it; other strings follow by
 * call_kept().
 * @return false when out of memory (refused): @p parked is still the caller's
 */
bool parked_init(struct parked *parked, struct call *call, const struct parked_kind *kind,
                 enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
/** Where @p text, which is a part of the request, is once parked_init() has been called. */
struct str call_kept(const struct call *call, struct str text);
/**
 * Parks as @p parked, which something will wake that was asked for with the result @p error: when
 * that is not 0 nothing will, so it is freed and the response is the problem that stands for it.
 */
enum api_result call_suspend(struct call *call, struct parked *parked, int error) MUST_USE;

/** @return a parked request with @p size bytes of memory, not yet parked; NULL when out of memory
 * (told) */
struct parked *call_park(struct call *call, size_t size,
                         enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
void parked_free(struct parked *parked);

/** ?wait_ms= and ?revision=: wait until the result differs from what it was at that revision. */
struct wait_query {
	uint64_t revision;
	uint64_t wait_ms; /* 0: do not wait */
};
#define LIST_MAX 10000 /* entries that ?limit= may ask for */
bool call_wait_query(struct call *call, const struct query_rule *rules, unsigned revision_rule,
                     unsigned wait_rule, struct wait_query *ret) MUST_USE;
/**
 * Adds a watcher, whose `has` is the revision that was looked at in vain; then look again, since
 * what is waited for may have happened before. Makes the parked when *parked is NULL.
 * @return false when refused (told): the parked is freed
 */
bool call_wait(struct call *call, struct parked **parked, const struct watcher *watcher,
               const struct wait_query *wait,
               enum api_result (*finish)(struct call *, struct parked *)) MUST_USE;
/** What was waited for is answered from @p revision: frees @p parked, once that has been sent.
 * Takes NULL. */
void call_waited(struct call *call, struct parked *parked, uint64_t revision);
/** A refusal tells nothing of what was waited for, so nothing of it has been sent. */
void call_answered(struct call *call);
/** Counts one more that waits: waiting_leave() ends it. @return false when they are too many (told)
 */
bool call_waiting_enter(struct call *call) MUST_USE;
void waiting_leave(struct api *api);
/** It happened before. @return true: it will not be woken; false: it is being woken: return
 * API_PARKED */
bool call_unwait(struct call *call, struct parked *parked) MUST_USE;

/* handlers, each named after its route */
enum api_result root_get(struct call *call);
enum api_result services_get(struct call *call);
enum api_result service_get(struct call *call);
enum api_result watch_get(struct call *call);
enum api_result instances_post(struct call *call);
enum api_result instance_get(struct call *call);
enum api_result instance_put(struct call *call);
enum api_result instance_delete(struct call *call);
enum api_result heartbeat_post(struct call *call);
enum api_result heartbeats_post(struct call *call);
enum api_result status_put(struct call *call);
enum api_result pick_get(struct call *call);
enum api_result events_get(struct call *call);
enum api_result diff_get(struct call *call);
enum api_result history_get(struct call *call);
enum api_result status_get(struct call *call);
enum api_result healthz_get(struct call *call);
enum api_result readyz_get(struct call *call);
enum api_result metrics_get(struct call *call);
enum api_result openapi_get(struct call *call);
enum api_result problem_get(struct call *call);
