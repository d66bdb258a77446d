/* SPDX-License-Identifier: MIT */
#include "balance/internal.h"

#include "base/buf.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

bool meta_filter_matches(const struct meta_filter *filter, const struct instance *instance)
{
	for (size_t i = 0; i < filter->count; i++) {
		struct str value;

		if (!metadata_get(instance->metadata, filter->pair[i].key, &value) ||
		    !str_equal(value, filter->pair[i].value))
			return false;
	}
	return true;
}

static uint64_t hash_filter(const struct meta_filter *filter)
{
	uint64_t hash = filter->count;

	for (size_t i = 0; i < filter->count; i++)
		hash = hash * 31 + hash_str(filter->pair[i].key) * 7 +
		       hash_str(filter->pair[i].value);
	return hash;
}

/* Is the view made for @p filter, with the same pairs in the same order? */
static bool is_of(const struct view *view, const struct meta_filter *filter, uint64_t hash)
{
	struct str key;
	struct str value;
	size_t pos = 0;
	size_t i = 0;

	if (view->hash != hash)
		return false;
	for (; metadata_next(view->filter, &pos, &key, &value); i++) {
		if (i == filter->count || !str_equal(key, filter->pair[i].key) ||
		    !str_equal(value, filter->pair[i].value))
			return false;
	}
	return i == filter->count;
}

static void filter_view_free(struct service_index *index)
{
	free(index);
}

static struct view *filter_view_new(const struct service *service, const struct meta_filter *filter,
                                    uint64_t hash)
{
	uint32_t healthy = service->status_count[STATUS_HEALTHY];
	size_t words = healthy / 64 + 1;
	size_t text = 0;

	for (size_t i = 0; i < filter->count; i++)
		text += filter->pair[i].key.len + filter->pair[i].value.len + 2;

	struct view *view = calloc(1, sizeof(*view) + words * sizeof(uint64_t) +
	                                      healthy * sizeof(uint32_t) + text);
	if (view == NULL)
		return NULL;

	uint64_t *bits = (uint64_t *)(void *)(view + 1);
	uint32_t *members = (uint32_t *)(void *)(bits + words);
	char *at = (char *)(members + healthy);

	view->base.free = filter_view_free;
	view->hash = hash;
	view->filter = (struct str){at, text};
	for (size_t i = 0; i < filter->count; i++) {
		(void)str_copy_with_nul(&at, filter->pair[i].key);
		(void)str_copy_with_nul(&at, filter->pair[i].value);
	}
	for (uint32_t i = 0; i < healthy; i++) {
		if (!meta_filter_matches(filter, &service->healthy[i]->value))
			continue;
		members[view->count++] = i;
		bits[i / 64] |= UINT64_C(1) << (i % 64);
	}
	view->members = members;
	view->bits = bits;
	return view;
}

int view_get(const struct service *service, const struct meta_filter *filter,
             struct view **ret_view, bool *ret_owned)
{
	/* Readers may fill the caches of a frozen service, and nothing else of it. */
	struct service *caches = (struct service *)(uintptr_t)service;
	uint64_t hash = hash_filter(filter);
	struct view *mine = NULL;

	for (size_t i = 0; i < SERVICE_VIEWS; i++) {
		struct service_index *kept =
			atomic_load_explicit(&caches->view[i], memory_order_acquire);

		if (kept == NULL) {
			if (mine == NULL)
				mine = filter_view_new(service, filter, hash);
			if (mine == NULL)
				return -ENOMEM;
			if (atomic_compare_exchange_strong_explicit(
				    &caches->view[i], &kept, &mine->base, memory_order_acq_rel,
				    memory_order_acquire)) {
				*ret_view = mine;
				*ret_owned = false;
				return 0;
			}
		}
		struct view *view = container_of(kept, struct view, base);
		if (is_of(view, filter, hash)) {
			free(mine);
			*ret_view = view;
			*ret_owned = false;
			return 0;
		}
	}
	if (mine == NULL)
		mine = filter_view_new(service, filter, hash);
	if (mine == NULL)
		return -ENOMEM;
	*ret_view = mine;
	*ret_owned = true;
	return 0;
}
