/* SPDX-License-Identifier: MIT */
/** What the two ways to read the event log share: the list (events.c) and the stream (follow.c). */
#pragma once

#include "v1/wait.h"

#include "registry/registry.h"

/** What was asked for. Its strings are the request's. */
struct events_query {
	struct journal_query log;
	enum events_form { EVENTS_JSON, EVENTS_TEXT, EVENTS_SSE, EVENTS_LINES } form;
	uint64_t wait_ms;
	bool has_since;
	bool has_limit;
};

/** A reading of the log while it is parked, for the history thread or for a change. */
struct events_request {
	struct wait wait;
	struct api *api;
	struct events_query query; /* its log is history's query now */
	struct history history;
	struct buf out; /* history's */
	unsigned tries;
};

static inline bool events_stream(const struct events_query *query)
{
	return query->form == EVENTS_SSE || query->form == EVENTS_LINES;
}

/** May there be published events of @p service (empty: any) after @p since? Any thread that may
 * visit. @param ret_now  the revision at which this was looked at */
bool events_are_after(struct v1 *v1, struct str service, uint64_t since, uint64_t *ret_now);

/** Makes @p history read the first page of a stream. */
void follow_prepare(struct history *history, const struct events_query *query);
/** The first page has been read: goes on from there. Owns @p request. */
enum api_result follow_answer(struct call *call, struct events_request *request);
