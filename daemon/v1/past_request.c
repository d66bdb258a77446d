/* SPDX-License-Identifier: MIT */
#include "v1/travel.h"

#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool travel_moment(struct call *call, const char *name, const struct query_item *item,
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

static void refuse_future(struct call *call, const char *name, const struct past_query *asked,
                          uint64_t latest)
{
	char text[CLOCK_RFC3339_SIZE];

	if (asked->by_time)
		(void)clock_rfc3339(asked->time_ms, text);
	else
		(void)snprintf(text, sizeof(text), "%" PRIu64, asked->revision);
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s is %s, which has not come yet: the latest revision is %" PRIu64, name, text,
	        latest);
}

void travel_refuse(struct call *call, int error, const struct past_bounds *bounds, const char *name,
                   const struct past_query *asked)
{
	char time[CLOCK_RFC3339_SIZE];

	switch (error) {
	case -ERANGE:
		refuse_future(call, name, asked, bounds->latest);
		break;
	case -ESTALE:
		(void)clock_rfc3339(bounds->oldest_ms, time);
		problem_compacted(call->response, bounds->oldest, bounds->oldest_ms,
		                  "what was before revision %" PRIu64
		                  " of %s is no longer kept: that is the oldest to ask for",
		                  bounds->oldest, time);
		break;
	default:
		problem_errno(call->response, error);
	}
}

static void travel_wake(struct archive_query *query)
{
	struct travel *travel = container_of(query, struct travel, query);

	travel->parked.request->wake(travel->parked.request);
}

/** On the archive thread, when the query has a store. */
static void travel_end(struct archive_query *query)
{
	struct travel *travel = container_of(query, struct travel, query);

	buf_fini(&travel->out);
	free(travel);
}

static void travel_free_parked(struct parked *parked)
{
	struct travel *travel = travel_of(parked);

	if (travel->query.store == NULL) {
		travel_end(&travel->query);
		return;
	}
	travel->query.done = travel_end;
	registry_drop_past(travel->registry, &travel->query);
}

struct travel *travel_new(struct call *call, size_t size, enum archive_kind kind,
                          enum api_result (*finish)(struct call *, struct parked *))
{
	static const struct parked_kind parked_kind = {.free = travel_free_parked};
	struct travel *travel = calloc(1, size);

	if (travel == NULL) {
		problem_errno(call->response, -ENOMEM);
		return NULL;
	}
	if (!parked_init(&travel->parked, call, &parked_kind, finish)) {
		free(travel);
		return NULL;
	}
	travel->registry = v1_of(call)->registry;
	buf_init(&travel->out, call->response->body.most);
	travel->query.kind = kind;
	travel->query.done = travel_wake;
	travel->query.out = &travel->out;
	travel->query.bytes_max = PAST_PAGE_BYTES;
	return travel;
}

enum api_result travel_submit(struct call *call, struct travel *travel)
{
	return call_suspend(call, &travel->parked,
	                    registry_read_past(travel->registry, &travel->query));
}

static enum api_result travel_done(struct call *call, struct parked *parked)
{
	struct travel *travel = travel_of(parked);
	const struct archive_query *query = &travel->query;
	enum api_result result = API_DONE;

	call->response->revision = query->bounds.revision;
	if (query->error < 0) {
		travel_refuse(call, query->error, &query->bounds, "at", &query->at);
	} else {
		result = travel->put(call, travel, snapshot_enter(query->store));
		snapshot_leave(query->store);
	}
	parked_free(parked);
	return result;
}

struct travel *travel_to(struct call *call, size_t size, const struct moment *moment,
                         enum api_result (*put)(struct call *, struct travel *,
                                                const struct snapshot *))
{
	struct travel *travel = travel_new(call, size, ARCHIVE_STATE, travel_done);

	if (travel == NULL)
		return NULL;
	travel->query.at = moment->at;
	travel->query.at.service = path_service(call);
	travel->put = put;
	return travel;
}

bool travel_read_at(struct call *call, unsigned rule, struct moment *ret)
{
	const struct query_item *item = query_get(&call->query, rule);

	*ret = (struct moment){.is_given = item != NULL};
	return item == NULL || travel_moment(call, "at", item, &ret->at);
}

bool travel_excludes(struct call *call, unsigned at, unsigned other, const char *name)
{
	if (query_get(&call->query, at) == NULL || query_get(&call->query, other) == NULL)
		return false;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s does not go with at: what was does not change", name);
	return true;
}
