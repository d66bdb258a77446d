/* SPDX-License-Identifier: MIT */
/**
 * The event log as a stream. It reads page after page from the log, whatever happens meanwhile;
 * only when there is no more it waits for the next commit. So a slow reader costs one page of
 * memory, and nothing is ever skipped: who is slower than retention is told so.
 */
#include "v1/follow.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_EVENTS 1000
#define ALL_ASPECTS ((1u << WATCH_ASPECTS) - 1)

struct follow {
	struct live_stream live;
	struct history history; /* query.since: the stream's reader has been sent all up to here */
	enum events_form form;
	bool is_reading; /* the history thread has the query */
	bool more;       /* in the log, after the page */
	uint64_t left;   /* events that it may still send */
	uint64_t told;   /* the last id that was sent */
	int64_t wait_ms; /* EVENTS_LINES: the end after so long without an event */
	char memory[];   /* the query's strings */
};

static void put_sse_head(struct history *history, const struct event *event)
{
	struct buf *out = history->out;

	buf_put(out, "id: ");
	token_put(out, event->revision, api_history(history->arg));
	buf_put(out, "\nevent: ");
	buf_put(out, event_kind_name(event->kind));
	buf_put(out, "\ndata: ");
}

static void put_sse(struct history *history, const struct event *event)
{
	put_sse_head(history, event);
	event_put_json(history->out, event);
	buf_put(history->out, "\n\n");
}

static void put_line(struct history *history, const struct event *event)
{
	event_put_json(history->out, event);
	buf_put_char(history->out, '\n');
}

/** The first event of a stream names the history, as not every client can read headers. */
static void put_first_json(struct history *history, const struct event *event)
{
	struct buf *out = history->out;

	event_put_json(out, event);
	if (buf_error(out) < 0)
		return;
	CHECK(out->len > 0 && out->data[out->len - 1] == '}');
	out->len--;
	buf_put(out, ",\"history\":\"");
	buf_put(out, api_history_text(history->arg));
	buf_put(out, "\"}");
}

/* For the page with the stream's first event; take_page() then goes on with put_sse(). */
static void put_first_sse(struct history *history, const struct event *event)
{
	if (history->count > 0) {
		put_sse(history, event);
		return;
	}
	put_sse_head(history, event);
	put_first_json(history, event);
	buf_put(history->out, "\n\n");
}

static void put_first_line(struct history *history, const struct event *event)
{
	if (history->count > 0) {
		put_line(history, event);
		return;
	}
	put_first_json(history, event);
	buf_put_char(history->out, '\n');
}

void follow_prepare(struct history *history, const struct events_query *query)
{
	history->put = query->form == EVENTS_SSE ? put_first_sse : put_first_line;
	history->bytes_max = STREAM_PAGE_BYTES;
	history->is_counted = true;
	if (!query->has_limit)
		history->query.limit = PAGE_EVENTS;
	if (query->form == EVENTS_SSE)
		buf_put(history->out, STREAM_RETRY);
}

/* Retention has removed what comes next. */
static void put_reset(struct follow *follow)
{
	struct buf *out = &follow->live.stream.page;

	buf_put(out, follow->form == EVENTS_SSE ? "event: reset\ndata: " : "");
	buf_put(out, "{\"kind\":\"reset\",\"since\":");
	buf_put_u64(out, follow->history.query.since);
	buf_put(out, ",\"oldest\":");
	buf_put_u64(out, follow->history.oldest);
	buf_put(out, follow->form == EVENTS_SSE ? "}\n\n" : "}\n");
	metrics_count(METRIC_STREAM_RESETS, 1);
}

/* A page has come. */
static void take_page(struct follow *follow)
{
	struct history *history = &follow->history;

	follow->is_reading = false;
	if (history->error == -ESTALE)
		put_reset(follow);
	if (history->error < 0) {
		follow->live.stream.is_over = true;
		return;
	}
	history->query.since = history->last;
	follow->more = history->more;
	follow->left -= history->count;
	follow->live.page_end = history->last;
	follow->live.page_has = history->count > 0;
	if (history->count > 0) {
		follow->told = history->last;
		history->put = follow->form == EVENTS_SSE ? put_sse : put_line;
	}
	metrics_count(METRIC_STREAMED_EVENTS, history->count);
}

bool events_are_after(struct v1 *v1, struct str service, uint64_t since, uint64_t *ret_now)
{
	const struct snapshot *now = snapshot_enter(v1->store);
	const struct service *found = service.len > 0 ? snapshot_service(now, service) : NULL;
	uint64_t revision = snapshot_revision(now);

	*ret_now = revision;
	if (found != NULL)
		revision = found->revision;
	else if (service.len > 0)
		revision = registry_removed_revision(v1->registry, service);
	if (service.len > 0 && revision < registry_intended_revision(v1->registry, service))
		revision = registry_intended_revision(v1->registry, service);
	snapshot_leave(v1->store);
	return revision > since;
}

