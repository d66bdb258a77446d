/* SPDX-License-Identifier: MIT */
/** The event log as a stream, and what GET /v1/events without a stream (events.c) shares with
 * it. */
#pragma once

#include "v1/internal.h"

/** The parameters of a request. The strings are borrowed from the request. */
struct events_query {
	struct journal_query log;
	enum events_form { EVENTS_JSON, EVENTS_TEXT, EVENTS_SSE, EVENTS_LINES } form;
	uint64_t wait_ms;
	bool has_since;
	bool has_limit;
};

/** Does the request ask for a stream? */
static inline bool events_stream(const struct events_query *query)
{
	return query->form == EVENTS_SSE || query->form == EVENTS_LINES;
}

/** May there be published events of @p service (empty: any) after @p since? Any thread registered
 * with RCU. @param ret_now  the revision of the snapshot that was read */
bool events_are_after(struct v1 *v1, struct str service, uint64_t since, uint64_t *ret_now);

/** Sets up @p history to read the first page of a stream. */
void follow_prepare(struct history *history, const struct events_query *query);
/** Answers with a stream that begins with the page that @p first has read. Takes the bytes of
 * @p page and copies the rest. */
enum api_result follow_answer(struct call *call, const struct events_query *query,
                              const struct history *first, struct buf *page);
