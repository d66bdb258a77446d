/* SPDX-License-Identifier: MIT */
#include "journal/past_state.h"

#include "base/check.h"
#include "journal/pack.h"

#include <errno.h>
#include <stdlib.h>

#define BYTES_MAX ((size_t)1 << 33)

struct past_state *past_state_new(void)
{
	struct past_state *state = calloc(1, sizeof(*state));

	if (state != NULL)
		buf_init(&state->rows, BYTES_MAX);
	return state;
}

void past_state_reset(struct past_state *state)
{
	buf_reset(&state->rows);
	for (size_t i = 0; i < SUBJECT_COUNT; i++)
		state->of[i].count = 0;
}

int past_state_add(struct past_state *state, enum event_subject subject, uint64_t incarnation,
                   size_t at)
{
	struct past_list *list = &state->of[subject];

	if (list->count == list->size) {
		size_t size = list->size > 0 ? list->size * 2 : 64;
		struct past_item *items = realloc(list->items, size * sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->size = size;
	}
	list->items[list->count++] = (struct past_item){incarnation, at};
	return 0;
}

int past_state_put_instance(struct past_state *state, const struct instance *instance)
{
	size_t at = state->rows.len;

	pack_instance(&state->rows, instance);
	return buf_error(&state->rows) < 0
	               ? -ENOMEM
	               : past_state_add(state, SUBJECT_INSTANCE, instance->incarnation, at);
}

int past_state_put_entry(struct past_state *state, const struct entry *entry)
{
	size_t at = state->rows.len;

	pack_entry(&state->rows, entry);
	return buf_error(&state->rows) < 0
	               ? -ENOMEM
	               : past_state_add(state, SUBJECT_ENTRY, entry->incarnation, at);
}

static int by_incarnation(const void *a, const void *b)
{
	const struct past_item *x = a;
	const struct past_item *y = b;

	return (x->incarnation > y->incarnation) - (x->incarnation < y->incarnation);
}

void past_state_sort(struct past_state *state)
{
	for (size_t i = 0; i < SUBJECT_COUNT; i++) {
		const struct past_list *list = &state->of[i];

		if (list->count > 0)
			qsort(list->items, list->count, sizeof(*list->items), by_incarnation);
	}
}

size_t past_count(const struct past_state *state)
{
	return state->of[SUBJECT_INSTANCE].count;
}

size_t past_entry_count(const struct past_state *state)
{
	return state->of[SUBJECT_ENTRY].count;
}

static struct str packed_at(const struct past_state *state, enum event_subject subject, size_t i)
{
	size_t at = state->of[subject].items[i].at;

	return (struct str){state->rows.data + at, state->rows.len - at};
}

void past_get(const struct past_state *state, size_t i, struct instance *ret_instance)
{
	struct str rest = packed_at(state, SUBJECT_INSTANCE, i);

	CHECK_OK(unpack_instance(&rest, ret_instance)); /* packed here, or unpacked before */
}

void past_get_entry(const struct past_state *state, size_t i, struct entry *ret_entry)
{
	struct str rest = packed_at(state, SUBJECT_ENTRY, i);

	CHECK_OK(unpack_entry(&rest, ret_entry)); /* as past_get() */
}

void past_state_free(struct past_state *state)
{
	if (state == NULL)
		return;
	buf_fini(&state->rows);
	for (size_t i = 0; i < SUBJECT_COUNT; i++)
		free(state->of[i].items);
	free(state);
}
