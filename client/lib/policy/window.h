/* SPDX-License-Identifier: MIT */
/** A sliding window of equal buckets, with three counters. The owner locks. */
#pragma once

#include <stdint.h>

#define WINDOW_COLUMNS 3

struct window {
	uint32_t (*slots)[WINDOW_COLUMNS]; /* borrowed */
	unsigned buckets;
	int64_t width_us;
	int64_t newest; /* number of the bucket of the latest count: its time / width_us */
	uint32_t sum[WINDOW_COLUMNS];
};

/** @param slots  zeroed, of @p buckets */
void window_init(struct window *window, uint32_t (*slots)[WINDOW_COLUMNS], unsigned buckets,
                 int64_t width_us);
void window_clear(struct window *window);
void window_add(struct window *window, int64_t now_us, unsigned column, uint32_t count);
/** @return the sum of a counter over the window that ends at @p now_us */
uint32_t window_sum(struct window *window, int64_t now_us, unsigned column);
