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

/** One state's instances in order of service and id. */
struct sorted {
	const struct past_state *state;
	struct name {
		struct str service;
		struct str id;
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

	return order != 0 ? order : str_compare(x->id, y->id);
}

static int sort(const struct past_state *state, struct sorted *ret)
{
	struct instance instance;

	ret->state = state;
	ret->count = past_count(state);
	ret->names = calloc(ret->count + 1, sizeof(*ret->names));
	if (ret->names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++) {
		past_get(state, i, &instance);
		ret->names[i] = (struct name){instance.service, instance.id, instance.revision, i};
	}
	qsort(ret->names, ret->count, sizeof(*ret->names), by_name);
	return 0;
}

/** The three lists, each without its brackets, and how much more may come into them. */
struct page {
	struct buf added;
	struct buf changed;
	struct buf removed;
	uint64_t skip;
	uint32_t left;
	size_t bytes_max;
	bool is_full; /* and there is more */
};

static void put_instance(struct buf *out, const struct sorted *of, size_t n)
{
	struct instance instance;

	past_get(of->state, of->names[n].i, &instance);
	instance_put_json_open(out, &instance);
	instance_put_json_close(out, &instance);
}

static void put_comma(struct buf *out)
{
	if (out->len > 0)
		buf_put_char(out, ',');
}

/** Is it for this page? */
static bool takes(struct page *page)
{
	if (page->skip > 0) {
		page->skip--;
		return false;
	}
	if (page->left == 0 ||
	    page->added.len + page->changed.len + page->removed.len >= page->bytes_max)
		page->is_full = true;
	else
		page->left--;
	return !page->is_full;
}

/** What is the same in both has the same revision in both. */
static void put_both(struct page *page, const struct sorted *from, size_t f,
                     const struct sorted *to, size_t t)
{
	if (from->names[f].revision == to->names[t].revision || !takes(page))
		return;
	put_comma(&page->changed);
	buf_put(&page->changed, "{\"before\":");
	put_instance(&page->changed, from, f);
	buf_put(&page->changed, ",\"after\":");
	put_instance(&page->changed, to, t);
	buf_put_char(&page->changed, '}');
}

static void put_one(struct page *page, struct buf *list, const struct sorted *of, size_t n)
{
	if (!takes(page))
		return;
	put_comma(list);
	put_instance(list, of, n);
}

static void merge(struct page *page, const struct sorted *from, const struct sorted *to)
{
	size_t f = 0;
	size_t t = 0;

	while (!page->is_full && (f < from->count || t < to->count)) {
		int order = f == from->count ? 1
		            : t == to->count ? -1
		                             : by_name(&from->names[f], &to->names[t]);

		if (order == 0)
			put_both(page, from, f, to, t);
		else if (order < 0)
			put_one(page, &page->removed, from, f);
		else
			put_one(page, &page->added, to, t);
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
	struct sorted from = {.count = 0};
	struct sorted to = {.count = 0};
	struct page page = {
		.skip = query->skip, .left = query->limit, .bytes_max = query->bytes_max};
	int r = sort(before, &from);

	if (r == 0)
		r = sort(after, &to);
	buf_init(&page.added, query->out->most);
	buf_init(&page.changed, query->out->most);
	buf_init(&page.removed, query->out->most);
	if (r == 0)
		merge(&page, &from, &to);
	query->count = query->limit - page.left;
	query->more = page.is_full;
	put_list(query->out, ",\"added\":[", &page.added);
	put_list(query->out, ",\"changed\":[", &page.changed);
	put_list(query->out, ",\"removed\":[", &page.removed);
	free(from.names);
	free(to.names);
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
