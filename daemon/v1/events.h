/* SPDX-License-Identifier: MIT */
/** What the two ways to read the event log share: the list (events.c) and the stream (follow.c). */
#pragma once

#include "api/call.h"

/** What was asked for. */
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
bool events_are_after(struct api *api, struct str service, uint64_t since, uint64_t *ret_now);

/** Makes @p history read the first page of a stream. */
void follow_prepare(struct history *history, const struct events_query *query);
/** The first page has been read: goes on from there. Owns @p parked. */
enum api_result follow_answer(struct call *call, struct parked *parked,
                              const struct events_query *query);
