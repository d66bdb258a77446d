/* SPDX-License-Identifier: MIT */
/**
 * GET /v1/services/{service}/intents: the operators' drains of a service's ids, registered or not.
 * An answer is rendered inside one visit, from the entries and instances of the same snapshot: the
 * present one, or one of the past.
 */
#include "api/pretty.h"
#include "base/clock.h"
#include "model/intent.h"
#include "v1/internal.h"
#include "v1/text.h"
#include "v1/travel.h"

#define INTENTS_DEFAULT 1000

enum { INTENTS_FORMAT = PARAM_PRETTY + 1, INTENTS_LIMIT, INTENTS_AFTER, INTENTS_AT };
static const struct query_rule intents_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,  [INTENTS_FORMAT] = {"format", 0},
	[INTENTS_LIMIT] = {"limit", 0}, [INTENTS_AFTER] = {"after", 0},
	[INTENTS_AT] = {"at", 0},
};

struct intents {
	struct str after; /* empty: from the first on */
	bool text;
	uint64_t limit;
	struct moment moment;
};

static bool read_query(struct call *call, struct intents *ret)
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
	       travel_read_at(call, INTENTS_AT, &ret->moment);
}

/** An intent and the state of its id. */
struct shown {
	struct drain_intent intent;
	const struct entry *entry;
	bool is_registered;
	int64_t absent_ms; /* 0: registered, or unknown since when */
};

static void intents_look_at(const struct snapshot *now, const struct entry *entry,
                            struct shown *ret)
{
	const struct service *service = snapshot_service(now, entry->service);

	drain_intent_of(entry, &ret->intent);
	ret->entry = entry;
	ret->is_registered = service != NULL && service_member(service, entry->name) != NULL;
	ret->absent_ms = ret->is_registered ? 0 : ret->intent.absent_since_ms;
	if (ret->intent.reason.len == 0)
		ret->intent.reason = STR(DRAIN_REASON);
}

static void put_time_member(struct buf *out, const char *name, int64_t ms)
{
	if (ms == 0)
		return;
	buf_put(out, name);
	buf_put_time(out, ms);
}

static void intents_put_json(struct buf *out, const struct shown *shown)
{
	const struct drain_intent *intent = &shown->intent;

	buf_put(out, "{\"service\":");
	buf_put_json(out, shown->entry->service);
	buf_put(out, ",\"id\":");
	buf_put_json(out, shown->entry->name);
	buf_put(out, ",\"status\":\"draining\",\"reason\":");
	buf_put_json(out, intent->reason);
	buf_put(out, ",\"by\":");
	buf_put_json(out, intent->by);
	put_time_member(out, ",\"since\":", intent->since_ms);
	put_time_member(out, ",\"until\":", intent->until_ms);
	buf_put(out, ",\"registered\":");
	buf_put(out, shown->is_registered ? "true" : "false");
	put_time_member(out, ",\"absent_since\":", shown->absent_ms);
	buf_put_char(out, '}');
}

static void put_time_cell(struct buf *rows, int64_t ms)
{
	char time[CLOCK_RFC3339_SIZE];
	unsigned len = ms != 0 ? clock_rfc3339(ms, time) : 0;

	table_put_cell(rows, (struct str){time, len}, false);
}

static void intents_put_row(struct buf *rows, const struct shown *shown)
{
	const struct drain_intent *intent = &shown->intent;

	table_put_cell(rows, shown->entry->name, false);
	table_put_cell(rows, STR("draining"), false);
	put_time_cell(rows, intent->since_ms);
	table_put_cell(rows, intent->by, false);
	put_time_cell(rows, intent->until_ms);
	table_put_cell(rows, shown->is_registered ? STR("yes") : STR("no"), false);
	put_time_cell(rows, shown->absent_ms);
	table_put_cell(rows, intent->reason, true);
}

/** Inside a visit. @return the last id of the page when more follow, otherwise empty */
static struct str intents_put_page(struct buf *out, const struct snapshot *now, struct str service,
                                   const struct intents *asked)
{
	const struct entry *entry;
	struct str last = {NULL, 0};
	struct shown shown;
	uint64_t count = 0;

	for (size_t pos = 0; (entry = snapshot_entry_next(now, service, &pos)) != NULL;) {
		if (entry->kind != ENTRY_INTENT || str_compare(entry->name, asked->after) <= 0)
			continue;
		if (count == asked->limit || out->len >= PAST_PAGE_BYTES)
			return last;
		intents_look_at(now, entry, &shown);
		if (count++ > 0 && !asked->text)
			buf_put_char(out, ',');
		if (asked->text)
			intents_put_row(out, &shown);
		else
			intents_put_json(out, &shown);
		last = entry->name;
	}
	return (struct str){NULL, 0};
}

/** Inside a visit. */
static enum api_result put_intents(struct call *call, const struct snapshot *now,
                                   const struct intents *asked)
{
	struct buf *body = &call->response->body;
	struct str service = path_service(call);
	struct buf rows;

	call_seen(call, now);
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

/** A read of the past while it is parked. */
struct intents_travel {
	struct travel travel;
	struct intents asked;
};

static enum api_result put_past(struct call *call, struct travel *travel,
                                const struct snapshot *then)
{
	return put_intents(call, then, &container_of(travel, struct intents_travel, travel)->asked);
}

enum api_result intents_get(struct call *call)
{
	struct intents_travel *past;
	struct intents asked;

	if (!read_query(call, &asked))
		return API_DONE;
	if (!asked.moment.is_given) {
		enum api_result result =
			put_intents(call, snapshot_enter(v1_of(call)->store), &asked);

		snapshot_leave(v1_of(call)->store);
		return result;
	}
	past = (struct intents_travel *)travel_to(call, sizeof(*past), &asked.moment, put_past);
	if (past == NULL)
		return API_DONE;
	past->asked = asked;
	past->asked.after = call_kept(call, asked.after);
	return travel_submit(call, &past->travel);
}