static bool has_news(const struct follow *follow, uint64_t *ret_now)
{
	const struct journal_query *query = &follow->history.query;

	return events_are_after(follow->live.v1, query->service, query->since, ret_now);
}

/* It has waited long enough. */
static void break_silence(struct follow *follow)
{
	struct stream *stream = &follow->live.stream;
	uint64_t *since = &follow->history.query.since;
	uint64_t now;

	stream->expired = false;
	if (follow->form != EVENTS_SSE) {
		stream->is_over = true;
		return;
	}
	if (!has_news(follow, &now) && now > *since)
		*since = now;
	buf_put(&stream->page, ": nothing new\n");
	if (*since > follow->told) {
		/* None of what happened was asked for: resume after it, lest retention overtakes.
		 */
		buf_put(&stream->page, "id: ");
		token_put(&stream->page, *since, api_history(stream->api));
		buf_put_char(&stream->page, '\n');
		follow->told = *since;
	}
	buf_put_char(&stream->page, '\n');
}

static bool follow_read_on(struct follow *follow)
{
	struct history *history = &follow->history;
	struct stream *stream = &follow->live.stream;

	atomic_store_explicit(&follow->live.position, history->query.since, memory_order_relaxed);
	history->query.limit = follow->left < PAGE_EVENTS ? (uint32_t)follow->left : PAGE_EVENTS;
	follow->is_reading = true;
	if (registry_read_history(follow->live.v1->registry, history) == 0)
		return false;
	follow->is_reading = false;
	stream->is_over = true;
	return true;
}

static bool follow_fill(struct stream *stream)
{
	struct follow *follow = container_of(live_of(stream), struct follow, live);
	uint64_t now;

	if (follow->is_reading) {
		take_page(follow);
		return true;
	}
	if (stream->out.ending || follow->left == 0) {
		stream->is_over = true;
		return true;
	}
	if (stream->expired) {
		break_silence(follow);
		return true;
	}
	if (follow->more || has_news(follow, &now))
		return follow_read_on(follow);
	if (follow->form == EVENTS_LINES && follow->wait_ms == 0) {
		stream->is_over = true;
		return true;
	}
	live_wait(&follow->live, follow->history.query.since,
	          follow->form == EVENTS_SSE ? stream_keep_ms(stream)
	                                     : stream->sent_ms + follow->wait_ms);
	if (!has_news(follow, &now) || !live_unwait(&follow->live))
		return false;
	return follow_read_on(follow);
}

static void follow_wake(struct history *history)
{
	struct follow *follow = container_of(history, struct follow, history);

	follow->live.stream.request->wake(follow->live.stream.request);
}

static bool follow_admit(struct history *history, size_t bytes)
{
	const struct follow *follow = container_of(history, struct follow, history);

	return api_hold(follow->live.stream.api, follow->live.stream.request, bytes, bytes);
}

static void follow_free(struct stream *stream)
{
	struct follow *follow = container_of(live_of(stream), struct follow, live);

	live_leave(&follow->live);
	free(follow);
}

static const struct stream_kind follow_kind = {
	.gauge = METRIC_EVENT_STREAMS,
	.fill = follow_fill,
	.sent = live_sent,
	.cancel = live_cancel,
	.free = follow_free,
};

enum api_result follow_answer(struct call *call, const struct events_query *query,
                              const struct history *first, struct buf *page)
{
	const struct journal_query *log = &first->query;

	if (!call_waiting_enter(call))
		return API_DONE;
	struct follow *follow = calloc(1, sizeof(*follow) + log->service.len + log->id.len);
	if (follow == NULL) {
		waiting_leave(call->api);
		problem_errno(call->response, -ENOMEM);
		return API_DONE;
	}
	char *end = follow->memory;
	follow->history = *first;
	follow->history.query.service = str_copy_to(&end, log->service);
	follow->history.query.id = str_copy_to(&end, log->id);
	follow->history.out = &follow->live.stream.page;
	follow->history.done = follow_wake;
	follow->history.admit = follow_admit;
	follow->form = query->form;
	follow->left = query->has_limit ? log->limit : UINT64_MAX;
	follow->told = log->since;
	follow->wait_ms = (int64_t)query->wait_ms;
	follow->live.stream.page = *page;
	buf_init(page, 0);
	follow->live.watcher.topic = follow->history.query.service;
	follow->live.watcher.aspects = ALL_ASPECTS;
	atomic_init(&follow->live.position, log->since);
	take_page(follow);
	uint64_t sent_through = follow->live.page_has ? log->since : follow->live.page_end;
	return live_answer(call, &follow->live, &follow_kind, sent_through,
	                   follow->form == EVENTS_SSE ? TYPE_SSE : TYPE_JSONL);
}
