/* SPDX-License-Identifier: MIT */
#include "base/random.h"
#include "suite.h"

#include "balance/internal.h"

#include <stdlib.h>

/* The first point at or after @p place, else the first of all, found by linear search. */
static uint32_t walk(const struct ring *ring, struct place place)
{
	for (uint32_t i = 0; i < ring->count; i++)
		if (ring->place[i].high > place.high ||
		    (ring->place[i].high == place.high && ring->place[i].low >= place.low))
			return i;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;

	if (left->high != right->high)
		return left->high < right->high ? -1 : 1;
	return (left->low > right->low) - (left->low < right->low);
}

static struct ring *ring_of(uint32_t count)
{
	struct ring *ring = calloc(1, sizeof(*ring) + count * sizeof(ring->place[0]));

	ck_assert_ptr_nonnull(ring);
	ring->count = count;
	return ring;
}

static void ck_finds(const struct ring *ring, struct place place)
{
	ck_assert_uint_eq(ring_find(ring, place), walk(ring, place));
}

/* Checks each point, its neighbours and both ends. */
static void ck_finds_all(const struct ring *ring)
{
	for (uint32_t i = 0; i < ring->count; i++) {
		struct place at = ring->place[i];

		ck_finds(ring, at);
		ck_finds(ring, (struct place){at.high - (at.low == 0), at.low - 1});
		ck_finds(ring, (struct place){at.high + (at.low == UINT64_MAX), at.low + 1});
	}
	ck_finds(ring, (struct place){0, 0});
	ck_finds(ring, (struct place){UINT64_MAX, UINT64_MAX});
}

START_TEST(finds_the_first_point_at_or_after_any_place)
{
	static const uint32_t counts[] = {1, 2, 3, 63, 64, 65, 130, 1000, 3000};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct ring *ring = ring_of(counts[i]);

		for (uint32_t n = 0; n < ring->count; n++)
			ring->place[n] = (struct place){random_u64(), random_u64()};
		qsort(ring->place, ring->count, sizeof(ring->place[0]), by_place);
		ck_finds_all(ring);
		free(ring);
	}
}
END_TEST

START_TEST(finds_the_point_in_clusters)
{
	/* all at the beginning, all at the end, half and half */
	for (uint64_t shape = 0; shape < 3; shape++) {
		struct ring *ring = ring_of(1000);

		for (uint32_t n = 0; n < ring->count; n++) {
			bool last = shape == 1 || (shape == 2 && n >= 500);

			ring->place[n] = (struct place){last ? UINT64_MAX : 0, n * UINT64_C(10)};
		}
		ck_finds_all(ring);
		free(ring);
	}
}
END_TEST

SUITE("ring", NULL, NULL, finds_the_first_point_at_or_after_any_place, finds_the_point_in_clusters)
