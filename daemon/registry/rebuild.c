/* SPDX-License-Identifier: MIT */
/*
 * Past states as stores of their own, and the differences of two past states as JSON. Archive
 * thread only; the state is rebuilt by journal/past.h.
 *
 * Invariant: both states of a difference are sorted in the same way, so the differences have one
 * order, and a page continues where the last one ended by skipping as many. Finding each instance
 * of one state in a hash table of the other would give no such order.
 */
#include "balance/balance.h"
#include "base/check.h"
#include "registry/internal.h"

#include <errno.h>
#include <stdlib.h>

/* The lease of all members: heartbeats are not in the log, but each member points to a lease. */
static struct lease no_lease;

/* Fills the draft of a store that no thread reads yet. */
static int rebuild_fill(struct snapshot_draft *draft, const struct past_state *state,
                        uint64_t revision)
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

static int rebuild_indexes(struct snapshot_draft *draft, uint32_t indexes)
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

static int rebuild_new_store(const struct past_state *state, const struct archive_query *query,
                             struct snapshot_store **ret_store)
{
	struct snapshot_store *store = snapshot_store_new(query->bounds.revision);
	struct snapshot_draft *draft = store != NULL ? snapshot_draft_new(store) : NULL;
	int r = -ENOMEM;

	if (draft != NULL)
		r = rebuild_fill(draft, state, query->bounds.revision);
	if (r == 0 && query->indexes != 0)
		r = rebuild_indexes(draft, query->indexes);
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
		r = rebuild_new_store(state, query, &query->store);
	past_state_free(state);
	return r;
}

/* --- differences ------------------------------------------------------------------- */

/* The instances or the entries of one state, in order of service, kind and id. */
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

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a;
	const struct name *y = b;
	int order = str_compare(x->service, y->service);

	if (order == 0)
		order = (x->kind > y->kind) - (x->kind < y->kind);
	return order != 0 ? order : str_compare(x->id, y->id);
}

static int sorted_allocate(struct sorted *sorted, const struct past_state *state, size_t count)
{
	sorted->state = state;
	sorted->count = count;
	sorted->names = calloc(count + 1, sizeof(*sorted->names));
	return sorted->names != NULL ? 0 : -ENOMEM;
}

static void diff_put_instance(struct buf *out, const struct past_state *state, size_t i)
{
	struct instance instance;

	past_get(state, i, &instance);
	instance_put_json_open(out, &instance);
	instance_put_json_close(out, &instance);
}

