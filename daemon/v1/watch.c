/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/services/{service}/watch: a service's instances as a stream of server-sent events: first
 * all of them, then each change. Http thread.
 *
 * When the client has read everything, the present state is compared with the client's state
 * (struct view_result), and the changes are planned (struct view_steps) and rendered page by page.
 * Invariant: the plan holds a reference to each of its members, so all pages show one revision. A
 * queue of changes per stream instead would grow without limit while a client is slow; by
 * comparison a slow client gets fewer, larger changes.
 */
#include "balance/balance.h"
#include "v1/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_STATUS = PARAM_PRETTY + 1, WATCH_META };
static const struct query_rule watch_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[WATCH_STATUS] = {"status", 0},
	[WATCH_META] = {"meta.", QUERY_PREFIX | QUERY_REPEATS},
};

#define PAGE_MAX (4u << 20) /* more than STREAM_PAGE_BYTES and the instance that fills it */

/* One instance in the client's state. */
struct view_item {
	uint64_t incarnation;
	uint64_t revision;
	const char *id; /* in the memory of the list */
	size_t id_len;
};

/* The client's state, in order of incarnation, which is the order of registration. */
struct view_result {
	struct view_item *list; /* owned */
	uint32_t count;
};

/* A change that is to be sent. */
struct view_step {
	const char *kind;            /* "added", ...; NULL: an instance of the first snapshot */
	const struct member *member; /* a reference; NULL: removed */
	struct view_item shown;
};

/* The changes from one result to the next. They are rendered page by page, so a large result is
 * never in memory as JSON. */
struct view_steps {
	struct view_step *list; /* owned; NULL: there are no steps */
	uint32_t count;
	uint32_t next;
	uint64_t revision;
	uint64_t page_end; /* after the last step the client has everything up to this revision */
	struct view_item *old; /* owned: the previous list, which has the ids of removed ones */
};

struct view {
	struct live_stream live;
	struct str service;
	unsigned statuses;
	struct meta_filter filter;
	struct view_result result; /* the client's state after all steps */
	struct view_steps steps;
	uint64_t seen; /* wait for a change after this revision */
	bool has_begun;
	char memory[]; /* the strings of service and filter */
};

static bool view_shows(const struct view *view, const struct instance *instance)
{
	return (view->statuses & 1u << instance->status) != 0 &&
	       meta_filter_matches(&view->filter, instance);
}

/* Makes the result from the members of @p service that pass the filters; the ids are copied to the
 * end of the list. @return 0 or -ENOMEM */
static int view_make_result(const struct view *view, const struct service *service,
                            struct view_result *ret_result)
{
	struct view_result result = {NULL, 0};
	size_t id_bytes = 0;

