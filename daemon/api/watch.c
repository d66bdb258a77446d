/* SPDX-License-Identifier: MIT */
/**
 * A service's instances as a stream: first all of them, then what changes. Each time its reader has
 * taken what there was, the present state is compared with what the reader has, so whoever is slow
 * gets fewer and larger steps, and nothing is kept for him.
 */
#include "api/call.h"
#include "balance/balance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_STATUS = PARAM_PRETTY + 1, WATCH_META };
static const struct query_rule watch_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[WATCH_STATUS] = {"status", 0},
	[WATCH_META] = {"meta.", QUERY_PREFIX | QUERY_REPEATS},
};

#define PAGE_MAX (256u << 20) /* a service's whole result, as in a lookup */

/** One instance as the reader has it. */
struct shown {
	uint64_t incarnation;
	uint64_t revision;
	const char *id; /* in the same block of memory */
	size_t id_len;
};

/** What the reader has, in order of incarnation, which is that of registration. */
struct result {
	struct shown *list; /* owned */
	uint32_t count;
};

struct view {
	struct stream stream;
	struct str service;
	unsigned statuses;
	struct meta_filter filter;
	struct result result;
	bool has_begun;
	char memory[]; /* the strings of service and filter */
};

static bool is_shown(const struct view *view, const struct instance *instance)
{
	return (view->statuses & 1u << instance->status) != 0 &&
	       meta_filter_matches(&view->filter, instance);
}

/** What of @p service is shown; ids are copied behind the list. @return 0 or -ENOMEM */
static int result_make(const struct view *view, const struct service *service,
                       struct result *ret_result)
{
	struct result result = {NULL, 0};
	size_t id_bytes = 0;

	for (uint32_t i = 0; service != NULL && i < service->count; i++) {
		if (!is_shown(view, &service->members[i]->value))
			continue;
		result.count++;
		id_bytes += service->members[i]->value.id.len;
	}
	if (result.count == 0) {
		*ret_result = result;
		return 0;
	}
	result.list = malloc(result.count * sizeof(result.list[0]) + id_bytes);
	if (result.list == NULL)
		return -ENOMEM;

	struct shown *shown = result.list;
	char *id = (char *)(result.list + result.count);
	for (uint32_t i = 0; i < service->count; i++) {
		const struct instance *instance = &service->members[i]->value;

		if (!is_shown(view, instance))
			continue;
		memcpy(id, instance->id.data, instance->id.len);
		*shown++ = (struct shown){instance->incarnation, instance->revision, id,
		                          instance->id.len};
		id += instance->id.len;
	}
	*ret_result = result;
	return 0;
}

static void put_head(struct buf *out, const char *kind, uint64_t revision)
{
	buf_put(out, "id: ");
	buf_put_u64(out, revision);
	buf_put(out, "\nevent: ");
	buf_put(out, kind);
	buf_put(out, "\ndata: {");
}

static void put_snapshot(struct buf *out, const struct view *view, const struct service *service,
                         uint64_t revision)
{
	bool first = true;

	put_head(out, "snapshot", revision);
	buf_put(out, "\"service\":");
	buf_put_json(out, view->service);
	buf_put(out, ",\"revision\":");
	buf_put_u64(out, revision);
	buf_put(out, ",\"instances\":[");
	for (uint32_t i = 0; service != NULL && i < service->count; i++) {
		if (!is_shown(view, &service->members[i]->value))
			continue;
		if (!first)
			buf_put_char(out, ',');
		member_put_json(out, service->members[i]);
		first = false;
	}
	buf_put(out, "]}\n\n");
}

/** One step of the comparison of two results, each in order of incarnation. */
struct change {
	const char *kind; /* NULL: it is as it was */
	const struct shown *shown;
};

struct comparison {
	const struct result *old;
	const struct result *new;
	uint32_t i;
	uint32_t j;
};

static bool next_change(struct comparison *at, struct change *ret)
{
	const struct shown *old = at->i < at->old->count ? &at->old->list[at->i] : NULL;
	const struct shown *new = at->j < at->new->count ? &at->new->list[at->j] : NULL;

	if (old == NULL && new == NULL)
		return false;
	if (new == NULL || (old != NULL && old->incarnation < new->incarnation)) {
		*ret = (struct change){"removed", old};
		at->i++;
	} else if (old == NULL || new->incarnation < old->incarnation) {
		*ret = (struct change){"added", new};
		at->j++;
	} else {
		*ret = (struct change){new->revision > old->revision ? "updated" : NULL, new};
		at->i++;
		at->j++;
	}
	return true;
}

/** The instance as it is now; if it has gone, only who it was. */
static void put_instance(struct buf *out, const struct view *view, const struct service *service,
                         const struct shown *shown)
{
	struct str id = {shown->id, shown->id_len};
	const struct member *member = service != NULL ? service_member(service, id) : NULL;

	if (member != NULL && member->value.incarnation == shown->incarnation) {
		member_put_json(out, member);
		return;
	}
	buf_put(out, "{\"service\":");
	buf_put_json(out, view->service);
	buf_put(out, ",\"id\":");
	buf_put_json(out, id);
	buf_put(out, ",\"incarnation\":");
	buf_put_u64(out, shown->incarnation);
	buf_put_char(out, '}');
}

