/* SPDX-License-Identifier: MIT */
/** Two limits by rate: a token bucket, and the adaptive throttle. The owner locks. */
#pragma once

#include "lib/base/env.h"
#include "lib/policy/window.h"

#include <stdbool.h>

struct rate_limit {
	double tokens;
	int64_t filled_us;
	bool used;
};

/** Takes a token. @param rate  tokens per second; 0: no limit. @param burst  most tokens kept; less
 * than 1 is 1. @return false: there is none */
bool rate_limit_take(struct rate_limit *limit, double rate, double burst, int64_t now_us);

/**
 * The adaptive throttle refuses with probability max(0, (requests - k * accepts) / (requests + 1)).
 * Requests are counted when they are sent, not when they end: otherwise a service that hangs would
 * seem to be idle.
 */
struct throttle {
	struct window window;
	uint32_t slots[120][WINDOW_COLUMNS];
};

void throttle_init(struct throttle *throttle, uint32_t window_ms);
double throttle_probability(struct throttle *throttle, double k, int64_t now_us);
void throttle_sent(struct throttle *throttle, int64_t now_us);
void throttle_accepted(struct throttle *throttle, int64_t now_us);
