/* SPDX-License-Identifier: MIT */
/*
 * The hash ring. Built by the writer, read by any thread.
 *
 * Invariant: the points of an instance depend on its id alone, so a change of a service moves only
 * the keys of instances that came or went. Computing all points anew at each change would take 100
 * MD5s for each instance; so points of members that stay are merged with the sorted new ones.
 */
#include "balance/internal.h"

#include "base/buf.h"

#include <md5.h>
#include <stdlib.h>

/* A new point, not yet in a ring. */
struct point {
	struct place place;
	uint32_t owner;
};

static uint64_t big_endian(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < sizeof(value); i++)
		value = value << 8 | bytes[i];
	return value;
}

static struct place point_place(MD5_CTX *md5)
{
	uint8_t digest[MD5_DIGEST_LENGTH];

	MD5Final(digest, md5);
	return (struct place){big_endian(digest), big_endian(digest + 8)};
}

struct place ring_place(struct str key)
{
	MD5_CTX md5;

	MD5Init(&md5);
	MD5Update(&md5, (const uint8_t *)key.data, key.len);
	return point_place(&md5);
}

static bool point_is_before(struct place a, struct place b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

static int by_place(const void *a, const void *b)
{
	const struct point *left = a;
	const struct point *right = b;

	if (point_is_before(left->place, right->place))
		return -1;
	if (point_is_before(right->place, left->place))
		return 1;
	return (left->owner > right->owner) - (left->owner < right->owner);
}

/* Appends the points of one instance: the MD5s of "id:0", "id:1", ... */
static void add_points(struct point *points, struct str id, uint32_t owner)
{
	MD5_CTX begun;

	MD5Init(&begun);
	MD5Update(&begun, (const uint8_t *)id.data, id.len);
	for (uint32_t i = 0; i < RING_POINTS; i++) {
		char number[] = {':', (char)('0' + i / 10), (char)('0' + i % 10)};
		MD5_CTX md5 = begun;

		if (i < 10)
			number[1] = number[2];
		MD5Update(&md5, (const uint8_t *)number, i < 10 ? 2 : 3);
		points[i] = (struct point){point_place(&md5), owner};
	}
}

static void ring_free(struct service_index *index)
{
	free(index);
}

static struct ring *ring_new(size_t count)
{
	struct ring *ring =
		malloc(sizeof(*ring) + count * (sizeof(struct place) + sizeof(uint32_t)));

	if (ring == NULL)
		return NULL;
	ring->base.free = ring_free;
	atomic_init(&ring->used, false);
	ring->count = (uint32_t)count;
	ring->owner = (uint32_t *)(void *)(ring->place + count);
	return ring;
}

#define GONE UINT32_MAX

/*
 * Finds for each healthy member of @p previous its index in @p service (GONE: none), and the
 * members of @p service that are new. Both are in the order of incarnations; a member that is not
 * committed yet (incarnation 0) is new and comes last.
 */
static void ring_match(const struct service *service, const struct service *previous,
                       uint32_t *moved_to, bool *is_new)
{
	uint32_t count = service->status_count[STATUS_HEALTHY];
	uint32_t old_count = previous != NULL ? previous->status_count[STATUS_HEALTHY] : 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < count; i++)
		is_new[i] = true;
	for (uint32_t i = 0; i < old_count; i++) {
		uint64_t life = previous->healthy[i]->value.incarnation;

		while (at < count && service->healthy[at]->value.incarnation != 0 &&
		       service->healthy[at]->value.incarnation < life)
			at++;
		bool stays = at < count && service->healthy[at]->value.incarnation == life;
		moved_to[i] = stays ? at : GONE;
		if (stays)
			is_new[at] = false;
	}
}

/* Merges the old points of members that stay with the sorted points of new members. */
static void ring_merge(struct ring *ring, const struct ring *old, const uint32_t *moved_to,
                       const struct point *points, size_t point_count)
{
	uint32_t *owner = (uint32_t *)(uintptr_t)ring->owner;
	size_t old_count = old != NULL ? old->count : 0;
	size_t next_point = 0;
	size_t next_old = 0;

	for (size_t at = 0; at < ring->count;) {
		while (next_old < old_count && moved_to[old->owner[next_old]] == GONE)
			next_old++;
		if (next_old == old_count ||
		    (next_point < point_count &&
		     point_is_before(points[next_point].place, old->place[next_old]))) {
			ring->place[at] = points[next_point].place;
			owner[at++] = points[next_point++].owner;
		} else {
			ring->place[at] = old->place[next_old];
			owner[at++] = moved_to[old->owner[next_old++]];
		}
	}
}

struct ring *ring_build(const struct service *service, const struct service *previous,
                        const struct ring *old)
{
	uint32_t count = service->status_count[STATUS_HEALTHY];
	uint32_t old_count = old != NULL ? previous->status_count[STATUS_HEALTHY] : 0;
	struct ring *ring = ring_new((size_t)count * RING_POINTS);
	uint32_t *moved_to = calloc(old_count + 1, sizeof(*moved_to));
	bool *is_new = calloc(count, sizeof(*is_new));
	struct point *points = NULL;
	size_t point_count = 0;

	if (ring == NULL || moved_to == NULL || is_new == NULL)
		goto fail;
	ring_match(service, old != NULL ? previous : NULL, moved_to, is_new);
	for (uint32_t i = 0; i < count; i++)
		point_count += is_new[i] ? RING_POINTS : 0;
	points = malloc((point_count + 1) * sizeof(*points));
	if (points == NULL)
		goto fail;

	point_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (is_new[i]) {
			add_points(points + point_count, service->healthy[i]->value.id, i);
			point_count += RING_POINTS;
		}
	}
	qsort(points, point_count, sizeof(*points), by_place);
	ring_merge(ring, old, moved_to, points, point_count);
	goto out;

fail:
	free(ring);
	ring = NULL;
out:
	free(points);
	free(moved_to);
	free(is_new);
	return ring;
}

/* About half the usual error of a guess among 100,000 points. */
#define NEAR 64

/*
 * Narrows the range of points that may be the first at or after @p place. MD5s are spread evenly,
 * so the first bits of the place give a good guess; search on from there in growing steps. A binary
 * search over the whole ring would miss the cache at most of its steps.
 */
static void ring_narrow(const struct ring *ring, struct place place, uint32_t *low, uint32_t *high)
{
	uint32_t guess = (uint32_t)((place.high >> 32) * ring->count >> 32);
	uint32_t step = NEAR;

	if (point_is_before(ring->place[guess], place)) {
		*low = guess + 1;
		while (*high - *low > step && point_is_before(ring->place[*low + step], place)) {
			*low += step + 1;
			step *= 2;
		}
		if (*high - *low > step)
			*high = *low + step;
	} else {
		*high = guess;
		while (*high - *low > step && !point_is_before(ring->place[*high - step], place)) {
			*high -= step;
			step *= 2;
		}
		if (*high - *low > step)
			*low = *high - step + 1;
	}
}

uint32_t ring_find(const struct ring *ring, struct place place)
{
	uint32_t low = 0;
	uint32_t high = ring->count;

	ring_narrow(ring, place, &low, &high);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (point_is_before(ring->place[middle], place))
			low = middle + 1;
		else
			high = middle;
	}
	return low == ring->count ? 0 : low;
}
