/* SPDX-License-Identifier: MIT */
/** The event log as a stream, and what its reading at once (events.c) shares with it. */
#pragma once

#include "v1/internal.h"

/** What was asked for. Its strings are the request's. */
struct events_query {
	struct journal_query log;
	enum events_form { EVENTS_JSON, EVENTS_TEXT, EVENTS_SSE, EVENTS_LINES } form;
	uint64_t wait_ms;
	bool has_since;
	bool has_limit;
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
/** @p first has read the first page: goes on from there. Takes the bytes of @p page, and copies all
 * else. */
enum api_result follow_answer(struct call *call, const struct events_query *query,
                              const struct history *first, struct buf *page);
