/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/diff: the differences between two states; and GET .../history: the events of one
 * instance. Http thread; the archive thread runs the queries.
 *
 * Invariant: all pages of one difference compare the same two states, so the cursor (`next`) holds
 * both revisions. A cursor with only a position would skip or repeat differences when `from` or
 * `to` is a time or is left out, as it then names another state on the next request.
 */
#include "base/clock.h"
#include "v1/past_request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- GET /v1/diff ------------------------------------------------------------ */

#define DIFF_DEFAULT 1000

enum { DIFF_FROM = PARAM_PRETTY + 1, DIFF_TO, DIFF_SERVICE, DIFF_LIMIT, DIFF_AFTER };
static const struct query_rule diff_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,   [DIFF_FROM] = {"from", 0},   [DIFF_TO] = {"to", 0},
	[DIFF_SERVICE] = {"service", 0}, [DIFF_LIMIT] = {"limit", 0}, [DIFF_AFTER] = {"after", 0},
};

/* The parameters of a request. */
struct difference {
	struct past_query from;
	struct past_query to;
	struct str service; /* empty: all */
	uint64_t limit;
	uint64_t skip;
};

/* A request while it is parked. */
struct diff_request {
	struct past_request base;
	struct str service;
};

/* Takes the token or number before the next '-' off @p text, and the '-'. */
static bool diff_take_token(struct str *text, struct token *ret)
{
	const char *dash = text->len > 0 ? memchr(text->data, '-', text->len) : NULL;
	struct str word = {text->data, dash ? (size_t)(dash - text->data) : text->len};

	if (token_parse(word, ret) < 0)
		return false;
	size_t used = word.len + (dash != NULL);
	*text = (struct str){text->data + used, text->len - used};
	return true;
}

/* Was a revision given, and is it not @p revision? */
static bool diff_is_another(const struct past_query *asked, bool is_asked, uint64_t revision)
{
	return is_asked && !asked->by_time && asked->revision != revision;
}

/*
 * Reads the cursor, which holds the whole query of the first page: FROM-TO-DONE or
 * FROM-TO-DONE-SERVICE, with a token as FROM. Other parameters of the request must not contradict
 * it.
 */
static bool diff_read_cursor(struct call *call, struct str cursor, struct difference *ret)
{
	bool has_from = query_get(&call->query, DIFF_FROM) != NULL;
	bool has_to = query_get(&call->query, DIFF_TO) != NULL;
	bool has_service = query_get(&call->query, DIFF_SERVICE) != NULL;
	struct token from;
	struct token to;
	struct token done;

	if (!diff_take_token(&cursor, &from) || !diff_take_token(&cursor, &to) || to.has_history ||
	    !diff_take_token(&cursor, &done) || done.has_history) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "after must be the value of next in an earlier answer");
		return false;
	}
	if (!call_check_history(call, "after", &from))
		return false;
	if (diff_is_another(&ret->from, has_from, from.revision) ||
	    diff_is_another(&ret->to, has_to, to.revision) ||
	    (has_service && !str_equal(ret->service, cursor))) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "after belongs to a query with another from, to or service");
		return false;
	}
	ret->from = (struct past_query){.revision = from.revision};
	ret->to = (struct past_query){.revision = to.revision};
	ret->skip = done.revision;
	ret->service = cursor;
	return true;
}

static bool diff_read_moment(struct call *call, unsigned rule, const char *name,
                             struct past_query *ret)
{
	const struct query_item *item = query_get(&call->query, rule);

	return item == NULL || past_request_moment(call, name, item, ret);
}

static bool diff_read_query(struct call *call, struct difference *ret)
{
	const struct query_item *item;
	struct str cursor;

	*ret = (struct difference){.limit = DIFF_DEFAULT};
	if (!call_query(call, diff_rules, ARRAY_LEN(diff_rules)) ||
	    !call_number(call, diff_rules, DIFF_LIMIT, 1, LIST_MAX, &ret->limit))
		return false;
	ret->to.revision = snapshot_revision(snapshot_enter(v1_of(call)->store));
	snapshot_leave(v1_of(call)->store);
	if (!diff_read_moment(call, DIFF_FROM, "from", &ret->from) ||
	    !diff_read_moment(call, DIFF_TO, "to", &ret->to))
		return false;
	item = query_get(&call->query, DIFF_SERVICE);
	if (item != NULL && !call_text(call, item, &ret->service))
		return false;
	item = query_get(&call->query, DIFF_AFTER);
	if (item != NULL)
		return call_text(call, item, &cursor) && diff_read_cursor(call, cursor, ret);
	if (query_get(&call->query, DIFF_FROM) != NULL)
		return true;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "from is missing: the revision or time to compare with");
	return false;
}

static void diff_put_next(struct buf *out, const struct diff_request *diff, uint64_t history)
{
	const struct archive_query *query = &diff->base.query;
	char text[TOKEN_MAX + 3 * 21 + SERVICE_NAME_MAX];
	size_t len = token_write(query->bounds.revision, history, text);

	(void)snprintf(text + len, sizeof(text) - len, "-%" PRIu64 "-%" PRIu64 "%s%.*s",
	               query->to_revision, query->skip + query->count,
	               diff->service.len > 0 ? "-" : "", (int)diff->service.len,
	               diff->service.data);
	buf_put(out, ",\"next\":");
	buf_put_json(out, str_of(text));
}

/* Does the state exist already? If not, this parameter made the query fail. */
static bool diff_is_past(const struct past_query *asked, const struct past_bounds *bounds)
{
	return asked->by_time ? asked->time_ms <= clock_real_ms()
	                      : asked->revision <= bounds->latest;
}

