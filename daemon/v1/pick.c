/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/services/{service}/pick: picks instances by a strategy. Http thread.
 *
 * Invariant: a pick reads one snapshot and its indexes, and changes neither. When the index of a
 * strategy is missing, the writer builds it (COMMAND_INDEX) and the pick is tried again. Building
 * it on the http thread would build it once for each concurrent pick, and would change a published
 * service.
 */
#include "balance/balance.h"

#include "metrics/metrics.h"
#include "v1/change.h"
#include "v1/past_request.h"

#include <errno.h>

#define INDEX_TRIES 4 /* an index may be outdated again by the time it is built */

enum {
	PICK_STRATEGY = PARAM_PRETTY + 1,
	PICK_KEY,
	PICK_COUNT,
	PICK_EXCLUDE,
	PICK_META,
	PICK_FORMAT,
	PICK_EXPLAIN,
	PICK_AT,
	PICK_CURSOR
};
static const struct query_rule pick_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[PICK_STRATEGY] = {"strategy", 0},
	[PICK_KEY] = {"key", 0},
	[PICK_COUNT] = {"count", 0},
	[PICK_EXCLUDE] = {"exclude", QUERY_REPEATS},
	[PICK_META] = {"meta.", QUERY_PREFIX | QUERY_REPEATS},
	[PICK_FORMAT] = {"format", 0},
	[PICK_EXPLAIN] = {"explain", 0},
	[PICK_AT] = {"at", 0},
	[PICK_CURSOR] = {"cursor", 0},
};

struct pick_request {
	struct pick pick;
	bool many; /* ?count= is given: the answer is a list */
	bool text;
	bool explain;
	struct pick_trace trace;
	struct moment moment;
};

/* Reads a comma-separated list of ids; a comma in an id is written %2C. */
static bool pick_read_excluded(struct call *call, struct str list, struct pick *pick)
{
	while (list.len > 0) {
		struct query_item id = {.raw = str_cut(&list, ',')};

		if (id.raw.len == 0)
			continue;
		if (pick->exclude_count == PICK_EXCLUDE_MAX) {
			problem(call->response, PROBLEM_INVALID_PARAMETER,
			        "exclude has more than %d ids", PICK_EXCLUDE_MAX);
			return false;
		}
		if (!call_text(call, &id, &pick->exclude[pick->exclude_count++]))
			return false;
	}
	return true;
}

/* Reads ?strategy= and ?key=. A key implies consistent_hash and excludes other strategies. */
static bool pick_read_strategy(struct call *call, struct pick *pick)
{
	const struct query_item *key = query_get(&call->query, PICK_KEY);
	const struct query_item *item = query_get(&call->query, PICK_STRATEGY);
	struct str name;

	pick->strategy = key != NULL ? STRATEGY_CONSISTENT_HASH : STRATEGY_ROUND_ROBIN;
	if (item != NULL) {
		if (!call_text(call, item, &name))
			return false;
		if (strategy_parse(name, &pick->strategy) < 0) {
			problem(call->response, PROBLEM_INVALID_PARAMETER,
			        "strategy must be round_robin, weighted_round_robin, "
			        "consistent_hash, "
			        "random or least_loaded, not '%.*s'",
			        STR_SHOWN(name, 40));
			return false;
		}
	}
	if (key == NULL)
		return true;
	if (pick->strategy != STRATEGY_CONSISTENT_HASH) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "key needs strategy=consistent_hash, not %s",
		        strategy_name(pick->strategy));
		return false;
	}
	if (!call_text(call, key, &pick->key))
		return false;
	if (pick->key.len == 0)
		pick->key = STR(""); /* the empty key is a key */
	return true;
}

static bool pick_read_explain(struct call *call, struct pick_request *request)
{
	uint64_t explain = 0;

	if (!call_number(call, pick_rules, PICK_EXPLAIN, 0, 1, &explain))
		return false;
	if (explain == 1 && request->text) {
		problem(call->response, PROBLEM_INVALID_PARAMETER,
		        "explain needs JSON: it cannot be combined with text");
		return false;
	}
	request->explain = explain == 1;
	request->trace = (struct pick_trace){0};
	request->pick.trace = request->explain ? &request->trace : NULL;
	return true;
}

/* Reads ?at= and ?cursor=: a past pick can be repeated only if the strategy's position is given, by
 * a cursor or by a key. */
