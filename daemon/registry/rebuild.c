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
	for (size_t i = 0; i < past_entry_count(state); i++) {
		struct event event = {.revision = revision, .kind = EVENT_ENTRY_PUT};

		past_get_entry(state, i, &event.entry);
		if (snapshot_draft_apply_entry(draft, &event) == NULL)
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

/** One state's instances, or entries, in order of service, kind and id. */
struct sorted {
	const struct past_state *state;
	void (*put)(struct buf *out, const struct past_state *state, size_t i);
	struct name {
		struct str service;
		struct str id;
		enum entry_kind kind; /* 0: an instance */
		uint64_t revision;
		size_t i; /* in the state */
	} * names;
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	const struct name *x = a;
	const struct name *y = b;
	int order = str_compare(x->service, y->service);

	if (order == 0)
		order = (x->kind > y->kind) - (x->kind < y->kind);
	return order != 0 ? order : str_compare(x->id, y->id);
}

static int allocate(struct sorted *sorted, const struct past_state *state, size_t count)
{
	sorted->state = state;
	sorted->count = count;
	sorted->names = calloc(count + 1, sizeof(*sorted->names));
	return sorted->names != NULL ? 0 : -ENOMEM;
}

static void put_instance(struct buf *out, const struct past_state *state, size_t i)
{
	struct instance instance;

	past_get(state, i, &instance);
	instance_put_json_open(out, &instance);
	instance_put_json_close(out, &instance);
}

static int sort_instances(const struct past_state *state, struct sorted *ret)
{
	struct instance instance;

	ret->put = put_instance;
	if (allocate(ret, state, past_count(state)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++) {
		past_get(state, i, &instance);
		ret->names[i] = (struct name){.service = instance.service,
		                              .id = instance.id,
		                              .revision = instance.revision,
		                              .i = i};
	}
	qsort(ret->names, ret->count, sizeof(*ret->names), by_name);
	return 0;
}

static void put_entry(struct buf *out, const struct past_state *state, size_t i)
{
	struct entry entry;

	past_get_entry(state, i, &entry);
	entry_put_json(out, &entry);
}

static int sort_entries(const struct past_state *state, struct sorted *ret)
{
	struct entry entry;

	ret->put = put_entry;
	if (allocate(ret, state, past_entry_count(state)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++) {
		past_get_entry(state, i, &entry);
		ret->names[i] = (struct name){.service = entry.service,
		                              .id = entry.name,
		                              .kind = entry.kind,
		                              .revision = entry.revision,
		                              .i = i};
	}
	qsort(ret->names, ret->count, sizeof(*ret->names), by_name);
	return 0;
}

/** Three lists, each without its brackets. */
struct lists {
	struct buf added;
	struct buf changed;
	struct buf removed;
};

/** How much more may come into the lists. */
struct page {
	uint64_t skip;
	uint32_t left;
	size_t bytes; /* in the lists of before */
	size_t bytes_max;
	bool is_full; /* and there is more */
};

static size_t length_of(const struct lists *lists)
{
	return lists->added.len + lists->changed.len + lists->removed.len;
}

static void put_comma(struct buf *out)
{
	if (out->len > 0)
		buf_put_char(out, ',');
}

/** Is it for this page? */
static bool takes(struct page *page, const struct lists *lists)
{
	if (page->skip > 0) {
		page->skip--;
		return false;
	}
	if (page->left == 0 || page->bytes + length_of(lists) >= page->bytes_max)
		page->is_full = true;
	else
		page->left--;
	return !page->is_full;
}

static void put_named(struct buf *out, const struct sorted *of, size_t n)
{
	of->put(out, of->state, of->names[n].i);
}

/** What is the same in both has the same revision in both. */
static void put_both(struct page *page, struct lists *lists, const struct sorted *from, size_t f,
                     const struct sorted *to, size_t t)
{
	if (from->names[f].revision == to->names[t].revision || !takes(page, lists))
		return;
	put_comma(&lists->changed);
	buf_put(&lists->changed, "{\"before\":");
	put_named(&lists->changed, from, f);
	buf_put(&lists->changed, ",\"after\":");
	put_named(&lists->changed, to, t);
	buf_put_char(&lists->changed, '}');
}

static void put_one(struct page *page, const struct lists *lists, struct buf *list,
                    const struct sorted *of, size_t n)
{
	if (!takes(page, lists))
		return;
	put_comma(list);
	put_named(list, of, n);
}

static void merge(struct page *page, struct lists *lists, const struct sorted *from,
                  const struct sorted *to)
{
	size_t f = 0;
	size_t t = 0;

	while (!page->is_full && (f < from->count || t < to->count)) {
		int order = f == from->count ? 1
		            : t == to->count ? -1
		                             : by_name(&from->names[f], &to->names[t]);

		if (order == 0)
			put_both(page, lists, from, f, to, t);
		else if (order < 0)
			put_one(page, lists, &lists->removed, from, f);
		else
			put_one(page, lists, &lists->added, to, t);
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

/** What @p sort gives of both, as the three members of an object. */
static int put_lists(struct buf *out, struct page *page, const struct past_state *before,
                     const struct past_state *after,
                     int (*sort)(const struct past_state *, struct sorted *))
{
	struct sorted from = {.count = 0};
	struct sorted to = {.count = 0};
	struct lists lists;
	int r = sort(before, &from);

	if (r == 0)
		r = sort(after, &to);
	buf_init(&lists.added, out->most);
	buf_init(&lists.changed, out->most);
	buf_init(&lists.removed, out->most);
	if (r == 0)
		merge(page, &lists, &from, &to);
	page->bytes += length_of(&lists);
	put_list(out, "\"added\":[", &lists.added);
	put_list(out, ",\"changed\":[", &lists.changed);
	put_list(out, ",\"removed\":[", &lists.removed);
	free(from.names);
	free(to.names);
	return r;
}

static int put_diff(struct archive_query *query, const struct past_state *before,
                    const struct past_state *after)
{
	struct page page = {
		.skip = query->skip, .left = query->limit, .bytes_max = query->bytes_max};

	buf_put_char(query->out, ',');
	int r = put_lists(query->out, &page, before, after, sort_instances);
	buf_put(query->out, ",\"entries\":{");
	if (r == 0)
		r = put_lists(query->out, &page, before, after, sort_entries);
	buf_put_char(query->out, '}');
	query->count = query->limit - page.left;
	query->more = page.is_full;
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
