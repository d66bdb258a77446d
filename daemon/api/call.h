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
#include "api/park.h"
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

#define LIST_MAX 10000 /* entries that ?limit= may ask for */

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
