/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/services: the listing of services with their counts by status; with ?wait_ms= a long
 * poll; with ?at= from a past state. Http thread.
 *
 * Invariant: a long poll adds its watcher and then checks the revision again, so no change is
 * missed in between. Whether the listing has changed is decided without rendering it, by upper
 * bounds (listing_has_changed()): when in doubt the client gets an answer that may be unchanged.
 */
#include "api/pretty.h"
#include "balance/balance.h"
#include "v1/internal.h"
#include "v1/past_request.h"
#include "v1/text.h"
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

static bool listing_read_query(struct call *call, struct listing *listing)
{
	const struct query_item *prefix;
	const struct query_item *after;

	*listing = (struct listing){.limit = LIST_DEFAULT};
	if (!call_query(call, list_rules, ARRAY_LEN(list_rules)) ||
	    !call_number(call, list_rules, LIST_LIMIT, 1, LIST_MAX, &listing->limit) ||
	    !call_wants_text(call, query_get(&call->query, LIST_FORMAT), &listing->text) ||
	    !wait_read(call, list_rules, LIST_REVISION, LIST_WAIT, &listing->wait))
		return false;
	if (past_request_excludes(call, LIST_AT, LIST_WAIT, "wait_ms") ||
	    past_request_excludes(call, LIST_AT, LIST_REVISION, "revision"))
		return false;
	prefix = query_get(&call->query, LIST_PREFIX);
	after = query_get(&call->query, LIST_AFTER);
	listing->has_after = after != NULL;
	return (prefix == NULL || call_text(call, prefix, &listing->prefix)) &&
	       (after == NULL || call_text(call, after, &listing->after)) &&
	       past_request_read_at(call, LIST_AT, &listing->moment);
}

/* Makes the strings those that stay valid while the call is parked. */
static void listing_keep(struct listing *listing, const struct call *call)
{
	listing->prefix = call_kept(call, listing->prefix);
	listing->after = call_kept(call, listing->after);
}

static void listing_put_service(struct buf *out, const struct service *service, bool text)
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

/* Puts a page of services. Inside a visit. @return 0 or -ENOMEM */
static int listing_put_services(struct buf *out, const struct snapshot *now,
                                const struct listing *listing)
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
		listing_put_service(out, service, listing->text);
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

/* Answers from @p now. Inside a visit. */
static enum api_result listing_put(struct call *call, const struct snapshot *now,
                                   const struct listing *listing)
{
	struct buf *body = &call->response->body;
	struct buf rows;
	int r;

	call_set_revision(call, now);
	if (call_etag(call, snapshot_revision(now), listing->text))
		return API_DONE;
	if (listing->text) {
		buf_init(&rows, body->most);
		buf_put(&rows, "SERVICE\tHEALTHY\tUNHEALTHY\tDRAINING\n");
		r = listing_put_services(&rows, now, listing);
		text_finish(body, &rows);
	} else {
		buf_put(body, "{\"revision\":");
		buf_put_u64(body, snapshot_revision(now));
		buf_put(body, ",\"services\":[");
		r = listing_put_services(body, now, listing);
		buf_put_char(body, '}');
	}
	if (r < 0) {
		problem_errno(call->response, r);
		return API_DONE;
	}
	return call_answer(call, 200, listing->text ? TYPE_TEXT : TYPE_JSON);
}

/* May the listing differ from that at revision @p since? Yes when in doubt. Inside a visit. */
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
		return true; /* no memory for the directory: unknown */
	for (size_t i = directory_find(directory, listing->prefix, false);
	     i < directory->count && str_begins(directory->names[i], listing->prefix); i++)
		if (snapshot_service(now, directory->names[i])->revision > since)
			return true;
	return false;
}

/* A listing that waits for a change. */
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

/* Must the listing go on waiting? Not after its time-out, nor when the writer has woken it because
 * the listing changed. */
static bool listing_waits(const struct listing *listing, const struct list_wait *wait)
{
	return listing->wait.wait_ms > 0 &&
	       (wait == NULL || (!wait->wait.parked.expired && !wait->wait.watcher.has_news));
}

/*
 * Answers if the listing has changed after @p since or the wait has timed out; otherwise waits.
 * Owns @p wait; if that is not NULL, @p listing is a part of it.
 */
static enum api_result listing_answer(struct call *call, const struct listing *listing,
                                      uint64_t since, struct list_wait *wait)
{
	for (;;) {
		const struct snapshot *now = snapshot_enter(v1_of(call)->store);
		if (!listing_waits(listing, wait) ||
		    listing_has_changed(call, now, listing, since)) {
			enum api_result result = listing_put(call, now, listing);
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

/* A listing of a past state, while it is parked. */
struct past_listing {
	struct past_request base;
	struct listing listing;
};

static enum api_result listing_put_past(struct call *call, struct past_request *past,
                                        const struct snapshot *then)
{
	return listing_put(call, then, &container_of(past, struct past_listing, base)->listing);
}

static enum api_result listing_past(struct call *call, const struct listing *listing)
{
	struct past_listing *past;

	past = (struct past_listing *)past_request_new_state(call, sizeof(*past), &listing->moment,
	                                                     listing_put_past);
	if (past == NULL)
		return API_DONE;
	past->listing = *listing;
	listing_keep(&past->listing, call);
	return past_request_submit(call, &past->base);
}

enum api_result services_get(struct call *call)
{
	struct listing listing;

	if (!listing_read_query(call, &listing))
		return API_DONE;
	return listing.moment.is_given
	               ? listing_past(call, &listing)
	               : listing_answer(call, &listing, listing.wait.revision, NULL);
}
