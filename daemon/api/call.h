/* SPDX-License-Identifier: MIT */
/**
 * What every handler works with: one request while it is handled. Helpers that can refuse return
 * false once they have made the response a problem:
 *
 *	if (!call_query(call, rules, ARRAY_LEN(rules)))
 *		return API_DONE;
 */
#pragma once

#include "api/api.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/router.h"
#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/** One request while a thread is in it; on that thread's stack. */
struct call {
	struct api *api;
	struct api_request *request;
	struct api_response *response;
	struct route_match match; /* parameters of the path, decoded; the query, raw */
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
/** Is ?pretty given? */
static inline bool call_is_pretty(const struct call *call)
{
	return call->request->is_pretty;
}
/** Is the body's type JSON? */
bool call_body_is_json(struct call *call) MUST_USE;
/** Answers with what is in the body. An ETag that the client has makes it 304. */
enum api_result call_answer(struct call *call, unsigned status, const char *content_type);
/**
 * Counts what the answer holds until it has been sent, in place of what it counted for before.
 * @param held    bytes of memory that are this answer's own
 * @param unsent  bytes that its client must read
 * @return false: its peer has not read enough of its other answers, or all that are unsent hold too
 *         much (refused); what was counted before stays
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
