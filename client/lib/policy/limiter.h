/* SPDX-License-Identifier: MIT */
/** The two that refuse by rate: a token bucket, and the adaptive throttle. The owner locks. */
#pragma once

#include "lib/base/env.h"
#include "lib/policy/window.h"

#include <stdbool.h>

struct rate_limit {
	double tokens;
	int64_t filled_us;
	bool used;
};

/** Takes a token. @param rate  a second; 0: no limit */
bool rate_limit_take(struct rate_limit *limit, double rate, double burst, int64_t now_us);

/**
 * Refuses with probability max(0, (requests - k * accepts) / (requests + 1)). Requests are counted
 * when sent, not when they end: a service that hangs must not look idle.
 */
struct throttle {
	struct window window;
	uint32_t slots[120][WINDOW_COLUMNS];
};

void throttle_init(struct throttle *throttle, uint32_t window_ms);
double throttle_probability(struct throttle *throttle, double k, int64_t now_us);
void throttle_sent(struct throttle *throttle, int64_t now_us);
void throttle_accepted(struct throttle *throttle, int64_t now_us);