/** What leads from one result to the next; the last one of a step says that none remains. */
static void put_changes(struct view *view, const struct service *service, uint64_t revision,
                        const struct result *result)
{
	struct buf *out = &view->stream.page;
	struct comparison at = {.old = &view->result, .new = result};
	struct change change;
	uint32_t remaining = 0;

	while (next_change(&at, &change))
		remaining += change.kind != NULL;
	metrics_count(METRIC_STREAMED_CHANGES, remaining);
	at.i = at.j = 0;
	while (next_change(&at, &change)) {
		if (change.kind == NULL)
			continue;
		put_head(out, change.kind, revision);
		buf_put(out, "\"revision\":");
		buf_put_u64(out, revision);
		buf_put(out, ",\"remaining\":");
		buf_put_u64(out, --remaining);
		buf_put(out, ",\"instance\":");
		put_instance(out, view, service, change.shown);
		buf_put(out, "}\n\n");
	}
}

/** Inside a visit. @return the newest revision at which what is shown may have changed */
static uint64_t changed_revision(const struct view *view, const struct service *service)
{
	uint64_t revision = 0;

	if (service == NULL)
		return registry_removed_revision(view->stream.api->registry, view->service);
	for (unsigned i = 0; i < STATUS_COUNT; i++)
		if ((view->statuses & 1u << i) != 0 && service->status_revision[i] > revision)
			revision = service->status_revision[i];
	return revision;
}

/** Puts what the reader does not have yet. @return the revision to wait after */
static uint64_t put_news(struct view *view)
{
	struct stream *stream = &view->stream;
	const struct snapshot *now = snapshot_enter(stream->api->store);
	const struct service *service = snapshot_service(now, view->service);
	uint64_t seen = changed_revision(view, service);
	uint64_t revision = service != NULL ? seen : snapshot_revision(now);
	size_t before = stream->page.len; /* a comment */
	struct result result;

	if (result_make(view, service, &result) < 0) {
		stream->is_over = true;
		snapshot_leave(stream->api->store);
		return seen;
	}
	if (view->has_begun) {
		put_changes(view, service, revision, &result);
	} else {
		buf_put(&stream->page, STREAM_RETRY);
		put_snapshot(&stream->page, view, service, revision);
		metrics_count(METRIC_STREAMED_CHANGES, 1);
	}
	stream->page_end = snapshot_revision(now);
	atomic_store_explicit(&stream->position, stream->page_end, memory_order_relaxed);
	snapshot_leave(stream->api->store);
	stream->page_has = stream->page.len > before;
	view->has_begun = true;
	free(view->result.list);
	view->result = result;
	return seen;
}

static bool has_moved(const struct view *view, uint64_t seen)
{
	const struct snapshot *now = snapshot_enter(view->stream.api->store);
	bool moved = changed_revision(view, snapshot_service(now, view->service)) > seen;

	snapshot_leave(view->stream.api->store);
	return moved;
}

static bool fill(struct stream *stream)
{
	struct view *view = container_of(stream, struct view, stream);

	if (stream->expired && !stream->out.ending)
		buf_put(&stream->page, ": nothing new\n\n");
	stream->expired = false;
	uint64_t seen = put_news(view);
	if (stream->page.len > 0 || stream->is_over || buf_error(&stream->page) < 0)
		return true;
	if (stream->out.ending) {
		stream->is_over = true;
		return true;
	}
	stream_wait(stream, seen, stream_keep_ms(stream));
	return has_moved(view, seen) && stream_unwait(stream);
}

static void view_free(struct stream *stream)
{
	struct view *view = container_of(stream, struct view, stream);

	free(view->result.list);
	free(view);
}

static bool read_query(struct call *call, unsigned *ret_statuses, struct meta_filter *ret_filter)
{
	const struct query_item *item;
	struct str text;

	*ret_statuses = 1u << STATUS_HEALTHY;
	if (!call_path_is_valid(call) || !call_query(call, watch_rules, ARRAY_LEN(watch_rules)) ||
	    !call_meta_filter(call, WATCH_META, ret_filter))
		return false;
	item = query_get(&call->query, WATCH_STATUS);
	return item == NULL ||
	       (call_text(call, item, &text) && call_statuses(call, text, ret_statuses));
}

static struct str copy_to(char **end, struct str text)
{
	struct str copy = {*end, text.len};

	if (text.len > 0)
		memcpy(*end, text.data, text.len);
	*end += text.len;
	return copy;
}

static struct view *view_new(const struct call *call, const struct meta_filter *filter)
{
	size_t bytes = call->service.len;

	for (size_t i = 0; i < filter->count; i++)
		bytes += filter->pair[i].key.len + filter->pair[i].value.len;
	struct view *view = calloc(1, sizeof(*view) + bytes);
	if (view == NULL)
		return NULL;
	char *end = view->memory;
	view->service = copy_to(&end, call->service);
	view->filter.count = filter->count;
	for (size_t i = 0; i < filter->count; i++) {
		view->filter.pair[i].key = copy_to(&end, filter->pair[i].key);
		view->filter.pair[i].value = copy_to(&end, filter->pair[i].value);
	}
	return view;
}

enum api_result watch_get(struct call *call)
{
	struct meta_filter filter;
	unsigned statuses;

	if (!read_query(call, &statuses, &filter) || !call_waiting_enter(call))
		return API_DONE;
	struct view *view = view_new(call, &filter);
	if (view == NULL) {
		waiting_leave(call->api);
		problem_errno(call->response, -ENOMEM);
		return API_DONE;
	}
	view->statuses = statuses;
	view->stream.gauge = METRIC_WATCH_STREAMS;
	view->stream.fill = fill;
	view->stream.free = view_free;
	view->stream.watcher.topic = view->service;
	view->stream.watcher.aspects = statuses;
	buf_init(&view->stream.page, PAGE_MAX);
	return stream_answer(call, &view->stream, 0, TYPE_SSE);
}
