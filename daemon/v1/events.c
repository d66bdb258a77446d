/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/events: a page of the event log, or with ?wait_ms= a long poll for the next event.
 * Streams continue in follow.c. Http thread; events_put_row(), events_end_rows(), events_admit()
 * and events_wake() run on the history thread, which reads the log.
 *
 * Invariant: the watcher is added before the check for later events (events_wait()). In the other
 * order, an event that is published between the two would not wake the request.
 */
#include "v1/follow.h"

#include "api/pretty.h"
#include "base/clock.h"
#include "model/event.h"
#include "v1/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_DEFAULT 100
#define EVENTS_MAX     1000

enum {
	EVENTS_SINCE = PARAM_PRETTY + 1,
	EVENTS_SERVICE,
	EVENTS_ID,
	EVENTS_KIND,
	EVENTS_LIMIT,
	EVENTS_FORMAT,
	EVENTS_WAIT
};
static const struct query_rule events_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,     [EVENTS_SINCE] = {"since", 0},
	[EVENTS_SERVICE] = {"service", 0}, [EVENTS_ID] = {"id", 0},
	[EVENTS_KIND] = {"kind", 0},       [EVENTS_LIMIT] = {"limit", 0},
	[EVENTS_FORMAT] = {"format", 0},   [EVENTS_WAIT] = {"wait_ms", 0},
};

/* Parses a comma-separated list of kinds to bits. */
static bool events_read_kinds(struct call *call, struct str list, unsigned *ret_kinds)
{
	unsigned kinds = 0;

	do {
		const char *comma = list.len > 0 ? memchr(list.data, ',', list.len) : NULL;
		struct str word = {list.data, comma ? (size_t)(comma - list.data) : list.len};
		enum event_kind kind;

		if (event_kind_parse(word, &kind) < 0) {
			problem(call->response, PROBLEM_INVALID_PARAMETER,
			        "kind must be a list of " EVENT_KIND_NAMES "not '%.*s'",
			        (int)(word.len < 40 ? word.len : 40), word.len ? word.data : "");
			return false;
		}
		kinds |= 1u << kind;
		size_t used = word.len + (comma != NULL);
		list = (struct str){word.data + used, list.len - used};
	} while (list.len > 0);
	*ret_kinds = kinds;
	return true;
}

static bool events_read_text(struct call *call, unsigned rule, struct str *ret)
{
	const struct query_item *item = query_get(&call->query, rule);

	return item == NULL || call_text(call, item, ret);
}

/* The form of the answer: ?format=, or else the Accept header. */
static bool events_read_form(struct call *call, enum events_form *ret)
{
	const struct query_item *format = query_get(&call->query, EVENTS_FORMAT);
	bool text = false;

	if (format == NULL && call_accepts(call, STR(TYPE_SSE))) {
		*ret = EVENTS_SSE;
		return true;
	}
	if (format == NULL && call_accepts(call, STR(TYPE_JSONL))) {
		*ret = EVENTS_LINES;
		return true;
	}
	if (!call_wants_text(call, format, &text))
		return false;
	*ret = text ? EVENTS_TEXT : EVENTS_JSON;
	return true;
}

/* Reads the revision to begin after. A browser that reconnects sends its first URL again, so
 * Last-Event-ID overrides ?since=, which may be of an earlier history. */
static bool events_read_since(struct call *call, struct events_query *query)
{
	struct str id = api_header(call->request, STR("last-event-id"));
	const char *name = "since";
	struct token token;

	query->has_since = query_get(&call->query, EVENTS_SINCE) != NULL;
	if (!call_token(call, events_rules, EVENTS_SINCE, &token))
		return false;
	if (query->form == EVENTS_SSE && id.len > 0) {
		query->has_since = true;
		name = "Last-Event-ID";
		if (token_parse(id, &token) < 0) {
			problem(call->response, PROBLEM_INVALID_PARAMETER,
			        "Last-Event-ID must be the id of an event: a token such as "
			        "17.1f3a9c07, or a revision");
			return false;
		}
	}
	query->log.since = token.revision;
	return call_check_history(call, name, &token);
}

