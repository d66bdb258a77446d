/* SPDX-License-Identifier: MIT */
#include "lib/policy/window.h"

#include <string.h>

void window_init(struct window *window, uint32_t (*slots)[WINDOW_COLUMNS], unsigned buckets,
                 int64_t width_us)
{
	*window = (struct window){.slots = slots, .buckets = buckets, .width_us = width_us};
}

void window_clear(struct window *window)
{
	memset(window->slots, 0, window->buckets * sizeof(window->slots[0]));
	memset(window->sum, 0, sizeof(window->sum));
}

static void window_advance(struct window *window, int64_t now_us)
{
	int64_t bucket = now_us / window->width_us;

	if (bucket <= window->newest)
		return;
	if (bucket - window->newest >= (int64_t)window->buckets) {
		window_clear(window);
		window->newest = bucket;
		return;
	}
	while (window->newest < bucket) {
		window->newest++;
		uint32_t *slot = window->slots[(uint64_t)window->newest % window->buckets];

		for (unsigned i = 0; i < WINDOW_COLUMNS; i++) {
			window->sum[i] -= slot[i];
			slot[i] = 0;
		}
	}
}

void window_add(struct window *window, int64_t now_us, unsigned column, uint32_t count)
{
	window_advance(window, now_us);
	window->slots[(uint64_t)window->newest % window->buckets][column] += count;
	window->sum[column] += count;
}

uint32_t window_sum(struct window *window, int64_t now_us, unsigned column)
{
	window_advance(window, now_us);
	return window->sum[column];
}
