/* SPDX-License-Identifier: MIT */
#include "journal/numbers.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct numbers *numbers, uint64_t number)
{
	size_t slot = (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 20);

	for (;; slot++) {
		uint64_t there = numbers->slots[slot & (numbers->size - 1)];

		if (there == 0 || there == number)
			return slot & (numbers->size - 1);
	}
}

bool numbers_has(const struct numbers *numbers, uint64_t number)
{
	return numbers->size > 0 && numbers->slots[slot_of(numbers, number)] == number;
}

static int grow(struct numbers *numbers)
{
	struct numbers next = {.size = numbers->size > 0 ? numbers->size * 2 : 1024};

	next.slots = calloc(next.size, sizeof(*next.slots));
	if (next.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < numbers->size; i++)
		if (numbers->slots[i] != 0)
			next.slots[slot_of(&next, numbers->slots[i])] = numbers->slots[i];
	next.count = numbers->count;
	free(numbers->slots);
	*numbers = next;
	return 0;
}

int numbers_add(struct numbers *numbers, uint64_t number)
{
	if (numbers->count * 2 >= numbers->size && grow(numbers) < 0)
		return -ENOMEM;
	numbers->slots[slot_of(numbers, number)] = number;
	numbers->count++;
	return 0;
}

void numbers_fini(struct numbers *numbers)
{
	free(numbers->slots);
	*numbers = (struct numbers){NULL, 0, 0};
}
