/* SPDX-License-Identifier: MIT */
/** The listing of services. */
#include "api/call.h"
#include "api/pretty.h"
#include "api/text.h"
#include "api/travel.h"
#include "balance/balance.h"

#include <errno.h>
#include <string.h>

#define LIST_DEFAULT 1000

enum {
	LIST_FORMAT = PARAM_PRETTY + 1,
	LIST_PREFIX,
	LIST_LIMIT,
	LIST_AFTER,
	LIST_REVISION,
	LIST_WAIT,
	LIST_AT
};
static const struct query_rule list_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY, [LIST_FORMAT] = {"format", 0},
	[LIST_PREFIX] = {"prefix", 0}, [LIST_LIMIT] = {"limit", 0},
	[LIST_AFTER] = {"after", 0},   [LIST_REVISION] = {"revision", 0},
	[LIST_WAIT] = {"wait_ms", 0},  [LIST_AT] = {"at", 0},
};

struct listing {
	struct wait_query wait;
	struct str prefix;
	struct str after;
	bool has_after;
	bool text;
	uint64_t limit;
};

static bool read_listing(struct call *call, struct listing *listing)
{
	const struct query_item *prefix;
	const struct query_item *after;

	*listing = (struct listing){.limit = LIST_DEFAULT};
	if (!call_query(call, list_rules, ARRAY_LEN(list_rules)) ||
	    !call_number(call, list_rules, LIST_LIMIT, 1, LIST_MAX, &listing->limit) ||
	    !call_wants_text(call, query_get(&call->query, LIST_FORMAT), &listing->text) ||
	    !call_wait_query(call, list_rules, LIST_REVISION, LIST_WAIT, &listing->wait))
		return false;
	if (travel_excludes(call, LIST_AT, LIST_WAIT, "wait_ms") ||
	    travel_excludes(call, LIST_AT, LIST_REVISION, "revision"))
		return false;
	prefix = query_get(&call->query, LIST_PREFIX);
	after = query_get(&call->query, LIST_AFTER);
	listing->has_after = after != NULL;
	return (prefix == NULL || call_text(call, prefix, &listing->prefix)) &&
	       (after == NULL || call_text(call, after, &listing->after));
}

static void put_service(struct buf *out, const struct service *service, bool text)
{
	const uint32_t *count = service->status_count;

	if (text) {
		table_put_cell(out, service->name, false);
		table_put_number(out, count[STATUS_HEALTHY], false);
		table_put_number(out, count[STATUS_UNHEALTHY], false);
		table_put_number(out, count[STATUS_DRAINING], true);
		return;
	}
	buf_put(out, "{\"service\":");
	buf_put_json(out, service->name);
	buf_put(out, ",\"healthy\":");
	buf_put_u64(out, count[STATUS_HEALTHY]);
	buf_put(out, ",\"unhealthy\":");
	buf_put_u64(out, count[STATUS_UNHEALTHY]);
	buf_put(out, ",\"draining\":");
	buf_put_u64(out, count[STATUS_DRAINING]);
	buf_put_char(out, '}');
}

static bool has_prefix(struct str text, struct str prefix)
{
	return text.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}

/** Inside a visit. @return 0 or -ENOMEM */
static int put_services(struct buf *out, const struct snapshot *now, const struct listing *listing)
{
	const struct directory *directory = snapshot_directory(now);
	struct str last = {NULL, 0};
	uint64_t count = 0;

	if (directory == NULL)
		return -ENOMEM;
	size_t i = directory_find(directory, listing->prefix, false);
	if (listing->has_after) {
		size_t after = directory_find(directory, listing->after, true);
		i = after > i ? after : i;
	}
	for (; i < directory->count && has_prefix(directory->names[i], listing->prefix); i++) {
		const struct service *service = snapshot_service(now, directory->names[i]);

		if (count == listing->limit)
			break;
		if (service == NULL)
			continue;
		if (count++ > 0 && !listing->text)
			buf_put_char(out, ',');
		put_service(out, service, listing->text);
		last = service->name;
	}
	bool cut = i < directory->count && has_prefix(directory->names[i], listing->prefix);
	if (!listing->text)
		buf_put_char(out, ']');
	if (cut && !listing->text) {
		buf_put(out, ",\"next\":");
		buf_put_json(out, last);
	}
	return 0;
}

