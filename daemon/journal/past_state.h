/* SPDX-License-Identifier: MIT */
/** A past state: packed instances and entries (pack.h), and the place of each. For past.c, which
 * builds it. */
#pragma once

#include "journal/past.h"

struct past_item {
	uint64_t incarnation;
	size_t at; /* its offset in rows */
};

struct past_state {
	struct buf rows; /* packed instances and entries */
	struct past_list {
		struct past_item *items;
		size_t count;
		size_t size;
	} of[SUBJECT_COUNT];
};

/** @return an empty state, owned by the caller; NULL: out of memory */
struct past_state *past_state_new(void) MUST_USE;
/** Makes the state empty again; keeps its memory. */
void past_state_reset(struct past_state *state);
/** Adds the instance or entry that is packed at offset @p at of rows. @return 0 or -ENOMEM */
int past_state_add(struct past_state *state, enum event_subject subject, uint64_t incarnation,
                   size_t at) MUST_USE;
/** Packs the instance and adds it. @return 0 or -ENOMEM */
int past_state_put_instance(struct past_state *state, const struct instance *instance) MUST_USE;
int past_state_put_entry(struct past_state *state, const struct entry *entry) MUST_USE;
/** Sorts by incarnation. */
void past_state_sort(struct past_state *state);
