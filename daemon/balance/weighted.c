/* SPDX-License-Identifier: MIT */
/*
 * Precomputes the order of weighted round robin. Built by the writer, read by any thread.
 *
 * Invariant: in one period each instance stands in `order` in proportion to its weight, and `order`
 * never changes once it is built, so a pick is one atomic increment and one load. Keeping nginx's
 * current values at run time instead would need a lock and O(instances) for each pick.
 */
#include "balance/internal.h"

#include <stdlib.h>

/*
 * When building takes more than WEIGHTED_COST_MAX steps, the sequence is approximated by this many
 * picks of stride scheduling: the share of each instance is then off by less than one pick in as
 * many.
 */
#define WEIGHTED_APPROXIMATE (1u << 18)

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void weighted_free(struct service_index *index)
{
	free(index);
}

static struct weighted *weighted_new(uint32_t period)
{
	struct weighted *weighted = malloc(sizeof(*weighted) + period * sizeof(weighted->order[0]));

	if (weighted == NULL)
		return NULL;
	weighted->base.free = weighted_free;
	atomic_init(&weighted->used, false);
	weighted->period = period;
	return weighted;
}

/* One period of smooth weighted round robin as in nginx (its commit 52327e0627f4). */
static struct weighted *weighted_smooth(const int64_t *weights, uint32_t count, int64_t total,
                                        uint32_t period)
{
	struct weighted *weighted = weighted_new(period);
	int64_t *current = calloc(count, sizeof(*current));

	if (weighted == NULL || current == NULL) {
		free(weighted);
		free(current);
		return NULL;
	}
	for (uint32_t step = 0; step < period; step++) {
		uint32_t best = 0;

		for (uint32_t i = 0; i < count; i++) {
			current[i] += weights[i];
			if (current[i] > current[best])
				best = i;
		}
		current[best] -= total;
		weighted->order[step] = best;
	}
	free(current);
	return weighted;
}

/* An entry of a binary heap ordered by (pass, index): the first one is due next. */
struct stride {
	double pass;
	double step;
	uint32_t index;
};

static bool turn_is_before(const struct stride *a, const struct stride *b)
{
	return a->pass < b->pass || (a->pass <= b->pass && a->index < b->index);
}

static void sift_down(struct stride *heap, uint32_t count, uint32_t at)
{
	for (;;) {
		uint32_t first = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
			if (turn_is_before(&heap[child], &heap[first]))
				first = child;
		}
		if (first == at)
			return;

		struct stride swap = heap[at];
		heap[at] = heap[first];
		heap[first] = swap;
		at = first;
	}
}

/* Stride scheduling (Waldspurger and Weihl, 1995): cheap to compute for many instances. */
static struct weighted *weighted_stride(const int64_t *weights, uint32_t count)
{
	struct weighted *weighted = weighted_new(WEIGHTED_APPROXIMATE);
	struct stride *heap = malloc(count * sizeof(*heap));
	uint32_t size = 0;

	if (weighted == NULL || heap == NULL) {
		free(weighted);
		free(heap);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (weights[i] > 0) {
			double step = 1.0 / (double)weights[i];

			heap[size++] = (struct stride){step / 2, step, i};
		}
	}
	for (uint32_t i = size / 2; i-- > 0;)
		sift_down(heap, size, i);
	for (uint32_t step = 0; step < WEIGHTED_APPROXIMATE; step++) {
		weighted->order[step] = heap[0].index;
		heap[0].pass += heap[0].step;
		sift_down(heap, size, 0);
	}
	free(heap);
	return weighted;
}

static struct weighted *in_order(uint32_t count)
{
	struct weighted *weighted = weighted_new(count);

	for (uint32_t i = 0; weighted != NULL && i < count; i++)
		weighted->order[i] = i;
	return weighted;
}

struct weighted *weighted_build(const struct service *service)
{
	uint32_t count = service->status_count[STATUS_HEALTHY];
	int64_t *weights = malloc(count * sizeof(*weights));
	uint64_t total = 0;
	uint64_t divisor = 0;
	bool equal = true;

	if (weights == NULL)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t weight = service->healthy[i]->value.weight;

		weights[i] = (int64_t)weight;
		total += weight;
		divisor = gcd(divisor, weight);
		equal = equal && weights[i] == weights[0];
	}

	struct weighted *weighted;
	if (equal) /* even if all are 0 */
		weighted = in_order(count);
	else if (total / divisor * count <= WEIGHTED_COST_MAX)
		weighted = weighted_smooth(weights, count, (int64_t)total,
		                           (uint32_t)(total / divisor));
	else
		weighted = weighted_stride(weights, count);
	free(weights);
	return weighted;
}