static bool pick_read_replay(struct call *call, struct pick *pick)
{
	bool at = query_get(&call->query, PICK_AT) != NULL;
	bool cursor = query_get(&call->query, PICK_CURSOR) != NULL;
	bool counts = pick->strategy == STRATEGY_ROUND_ROBIN ||
	              pick->strategy == STRATEGY_WEIGHTED_ROUND_ROBIN;

	if (!at && !cursor)
		return true;
	if (at && cursor == counts && (counts || pick->key.data != NULL)) {
		pick->replay = true;
		return call_number(call, pick_rules, PICK_CURSOR, 0, INT64_MAX, &pick->cursor);
	}
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "at needs cursor with round_robin and weighted_round_robin, and key with "
	        "consistent_hash; other strategies cannot be combined with at");
	return false;
}

static bool pick_read_request(struct call *call, struct pick_request *request)
{
	struct pick *pick = &request->pick;
	uint64_t count = 1;

	pick->strategy = STRATEGY_ROUND_ROBIN;
	pick->key = (struct str){NULL, 0};
	pick->filter.count = 0;
	pick->exclude_count = 0;
	pick->count = 1;
	pick->replay = false;
	pick->trace = NULL;
	request->many = false;
	request->explain = false;
	if (!call_query(call, pick_rules, ARRAY_LEN(pick_rules)) ||
	    !call_wants_text(call, query_get(&call->query, PICK_FORMAT), &request->text))
		return false;
	if (call->query.count == 0)
		return true;
	if (!pick_read_strategy(call, pick) || !call_meta_filter(call, PICK_META, &pick->filter) ||
	    !call_number(call, pick_rules, PICK_COUNT, 1, PICK_COUNT_MAX, &count))
		return false;
	for (size_t i = 0; i < call->query.count; i++)
		if (call->query.item[i].rule == PICK_EXCLUDE &&
		    !pick_read_excluded(call, call->query.item[i].raw, pick))
			return false;
	request->many = query_get(&call->query, PICK_COUNT) != NULL;
	pick->count = (size_t)count;
	return pick_read_replay(call, pick) && pick_read_explain(call, request) &&
	       past_request_read_at(call, PICK_AT, &request->moment);
}

/* Puts the picked members. Text has one address per line, for shell scripts. */
static void pick_put(struct buf *out, const struct pick_request *request,
                     const struct member *const *picked, int count)
{
	if (request->text) {
		for (int i = 0; i < count; i++) {
			instance_put_address(out, &picked[i]->value);
			buf_put_char(out, '\n');
		}
		return;
	}
	if (!request->many) {
		member_put_json(out, picked[0]);
		return;
	}
	buf_put(out, "{\"instances\":[");
	for (int i = 0; i < count; i++) {
		if (i > 0)
			buf_put_char(out, ',');
		member_put_json(out, picked[i]);
	}
	buf_put(out, "]}");
}

/* Adds "explain" to the JSON object in @p out. */
static void pick_put_explanation(struct buf *out, const struct service *service,
                                 const struct pick_request *request)
{
	buf_reopen_object(out);
	buf_put(out, ",\"explain\":");
	balance_explain(out, service, &request->pick, &request->trace);
	buf_put_char(out, '}');
}

/* Refuses: no instance matches. With ?explain=1 the problem has "explain", too. */
static void pick_refuse_all(struct call *call, const struct service *service,
                            const struct pick_request *request)
{
	struct buf *body = &call->response->body;

	problem(call->response, PROBLEM_NO_HEALTHY_INSTANCE,
	        "no healthy instance of '%.*s' matches", (int)path_service(call).len,
	        path_service(call).data);
	if (!request->explain || buf_error(body) < 0)
		return;
	body->len--; /* the end of the line */
	pick_put_explanation(body, service, request);
	buf_put_char(body, '\n');
}

/* Picks and renders. @return the number of picked members; 0: refused; or the error of
 * balance_pick() */
static int pick_from(struct call *call, const struct service *service,
                     const struct pick_request *request)
{
	const struct member *picked[PICK_COUNT_MAX];
	int count = balance_pick(service, &request->pick, picked);

	if (count > 0)
		pick_put(&call->response->body, request, picked, count);
	if (count > 0 && request->explain)
		pick_put_explanation(&call->response->body, service, request);
	if (count == 0)
		pick_refuse_all(call, service, request);
	return count;
}

