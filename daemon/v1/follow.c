/* SPDX-License-Identifier: MIT */
/*
 * The event log as a stream. Http thread; the put functions, follow_wake() and follow_admit() run
 * on the history thread.
 *
 * The stream reads the log page by page and waits for a commit only at the end of the log.
 * Invariant: no event is skipped: a client that is slower than retention gets a "reset" event. A
 * queue of new events per stream instead would grow without limit while a client is slow; this way
 * it costs one page of memory.
 */
#include "v1/follow.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_EVENTS 1000
#define ALL_ASPECTS ((1u << WATCH_ASPECTS) - 1)

struct follow {
	struct live_stream live;
	struct history history; /* query.since: the client has been sent all events up to here */
	enum events_form form;
	bool is_reading;  /* the history thread owns `history` */
	bool more;        /* the log has more events after the page */
	uint64_t left;    /* events that the stream may still send */
	uint64_t id_sent; /* the latest id that was sent */
	int64_t wait_ms;  /* EVENTS_LINES: the stream ends after this time without an event */
	char memory[];    /* the query's strings */
};

static void follow_put_sse_head(struct history *history, const struct event *event)
{
	struct buf *out = history->out;

	buf_put(out, "id: ");
	token_put(out, event->revision, api_history(history->arg));
	buf_put(out, "\nevent: ");
	buf_put(out, event_kind_name(event->kind));
	buf_put(out, "\ndata: ");
}

static void follow_put_sse(struct history *history, const struct event *event)
{
	follow_put_sse_head(history, event);
	event_put_json(history->out, event);
	buf_put(history->out, "\n\n");
}

static void follow_put_line(struct history *history, const struct event *event)
{
	event_put_json(history->out, event);
	buf_put_char(history->out, '\n');
}

/* The first event of a stream names the history, because some clients cannot read headers. */
static void follow_put_first_json(struct history *history, const struct event *event)
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

/* For the page with the stream's first event; follow_take_page() then switches to
 * follow_put_sse(). */
static void follow_put_first_sse(struct history *history, const struct event *event)
{
	if (history->count > 0) {
		follow_put_sse(history, event);
		return;
	}
	follow_put_sse_head(history, event);
	follow_put_first_json(history, event);
	buf_put(history->out, "\n\n");
}

static void follow_put_first_line(struct history *history, const struct event *event)
{
	if (history->count > 0) {
		follow_put_line(history, event);
		return;
	}
	follow_put_first_json(history, event);
	buf_put_char(history->out, '\n');
}

void follow_prepare(struct history *history, const struct events_query *query)
{
	history->put = query->form == EVENTS_SSE ? follow_put_first_sse : follow_put_first_line;
	history->bytes_max = STREAM_PAGE_BYTES;
	history->is_counted = true;
	if (!query->has_limit)
		history->query.limit = PAGE_EVENTS;
	if (query->form == EVENTS_SSE)
		buf_put(history->out, STREAM_RETRY);
}

/* Puts a "reset": retention has removed the next event. */
static void follow_put_reset(struct follow *follow)
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

/* Takes over the page that the history thread has read. */
static void follow_take_page(struct follow *follow)
{
	struct history *history = &follow->history;

	follow->is_reading = false;
	if (history->error == -ESTALE)
		follow_put_reset(follow);
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
		follow->id_sent = history->last;
		history->put = follow->form == EVENTS_SSE ? follow_put_sse : follow_put_line;
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

static bool follow_has_news(const struct follow *follow, uint64_t *ret_now)
{
	const struct journal_query *query = &follow->history.query;

	return events_are_after(follow->live.v1, query->service, query->since, ret_now);
}

/* Puts a keep-alive, or ends a stream of EVENTS_LINES: the wait has timed out. */
static void follow_end_wait(struct follow *follow)
{
	struct stream *stream = &follow->live.stream;
	uint64_t *since = &follow->history.query.since;
	uint64_t now;

	stream->expired = false;
	if (follow->form != EVENTS_SSE) {
		stream->is_over = true;
		return;
	}
	if (!follow_has_news(follow, &now) && now > *since)
		*since = now;
	buf_put(&stream->page, ": nothing new\n");
	if (*since > follow->id_sent) {
		/* The filter matched none of these events. Send an id after them: a client that
		 * reconnects then does not ask for events that retention has removed. */
		buf_put(&stream->page, "id: ");
		token_put(&stream->page, *since, api_history(stream->api));
		buf_put_char(&stream->page, '\n');
		follow->id_sent = *since;
	}
	buf_put_char(&stream->page, '\n');
}

static bool follow_read_page(struct follow *follow)
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
		follow_take_page(follow);
		return true;
	}
	if (stream->out.ending || follow->left == 0) {
		stream->is_over = true;
		return true;
	}
	if (stream->expired) {
		follow_end_wait(follow);
		return true;
	}
	if (follow->more || follow_has_news(follow, &now))
		return follow_read_page(follow);
	if (follow->form == EVENTS_LINES && follow->wait_ms == 0) {
		stream->is_over = true;
		return true;
	}
	live_wait(&follow->live, follow->history.query.since,
	          follow->form == EVENTS_SSE ? stream_keep_ms(stream)
	                                     : stream->sent_ms + follow->wait_ms);
	if (!follow_has_news(follow, &now) || !live_unwait(&follow->live))
		return false;
	return follow_read_page(follow);
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
	follow->id_sent = log->since;
	follow->wait_ms = (int64_t)query->wait_ms;
	follow->live.stream.page = *page;
	buf_init(page, 0);
	follow->live.watcher.topic = follow->history.query.service;
	follow->live.watcher.aspects = ALL_ASPECTS;
	atomic_init(&follow->live.position, log->since);
	follow_take_page(follow);
	uint64_t sent_through = follow->live.page_has ? log->since : follow->live.page_end;
	return live_answer(call, &follow->live, &follow_kind, sent_through,
	                   follow->form == EVENTS_SSE ? TYPE_SSE : TYPE_JSONL);
}