static enum api_result diff_answer(struct call *call, struct parked *parked)
{
	const struct diff_request *diff =
		container_of(past_request_of(parked), struct diff_request, base);
	const struct archive_query *query = &diff->base.query;
	const struct buf *out = &diff->base.out;
	struct buf *body = &call->response->body;
	enum api_result result = API_DONE;

	call->response->revision = query->to_revision;
	if (query->error < 0) {
		bool to = diff_is_past(&query->at, &query->bounds);

		past_request_refuse(call, query->error, &query->bounds, to ? "to" : "from",
		                    to ? &query->to : &query->at);
	} else if (query->bounds.revision > query->to_revision) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "from is revision %" PRIu64 ", which is after to: %" PRIu64,
		        query->bounds.revision, query->to_revision);
	} else {
		buf_put(body, "{\"from\":");
		buf_put_u64(body, query->bounds.revision);
		buf_put(body, ",\"to\":");
		buf_put_u64(body, query->to_revision);
		buf_put_str(body, (struct str){out->data, out->len});
		if (query->more)
			diff_put_next(body, diff, api_history(call->api));
		buf_put_char(body, '}');
		result = call_answer(call, 200, TYPE_JSON);
	}
	parked_free(parked);
	return result;
}

enum api_result diff_get(struct call *call)
{
	struct difference asked;
	struct diff_request *diff;

	if (!diff_read_query(call, &asked))
		return API_DONE;
	diff = (struct diff_request *)past_request_new(call, sizeof(*diff), ARCHIVE_DIFF,
	                                               diff_answer);
	if (diff == NULL)
		return API_DONE;
	struct archive_query *query = &diff->base.query;
	diff->service = call_kept(call, asked.service);
	query->at = asked.from;
	query->to = asked.to;
	query->at.service = query->to.service = diff->service;
	query->skip = asked.skip;
	query->limit = (uint32_t)asked.limit;
	return past_request_submit(call, &diff->base);
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

/* A request for the events of an instance, while it is parked. */
struct life_request {
	struct past_request base;
	unsigned tries;
};

static void life_put(struct call *call, const struct past_request *past)
{
	const struct archive_query *query = &past->query;
	struct buf *body = &call->response->body;

	buf_put(body, "{\"service\":");
	buf_put_json(body, path_service(call));
	buf_put(body, ",\"id\":");
	buf_put_json(body, path_id(call));
	buf_put(body, ",\"revision\":");
	buf_put_u64(body, query->last);
	buf_put(body, ",\"token\":\"");
	token_put(body, query->last, api_history(call->api));
	buf_put_char(body, '"');
	/* events before this revision have been removed from the log */
	buf_put(body, ",\"oldest_revision\":");
	buf_put_u64(body, query->bounds.oldest);
	buf_put(body, ",\"events\":[");
	buf_put_str(body, (struct str){past->out.data, past->out.len});
	buf_put_char(body, ']');
	if (query->more) {
		buf_put(body, ",\"next\":");
		buf_put_u64(body, query->last);
	}
	buf_put_char(body, '}');
}

/* A registered instance has a history, even if the log no longer has any of its events. */
static bool life_is_registered(struct call *call)
{
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	bool found = path_member(call, now) != NULL;

	snapshot_leave(v1_of(call)->store);
	return found;
}

static enum api_result life_answer(struct call *call, struct parked *parked)
{
	struct life_request *life =
		container_of(past_request_of(parked), struct life_request, base);
	struct archive_query *query = &life->base.query;
	uint64_t since = query->life.since;
	enum api_result result = API_DONE;

	call->response->revision = query->last;
	/* Without ?since= the answer begins at the oldest event of the log. */
	if (query->error == -ESTALE && since == 0 && life->tries++ < 3) {
		query->life.since = query->bounds.oldest - 1;
		return past_request_submit(call, &life->base);
	}
	if (query->error == -ESTALE) {
		problem_compacted(call->response, query->bounds.oldest, query->bounds.oldest_ms,
		                  "events before revision %" PRIu64
		                  " are no longer kept: go on with since=%" PRIu64,
		                  query->bounds.oldest, query->bounds.oldest - 1);
	} else if (query->error == -ERANGE) {
		problem_ahead(call->response, since, query->last);
	} else if (query->error < 0) {
		problem_errno(call->response, query->error);
	} else if (query->count == 0 && since < query->bounds.oldest && !life_is_registered(call)) {
		problem(call->response, PROBLEM_NOT_REGISTERED,
		        "the log has no event of '%.*s' of service '%.*s'", (int)path_id(call).len,
		        path_id(call).data, (int)path_service(call).len, path_service(call).data);
	} else {
		life_put(call, &life->base);
		result = call_answer(call, 200, TYPE_JSON);
	}
	parked_free(parked);
	return result;
}

enum api_result history_get(struct call *call)
{
	struct journal_query query = {.limit = 0};
	uint64_t limit = HISTORY_DEFAULT;
	struct life_request *life;

	if (!call_query(call, history_rules, ARRAY_LEN(history_rules)) ||
	    !call_revision(call, history_rules, HISTORY_SINCE, &query.since) ||
	    !call_number(call, history_rules, HISTORY_LIMIT, 1, HISTORY_MAX, &limit) ||
	    !call_path_is_valid(call))
		return API_DONE;
	life = (struct life_request *)past_request_new(call, sizeof(*life), ARCHIVE_LIFE,
	                                               life_answer);
	if (life == NULL)
		return API_DONE;
	query.limit = (uint32_t)limit;
	query.service = path_service(call);
	query.id = path_id(call);
	life->base.query.life = query;
	return past_request_submit(call, &life->base);
}
