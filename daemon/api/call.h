/* SPDX-License-Identifier: MIT */
/**
 * One request while its handler runs, and helpers for handlers. A helper that refuses makes the
 * response a problem and returns false:
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

/** On the stack of api_handle() or api_finish(). */
struct call {
	struct api *api;
	struct api_request *request;
	struct api_response *response;
	struct route_match match; /* parameters of the path, decoded; the query, raw */
	struct query query;       /* after call_query() */
	struct scratch scratch;
};

/** The first rule of each table: api.c indents any answer in JSON. */
#define QUERY_PRETTY        \
	{                   \
		"pretty", 0 \
	}
enum { PARAM_PRETTY };

bool call_query(struct call *call, const struct query_rule *rules, size_t count) MUST_USE;
/** Parses the query of a request that takes ?pretty only. */
bool call_no_query(struct call *call) MUST_USE;
/** Reads a number from the query; leaves @p *ret alone when it is absent. */
bool call_number(struct call *call, const struct query_rule *rules, unsigned rule, uint64_t least,
                 uint64_t most, uint64_t *ret) MUST_USE;
/** The decoded value of @p item. */
bool call_text(struct call *call, const struct query_item *item, struct str *ret) MUST_USE;
/** Reads @p format, the item of ?format=; without one (NULL) looks at Accept. */
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
/** Answers with the bytes in response->body, blob or lent. Returns API_DONE. */
enum api_result call_answer(struct call *call, unsigned status, const char *content_type);
/**
 * Counts the answer until it has been sent; replaces an earlier count.
 * @param held    bytes of memory that only this answer uses
 * @param unsent  bytes that the client must read
 * @return false: a bound of unsent answers is exceeded (refused); the earlier count stays
 */
bool call_hold(struct call *call, uint64_t held, uint64_t unsent) MUST_USE;
/** The same for the bytes of the response. Beyond a bound the answer to a GET becomes a problem. */
void call_hold_response(struct call *call);
/** The same for an answer that has been begun and cannot become a problem any more. */
bool api_hold(struct api *api, struct api_request *request, uint64_t held,
              uint64_t unsent) MUST_USE;
/** Stops counting @p request. */
void api_unhold(struct api *api, struct api_request *request);
/** Bytes of memory of unsent answers, including old versions that only they keep. Any thread. */
uint64_t api_held_bytes(const struct api *api);
/**
 * Sets the ETag: the token of @p revision (api/token.h), and the form.
 * @return does If-None-Match have it? Then the response is a 304, complete
 */
bool call_etag(struct call *call, uint64_t revision, bool text) MUST_USE;

#define TYPE_JSON  "application/json"
#define TYPE_TEXT  "text/plain; charset=utf-8"
#define TYPE_SSE   "text/event-stream"
#define TYPE_JSONL "application/jsonl"
