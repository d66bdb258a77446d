/* SPDX-License-Identifier: MIT */
/** A state of the past while past.c rebuilds it: packed instances and entries, and where each is.
 */
#pragma once

#include "journal/past.h"

struct past_item {
	uint64_t incarnation;
	size_t at; /* where it is packed in the rows */
};

struct past_state {
	struct buf rows; /* packed instances and entries */
	struct past_list {
		struct past_item *items;
		size_t count;
		size_t size;
	} of[SUBJECT_COUNT];
};

struct past_state *past_state_new(void) MUST_USE;
void past_state_reset(struct past_state *state);
/** Takes in what is packed at @p at of the rows. @return 0 or -ENOMEM */
int past_state_add(struct past_state *state, enum event_subject subject, uint64_t incarnation,
                   size_t at) MUST_USE;
/** Packs it and takes it in. */
int past_state_put_instance(struct past_state *state, const struct instance *instance) MUST_USE;
int past_state_put_entry(struct past_state *state, const struct entry *entry) MUST_USE;
/** Brings it into order of incarnation. */
void past_state_sort(struct past_state *state);
