/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/services/{service}: the instances of a service; with ?wait_ms= a long poll; with ?at=
 * from a past state. Http thread.
 *
 * Invariant: a long poll adds its watcher and then checks the snapshot again, so a change between
 * the first check and the watcher is not missed. A wake-up alone is no answer: with a filter on
 * metadata the result may be unchanged, so its fingerprint is compared.
 */
#include "balance/balance.h"
#include "v1/internal.h"
#include "v1/past_request.h"
#include "v1/selection.h"
#include "v1/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOKUP_FORMAT = PARAM_PRETTY + 1,
	LOOKUP_STATUS,
	LOOKUP_META,
	LOOKUP_LIMIT,
	LOOKUP_AFTER,
	LOOKUP_REVISION,
	LOOKUP_WAIT,
	LOOKUP_AT
};
static const struct query_rule lookup_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[LOOKUP_FORMAT] = {"format", 0},
	[LOOKUP_STATUS] = {"status", 0},
	[LOOKUP_META] = {"meta.", QUERY_PREFIX | QUERY_REPEATS},
	[LOOKUP_LIMIT] = {"limit", 0},
	[LOOKUP_AFTER] = {"after", 0},
	[LOOKUP_REVISION] = {"revision", 0},
	[LOOKUP_WAIT] = {"wait_ms", 0},
	[LOOKUP_AT] = {"at", 0},
};

struct lookup {
	struct wait_query wait;
	unsigned statuses; /* bit 1 << status */
	struct meta_filter filter;
	uint64_t limit; /* 0: all */
	struct str after;
	bool has_after;
	bool text;
	struct moment moment;
};

static bool lookup_read_query(struct call *call, struct lookup *lookup)
{
	const struct query_item *item;
	struct str text;

	lookup->statuses = 1u << STATUS_HEALTHY;
	lookup->filter.count = 0;
	lookup->limit = 0;
	lookup->has_after = false;
	lookup->text = false;
	lookup->wait = (struct wait_query){0};
	lookup->moment.is_given = false;
	if (!call_query(call, lookup_rules, ARRAY_LEN(lookup_rules)) ||
	    !call_wants_text(call, query_get(&call->query, LOOKUP_FORMAT), &lookup->text))
		return false;
	if (call->query.count == 0)
		return true;
	if (!call_number(call, lookup_rules, LOOKUP_LIMIT, 1, LIST_MAX, &lookup->limit) ||
	    !call_meta_filter(call, LOOKUP_META, &lookup->filter) ||
	    !wait_read(call, lookup_rules, LOOKUP_REVISION, LOOKUP_WAIT, &lookup->wait))
		return false;
	if (past_request_excludes(call, LOOKUP_AT, LOOKUP_WAIT, "wait_ms") ||
	    past_request_excludes(call, LOOKUP_AT, LOOKUP_REVISION, "revision"))
		return false;
	item = query_get(&call->query, LOOKUP_STATUS);
	if (item != NULL &&
	    (!call_text(call, item, &text) || !call_statuses(call, text, &lookup->statuses)))
		return false;
	item = query_get(&call->query, LOOKUP_AFTER);
	lookup->has_after = item != NULL;
	return (item == NULL || call_text(call, item, &lookup->after)) &&
	       past_request_read_at(call, LOOKUP_AT, &lookup->moment);
}

/* Makes the strings those that stay valid while the call is parked. */
static void lookup_keep(struct lookup *lookup, const struct call *call)
{
	if (lookup->has_after)
		lookup->after = call_kept(call, lookup->after);
	meta_filter_keep(&lookup->filter, call);
}

/* Is this the default lookup, whose rendered answer all requests share? */
static bool lookup_is_plain(const struct lookup *lookup)
{
	return lookup->statuses == 1u << STATUS_HEALTHY && lookup->filter.count == 0 &&
	       lookup->limit == 0 && !lookup->has_after && !lookup->text;
}

/* The latest revision at which an instance with one of the lookup's statuses changed. */
static uint64_t lookup_revision(const struct service *service, const struct lookup *lookup)
{
	uint64_t revision = 0;

	for (unsigned i = 0; i < STATUS_COUNT; i++)
		if ((lookup->statuses & 1u << i) != 0 && service->status_revision[i] > revision)
			revision = service->status_revision[i];
	return revision;
}

