/* SPDX-License-Identifier: MIT */
/** The listing of services. */
#include "api/pretty.h"
#include "balance/balance.h"
#include "v1/internal.h"
#include "v1/text.h"
#include "v1/travel.h"
#include "v1/wait.h"

#include <errno.h>
#include <stdlib.h>
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
	struct moment moment;
};

static bool read_listing(struct call *call, struct listing *listing)
{
	const struct query_item *prefix;
	const struct query_item *after;

	*listing = (struct listing){.limit = LIST_DEFAULT};
	if (!call_query(call, list_rules, ARRAY_LEN(list_rules)) ||
	    !call_number(call, list_rules, LIST_LIMIT, 1, LIST_MAX, &listing->limit) ||
	    !call_wants_text(call, query_get(&call->query, LIST_FORMAT), &listing->text) ||
	    !wait_read(call, list_rules, LIST_REVISION, LIST_WAIT, &listing->wait))
		return false;
	if (travel_excludes(call, LIST_AT, LIST_WAIT, "wait_ms") ||
	    travel_excludes(call, LIST_AT, LIST_REVISION, "revision"))
		return false;
	prefix = query_get(&call->query, LIST_PREFIX);
	after = query_get(&call->query, LIST_AFTER);
	listing->has_after = after != NULL;
	return (prefix == NULL || call_text(call, prefix, &listing->prefix)) &&
	       (after == NULL || call_text(call, after, &listing->after)) &&
	       travel_read_at(call, LIST_AT, &listing->moment);
}

/** Once the request is parked, its strings are elsewhere. */
static void listing_keep(struct listing *listing, const struct call *call)
{
	listing->prefix = call_kept(call, listing->prefix);
	listing->after = call_kept(call, listing->after);
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
	for (; i < directory->count && str_begins(directory->names[i], listing->prefix); i++) {
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
	bool cut = i < directory->count && str_begins(directory->names[i], listing->prefix);
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

/** Inside a visit. May the listing show something else than at @p since? Yes when in doubt. */
static bool listing_has_changed(const struct call *call, const struct snapshot *now,
                                const struct listing *listing, uint64_t since)
{
	const struct registry *registry = v1_of(call)->registry;

	if (since > snapshot_revision(now))
		return true;
	if (registry_recounted_revision(registry) <= since)
		return false;
	if (listing->prefix.len == 0 ||
	    registry_removed_revision(registry, (struct str){NULL, 0}) > since)
		return true;

	const struct directory *directory = snapshot_directory(now);
	if (directory == NULL)
		return true; /* no memory to know */
	for (size_t i = directory_find(directory, listing->prefix, false);
	     i < directory->count && str_begins(directory->names[i], listing->prefix); i++)
		if (snapshot_service(now, directory->names[i])->revision > since)
			return true;
	return false;
}

/** A listing that waits. */
struct list_wait {
	struct wait wait;
	struct listing listing;
};

static enum api_result listing_answer(struct call *call, const struct listing *listing,
                                      uint64_t since, struct list_wait *wait);

static struct list_wait *list_wait_of(struct parked *parked)
{
	return container_of(wait_of(parked), struct list_wait, wait);
}

static enum api_result listing_again(struct call *call, struct parked *parked)
{
	struct list_wait *wait = list_wait_of(parked);

	return listing_answer(call, &wait->listing, wait->wait.watcher.seen, wait);
}

static void list_wait_free(struct parked *parked)
{
	struct list_wait *wait = list_wait_of(parked);

	wait_fini(&wait->wait);
	free(wait);
}

static struct list_wait *list_wait_new(struct call *call, const struct listing *listing)
{
	static const struct parked_kind kind = {
		.free = list_wait_free, .cancel = wait_cancel, .sent = wait_sent};
	struct list_wait *wait = calloc(1, sizeof(*wait));

	if (wait == NULL) {
		problem_errno(call->response, -ENOMEM);
		return NULL;
	}
	if (!wait_init(&wait->wait, call, &kind, listing_again, listing->wait.wait_ms)) {
		list_wait_free(&wait->wait.parked);
		return NULL;
	}
	wait->listing = *listing;
	listing_keep(&wait->listing, call);
	return wait;
}

/** Its time is not over, and the writer, which wakes it when what it shows has changed, has not. */
static bool listing_waits(const struct listing *listing, const struct list_wait *wait)
{
	return listing->wait.wait_ms > 0 &&
	       (wait == NULL || (!wait->wait.parked.expired && !wait->wait.watcher.has_news));
}

/**
 * Answers when the listing has changed after @p since or time is over; waits otherwise. Owns @p
 * wait, of which @p listing is a part when it is not NULL.
 */
static enum api_result listing_answer(struct call *call, const struct listing *listing,
                                      uint64_t since, struct list_wait *wait)
{
	for (;;) {
		const struct snapshot *now = snapshot_enter(v1_of(call)->store);
		if (!listing_waits(listing, wait) ||
		    listing_has_changed(call, now, listing, since)) {
			enum api_result result = put_listing(call, now, listing);
			wait_answered(wait != NULL ? &wait->wait : NULL, call,
			              snapshot_revision(now));
			snapshot_leave(v1_of(call)->store);
			return result;
		}
		since = snapshot_revision(now);
		snapshot_leave(v1_of(call)->store);

		if (wait == NULL)
			wait = list_wait_new(call, listing);
		if (wait == NULL)
			return API_DONE;
		listing = &wait->listing;
		wait_add(&wait->wait, &(struct watcher){.topic = listing->prefix,
		                                        .by_prefix = true,
		                                        .seen = since,
		                                        .sent_through = since});

		bool moved = snapshot_revision(snapshot_enter(v1_of(call)->store)) > since;
		snapshot_leave(v1_of(call)->store);
		if (!moved || !wait_remove(&wait->wait))
			return call_suspend(call, &wait->wait.parked, 0);
	}
}

/** A listing of what was registered once. */
struct list_travel {
	struct travel travel;
	struct listing listing;
};

static enum api_result listing_put_past(struct call *call, struct travel *travel,
                                        const struct snapshot *then)
{
	return put_listing(call, then, &container_of(travel, struct list_travel, travel)->listing);
}

static enum api_result listing_past(struct call *call, const struct listing *listing)
{
	struct list_travel *past;

	past = (struct list_travel *)travel_to(call, sizeof(*past), &listing->moment,
	                                       listing_put_past);
	if (past == NULL)
		return API_DONE;
	past->listing = *listing;
	listing_keep(&past->listing, call);
	return travel_submit(call, &past->travel);
}

enum api_result services_get(struct call *call)
{
	struct listing listing;

	if (!read_listing(call, &listing))
		return API_DONE;
	return listing.moment.is_given
	               ? listing_past(call, &listing)
	               : listing_answer(call, &listing, listing.wait.revision, NULL);
}
