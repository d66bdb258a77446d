/* SPDX-License-Identifier: MIT */
/** Listings: of services, and of the instances of one. */
#include "api/call.h"
#include "api/pretty.h"
#include "api/text.h"
#include "balance/balance.h"

#include <errno.h>
#include <string.h>

#define LIST_DEFAULT 1000
#define LIST_MAX     10000
#define ALL_STATUSES ((1u << STATUS_COUNT) - 1)

enum { LIST_FORMAT = PARAM_PRETTY + 1, LIST_PREFIX, LIST_LIMIT, LIST_AFTER };
static const struct query_rule list_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY, [LIST_FORMAT] = {"format", 0}, [LIST_PREFIX] = {"prefix", 0},
	[LIST_LIMIT] = {"limit", 0},   [LIST_AFTER] = {"after", 0},
};

struct listing {
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
	    !call_wants_text(call, query_get(&call->query, LIST_FORMAT), &listing->text))
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

enum api_result services_get(struct call *call)
{
	struct buf *body = &call->response->body;
	struct listing listing;
	struct buf rows;
	int r = 0;

	if (!read_listing(call, &listing))
		return API_DONE;
	buf_init(&rows, body->most);
	const struct snapshot *now = snapshot_enter(call->api->store);
	call_seen(call, now);
	bool same = call_etag(call, snapshot_revision(now), listing.text);
	if (!same && listing.text) {
		buf_put(&rows, "SERVICE\tHEALTHY\tUNHEALTHY\tDRAINING\n");
		r = put_services(&rows, now, &listing);
	} else if (!same) {
		buf_put(body, "{\"revision\":");
		buf_put_u64(body, snapshot_revision(now));
		buf_put(body, ",\"services\":[");
		r = put_services(body, now, &listing);
		buf_put_char(body, '}');
	}
	snapshot_leave(call->api->store);

	text_finish(body, &rows);
	if (same)
		return API_DONE;
	if (r < 0) {
		problem_errno(call->response, r);
		return API_DONE;
	}
	return call_answer(call, 200, listing.text ? TYPE_TEXT : TYPE_JSON);
}

enum { LOOKUP_FORMAT = PARAM_PRETTY + 1, LOOKUP_STATUS, LOOKUP_META, LOOKUP_LIMIT, LOOKUP_AFTER };
static const struct query_rule lookup_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,   [LOOKUP_FORMAT] = {"format", 0},
	[LOOKUP_STATUS] = {"status", 0}, [LOOKUP_META] = {"meta.", QUERY_PREFIX | QUERY_REPEATS},
	[LOOKUP_LIMIT] = {"limit", 0},   [LOOKUP_AFTER] = {"after", 0},
};

struct lookup {
	unsigned statuses; /* bit 1 << status */
	struct meta_filter filter;
	uint64_t limit; /* 0: all */
	struct str after;
	bool has_after;
	bool text;
};

static bool read_statuses(struct call *call, struct str text, unsigned *ret)
{
	unsigned statuses = 0;

	while (true) {
		const char *comma = text.len > 0 ? memchr(text.data, ',', text.len) : NULL;
		struct str word = {text.data, comma ? (size_t)(comma - text.data) : text.len};
		enum status status;

		if (str_equal(word, STR("any"))) {
			statuses |= ALL_STATUSES;
		} else if (status_parse(word, &status) == 0) {
			statuses |= 1u << status;
		} else {
			problem(call->response, "invalid-parameter",
			        "status must be any or a list of healthy, unhealthy and draining, "
			        "not '%.*s'",
			        (int)(word.len < 40 ? word.len : 40), word.len ? word.data : "");
			return false;
		}
		if (comma == NULL)
			break;
		text = (struct str){comma + 1, text.len - word.len - 1};
	}
	*ret = statuses;
	return true;
}