/* Finds the first index after ?after=. @return false: refused, that instance is not registered */
static bool lookup_find_start(struct call *call, const struct service *service,
                              const struct lookup *lookup, uint32_t *ret_start)
{
	const struct member *member;
	uint32_t i = 0;

	*ret_start = 0;
	if (!lookup->has_after)
		return true;
	member = service_member(service, lookup->after);
	while (i < service->count && service->members[i] != member)
		i++;
	if (i == service->count) {
		problem(call->response, PROBLEM_UNKNOWN_CURSOR,
		        "the instance that after names is no longer registered: start again "
		        "without "
		        "after");
		return false;
	}
	*ret_start = i + 1;
	return true;
}

/* Selects the matching members from index @p start on. Inside a visit. @return 0 or -ENOMEM */
static int lookup_select(struct selection *selection, const struct service *service,
                         const struct lookup *lookup, uint32_t start)
{
	int r = 0;

	for (uint32_t i = start; i < service->count && r == 0; i++) {
		const struct member *member = service->members[i];

		if ((lookup->statuses & 1u << member->value.status) == 0 ||
		    !meta_filter_matches(&lookup->filter, &member->value))
			continue;
		selection->is_cut = lookup->limit > 0 && selection->count == lookup->limit;
		if (selection->is_cut)
			break;
		r = selection_add(selection, member);
	}
	return r;
}

static enum api_result lookup_put(struct call *call, const struct service *service,
                                  const struct lookup *lookup)
{
	uint64_t revision = lookup_revision(service, lookup);
	struct selection selection;
	uint32_t start;

	if (call_etag(call, revision, lookup->text))
		return API_DONE;
	if (!lookup_find_start(call, service, lookup, &start))
		return API_DONE;
	selection_init(&selection, lookup->text);
	int r = lookup_select(&selection, service, lookup, start);
	if (r == 0)
		return selection_answer(&selection, call, service->name, revision);
	selection_fini(&selection);
	problem_errno(call->response, r);
	return API_DONE;
}

/* Answers with the service's rendered answer, which all requests share. */
static enum api_result lookup_put_shared(struct call *call, const struct service *service)
{
	if (call_etag(call, service->status_revision[STATUS_HEALTHY], false))
		return API_DONE;
	struct blob *answer = service_answer(service);
	if (answer == NULL) {
		problem_errno(call->response, -ENOMEM);
		return API_DONE;
	}
	call->response->blob = blob_ref(answer);
	return call_answer(call, 200, TYPE_JSON);
}

/* Answers from the present state. Inside a visit. */
static enum api_result lookup_put_now(struct call *call, const struct service *service,
                                      const struct lookup *lookup)
{
	if (service == NULL) {
		call_refuse_unknown_service(call);
		return API_DONE;
	}
	call_add_held_header(call, service);
	/* An indented answer is not shared, and may be long. */
	return lookup_is_plain(lookup) && !call_is_pretty(call) ? lookup_put_shared(call, service)
	                                                        : lookup_put(call, service, lookup);
}

/* A lookup in a past state, while it is parked. */
struct past_lookup {
	struct past_request base;
	struct lookup lookup;
};

static enum api_result lookup_put_past(struct call *call, struct past_request *past,
                                       const struct snapshot *then)
{
	const struct lookup *lookup = &container_of(past, struct past_lookup, base)->lookup;
	const struct service *service = snapshot_service(then, path_service(call));

	if (service != NULL)
		return lookup_put(call, service, lookup);
	call_refuse_unknown_service(call);
	return API_DONE;
}

static enum api_result lookup_in_past(struct call *call, const struct lookup *lookup)
{
	struct past_lookup *past;

	past = (struct past_lookup *)past_request_new_state(call, sizeof(*past), &lookup->moment,
	                                                    lookup_put_past);
	if (past == NULL)
		return API_DONE;
	past->lookup = *lookup;
	lookup_keep(&past->lookup, call);
	return past_request_submit(call, &past->base);
}

/* A lookup that waits for a change. */
struct lookup_wait {
	struct wait wait;
	struct lookup lookup;
	uint64_t fingerprint; /* of the latest result that was read */
};

