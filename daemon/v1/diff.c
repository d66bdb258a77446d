/* SPDX-License-Identifier: MIT */
/** What changed between two moments, and the life of one instance. */
#include "base/clock.h"
#include "v1/travel.h"

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

/** What was asked for. */
struct difference {
	struct past_query from;
	struct past_query to;
	struct str service; /* empty: all */
	uint64_t limit;
	uint64_t skip;
};

/** The same while it is parked. */
struct diff_travel {
	struct travel travel;
	struct str service;
};

/** The token or number before the next '-', which is taken off too. */
static bool cursor_token(struct str *text, struct token *ret)
{
	const char *dash = text->len > 0 ? memchr(text->data, '-', text->len) : NULL;
	struct str word = {text->data, dash ? (size_t)(dash - text->data) : text->len};

	if (token_parse(word, ret) < 0)
		return false;
	size_t used = word.len + (dash != NULL);
	*text = (struct str){text->data + used, text->len - used};
	return true;
}

static bool is_another(const struct past_query *asked, bool is_asked, uint64_t revision)
{
	return is_asked && !asked->by_time && asked->revision != revision;
}

/**
 * A page goes on in the question that the first one answered, so the cursor holds all of it:
 * FROM-TO-DONE or FROM-TO-DONE-SERVICE, with a token as FROM. What is asked beside it must not
 * contradict.
 */
static bool go_on(struct call *call, struct str cursor, struct difference *ret)
{
	bool has_from = query_get(&call->query, DIFF_FROM) != NULL;
	bool has_to = query_get(&call->query, DIFF_TO) != NULL;
	bool has_service = query_get(&call->query, DIFF_SERVICE) != NULL;
	struct token from;
	struct token to;
	struct token done;

	if (!cursor_token(&cursor, &from) || !cursor_token(&cursor, &to) || to.has_history ||
	    !cursor_token(&cursor, &done) || done.has_history) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "after must be the next of an earlier answer");
		return false;
	}
	if (!call_check_history(call, "after", &from))
		return false;
	if (is_another(&ret->from, has_from, from.revision) ||
	    is_another(&ret->to, has_to, to.revision) ||
	    (has_service && !str_equal(ret->service, cursor))) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "after goes on with another question than from, to and service ask");
		return false;
	}
	ret->from = (struct past_query){.revision = from.revision};
	ret->to = (struct past_query){.revision = to.revision};
	ret->skip = done.revision;
	ret->service = cursor;
	return true;
}

static bool read_moment(struct call *call, unsigned rule, const char *name, struct past_query *ret)
{
	const struct query_item *item = query_get(&call->query, rule);

	return item == NULL || travel_moment(call, name, item, ret);
}

static bool read_diff(struct call *call, struct difference *ret)
{
	const struct query_item *item;
	struct str cursor;

	*ret = (struct difference){.limit = DIFF_DEFAULT};
	if (!call_query(call, diff_rules, ARRAY_LEN(diff_rules)) ||
	    !call_number(call, diff_rules, DIFF_LIMIT, 1, LIST_MAX, &ret->limit))
		return false;
	ret->to.revision = snapshot_revision(snapshot_enter(v1_of(call)->store));
	snapshot_leave(v1_of(call)->store);
	if (!read_moment(call, DIFF_FROM, "from", &ret->from) ||
	    !read_moment(call, DIFF_TO, "to", &ret->to))
		return false;
	item = query_get(&call->query, DIFF_SERVICE);
	if (item != NULL && !call_text(call, item, &ret->service))
		return false;
	item = query_get(&call->query, DIFF_AFTER);
	if (item != NULL)
		return call_text(call, item, &cursor) && go_on(call, cursor, ret);
	if (query_get(&call->query, DIFF_FROM) != NULL)
		return true;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "from is missing: the revision or time to compare with");
	return false;
}

static void put_next(struct buf *out, const struct diff_travel *diff, uint64_t history)
{
	const struct archive_query *query = &diff->travel.query;
	char text[TOKEN_MAX + 3 * 21 + SERVICE_NAME_MAX];
	size_t len = token_write(query->bounds.revision, history, text);

	(void)snprintf(text + len, sizeof(text) - len, "-%" PRIu64 "-%" PRIu64 "%s%.*s",
	               query->to_revision, query->skip + query->count,
	               diff->service.len > 0 ? "-" : "", (int)diff->service.len,
	               diff->service.data);
	buf_put(out, ",\"next\":");
	buf_put_json(out, str_of(text));
}