/* Picks from the present state. @return as pick_from(); -ENOENT: no such service */
static int pick_try(struct call *call, const struct pick_request *request)
{
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct service *service = snapshot_service(now, path_service(call));
	int count = -ENOENT;

	call_set_revision(call, now);
	if (service != NULL) {
		call_add_held_header(call, service);
		count = pick_from(call, service, request);
	}
	snapshot_leave(v1_of(call)->store);
	return count;
}

static enum api_result pick_refuse(struct call *call, int r)
{
	if (r == -ENOENT)
		call_refuse_unknown_service(call);
	else if (r < 0)
		problem_errno(call->response, r);
	return API_DONE;
}

/* A pick while it waits for its index. */
struct pick_wait {
	struct change change;
	struct pick_request request;
	unsigned tries;
};

/* Makes the strings those that stay valid while the call is parked. */
static void pick_request_keep(struct pick_request *request, const struct call *call)
{
	struct pick *pick = &request->pick;

	pick->key = call_kept(call, pick->key);
	for (size_t i = 0; i < pick->exclude_count; i++)
		pick->exclude[i] = call_kept(call, pick->exclude[i]);
	meta_filter_keep(&pick->filter, call);
	pick->trace = request->explain ? &request->trace : NULL;
}

static enum api_result pick_indexed(struct call *call, struct parked *parked);

/* Submits a COMMAND_INDEX and parks; pick_indexed() tries the pick again. */
static enum api_result pick_await_index(struct call *call, const struct pick_request *request,
                                        struct pick_wait *wait)
{
	if (wait == NULL) {
		wait = (struct pick_wait *)change_new(call, sizeof(*wait), COMMAND_INDEX,
		                                      pick_indexed);
		if (wait == NULL)
			return API_DONE;
		wait->request = *request;
		pick_request_keep(&wait->request, call);
	}
	wait->tries++;
	wait->request.trace = (struct pick_trace){0};
	return change_submit(call, &wait->change);
}

/* A pick from a past state, while it is parked. */
struct past_pick {
	struct past_request base;
	struct pick_request request;
};

/* Answers with the pick from the past state. */
static enum api_result pick_past(struct call *call, struct past_request *past,
                                 const struct snapshot *then)
{
	const struct pick_request *request = &container_of(past, struct past_pick, base)->request;
	const struct service *service = snapshot_service(then, path_service(call));

	int r = service != NULL ? pick_from(call, service, request) : -ENOENT;
	if (r <= 0)
		return pick_refuse(call, r);
	return call_answer(call, 200, request->text ? TYPE_TEXT : TYPE_JSON);
}

static enum api_result pick_get_past(struct call *call, const struct pick_request *request)
{
	int index = balance_index_of(request->pick.strategy);
	struct past_pick *past;

	past = (struct past_pick *)past_request_new_state(call, sizeof(*past), &request->moment,
	                                                  pick_past);
	if (past == NULL)
		return API_DONE;
	past->request = *request;
	pick_request_keep(&past->request, call);
	past->base.query.indexes = index >= 0 ? 1u << index : 0;
	return past_request_submit(call, &past->base);
}

/* Answers, or waits for an index. Owns @p wait; if that is not NULL, @p request is a part of it. */
static enum api_result pick_answer(struct call *call, const struct pick_request *request,
                                   struct pick_wait *wait)
{
	bool text = request->text;

	int r = pick_try(call, request);
	if (r == -EAGAIN && (wait == NULL || wait->tries < INDEX_TRIES))
		return pick_await_index(call, request, wait);
	if (wait != NULL)
		change_free(&wait->change);
	if (r <= 0)
		return pick_refuse(call, r);
	metrics_count(METRIC_PICKS, (uint64_t)r);
	return call_answer(call, 200, text ? TYPE_TEXT : TYPE_JSON);
}

static enum api_result pick_indexed(struct call *call, struct parked *parked)
{
	struct pick_wait *wait = container_of(change_of(parked), struct pick_wait, change);
	int error = wait->change.command.error;

	if (error == 0 || error == -ENOENT)
		return pick_answer(call, &wait->request, wait);
	parked_free(parked);
	problem_errno(call->response, error);
	return API_DONE;
}

enum api_result pick_get(struct call *call)
{
	struct pick_request request;

	if (!pick_read_request(call, &request))
		return API_DONE;
	return request.pick.replay ? pick_get_past(call, &request)
	                           : pick_answer(call, &request, NULL);
}