static int diff_sort_instances(const struct past_state *state, struct sorted *ret)
{
	struct instance instance;

	ret->put = diff_put_instance;
	if (sorted_allocate(ret, state, past_count(state)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++) {
		past_get(state, i, &instance);
		ret->names[i] = (struct name){.service = instance.service,
		                              .id = instance.id,
		                              .revision = instance.revision,
		                              .i = i};
	}
	qsort(ret->names, ret->count, sizeof(*ret->names), compare_names);
	return 0;
}

static void diff_put_entry(struct buf *out, const struct past_state *state, size_t i)
{
	struct entry entry;

	past_get_entry(state, i, &entry);
	entry_put_json(out, &entry);
}

static int diff_sort_entries(const struct past_state *state, struct sorted *ret)
{
	struct entry entry;

	ret->put = diff_put_entry;
	if (sorted_allocate(ret, state, past_entry_count(state)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++) {
		past_get_entry(state, i, &entry);
		ret->names[i] = (struct name){.service = entry.service,
		                              .id = entry.name,
		                              .kind = entry.kind,
		                              .revision = entry.revision,
		                              .i = i};
	}
	qsort(ret->names, ret->count, sizeof(*ret->names), compare_names);
	return 0;
}

/* The lists of one difference, each without its brackets. */
struct lists {
	struct buf added;
	struct buf changed;
	struct buf removed;
};

/* What remains of the page's limits. */
struct page {
	uint64_t skip; /* differences on earlier pages, not yet skipped */
	uint32_t left; /* differences that fit */
	size_t bytes;  /* in lists that are complete */
	size_t bytes_max;
	bool is_full; /* and there are more differences */
};

static size_t lists_length(const struct lists *lists)
{
	return lists->added.len + lists->changed.len + lists->removed.len;
}

static void diff_put_comma(struct buf *out)
{
	if (out->len > 0)
		buf_put_char(out, ',');
}

/* Does the next difference belong to this page? */
static bool page_takes(struct page *page, const struct lists *lists)
{
	if (page->skip > 0) {
		page->skip--;
		return false;
	}
	if (page->left == 0 || page->bytes + lists_length(lists) >= page->bytes_max)
		page->is_full = true;
	else
		page->left--;
	return !page->is_full;
}

static void diff_put_named(struct buf *out, const struct sorted *of, size_t n)
{
	of->put(out, of->state, of->names[n].i);
}

/* Puts an instance or entry that both states have, unless the revisions show that it is the
 * same. */
static void diff_put_changed(struct page *page, struct lists *lists, const struct sorted *from,
                             size_t f, const struct sorted *to, size_t t)
{
	if (from->names[f].revision == to->names[t].revision || !page_takes(page, lists))
		return;
	diff_put_comma(&lists->changed);
	buf_put(&lists->changed, "{\"before\":");
	diff_put_named(&lists->changed, from, f);
	buf_put(&lists->changed, ",\"after\":");
	diff_put_named(&lists->changed, to, t);
	buf_put_char(&lists->changed, '}');
}

static void diff_put_one(struct page *page, const struct lists *lists, struct buf *list,
                         const struct sorted *of, size_t n)
{
	if (!page_takes(page, lists))
		return;
	diff_put_comma(list);
	diff_put_named(list, of, n);
}

static void diff_merge(struct page *page, struct lists *lists, const struct sorted *from,
                       const struct sorted *to)
{
	size_t f = 0;
	size_t t = 0;

	while (!page->is_full && (f < from->count || t < to->count)) {
		int order = f == from->count ? 1
		            : t == to->count ? -1
		                             : compare_names(&from->names[f], &to->names[t]);

		if (order == 0)
			diff_put_changed(page, lists, from, f, to, t);
		else if (order < 0)
			diff_put_one(page, lists, &lists->removed, from, f);
		else
			diff_put_one(page, lists, &lists->added, to, t);
		f += order <= 0;
		t += order >= 0;
	}
}

static void diff_put_list(struct buf *out, const char *name, struct buf *list)
{
	buf_put(out, name);
	buf_put_str(out, (struct str){list->data, list->len});
	buf_put_char(out, ']');
	if (buf_error(list) < 0 && buf_error(out) == 0)
		out->error = buf_error(list);
	buf_fini(list);
}

/* Puts the differences of what @p sort selects, as three members of an object. */
static int diff_put_lists(struct buf *out, struct page *page, const struct past_state *before,
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
		diff_merge(page, &lists, &from, &to);
	page->bytes += lists_length(&lists);
	diff_put_list(out, "\"added\":[", &lists.added);
	diff_put_list(out, ",\"changed\":[", &lists.changed);
	diff_put_list(out, ",\"removed\":[", &lists.removed);
	free(from.names);
	free(to.names);
	return r;
}

static int diff_put(struct archive_query *query, const struct past_state *before,
                    const struct past_state *after)
{
	struct page page = {
		.skip = query->skip, .left = query->limit, .bytes_max = query->bytes_max};

	buf_put_char(query->out, ',');
	int r = diff_put_lists(query->out, &page, before, after, diff_sort_instances);
	buf_put(query->out, ",\"entries\":{");
	if (r == 0)
		r = diff_put_lists(query->out, &page, before, after, diff_sort_entries);
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
		r = diff_put(query, before, after);
	past_state_free(before);
	past_state_free(after);
	return r;
}