/* Not what made the question fail: that was what has not come yet. */
static bool is_past(const struct past_query *asked, const struct past_bounds *bounds)
{
	return asked->by_time ? asked->time_ms <= clock_real_ms()
	                      : asked->revision <= bounds->latest;
}

static enum api_result diff_put(struct call *call, struct parked *parked)
{
	const struct diff_travel *diff =
		container_of(travel_of(parked), struct diff_travel, travel);
	const struct archive_query *query = &diff->travel.query;
	const struct buf *out = &diff->travel.out;
	struct buf *body = &call->response->body;
	enum api_result result = API_DONE;

	call->response->revision = query->to_revision;
	if (query->error < 0) {
		bool to = is_past(&query->at, &query->bounds);

		travel_refuse(call, query->error, &query->bounds, to ? "to" : "from",
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
			put_next(body, diff, api_history(call->api));
		buf_put_char(body, '}');
		result = call_answer(call, 200, TYPE_JSON);
	}
	parked_free(parked);
	return result;
}

enum api_result diff_get(struct call *call)
{
	struct difference asked;
	struct diff_travel *diff;

	if (!read_diff(call, &asked))
		return API_DONE;
	diff = (struct diff_travel *)travel_new(call, sizeof(*diff), ARCHIVE_DIFF, diff_put);
	if (diff == NULL)
		return API_DONE;
	struct archive_query *query = &diff->travel.query;
	diff->service = call_kept(call, asked.service);
	query->at = asked.from;
	query->to = asked.to;
	query->at.service = query->to.service = diff->service;
	query->skip = asked.skip;
	query->limit = (uint32_t)asked.limit;
	return travel_submit(call, &diff->travel);
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

/** The life of an instance, while it is read. */
struct life_travel {
	struct travel travel;
	unsigned tries;
};

static void put_history(struct call *call, const struct travel *travel)
{
	const struct archive_query *query = &travel->query;
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
	/* what was before is not known any more; nothing was before the first */
	buf_put(body, ",\"oldest_revision\":");
	buf_put_u64(body, query->bounds.oldest);
	buf_put(body, ",\"events\":[");
	buf_put_str(body, (struct str){travel->out.data, travel->out.len});
	buf_put_char(body, ']');
	if (query->more) {
		buf_put(body, ",\"next\":");
		buf_put_u64(body, query->last);
	}
	buf_put_char(body, '}');
}

/** Then it has a life, even when the log no longer tells of it. */
static bool is_registered(struct call *call)
{
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	bool found = path_member(call, now) != NULL;

	snapshot_leave(v1_of(call)->store);
	return found;
}

static enum api_result history_answer(struct call *call, struct parked *parked)
{
	struct life_travel *life = container_of(travel_of(parked), struct life_travel, travel);
	struct archive_query *query = &life->travel.query;
	uint64_t since = query->life.since;
	enum api_result result = API_DONE;

	call->response->revision = query->last;
	/* A life is told from where the log begins, unless a place was asked for. */
	if (query->error == -ESTALE && since == 0 && life->tries++ < 3) {
		query->life.since = query->bounds.oldest - 1;
		return travel_submit(call, &life->travel);
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
	} else if (query->count == 0 && since < query->bounds.oldest && !is_registered(call)) {
		problem(call->response, PROBLEM_NOT_REGISTERED,
		        "the log has no event of '%.*s' of service '%.*s'", (int)path_id(call).len,
		        path_id(call).data, (int)path_service(call).len, path_service(call).data);
	} else {
		put_history(call, &life->travel);
		result = call_answer(call, 200, TYPE_JSON);
	}
	parked_free(parked);
	return result;
}

enum api_result history_get(struct call *call)
{
	struct journal_query query = {.limit = 0};
	uint64_t limit = HISTORY_DEFAULT;
	struct life_travel *life;

	if (!call_query(call, history_rules, ARRAY_LEN(history_rules)) ||
	    !call_revision(call, history_rules, HISTORY_SINCE, &query.since) ||
	    !call_number(call, history_rules, HISTORY_LIMIT, 1, HISTORY_MAX, &limit) ||
	    !call_path_is_valid(call))
		return API_DONE;
	life = (struct life_travel *)travel_new(call, sizeof(*life), ARCHIVE_LIFE, history_answer);
	if (life == NULL)
		return API_DONE;
	query.limit = (uint32_t)limit;
	query.service = path_service(call);
	query.id = path_id(call);
	life->travel.query.life = query;
	return travel_submit(call, &life->travel);
}
