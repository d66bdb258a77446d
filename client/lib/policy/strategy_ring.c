/* SPDX-License-Identifier: MIT */
/*
 * Consistent hash, by the same rule as the registry's: each instance has 100 points on a ring,
 * point i of instance X at the MD5 of "X:i"; a key stands at the MD5 of the key; both are 128-bit
 * big-endian. A pick takes the first point at or after the key's place, and wraps at the end.
 */
#include "lib/policy/strategy.h"

#include "lib/base/util.h"

#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 100

struct place {
	uint64_t high;
	uint64_t low;
};

struct point {
	struct place place;
	size_t index;
};

struct ring {
	size_t count;
	struct point points[];
};

static uint64_t ring_big_endian(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

static struct place ring_place(const char *text, size_t len)
{
	uint8_t digest[MD5_DIGEST_LENGTH];
	MD5_CTX md5;

	MD5Init(&md5);
	MD5Update(&md5, (const uint8_t *)text, len);
	MD5Final(digest, &md5);
	return (struct place){ring_big_endian(digest), ring_big_endian(digest + 8)};
}

static int compare_places(const struct place *a, const struct place *b)
{
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	return (a->low > b->low) - (a->low < b->low);
}

static int compare_points(const void *left, const void *right)
{
	const struct point *a = left;
	const struct point *b = right;

	return compare_places(&a->place, &b->place);
}

static void *ring_create(const rollcall_instance *instances, size_t count, uint64_t random,
                         void *arg)
{
	char text[ROLLCALL_ID_MAX + 8];
	struct ring *ring = malloc(sizeof(*ring) + count * POINTS * sizeof(struct point));

	(void)random;
	(void)arg;
	if (ring == NULL)
		return NULL;
	ring->count = count * POINTS;
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < POINTS; n++) {
			int len = snprintf(text, sizeof(text), "%s:%zu", instances[i].id, n);

			ring->points[i * POINTS + n] =
				(struct point){ring_place(text, (size_t)len), i};
		}
	}
	qsort(ring->points, ring->count, sizeof(struct point), compare_points);
	return ring;
}

static size_t first_at_or_after(const struct ring *ring, const struct place *place)
{
	size_t low = 0;
	size_t high = ring->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(&ring->points[middle].place, place) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t ring_pick(void *state, const rollcall_choice *choice)
{
	const struct ring *ring = state;
	struct place place;

	if (choice->key != NULL)
		place = ring_place(choice->key, strlen(choice->key));
	else
		place = (struct place){choice->random_below(choice, UINT64_MAX), 0};

	size_t at = first_at_or_after(ring, &place);
	for (size_t tries = 0; tries < ring->count; tries++) {
		size_t index = ring->points[(at + tries) % ring->count].index;

		if (strategy_usable(choice, index))
			return index;
	}
	return ROLLCALL_NONE;
}

const rollcall_strategy strategy_ring = {
	.size = sizeof(rollcall_strategy),
	.name = "consistent_hash",
	.create = ring_create,
	.pick = ring_pick,
	.destroy = free,
};