static bool events_read_query(struct call *call, struct events_query *query)
{
	uint64_t limit = EVENTS_DEFAULT;
	struct str kinds = {NULL, 0};

	*query = (struct events_query){0};
	if (!call_query(call, events_rules, ARRAY_LEN(events_rules)) ||
	    !events_read_form(call, &query->form) || !events_read_since(call, query) ||
	    !call_number(call, events_rules, EVENTS_LIMIT, 1, EVENTS_MAX, &limit) ||
	    !call_number(call, events_rules, EVENTS_WAIT, 0, WAIT_MS_MAX, &query->wait_ms) ||
	    !events_read_text(call, EVENTS_SERVICE, &query->log.service) ||
	    !events_read_text(call, EVENTS_ID, &query->log.id) ||
	    !events_read_text(call, EVENTS_KIND, &kinds))
		return false;
	query->log.limit = (uint32_t)limit;
	query->has_limit = query_get(&call->query, EVENTS_LIMIT) != NULL;
	return query_get(&call->query, EVENTS_KIND) == NULL ||
	       events_read_kinds(call, kinds, &query->log.kinds);
}

/* Appends an event as a row of a table. On the history thread. */
static void events_put_row(struct history *history, const struct event *event)
{
	bool is_entry = event_subject(event->kind) == SUBJECT_ENTRY;
	struct buf *rows = history->out;
	char time[CLOCK_RFC3339_SIZE];
	unsigned len = clock_rfc3339(event->time_ms, time);

	table_put_number(rows, event->revision, false);
	table_put_cell(rows, (struct str){time, len}, false);
	table_put_cell(rows, str_of(event_kind_name(event->kind)), false);
	table_put_cell(rows, event_service(event), false);
	table_put_cell(rows, is_entry ? event->entry.name : event->instance.id, false);
	table_put_cell(rows,
	               str_of(is_entry ? entry_kind_name(event->entry.kind)
	                               : status_name(event->instance.status)),
	               false);
	table_put_cell(rows, event->author, false);
	table_put_cell(rows, event->reason, true);
}

/* Aligns the rows as a table. On the history thread. */
static void events_end_rows(struct history *history)
{
	struct buf *rows = history->out;
	struct buf heading;
	struct buf out;
	struct table table = {{0}};

	buf_init(&heading, 256);
	buf_init(&out, rows->most);
	buf_put(&heading, "REVISION\tTIME\tKIND\tSERVICE\tID\tSTATUS\tBY\tREASON\n");
	table_measure(&table, &heading);
	table_measure(&table, rows);
	table_put_rows(&table, &out, &heading);
	table_put_rows(&table, &out, rows);
	if (buf_error(&heading) < 0)
		out.error = buf_error(&heading);
	buf_fini(&heading);
	buf_fini(rows);
	*rows = out;
}

static void events_move_body(struct buf *to, struct buf *from)
{
	buf_fini(to);
	*to = *from;
	buf_init(from, to->most);
}

static void events_put(struct buf *out, const struct history *history, uint64_t id)
{
	buf_put(out, "{\"events\":[");
	buf_put_str(out, (struct str){history->out->data, history->out->len});
	buf_put(out, "],\"revision\":");
	buf_put_u64(out, history->last);
	buf_put(out, ",\"token\":\"");
	token_put(out, history->last, id);
	buf_put_char(out, '"');
	if (history->more) {
		buf_put(out, ",\"next\":");
		buf_put_u64(out, history->last);
	}
	buf_put_char(out, '}');
}

/* A request while it is parked: until the history thread has read, or until there is an event. */
struct events_request {
	struct wait wait;
	struct api *api;
	struct events_query query; /* without `log`, which is history.query */
	struct history history;
	struct buf out; /* history.out */
	unsigned tries;
};

static struct events_request *events_request_of(struct parked *parked)
{
	return container_of(wait_of(parked), struct events_request, wait);
}

static bool events_admit(struct history *history, size_t bytes)
{
	const struct events_request *events = container_of(history, struct events_request, history);

	return api_hold(events->api, events->wait.parked.request, bytes, bytes);
}

static enum api_result events_submit(struct call *call, struct events_request *events)
{
	struct history *history = &events->history;
	const struct events_query *query = &events->query;

	buf_reset(&events->out);
	history->bytes_max = PAST_PAGE_BYTES;
	history->admit = events_admit;
	if (events_stream(query))
		follow_prepare(history, query);
	history->put = query->form == EVENTS_TEXT ? events_put_row : history->put;
	history->end = query->form == EVENTS_TEXT ? events_end_rows : NULL;
	return call_suspend(call, &events->wait.parked,
	                    registry_read_history(v1_of(call)->registry, history));
}

static void events_wake(struct history *history)
{
	struct events_request *events = container_of(history, struct events_request, history);

	events->wait.parked.request->wake(events->wait.parked.request);
}

/* Must the read be repeated from the oldest event? The first read of a request without ?since=
 * fails when retention has removed the first events. */
static bool events_begin_at_oldest(const struct events_request *events)
{
	return events->history.error == -ESTALE && events->tries < 3 && !events->query.has_since;
}

