/* SPDX-License-Identifier: MIT */
/**
 * The retry budget: retries of the last ten seconds may be a share of the requests of that time
 * and a few more. Counted when a retry is decided, so those that still pause count. The owner
 * locks.
 */
#pragma once

#include "lib/policy/window.h"

#include <stdbool.h>

struct budget {
	struct window window;
	uint32_t slots[10][WINDOW_COLUMNS];
};

void budget_init(struct budget *budget);
void budget_request(struct budget *budget, int64_t now_us);
/** May one more retry be made? If so it is counted. @param ratio  below 0: always */
bool budget_retry(struct budget *budget, double ratio, uint32_t min_per_s, int64_t now_us);
/** Would it be allowed? Counts nothing. */
bool budget_has(struct budget *budget, double ratio, uint32_t min_per_s, int64_t now_us);
