/* SPDX-License-Identifier: MIT */
/**
 * The retry budget: over the last ten seconds there may be as many retries as a share of the
 * requests, plus a fixed number per second. A retry is counted when it is decided, so retries that
 * still pause count too. The owner locks.
 */
#pragma once

#include "lib/policy/window.h"

#include <stdbool.h>

struct budget {
	struct window window;
	uint32_t slots[10][WINDOW_COLUMNS];
};

void budget_init(struct budget *budget);
/** Counts a request. */
void budget_request(struct budget *budget, int64_t now_us);
/** @return whether one more retry is allowed; if so it is counted. @param ratio  retries per
 * request; below 0: always allowed. @param min_per_s  retries per second beyond that */
bool budget_retry(struct budget *budget, double ratio, uint32_t min_per_s, int64_t now_us);
/** @return whether one more retry would be allowed; counts nothing */
bool budget_has(struct budget *budget, double ratio, uint32_t min_per_s, int64_t now_us);