static enum api_result events_read(struct call *call, struct parked *parked);

/* Reads again, after the revision up to which there was no event. */
static enum api_result events_read_again(struct call *call, struct events_request *events)
{
	events->wait.parked.finish = events_read;
	events->tries = 0;
	events->history.query.since = events->history.last;
	return events_submit(call, events);
}

/* Called when an event has been published or the wait has timed out. */
static enum api_result events_woken(struct call *call, struct parked *parked)
{
	return events_read_again(call, events_request_of(parked));
}

/* Waits for the first event; reads again at once if there may be one already. */
static enum api_result events_wait(struct call *call, struct events_request *events)
{
	struct watcher watcher = {.topic = events->history.query.service,
	                          .aspects = (1u << WATCH_ASPECTS) - 1,
	                          .seen = events->history.last,
	                          .sent_through = events->history.last};
	uint64_t now;

	events->wait.parked.finish = events_woken;
	wait_add(&events->wait, &watcher);
	if (!events_are_after(v1_of(call), watcher.topic, watcher.seen, &now) ||
	    !wait_remove(&events->wait))
		return call_suspend(call, &events->wait.parked, 0);
	return events_read_again(call, events);
}

static void events_refuse(struct call *call, const struct history *history, int error)
{
	uint64_t since = history->oldest > 0 ? history->oldest - 1 : 0;

	if (error == -ESTALE)
		problem_compacted(call->response, history->oldest, history->oldest_ms,
		                  "events up to revision %" PRIu64
		                  " are no longer kept: read the present state, "
		                  "then go on with since=%" PRIu64,
		                  since, since);
	else if (error == -ERANGE)
		problem_ahead(call->response, history->query.since, history->last);
	else
		problem_errno(call->response, error);
}

static enum api_result events_read(struct call *call, struct parked *parked)
{
	struct events_request *events = events_request_of(parked);
	const struct events_query *query = &events->query;
	struct history *history = &events->history;
	struct buf *body = &call->response->body;

	if (events_begin_at_oldest(events)) {
		events->tries++;
		history->query.since = history->oldest > 0 ? history->oldest - 1 : 0;
		return events_submit(call, events);
	}

	int r = history->error < 0 ? history->error : buf_error(history->out);
	if (r == 0 && events_stream(query)) {
		enum api_result result = follow_answer(call, query, history, &events->out);

		parked_free(parked);
		return result;
	}
	if (r == 0 && history->count == 0 && query->wait_ms > 0 && !parked->expired)
		return events_wait(call, events);
	if (r == 0 && query->form == EVENTS_TEXT)
		events_move_body(body, history->out);
	else if (r == 0)
		events_put(body, history, api_history(call->api));
	if (r < 0)
		events_refuse(call, history, r);
	else
		(void)call_answer(call, 200, query->form == EVENTS_TEXT ? TYPE_TEXT : TYPE_JSON);
	if (r == 0 && events->wait.watcher.hub != NULL)
		wait_answered(&events->wait, call, history->last);
	else
		parked_free(parked);
	return API_DONE;
}

static void events_free_parked(struct parked *parked)
{
	struct events_request *events = events_request_of(parked);

	wait_fini(&events->wait);
	buf_fini(&events->out);
	free(events);
}

static struct events_request *events_request_new(struct call *call,
                                                 const struct events_query *query)
{
	static const struct parked_kind kind = {
		.free = events_free_parked, .cancel = wait_cancel, .sent = wait_sent};
	struct events_request *events = calloc(1, sizeof(*events));

	if (events == NULL) {
		problem_errno(call->response, -ENOMEM);
		return NULL;
	}
	bool waits = query->wait_ms > 0 && !events_stream(query);
	if (waits ? !wait_init(&events->wait, call, &kind, events_read, query->wait_ms)
	          : !parked_init(&events->wait.parked, call, &kind, events_read)) {
		events_free_parked(&events->wait.parked);
		return NULL;
	}
	events->api = call->api;
	events->query = *query;
	buf_init(&events->out, 16u << 20);
	struct history *history = &events->history;
	history->query = query->log;
	history->query.service = call_kept(call, query->log.service);
	history->query.id = call_kept(call, query->log.id);
	history->out = &events->out;
	history->done = events_wake;
	history->arg = call->api;
	return events;
}

enum api_result events_get(struct call *call)
{
	struct events_query query;
	struct events_request *events;

	if (!events_read_query(call, &query))
		return API_DONE;
	events = events_request_new(call, &query);
	return events != NULL ? events_submit(call, events) : API_DONE;
}
