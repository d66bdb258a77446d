/* SPDX-License-Identifier: MIT */
#include "journal/revision_set.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct revision_set *set, uint64_t revision)
{
	size_t slot = (size_t)((revision * UINT64_C(0x9e3779b97f4a7c15)) >> 20);

	for (;; slot++) {
		uint64_t found = set->slots[slot & (set->size - 1)];

		if (found == 0 || found == revision)
			return slot & (set->size - 1);
	}
}

bool revision_set_has(const struct revision_set *set, uint64_t revision)
{
	return set->size > 0 && set->slots[slot_of(set, revision)] == revision;
}

static int revision_set_grow(struct revision_set *set)
{
	struct revision_set next = {.size = set->size > 0 ? set->size * 2 : 1024};

	next.slots = calloc(next.size, sizeof(*next.slots));
	if (next.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < set->size; i++)
		if (set->slots[i] != 0)
			next.slots[slot_of(&next, set->slots[i])] = set->slots[i];
	next.count = set->count;
	free(set->slots);
	*set = next;
	return 0;
}

int revision_set_add(struct revision_set *set, uint64_t revision)
{
	if (set->count * 2 >= set->size && revision_set_grow(set) < 0)
		return -ENOMEM;
	set->slots[slot_of(set, revision)] = revision;
	set->count++;
	return 0;
}

void revision_set_fini(struct revision_set *set)
{
	free(set->slots);
	*set = (struct revision_set){NULL, 0, 0};
}
