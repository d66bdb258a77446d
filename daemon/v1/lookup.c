/* SPDX-License-Identifier: MIT */
/** Lookups: the instances of one service. */
#include "balance/balance.h"
#include "v1/internal.h"
#include "v1/selection.h"
#include "v1/travel.h"
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

static bool read_lookup(struct call *call, struct lookup *lookup)
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
	if (travel_excludes(call, LOOKUP_AT, LOOKUP_WAIT, "wait_ms") ||
	    travel_excludes(call, LOOKUP_AT, LOOKUP_REVISION, "revision"))
		return false;
	item = query_get(&call->query, LOOKUP_STATUS);
	if (item != NULL &&
	    (!call_text(call, item, &text) || !call_statuses(call, text, &lookup->statuses)))
		return false;
	item = query_get(&call->query, LOOKUP_AFTER);
	lookup->has_after = item != NULL;
	return (item == NULL || call_text(call, item, &lookup->after)) &&
	       travel_read_at(call, LOOKUP_AT, &lookup->moment);
}

/** Once the request is parked, its strings are elsewhere. */
static void lookup_keep(struct lookup *lookup, const struct call *call)
{
	if (lookup->has_after)
		lookup->after = call_kept(call, lookup->after);
	meta_filter_keep(&lookup->filter, call);
}

static bool is_plain(const struct lookup *lookup)
{
	return lookup->statuses == 1u << STATUS_HEALTHY && lookup->filter.count == 0 &&
	       lookup->limit == 0 && !lookup->has_after && !lookup->text;
}

/** The revision of what the lookup can show: the newest of its statuses'. */
static uint64_t lookup_revision(const struct service *service, const struct lookup *lookup)
{
	uint64_t revision = 0;

	for (unsigned i = 0; i < STATUS_COUNT; i++)
		if ((lookup->statuses & 1u << i) != 0 && service->status_revision[i] > revision)
			revision = service->status_revision[i];
	return revision;
}

/** Where to begin. @return false when the instance to go on from is no longer there (refused) */
static bool find_start(struct call *call, const struct service *service,
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
		        "the instance to go on after is no longer there: start again");
		return false;
	}
	*ret_start = i + 1;
	return true;
}

/** Inside a visit. Selects what matches from @p start on. @return 0 or -ENOMEM */
static int select_matches(struct selection *selection, const struct service *service,
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

static enum api_result put_lookup(struct call *call, const struct service *service,
                                  const struct lookup *lookup)
{
	uint64_t revision = lookup_revision(service, lookup);
	struct selection selection;
	uint32_t start;

	if (call_etag(call, revision, lookup->text))
		return API_DONE;
	if (!find_start(call, service, lookup, &start))
		return API_DONE;
	selection_init(&selection, lookup->text);
	int r = select_matches(&selection, service, lookup, start);
	if (r == 0)
		return selection_answer(&selection, call, service->name, revision);
	selection_fini(&selection);
	problem_errno(call->response, r);
	return API_DONE;
}

/** The rendered answer that all share. */
static enum api_result put_shared(struct call *call, const struct service *service)
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

static enum api_result put_unknown(struct call *call)
{
	if (call_path_is_valid(call))
		problem(call->response, PROBLEM_UNKNOWN_SERVICE,
		        "no instance of '%.*s' is registered", (int)path_service(call).len,
		        path_service(call).data);
	return API_DONE;
}

/** Inside a visit. The answer as it is now. */
static enum api_result put_now(struct call *call, const struct service *service,
                               const struct lookup *lookup)
{
	if (service == NULL)
		return put_unknown(call);
	call_tell_held(call, service);
	/* Indented it is nobody else's, and may be long. */
	return is_plain(lookup) && !call_is_pretty(call) ? put_shared(call, service)
	                                                 : put_lookup(call, service, lookup);
}

/** A lookup in what was registered once. */
struct lookup_travel {
	struct travel travel;
	struct lookup lookup;
};

static enum api_result lookup_put_past(struct call *call, struct travel *travel,
                                       const struct snapshot *then)
{
	const struct lookup *lookup = &container_of(travel, struct lookup_travel, travel)->lookup;
	const struct service *service = snapshot_service(then, path_service(call));

	return service != NULL ? put_lookup(call, service, lookup) : put_unknown(call);
}

static enum api_result look_at_past(struct call *call, const struct lookup *lookup)
{
	struct lookup_travel *past;

	past = (struct lookup_travel *)travel_to(call, sizeof(*past), &lookup->moment,
	                                         lookup_put_past);
	if (past == NULL)
		return API_DONE;
	past->lookup = *lookup;
	lookup_keep(&past->lookup, call);
	return travel_submit(call, &past->travel);
}

/** A lookup that waits. */
struct lookup_wait {
	struct wait wait;
	struct lookup lookup;
	uint64_t fingerprint; /* of the result that was seen */
};

/** What a filter lets through, as one number: changes of what it leaves out do not change it. */
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

/** Inside a visit. The newest revision at which the result may have changed. */
static uint64_t result_revision(const struct call *call, const struct service *service,
                                const struct lookup *lookup)
{
	return service != NULL
	               ? lookup_revision(service, lookup)
	               : registry_removed_revision(v1_of(call)->registry, path_service(call));
}

/** Inside a visit. Is the result another than the client has, as far as can be told? */
static bool lookup_has_changed(const struct call *call, const struct snapshot *now,
                               const struct service *service, const struct lookup *lookup,
                               const struct lookup_wait *wait)
{
	uint64_t had = lookup->wait.revision;

	if (wait != NULL && lookup->filter.count > 0)
		return lookup_fingerprint(service, lookup) != wait->fingerprint;
	return had > snapshot_revision(now) || result_revision(call, service, lookup) > had;
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

/** Answers when the result has changed or time is over; waits otherwise. Owns @p wait, of which
 * @p lookup is a part when it is not NULL. */
static enum api_result lookup_answer(struct call *call, const struct lookup *lookup,
                                     struct lookup_wait *wait)
{
	for (;;) {
		const struct snapshot *now = snapshot_enter(v1_of(call)->store);
		const struct service *service = snapshot_service(now, path_service(call));
		bool waits =
			lookup->wait.wait_ms > 0 && (wait == NULL || !wait->wait.parked.expired);

		if (!waits || lookup_has_changed(call, now, service, lookup, wait)) {
			call_seen(call, now);
			enum api_result result = put_now(call, service, lookup);
			wait_answered(wait != NULL ? &wait->wait : NULL, call,
			              snapshot_revision(now));
			snapshot_leave(v1_of(call)->store);
			return result;
		}
		struct watcher watcher = {.aspects = lookup->statuses,
		                          .seen = result_revision(call, service, lookup),
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
		bool moved = result_revision(call, service, lookup) > watcher.seen;
		snapshot_leave(v1_of(call)->store);
		if (!moved || !wait_remove(&wait->wait))
			return call_suspend(call, &wait->wait.parked, 0);
	}
}

enum api_result service_get(struct call *call)
{
	struct lookup lookup;

	if (!read_lookup(call, &lookup))
		return API_DONE;
	return lookup.moment.is_given ? look_at_past(call, &lookup)
	                              : lookup_answer(call, &lookup, NULL);
}
