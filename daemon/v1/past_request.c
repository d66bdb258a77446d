/* SPDX-License-Identifier: MIT */
/*
 * Requests about the past, parked while the archive thread runs their query. Http thread;
 * past_request_wake() and past_request_end() run on the archive thread.
 *
 * Invariant: the store of a past state is freed on the archive thread (registry_drop_past()), once
 * the answer is rendered: freeing a large store takes long, and the http thread serves other
 * connections. The request is freed last, because the query in it is the message to the archive
 * thread.
 */
#include "v1/past_request.h"

#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool past_request_moment(struct call *call, const char *name, const struct query_item *item,
                         struct past_query *ret)
{
	struct token token;
	struct str text;

	if (!call_text(call, item, &text))
		return false;
	ret->by_time = false;
	if (token_parse(text, &token) == 0) {
		ret->revision = token.revision;
		return call_check_history(call, name, &token);
	}
	ret->by_time = true;
	if (parse_rfc3339(text, &ret->time_ms) == 0)
		return true;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s must be a revision, a token such as 17.1f3a9c07 or a time such as "
	        "2026-11-23T18:41:28Z, not '%.*s'",
	        name, STR_SHOWN(text, 40));
	return false;
}

static void past_request_refuse_future(struct call *call, const char *name,
                                       const struct past_query *asked, uint64_t latest)
{
	char text[CLOCK_RFC3339_SIZE];

	if (asked->by_time)
		(void)clock_rfc3339(asked->time_ms, text);
	else
		(void)snprintf(text, sizeof(text), "%" PRIu64, asked->revision);
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s is %s, which is in the future: the latest revision is %" PRIu64, name, text,
	        latest);
}

void past_request_refuse(struct call *call, int error, const struct past_bounds *bounds,
                         const char *name, const struct past_query *asked)
{
	char time[CLOCK_RFC3339_SIZE];

	switch (error) {
	case -ERANGE:
		past_request_refuse_future(call, name, asked, bounds->latest);
		break;
	case -ESTALE:
		(void)clock_rfc3339(bounds->oldest_ms, time);
		problem_compacted(call->response, bounds->oldest, bounds->oldest_ms,
		                  "states before revision %" PRIu64
		                  " of %s are no longer kept: it is the oldest available",
		                  bounds->oldest, time);
		break;
	default:
		problem_errno(call->response, error);
	}
}

static void past_request_wake(struct archive_query *query)
{
	struct past_request *past = container_of(query, struct past_request, query);

	past->parked.request->wake(past->parked.request);
}

/* Frees the request. On the archive thread if the query has a store. */
static void past_request_end(struct archive_query *query)
{
	struct past_request *past = container_of(query, struct past_request, query);

	buf_fini(&past->out);
	free(past);
}

static void past_request_free_parked(struct parked *parked)
{
	struct past_request *past = past_request_of(parked);

	if (past->query.store == NULL) {
		past_request_end(&past->query);
		return;
	}
	past->query.done = past_request_end;
	registry_drop_past(past->registry, &past->query);
}

struct past_request *past_request_new(struct call *call, size_t size, enum archive_kind kind,
                                      enum api_result (*finish)(struct call *, struct parked *))
{
	static const struct parked_kind parked_kind = {.free = past_request_free_parked};
	struct past_request *past = calloc(1, size);

	if (past == NULL) {
		problem_errno(call->response, -ENOMEM);
		return NULL;
	}
	if (!parked_init(&past->parked, call, &parked_kind, finish)) {
		free(past);
		return NULL;
	}
	past->registry = v1_of(call)->registry;
	buf_init(&past->out, call->response->body.most);
	past->query.kind = kind;
	past->query.done = past_request_wake;
	past->query.out = &past->out;
	past->query.bytes_max = PAST_PAGE_BYTES;
	return past;
}

enum api_result past_request_submit(struct call *call, struct past_request *past)
{
	return call_suspend(call, &past->parked, registry_read_past(past->registry, &past->query));
}

static enum api_result past_request_done(struct call *call, struct parked *parked)
{
	struct past_request *past = past_request_of(parked);
	const struct archive_query *query = &past->query;
	enum api_result result = API_DONE;

	call->response->revision = query->bounds.revision;
	if (query->error < 0) {
		past_request_refuse(call, query->error, &query->bounds, "at", &query->at);
	} else {
		result = past->put(call, past, snapshot_enter(query->store));
		snapshot_leave(query->store);
	}
	parked_free(parked);
	return result;
}

struct past_request *past_request_new_state(
	struct call *call, size_t size, const struct moment *moment,
	enum api_result (*put)(struct call *, struct past_request *, const struct snapshot *))
{
	struct past_request *past = past_request_new(call, size, ARCHIVE_STATE, past_request_done);

	if (past == NULL)
		return NULL;
	past->query.at = moment->at;
	past->query.at.service = path_service(call);
	past->put = put;
	return past;
}

bool past_request_read_at(struct call *call, unsigned rule, struct moment *ret)
{
	const struct query_item *item = query_get(&call->query, rule);

	*ret = (struct moment){.is_given = item != NULL};
	return item == NULL || past_request_moment(call, "at", item, &ret->at);
}

bool past_request_excludes(struct call *call, unsigned at, unsigned other, const char *name)
{
	if (query_get(&call->query, at) == NULL || query_get(&call->query, other) == NULL)
		return false;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s cannot be combined with at: a past state does not change", name);
	return true;
}