	for (uint32_t i = 0; service != NULL && i < service->count; i++) {
		if (!view_shows(view, &service->members[i]->value))
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

	struct view_item *shown = result.list;
	char *id = (char *)(result.list + result.count);
	for (uint32_t i = 0; i < service->count; i++) {
		const struct instance *instance = &service->members[i]->value;

		if (!view_shows(view, instance))
			continue;
		memcpy(id, instance->id.data, instance->id.len);
		*shown++ = (struct view_item){instance->incarnation, instance->revision, id,
		                              instance->id.len};
		id += instance->id.len;
	}
	*ret_result = result;
	return 0;
}

static void view_put_head(struct view *view, const char *kind)
{
	struct stream *stream = &view->live.stream;
	struct buf *out = &stream->page;

	buf_put(out, "id: ");
	token_put(out, view->steps.revision, api_history(stream->api));
	buf_put(out, "\nevent: ");
	buf_put(out, kind);
	buf_put(out, "\ndata: {");
}

/* One difference between two results. */
struct view_change {
	const char *kind; /* NULL: unchanged */
	const struct view_item *shown;
};

/* Two results, each in order of incarnation, and the positions in them. */
struct comparison {
	const struct view_result *old;
	const struct view_result *new;
	uint32_t i;
	uint32_t j;
};

static bool comparison_next(struct comparison *at, struct view_change *ret)
{
	const struct view_item *old = at->i < at->old->count ? &at->old->list[at->i] : NULL;
	const struct view_item *new = at->j < at->new->count ? &at->new->list[at->j] : NULL;

	if (old == NULL && new == NULL)
		return false;
	if (new == NULL || (old != NULL && old->incarnation < new->incarnation)) {
		*ret = (struct view_change){"removed", old};
		at->i++;
	} else if (old == NULL || new->incarnation < old->incarnation) {
		*ret = (struct view_change){"added", new};
		at->j++;
	} else {
		*ret = (struct view_change){new->revision > old->revision ? "updated" : NULL, new};
		at->i++;
		at->j++;
	}
	return true;
}

/* Plans one step: the member as it is now, or its removal. Inside a visit. */
static void view_steps_add(struct view *view, const struct service *service,
                           const struct view_change *change)
{
	struct str id = {change->shown->id, change->shown->id_len};
	const struct member *member = service != NULL ? service_member(service, id) : NULL;
	struct view_step *step = &view->steps.list[view->steps.count++];

	*step = (struct view_step){.kind = change->kind, .shown = *change->shown};
	if (member == NULL || member->value.incarnation != change->shown->incarnation)
		return;
	member_ref(member);
	step->member = member;
	view->live.stream.unsent += member_json_len(member);
}

/*
 * Plans the steps to @p result: all of it as the first snapshot, or the changes. Inside a visit.
 * @return 0 or -ENOMEM
 */
static int view_steps_make(struct view *view, const struct service *service,
                           const struct view_result *result)
{
	struct comparison at = {.old = &view->result, .new = result};
	struct view_steps *steps = &view->steps;
	struct view_change change;
	size_t count = 0;

	while (comparison_next(&at, &change))
		count += change.kind != NULL;
	metrics_count(METRIC_STREAMED_CHANGES, view->has_begun ? count : 1);
	if (count == 0)
		return 0;
	steps->list = calloc(count, sizeof(steps->list[0]));
	if (steps->list == NULL)
		return -ENOMEM;
	at.i = at.j = 0;
	while (comparison_next(&at, &change)) {
		if (change.kind == NULL)
			continue;
		if (!view->has_begun)
			change.kind = NULL;
		view_steps_add(view, service, &change);
	}
	return 0;
}

static void view_steps_free(struct view *view)
{
	struct view_steps *steps = &view->steps;

	for (uint32_t i = steps->next; i < steps->count; i++)
		if (steps->list[i].member != NULL)
			member_unref(steps->list[i].member);
	free(steps->list);
	free(steps->old);
	*steps = (struct view_steps){0};
	view->live.stream.unsent = 0;
}

static void view_put_instance(struct buf *out, const struct view *view,
                              const struct view_step *step)
{
	if (step->member != NULL) {
		member_put_json(out, step->member);
		return;
	}
	buf_put(out, "{\"service\":");
	buf_put_json(out, view->service);
	buf_put(out, ",\"id\":");
	buf_put_json(out, (struct str){step->shown.id, step->shown.id_len});
	buf_put(out, ",\"incarnation\":");
	buf_put_u64(out, step->shown.incarnation);
	buf_put_char(out, '}');
}

/* Puts the text before the instances of the first snapshot. */
static void view_put_beginning(struct view *view)
{
	struct buf *out = &view->live.stream.page;

	buf_put(out, STREAM_RETRY);
	view_put_head(view, "snapshot");
	buf_put(out, "\"service\":");
	buf_put_json(out, view->service);
	buf_put(out, ",\"revision\":");
	buf_put_u64(out, view->steps.revision);
	buf_put(out, ",\"history\":\"");
	buf_put(out, api_history_text(view->live.stream.api));
	buf_put(out, "\",\"instances\":[");
}

/* Puts one step. "remaining" counts the steps after it, so the last one has 0. */
static void view_put_step(struct view *view, const struct view_step *step)
{
	const struct view_steps *steps = &view->steps;
	struct buf *out = &view->live.stream.page;

	if (step->kind == NULL) {
		if (steps->next > 0)
			buf_put_char(out, ',');
		view_put_instance(out, view, step);
		return;
	}
	view_put_head(view, step->kind);
	buf_put(out, "\"revision\":");
	buf_put_u64(out, steps->revision);
	buf_put(out, ",\"remaining\":");
	buf_put_u64(out, steps->count - steps->next - 1);
	buf_put(out, ",\"instance\":");
	view_put_instance(out, view, step);
	buf_put(out, "}\n\n");
}

/* Puts the next page of steps. After the last step the client has everything up to page_end. */
static void view_put_steps(struct view *view)
{
	struct stream *stream = &view->live.stream;
	struct view_steps *steps = &view->steps;

	for (; steps->next < steps->count && stream->page.len < STREAM_PAGE_BYTES; steps->next++) {
		const struct member *member = steps->list[steps->next].member;

		view_put_step(view, &steps->list[steps->next]);
		if (member == NULL)
			continue;
		stream->unsent -= member_json_len(member);
		member_unref(member);
	}
	if (steps->next < steps->count)
		return;
	if (!view->has_begun)
		buf_put(&stream->page, "]}\n\n");
	view->live.page_has = steps->count > 0 || !view->has_begun;
	view->live.page_end = steps->page_end;
	view->has_begun = true;
	view_steps_free(view);
}

/* The latest revision at which the result may have changed. Inside a visit. */
static uint64_t view_result_revision(const struct view *view, const struct service *service)
{
	uint64_t revision = 0;

	if (service == NULL)
		return registry_removed_revision(view->live.v1->registry, view->service);
	for (unsigned i = 0; i < STATUS_COUNT; i++)
		if ((view->statuses & 1u << i) != 0 && service->status_revision[i] > revision)
			revision = service->status_revision[i];
	return revision;
}

/* Compares the present state with the client's and plans the steps. @return 0 or -ENOMEM */
static int view_look(struct view *view)
{
	const struct snapshot *now = snapshot_enter(view->live.v1->store);
	const struct service *service = snapshot_service(now, view->service);
	struct view_result result = {NULL, 0};

	view->seen = view_result_revision(view, service);
	view->steps.revision = service != NULL ? view->seen : snapshot_revision(now);
	view->steps.page_end = snapshot_revision(now);
	atomic_store_explicit(&view->live.position, view->steps.page_end, memory_order_relaxed);
	int r = view_make_result(view, service, &result);
	if (r == 0)
		r = view_steps_make(view, service, &result);
	snapshot_leave(view->live.v1->store);
	if (r < 0) {
		free(result.list);
		return r;
	}
	view->steps.old = view->result.list;
	view->result = result;
	return 0;
}

static bool view_has_moved(const struct view *view, uint64_t seen)
{
	const struct snapshot *now = snapshot_enter(view->live.v1->store);
	bool moved = view_result_revision(view, snapshot_service(now, view->service)) > seen;

	snapshot_leave(view->live.v1->store);
	return moved;
}

static bool view_fill(struct stream *stream)
{
	struct view *view = container_of(live_of(stream), struct view, live);

	if (stream->expired && !stream->out.ending)
		buf_put(&stream->page, ": nothing new\n\n");
	stream->expired = false;
	if (view->steps.list == NULL) {
		if (view_look(view) < 0) {
			stream->is_over = true;
			return true;
		}
		if (!view->has_begun)
			view_put_beginning(view);
	}
	view_put_steps(view);
	if (stream->page.len > 0 || buf_error(&stream->page) < 0)
		return true;
	if (stream->out.ending) {
		stream->is_over = true;
		return true;
	}
	live_wait(&view->live, view->seen, stream_keep_ms(stream));
	return view_has_moved(view, view->seen) && live_unwait(&view->live);
}

static void view_free(struct stream *stream)
{
	struct view *view = container_of(live_of(stream), struct view, live);

	live_leave(&view->live);
	view_steps_free(view);
	free(view->result.list);
	free(view);
}

static const struct stream_kind view_kind = {
	.gauge = METRIC_WATCH_STREAMS,
	.begins_full = true,
	.fill = view_fill,
	.sent = live_sent,
	.cancel = live_cancel,
	.free = view_free,
};

static bool watch_read_query(struct call *call, unsigned *ret_statuses,
                             struct meta_filter *ret_filter)
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

static struct view *view_new(const struct call *call, const struct meta_filter *filter)
{
	size_t bytes = path_service(call).len;