/** Inside a visit. The answer as it is now. */
static enum api_result put_listing(struct call *call, const struct snapshot *now,
                                   const struct listing *listing)
{
	struct buf *body = &call->response->body;
	struct buf rows;
	int r;

	call_seen(call, now);
	if (call_etag(call, snapshot_revision(now), listing->text))
		return API_DONE;
	if (listing->text) {
		buf_init(&rows, body->most);
		buf_put(&rows, "SERVICE\tHEALTHY\tUNHEALTHY\tDRAINING\n");
		r = put_services(&rows, now, listing);
		text_finish(body, &rows);
	} else {
		buf_put(body, "{\"revision\":");
		buf_put_u64(body, snapshot_revision(now));
		buf_put(body, ",\"services\":[");
		r = put_services(body, now, listing);
		buf_put_char(body, '}');
	}
	if (r < 0) {
		problem_errno(call->response, r);
		return API_DONE;
	}
	return call_answer(call, 200, listing->text ? TYPE_TEXT : TYPE_JSON);
}

/** Inside a visit. The newest revision at which the listing may have changed, and what it shows as
 * one number. */
static uint64_t listing_revision(const struct call *call, const struct snapshot *now,
                                 const struct listing *listing, uint64_t *ret_print)
{
	const struct directory *directory = snapshot_directory(now);
	uint64_t revision = registry_removed_revision(call->api->registry, (struct str){NULL, 0});
	uint64_t print = 0;

	*ret_print = 0;
	if (directory == NULL)
		return UINT64_MAX; /* no memory to know: it may have changed */
	for (size_t i = directory_find(directory, listing->prefix, false);
	     i < directory->count && has_prefix(directory->names[i], listing->prefix); i++) {
		const struct service *service = snapshot_service(now, directory->names[i]);

		if (service->revision > revision)
			revision = service->revision;
		print = (print ^ service->hash) * UINT64_C(0x9e3779b97f4a7c15);
		for (size_t s = 0; s < STATUS_COUNT; s++)
			print = print * 31 + service->status_count[s];
	}
	*ret_print = print;
	return revision;
}

static enum api_result list(struct call *call, const struct listing *listing,
                            struct parked *parked);

static enum api_result list_again(struct call *call, struct parked *parked)
{
	struct listing listing;

	if (!read_listing(call, &listing)) {
		parked_free(parked);
		return API_DONE;
	}
	return list(call, &listing, parked);
}

/** Answers when the listing has changed or time is over; waits otherwise. Owns @p parked. */
static enum api_result list(struct call *call, const struct listing *listing, struct parked *parked)
{
	struct watcher watcher = {.topic = {NULL, 0}};

	for (;;) {
		const struct snapshot *now = snapshot_enter(call->api->store);
		bool waits = listing->wait.wait_ms > 0 && (parked == NULL || !parked->wait.expired);
		uint64_t print = 0;
		bool changed = waits;

		if (waits) {
			uint64_t revision = listing_revision(call, now, listing, &print);

			changed = parked != NULL
			                  ? print != parked->wait.fingerprint
			                  : revision > listing->wait.revision ||
			                            listing->wait.revision > snapshot_revision(now);
		}
		if (!waits || changed) {
			enum api_result result = put_listing(call, now, listing);
			call_waited(call, parked, snapshot_revision(now));
			snapshot_leave(call->api->store);
			return result;
		}
		watcher.seen = watcher.has = snapshot_revision(now);
		snapshot_leave(call->api->store);

		if (!call_wait(call, &parked, &watcher, &listing->wait, list_again))
			return API_DONE;
		parked->wait.fingerprint = print;

		bool moved = snapshot_revision(snapshot_enter(call->api->store)) > watcher.seen;
		snapshot_leave(call->api->store);
		if (!moved || !call_unwait(call, parked))
			return API_PARKED;
	}
}

static enum api_result put_past(struct call *call, const struct snapshot *then)
{
	struct listing listing;

	return read_listing(call, &listing) ? put_listing(call, then, &listing) : API_DONE;
}

enum api_result services_get(struct call *call)
{
	const struct travel travel = {.at = LIST_AT, .put = put_past};
	struct listing listing;

	if (!read_listing(call, &listing))
		return API_DONE;
	if (query_get(&call->query, LIST_AT) != NULL)
		return travel_to(call, &travel);
	return list(call, &listing, NULL);
}