/* A hash of the members that pass the filter: other members do not affect it. */
static uint64_t lookup_fingerprint(const struct service *service, const struct lookup *lookup)
{
	uint64_t print = service != NULL;

	for (uint32_t i = 0; service != NULL && i < service->count; i++) {
		const struct instance *instance = &service->members[i]->value;

		if ((lookup->statuses & 1u << instance->status) != 0 &&
		    meta_filter_matches(&lookup->filter, instance))
			print = (print ^ instance->revision) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return print;
}

/* The latest revision at which the result may have changed. Inside a visit. */
static uint64_t lookup_result_revision(const struct call *call, const struct service *service,
                                       const struct lookup *lookup)
{
	return service != NULL
	               ? lookup_revision(service, lookup)
	               : registry_removed_revision(v1_of(call)->registry, path_service(call));
}

/* May the result differ from the client's? Inside a visit. */
static bool lookup_has_changed(const struct call *call, const struct snapshot *now,
                               const struct service *service, const struct lookup *lookup,
                               const struct lookup_wait *wait)
{
	uint64_t had = lookup->wait.revision;

	if (wait != NULL && lookup->filter.count > 0)
		return lookup_fingerprint(service, lookup) != wait->fingerprint;
	return had > snapshot_revision(now) || lookup_result_revision(call, service, lookup) > had;
}

static enum api_result lookup_answer(struct call *call, const struct lookup *lookup,
                                     struct lookup_wait *wait);

static enum api_result lookup_again(struct call *call, struct parked *parked)
{
	struct lookup_wait *wait = container_of(wait_of(parked), struct lookup_wait, wait);

	return lookup_answer(call, &wait->lookup, wait);
}

static void lookup_wait_free(struct parked *parked)
{
	struct lookup_wait *wait = container_of(wait_of(parked), struct lookup_wait, wait);

	wait_fini(&wait->wait);
	free(wait);
}

static struct lookup_wait *lookup_wait_new(struct call *call, const struct lookup *lookup)
{
	static const struct parked_kind kind = {
		.free = lookup_wait_free, .cancel = wait_cancel, .sent = wait_sent};
	struct lookup_wait *wait = calloc(1, sizeof(*wait));

	if (wait == NULL) {
		problem_errno(call->response, -ENOMEM);
		return NULL;
	}
	if (!wait_init(&wait->wait, call, &kind, lookup_again, lookup->wait.wait_ms)) {
		lookup_wait_free(&wait->wait.parked);
		return NULL;
	}
	wait->lookup = *lookup;
	lookup_keep(&wait->lookup, call);
	return wait;
}

/* Answers if the result has changed or the wait has timed out; otherwise waits. Owns @p wait; if
 * that is not NULL, @p lookup is a part of it. */
static enum api_result lookup_answer(struct call *call, const struct lookup *lookup,
                                     struct lookup_wait *wait)
{
	for (;;) {
		const struct snapshot *now = snapshot_enter(v1_of(call)->store);
		const struct service *service = snapshot_service(now, path_service(call));
		bool waits =
			lookup->wait.wait_ms > 0 && (wait == NULL || !wait->wait.parked.expired);

		if (!waits || lookup_has_changed(call, now, service, lookup, wait)) {
			call_set_revision(call, now);
			enum api_result result = lookup_put_now(call, service, lookup);
			wait_answered(wait != NULL ? &wait->wait : NULL, call,
			              snapshot_revision(now));
			snapshot_leave(v1_of(call)->store);
			return result;
		}
		struct watcher watcher = {.aspects = lookup->statuses,
		                          .seen = lookup_result_revision(call, service, lookup),
		                          .sent_through = snapshot_revision(now)};
		uint64_t print = lookup_fingerprint(service, lookup);
		snapshot_leave(v1_of(call)->store);

		if (wait == NULL)
			wait = lookup_wait_new(call, lookup);
		if (wait == NULL)
			return API_DONE;
		lookup = &wait->lookup;
		watcher.topic = path_service(call);
		wait->fingerprint = print;
		wait_add(&wait->wait, &watcher);

		now = snapshot_enter(v1_of(call)->store);
		service = snapshot_service(now, path_service(call));
		bool moved = lookup_result_revision(call, service, lookup) > watcher.seen;
		snapshot_leave(v1_of(call)->store);
		if (!moved || !wait_remove(&wait->wait))
			return call_suspend(call, &wait->wait.parked, 0);
	}
}

enum api_result service_get(struct call *call)
{
	struct lookup lookup;

	if (!lookup_read_query(call, &lookup))
		return API_DONE;
	return lookup.moment.is_given ? lookup_in_past(call, &lookup)
	                              : lookup_answer(call, &lookup, NULL);
}