	for (size_t i = 0; i < filter->count; i++)
		bytes += filter->pair[i].key.len + filter->pair[i].value.len;
	struct view *view = calloc(1, sizeof(*view) + bytes);
	if (view == NULL)
		return NULL;
	char *end = view->memory;
	view->service = str_copy_to(&end, path_service(call));
	view->filter.count = filter->count;
	for (size_t i = 0; i < filter->count; i++) {
		view->filter.pair[i].key = str_copy_to(&end, filter->pair[i].key);
		view->filter.pair[i].value = str_copy_to(&end, filter->pair[i].value);
	}
	return view;
}

enum api_result watch_get(struct call *call)
{
	struct meta_filter filter;
	unsigned statuses;

	if (!watch_read_query(call, &statuses, &filter) || !call_waiting_enter(call))
		return API_DONE;
	struct view *view = view_new(call, &filter);
	if (view == NULL) {
		waiting_leave(call->api);
		problem_errno(call->response, -ENOMEM);
		return API_DONE;
	}
	view->statuses = statuses;
	view->live.watcher.topic = view->service;
	view->live.watcher.aspects = statuses;
	buf_init(&view->live.stream.page, PAGE_MAX);
	return live_answer(call, &view->live, &view_kind, 0, TYPE_SSE);
}