static bool read_lookup(struct call *call, struct lookup *lookup)
{
	const struct query_item *item;
	struct str text;

	lookup->statuses = 1u << STATUS_HEALTHY;
	lookup->filter.count = 0;
	lookup->limit = 0;
	lookup->has_after = false;
	lookup->text = false;
	if (!call_query(call, lookup_rules, ARRAY_LEN(lookup_rules)) ||
	    !call_number(call, lookup_rules, LOOKUP_LIMIT, 1, LIST_MAX, &lookup->limit) ||
	    !call_wants_text(call, query_get(&call->query, LOOKUP_FORMAT), &lookup->text) ||
	    !call_meta_filter(call, LOOKUP_META, &lookup->filter))
		return false;
	item = query_get(&call->query, LOOKUP_STATUS);
	if (item != NULL &&
	    (!call_text(call, item, &text) || !read_statuses(call, text, &lookup->statuses)))
		return false;
	item = query_get(&call->query, LOOKUP_AFTER);
	lookup->has_after = item != NULL;
	return item == NULL || call_text(call, item, &lookup->after);
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

/** Where to begin. @return false when the instance to go on from is no longer there (told) */
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
		problem(call->response, "unknown-cursor",
		        "the instance to go on after is no longer there: start again");
		return false;
	}
	*ret_start = i + 1;
	return true;
}

/** Inside a visit. Appends what matches from @p start on; with "next" when cut. */
static void put_matches(struct buf *out, const struct service *service, const struct lookup *lookup,
                        uint32_t start)
{
	const struct member *last = NULL;
	uint64_t count = 0;
	bool cut = false;

	for (uint32_t i = start; i < service->count && !cut; i++) {
		const struct member *member = service->members[i];

		if ((lookup->statuses & 1u << member->value.status) == 0 ||
		    !meta_filter_matches(&lookup->filter, &member->value))
			continue;
		if (lookup->limit > 0 && count == lookup->limit) {
			cut = true;
			break;
		}
		last = member;
		if (lookup->text) {
			text_put_member(out, member);
		} else {
			if (count > 0)
				buf_put_char(out, ',');
			member_put_json(out, member);
		}
		count++;
	}
	if (lookup->text)
		return;
	buf_put_char(out, ']');
	if (cut) {
		buf_put(out, ",\"next\":");
		buf_put_json(out, last->value.id);
	}
	buf_put_char(out, '}');
}

static enum api_result put_lookup(struct call *call, const struct service *service,
                                  const struct lookup *lookup)
{
	struct buf *body = &call->response->body;
	uint64_t revision = lookup_revision(service, lookup);
	struct buf rows;
	uint32_t start;

	if (call_etag(call, revision, lookup->text))
		return API_DONE;
	if (!find_start(call, service, lookup, &start))
		return API_DONE;
	if (lookup->text) {
		buf_init(&rows, body->most);
		text_put_heading(&rows);
		put_matches(&rows, service, lookup, start);
		text_finish(body, &rows);
		return call_answer(call, 200, TYPE_TEXT);
	}
	buf_put(body, "{\"service\":");
	buf_put_json(body, service->name);
	buf_put(body, ",\"revision\":");
	buf_put_u64(body, revision);
	buf_put(body, ",\"instances\":[");
	put_matches(body, service, lookup, start);
	return call_answer(call, 200, TYPE_JSON);
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

enum api_result service_get(struct call *call)
{
	enum api_result result = API_DONE;
	struct lookup lookup;

	if (!read_lookup(call, &lookup))
		return API_DONE;
	const struct snapshot *now = snapshot_enter(call->api->store);
	const struct service *service = snapshot_service(now, call->service);
	call_seen(call, now);
	if (service != NULL) {
		call_tell_held(call, service);
		result = is_plain(&lookup) ? put_shared(call, service)
		                           : put_lookup(call, service, &lookup);
	} else if (call_path_is_valid(call)) {
		problem(call->response, "unknown-service", "no instance of '%.*s' is registered",
		        (int)call->service.len, call->service.data);
	}
	snapshot_leave(call->api->store);
	return result;
}
