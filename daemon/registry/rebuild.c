/* SPDX-License-Identifier: MIT */
/** Answers about the past, made on the archive thread. */
#include "balance/balance.h"
#include "base/check.h"
#include "registry/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Heartbeats are not in the log: what was long ago has no lease, but members point to one. */
static struct lease no_lease;

/** Fills the draft of a store that nobody has read yet. */
static int fill(struct snapshot_draft *draft, const struct past_state *state, uint64_t revision)
{
	for (size_t i = 0; i < past_count(state); i++) {
		struct event event = {.revision = revision, .kind = EVENT_REGISTERED};

		past_get(state, i, &event.instance);
		if (snapshot_draft_apply(draft, &event, &no_lease) == NULL)
			return -ENOMEM;
	}
	return snapshot_draft_finish(draft);
}

static int build_indexes(struct snapshot_draft *draft, uint32_t indexes)
{
	const struct service *previous;
	struct service *service;
	int r = 0;

	for (size_t pos = 0;
	     r == 0 && (service = snapshot_draft_next(draft, &pos, &previous)) != NULL;) {
		atomic_store_explicit(&service->life->wanted, indexes, memory_order_relaxed);
		r = balance_build(service, NULL);
	}
	return r;
}

static int store_of(const struct past_state *state, const struct archive_query *query,
                    struct snapshot_store **ret_store)
{
	struct snapshot_store *store = snapshot_store_new(query->bounds.revision);
	struct snapshot_draft *draft = store != NULL ? snapshot_draft_new(store) : NULL;
	int r = -ENOMEM;

	if (draft != NULL)
		r = fill(draft, state, query->bounds.revision);
	if (r == 0 && query->indexes != 0)
		r = build_indexes(draft, query->indexes);
	if (r < 0) {
		snapshot_draft_discard(draft);
		snapshot_store_drop(store);
		return r;
	}
	snapshot_draft_publish(draft);
	*ret_store = store;
	return 0;
}

int rebuild_store(struct past *past, struct archive_query *query)
{
	struct past_state *state = NULL;
	int r = past_read(past, &query->at, &state, &query->bounds);

	if (r == 0)
		r = store_of(state, query, &query->store);
	past_state_free(state);
	return r;
}

/* --- differences ------------------------------------------------------------------- */

/** One state's instances in order of service and id. */
struct sorted {
	struct instance *instances;
	size_t count;
};

static int compare(const struct instance *a, const struct instance *b)
{
	int order = str_compare(a->service, b->service);

	return order != 0 ? order : str_compare(a->id, b->id);
}

static int by_names(const void *a, const void *b)
{
	return compare(a, b);
}

static int sort(const struct past_state *state, struct sorted *ret)
{
	ret->count = past_count(state);
	ret->instances = calloc(ret->count + 1, sizeof(*ret->instances));
	if (ret->instances == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++)
		past_get(state, i, &ret->instances[i]);
	qsort(ret->instances, ret->count, sizeof(*ret->instances), by_names);
	return 0;
}

static void put_instance(struct buf *out, const struct instance *instance)
{
	instance_put_json_open(out, instance);
	instance_put_json_close(out, instance);
}

static void put_comma(struct buf *out)
{
	if (out->len > 0)
		buf_put_char(out, ',');
}

/** The three lists, each without its brackets. */
struct lists {
	struct buf added;
	struct buf changed;
	struct buf removed;
};

static void put_pair(struct lists *lists, const struct instance *before,
                     const struct instance *after)
{
	struct buf *out = before == NULL  ? &lists->added
	                  : after == NULL ? &lists->removed
	                                  : &lists->changed;

	if (before != NULL && after != NULL && before->revision == after->revision)
		return;
	put_comma(out);
	if (before != NULL && after != NULL) {
		buf_put(out, "{\"before\":");
		put_instance(out, before);
		buf_put(out, ",\"after\":");
		put_instance(out, after);
		buf_put_char(out, '}');
	} else {
		put_instance(out, before != NULL ? before : after);
	}
}

static void merge(struct lists *lists, const struct sorted *from, const struct sorted *to)
{
	size_t f = 0;
	size_t t = 0;

	while (f < from->count || t < to->count) {
		int order = f == from->count ? 1
		            : t == to->count ? -1
		                             : compare(&from->instances[f], &to->instances[t]);

		put_pair(lists, order <= 0 ? &from->instances[f] : NULL,
		         order >= 0 ? &to->instances[t] : NULL);
		f += order <= 0;
		t += order >= 0;
	}
}

static void put_list(struct buf *out, const char *name, struct buf *list)
{
	buf_put(out, name);
	buf_put_str(out, (struct str){list->data, list->len});
	buf_put_char(out, ']');
	if (buf_error(list) < 0 && buf_error(out) == 0)
		out->error = buf_error(list);
	buf_fini(list);
}

static int put_diff(struct archive_query *query, const struct past_state *before,
                    const struct past_state *after)
{
	struct sorted from = {NULL, 0};
	struct sorted to = {NULL, 0};
	struct lists lists;
	int r = sort(before, &from);

	if (r == 0)
		r = sort(after, &to);
	buf_init(&lists.added, query->out->most);
	buf_init(&lists.changed, query->out->most);
	buf_init(&lists.removed, query->out->most);
	if (r == 0)
		merge(&lists, &from, &to);
	put_list(query->out, ",\"added\":[", &lists.added);
	put_list(query->out, ",\"changed\":[", &lists.changed);
	put_list(query->out, ",\"removed\":[", &lists.removed);
	free(from.instances);
	free(to.instances);
	return r < 0 ? r : buf_error(query->out);
}

int rebuild_diff(struct past *past, struct archive_query *query)
{
	struct past_state *before = NULL;
	struct past_state *after = NULL;
	struct past_bounds bounds = {.revision = 0};
	int r = past_read(past, &query->at, &before, &query->bounds);

	if (r == 0)
		r = past_read(past, &query->to, &after, &bounds);
	if (r == 0)
		query->to_revision = bounds.revision;
	else if (before != NULL)
		query->bounds = bounds;
	if (r == 0)
		r = put_diff(query, before, after);
	past_state_free(before);
	past_state_free(after);
	return r;
}
