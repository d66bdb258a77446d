/* SPDX-License-Identifier: MIT */
/** What changed between two moments, and the life of one instance. */
#include "api/travel.h"

#include <errno.h>
#include <inttypes.h>

/* --- GET /v1/diff ------------------------------------------------------------ */

enum { DIFF_FROM = PARAM_PRETTY + 1, DIFF_TO, DIFF_SERVICE };
static const struct query_rule diff_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[DIFF_FROM] = {"from", 0},
	[DIFF_TO] = {"to", 0},
	[DIFF_SERVICE] = {"service", 0},
};

static bool read_diff(struct call *call, struct past_query *from, struct past_query *to)
{
	const struct query_item *item;

	if (!call_query(call, diff_rules, ARRAY_LEN(diff_rules)))
		return false;
	item = query_get(&call->query, DIFF_FROM);
	if (item == NULL) {
		problem(call->response, "invalid-parameter",
		        "from is missing: the revision or time to compare with");
		return false;
	}
	if (!travel_moment(call, "from", item, from))
		return false;
	const struct snapshot *now = snapshot_enter(call->api->store);
	to->revision = snapshot_revision(now);
	snapshot_leave(call->api->store);
	item = query_get(&call->query, DIFF_TO);
	if (item != NULL && !travel_moment(call, "to", item, to))
		return false;
	item = query_get(&call->query, DIFF_SERVICE);
	/* kept with the parked request, as the service of a path is */
	return item == NULL || call_text(call, item, &call->service);
}

static enum api_result put_diff(struct call *call, struct parked *parked)
{
	struct voyage *voyage = parked->more;
	const struct archive_query *query = &voyage->query;
	struct buf *body = &call->response->body;
	enum api_result result = API_DONE;

	call->response->revision = query->to_revision;
	if (query->error < 0) {
		travel_refuse(call, query->error, &query->bounds);
	} else if (query->bounds.revision > query->to_revision) {
		problem(call->response, "invalid-parameter",
		        "from is revision %" PRIu64 ", which is after to: %" PRIu64,
		        query->bounds.revision, query->to_revision);
	} else {
		buf_put(body, "{\"from\":");
		buf_put_u64(body, query->bounds.revision);
		buf_put(body, ",\"to\":");
		buf_put_u64(body, query->to_revision);
		buf_put_str(body, (struct str){voyage->out.data, voyage->out.len});
		buf_put_char(body, '}');
		result = call_answer(call, 200, TYPE_JSON);
	}
	parked_free(parked);
	return result;
}

enum api_result diff_get(struct call *call)
{
	struct past_query from = {.by_time = false};
	struct past_query to = {.by_time = false};
	struct voyage *voyage;

	if (!read_diff(call, &from, &to))
		return API_DONE;
	struct parked *parked = travel_park(call, &voyage, put_diff);
	if (parked == NULL)
		return API_DONE;
	from.service = voyage->service;
	to.service = voyage->service;
	voyage->query.kind = ARCHIVE_DIFF;
	voyage->query.at = from;
	voyage->query.to = to;
	return travel_submit(call, parked);
}

/* --- GET /v1/services/{service}/instances/{id}/history -------------------------------- */

#define HISTORY_DEFAULT 100
#define HISTORY_MAX     1000

enum { HISTORY_SINCE = PARAM_PRETTY + 1, HISTORY_LIMIT };
static const struct query_rule history_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[HISTORY_SINCE] = {"since", 0},
	[HISTORY_LIMIT] = {"limit", 0},
};

static void put_history(struct call *call, const struct voyage *voyage)
{
	const struct archive_query *query = &voyage->query;
	struct buf *body = &call->response->body;

	buf_put(body, "{\"service\":");
	buf_put_json(body, call->service);
	buf_put(body, ",\"id\":");
	buf_put_json(body, call->id);
	buf_put(body, ",\"revision\":");
	buf_put_u64(body, query->last);
	/* what was before is not known any more; nothing was before the first */
	buf_put(body, ",\"oldest_revision\":");
	buf_put_u64(body, query->bounds.oldest);
	buf_put(body, ",\"events\":[");
	buf_put_str(body, (struct str){voyage->out.data, voyage->out.len});
	buf_put_char(body, ']');
	if (query->count == query->life.limit) {
		buf_put(body, ",\"next\":");
		buf_put_u64(body, query->last);
	}
	buf_put_char(body, '}');
}

static enum api_result lived(struct call *call, struct parked *parked)
{
	struct voyage *voyage = parked->more;
	struct archive_query *query = &voyage->query;
	uint64_t since = query->life.since;
	enum api_result result = API_DONE;

	call->response->revision = query->last;
	/* A life is told from where the log begins, unless a place was asked for. */
	if (query->error == -ESTALE && since == 0 && parked->tries++ < 3) {
		query->life.since = query->bounds.oldest - 1;
		return travel_submit(call, parked);
	}
	if (query->error == -ESTALE) {
		problem_compacted(call->response, query->bounds.oldest, 0,
		                  "events before revision %" PRIu64 " are no longer kept",
		                  query->bounds.oldest);
	} else if (query->error < 0) {
		problem_errno(call->response, query->error);
	} else if (query->count == 0 && since < query->bounds.oldest) {
		problem(call->response, "not-registered",
		        "the log has no event of '%.*s' of service '%.*s'", (int)call->id.len,
		        call->id.data, (int)call->service.len, call->service.data);
	} else {
		put_history(call, voyage);
		result = call_answer(call, 200, TYPE_JSON);
	}
	parked_free(parked);
	return result;
}

enum api_result history_get(struct call *call)
{
	struct journal_query life = {.limit = 0};
	uint64_t limit = HISTORY_DEFAULT;
	struct voyage *voyage;

	if (!call_query(call, history_rules, ARRAY_LEN(history_rules)) ||
	    !call_number(call, history_rules, HISTORY_SINCE, 0, INT64_MAX, &life.since) ||
	    !call_number(call, history_rules, HISTORY_LIMIT, 1, HISTORY_MAX, &limit) ||
	    !call_path_is_valid(call))
		return API_DONE;
	struct parked *parked = travel_park(call, &voyage, lived);
	if (parked == NULL)
		return API_DONE;
	life.limit = (uint32_t)limit;
	life.service = voyage->service;
	life.id = voyage->id;
	voyage->query.kind = ARCHIVE_LIFE;
	voyage->query.life = life;
	return travel_submit(call, parked);
}
