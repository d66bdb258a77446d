/* SPDX-License-Identifier: MIT */
#include "v1/travel.h"

#include "api/pretty.h"
#include "base/clock.h"
#include "base/parse.h"
#include "v1/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool travel_moment(struct call *call, const char *name, const struct query_item *item,
                   struct past_query *ret)
{
	struct str text;

	if (!call_text(call, item, &text))
		return false;
	ret->by_time = false;
	if (parse_u64(text, 0, INT64_MAX, &ret->revision) == 0)
		return true;
	ret->by_time = true;
	if (parse_rfc3339(text, &ret->time_ms) == 0)
		return true;
	problem(call->response, "invalid-parameter",
	        "%s must be a revision or a time such as 2026-11-23T18:41:28Z, not '%.*s'", name,
	        (int)(text.len < 40 ? text.len : 40), text.len > 0 ? text.data : "");
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
	problem(call->response, "invalid-parameter",
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

static void wake(struct archive_query *query)
{
	struct voyage *voyage = container_of(query, struct voyage, query);

	voyage->request->wake(voyage->request);
}

static void end_voyage(struct archive_query *query)
{
	struct voyage *voyage = container_of(query, struct voyage, query);

	buf_fini(&voyage->out);
	free(voyage);
}

static void free_voyage(void *more)
{
	struct voyage *voyage = more;

	if (voyage->query.store == NULL) {
		end_voyage(&voyage->query);
		return;
	}
	voyage->query.done = end_voyage;
	registry_drop_past(voyage->registry, &voyage->query);
}

struct parked *travel_park(struct call *call, struct voyage **ret_voyage,
                           enum api_result (*finish)(struct call *, struct parked *))
{
	struct parked *parked = call_park(call, call->service.len + call->id.len, finish);
	struct voyage *voyage = parked != NULL ? calloc(1, sizeof(*voyage)) : NULL;

	if (voyage == NULL) {
		if (parked != NULL) {
			parked_free(parked);
			problem_errno(call->response, -ENOMEM);
		}
		return NULL;
	}
	if (call->service.len > 0)
		memcpy(parked->memory, call->service.data, call->service.len);
	if (call->id.len > 0)
		memcpy(parked->memory + call->service.len, call->id.data, call->id.len);
	voyage->service = (struct str){parked->memory, call->service.len};
	voyage->id = (struct str){parked->memory + call->service.len, call->id.len};
	voyage->request = call->request;
	voyage->registry = call->api->registry;
	voyage->query.done = wake;
	buf_init(&voyage->out, call->response->body.most);
	voyage->query.out = &voyage->out;
	voyage->query.bytes_max = PAST_PAGE_BYTES;
	parked->more = voyage;
	parked->free_more = free_voyage;
	*ret_voyage = voyage;
	return parked;
}

enum api_result travel_submit(struct call *call, struct parked *parked)
{
	struct voyage *voyage = parked->more;

	call->request->park = parked;
	int r = registry_read_past(call->api->registry, &voyage->query);
	if (r == 0)
		return API_PARKED;
	call->request->park = NULL;
	parked_free(parked);
	problem_errno(call->response, r);
	return API_DONE;
}

static enum api_result arrived(struct call *call, struct parked *parked)
{
	struct voyage *voyage = parked->more;
	const struct archive_query *query = &voyage->query;
	enum api_result result = API_DONE;

	call->response->revision = query->bounds.revision;
	if (query->error < 0) {
		travel_refuse(call, query->error, &query->bounds, "at", &query->at);
	} else {
		result = voyage->put(call, snapshot_enter(query->store));
		snapshot_leave(query->store);
	}
	parked_free(parked);
	return result;
}

enum api_result travel_to(struct call *call, const struct travel *travel)
{
	struct past_query at = {.by_time = false};
	struct voyage *voyage;

	if (!travel_moment(call, "at", query_get(&call->query, travel->at), &at))
		return API_DONE;
	struct parked *parked = travel_park(call, &voyage, arrived);
	if (parked == NULL)
		return API_DONE;
	at.service = voyage->service;
	if (travel->one_id)
		at.id = voyage->id;
	voyage->query.kind = ARCHIVE_STATE;
	voyage->query.at = at;
	voyage->query.indexes = travel->indexes;
	voyage->put = travel->put;
	return travel_submit(call, parked);
}

bool travel_excludes(struct call *call, unsigned at, unsigned other, const char *name)
{
	if (query_get(&call->query, at) == NULL || query_get(&call->query, other) == NULL)
		return false;
	problem(call->response, "invalid-parameter",
	        "%s does not go with at: what was does not change", name);
	return true;
}

/* --- one instance ------------------------------------------------------------------- */

enum { INSTANCE_FORMAT = PARAM_PRETTY + 1, INSTANCE_AT };
const struct query_rule travel_instance_rules[TRAVEL_INSTANCE_RULES] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[INSTANCE_FORMAT] = {"format", 0},
	[INSTANCE_AT] = {"at", 0},
};

static enum api_result put_instance(struct call *call, const struct snapshot *then)
{
	const struct service *service = snapshot_service(then, call->service);
	const struct member *member = service ? service_member(service, call->id) : NULL;
	struct buf *body = &call->response->body;
	struct buf rows;
	bool text;

	if (!call_query(call, travel_instance_rules, TRAVEL_INSTANCE_RULES) ||
	    !call_wants_text(call, query_get(&call->query, INSTANCE_FORMAT), &text))
		return API_DONE;
	if (member == NULL) {
		if (call_path_is_valid(call))
			problem_errno(call->response, -ENOENT);
		return API_DONE;
	}
	if (call_etag(call, snapshot_revision(then), text))
		return API_DONE;
	if (!text) {
		member_put_json(body, member);
		return call_answer(call, 200, TYPE_JSON);
	}
	buf_init(&rows, body->most);
	text_put_heading(&rows);
	text_put_member(&rows, member);
	text_finish(body, &rows);
	return call_answer(call, 200, TYPE_TEXT);
}

bool travel_instance(struct call *call, enum api_result *ret_result)
{
	const struct travel travel = {.at = INSTANCE_AT, .one_id = true, .put = put_instance};

	if (query_get(&call->query, INSTANCE_AT) == NULL)
		return false;
	*ret_result = travel_to(call, &travel);
	return true;
}
