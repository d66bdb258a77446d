/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/services/{service}/intents: the operators' drains of a service's ids, registered or not.
 * Http thread.
 *
 * Invariant: an answer is rendered in one visit, from the entries and instances of one snapshot,
 * the present or a past one. Two visits could see an instance registered or removed in between, and
 * report an id as absent that is registered.
 */
#include "api/pretty.h"
#include "base/clock.h"
#include "model/intent.h"
#include "v1/internal.h"
#include "v1/past_request.h"
#include "v1/text.h"

#define INTENTS_DEFAULT 1000

enum { INTENTS_FORMAT = PARAM_PRETTY + 1, INTENTS_LIMIT, INTENTS_AFTER, INTENTS_AT };
static const struct query_rule intents_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,  [INTENTS_FORMAT] = {"format", 0},
	[INTENTS_LIMIT] = {"limit", 0}, [INTENTS_AFTER] = {"after", 0},
	[INTENTS_AT] = {"at", 0},
};

struct intents {
	struct str after; /* empty: begin with the first id */
	bool text;
	uint64_t limit;
	struct moment moment;
};

static bool intents_read_query(struct call *call, struct intents *ret)
{
	const struct query_item *after;

	*ret = (struct intents){.limit = INTENTS_DEFAULT};
	if (!call_path_is_valid(call) ||
	    !call_query(call, intents_rules, ARRAY_LEN(intents_rules)) ||
	    !call_number(call, intents_rules, INTENTS_LIMIT, 1, LIST_MAX, &ret->limit) ||
	    !call_wants_text(call, query_get(&call->query, INTENTS_FORMAT), &ret->text))
		return false;
	after = query_get(&call->query, INTENTS_AFTER);
	return (after == NULL || call_text(call, after, &ret->after)) &&
	       past_request_read_at(call, INTENTS_AT, &ret->moment);
}

/* An intent and the state of its id. */
struct intent_view {
	struct drain_intent intent;
	const struct entry *entry;
	bool is_registered;
	int64_t absent_ms; /* 0: registered, or unknown since when */
};

static void intents_view(const struct snapshot *now, const struct entry *entry,
                         struct intent_view *ret)
{
	const struct service *service = snapshot_service(now, entry->service);

	drain_intent_of(entry, &ret->intent);
	ret->entry = entry;
	ret->is_registered = service != NULL && service_member(service, entry->name) != NULL;
	ret->absent_ms = ret->is_registered ? 0 : ret->intent.absent_since_ms;
	if (ret->intent.reason.len == 0)
		ret->intent.reason = STR(DRAIN_REASON);
}

static void intents_put_time(struct buf *out, const char *name, int64_t ms)
{
	if (ms == 0)
		return;
	buf_put(out, name);
	buf_put_time(out, ms);
}

static void intents_put_json(struct buf *out, const struct intent_view *view)
{
	const struct drain_intent *intent = &view->intent;

	buf_put(out, "{\"service\":");
	buf_put_json(out, view->entry->service);
	buf_put(out, ",\"id\":");
	buf_put_json(out, view->entry->name);
	buf_put(out, ",\"status\":\"draining\",\"reason\":");
	buf_put_json(out, intent->reason);
	buf_put(out, ",\"by\":");
	buf_put_json(out, intent->by);
	intents_put_time(out, ",\"since\":", intent->since_ms);
	intents_put_time(out, ",\"until\":", intent->until_ms);
	buf_put(out, ",\"registered\":");
	buf_put(out, view->is_registered ? "true" : "false");
	intents_put_time(out, ",\"absent_since\":", view->absent_ms);
	buf_put_char(out, '}');
}

static void intents_put_time_cell(struct buf *rows, int64_t ms)
{
	char time[CLOCK_RFC3339_SIZE];
	unsigned len = ms != 0 ? clock_rfc3339(ms, time) : 0;

	table_put_cell(rows, (struct str){time, len}, false);
}

static void intents_put_row(struct buf *rows, const struct intent_view *view)
{
	const struct drain_intent *intent = &view->intent;

	table_put_cell(rows, view->entry->name, false);
	table_put_cell(rows, STR("draining"), false);
	intents_put_time_cell(rows, intent->since_ms);
	table_put_cell(rows, intent->by, false);
	intents_put_time_cell(rows, intent->until_ms);
	table_put_cell(rows, view->is_registered ? STR("yes") : STR("no"), false);
	intents_put_time_cell(rows, view->absent_ms);
	table_put_cell(rows, intent->reason, true);
}

/* Inside a visit. @return the last id of the page if more follow; otherwise empty */
static struct str intents_put_page(struct buf *out, const struct snapshot *now, struct str service,
                                   const struct intents *asked)
{
	const struct entry *entry;
	struct str last = {NULL, 0};
	struct intent_view view;
	uint64_t count = 0;

	for (size_t pos = 0; (entry = snapshot_entry_next(now, service, &pos)) != NULL;) {
		if (entry->kind != ENTRY_INTENT || str_compare(entry->name, asked->after) <= 0)
			continue;
		if (count == asked->limit || out->len >= PAST_PAGE_BYTES)
			return last;
		intents_view(now, entry, &view);
		if (count++ > 0 && !asked->text)
			buf_put_char(out, ',');
		if (asked->text)
			intents_put_row(out, &view);
		else
			intents_put_json(out, &view);
		last = entry->name;
	}
	return (struct str){NULL, 0};
}

/* Inside a visit of @p now. */
static enum api_result intents_answer(struct call *call, const struct snapshot *now,
                                      const struct intents *asked)
{
	struct buf *body = &call->response->body;
	struct str service = path_service(call);
	struct buf rows;

	call_set_revision(call, now);
	if (call_etag(call, snapshot_revision(now), asked->text))
		return API_DONE;
	if (asked->text) {
		buf_init(&rows, body->most);
		buf_put(&rows, "ID\tSTATUS\tSINCE\tBY\tUNTIL\tREGISTERED\tABSENT SINCE\tREASON\n");
		(void)intents_put_page(&rows, now, service, asked);
		text_finish(body, &rows);
		return call_answer(call, 200, TYPE_TEXT);
	}
	buf_put(body, "{\"service\":");
	buf_put_json(body, service);
	buf_put(body, ",\"revision\":");
	buf_put_u64(body, snapshot_revision(now));
	buf_put(body, ",\"intents\":[");
	struct str next = intents_put_page(body, now, service, asked);
	buf_put_char(body, ']');
	if (next.len > 0) {
		buf_put(body, ",\"next\":");
		buf_put_json(body, next);
	}
	buf_put_char(body, '}');
	return call_answer(call, 200, TYPE_JSON);
}

/* A read of a past state, while it is parked. */
struct past_intents {
	struct past_request base;
	struct intents asked;
};

static enum api_result intents_put_past(struct call *call, struct past_request *past,
                                        const struct snapshot *then)
{
	return intents_answer(call, then, &container_of(past, struct past_intents, base)->asked);
}

enum api_result intents_get(struct call *call)
{
	struct past_intents *past;
	struct intents asked;

	if (!intents_read_query(call, &asked))
		return API_DONE;
	if (!asked.moment.is_given) {
		enum api_result result =
			intents_answer(call, snapshot_enter(v1_of(call)->store), &asked);

		snapshot_leave(v1_of(call)->store);
		return result;
	}
	past = (struct past_intents *)past_request_new_state(call, sizeof(*past), &asked.moment,
	                                                     intents_put_past);
	if (past == NULL)
		return API_DONE;
	past->asked = asked;
	past->asked.after = call_kept(call, asked.after);
	return past_request_submit(call, &past->base);
}
