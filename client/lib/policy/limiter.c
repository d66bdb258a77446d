/* SPDX-License-Identifier: MIT */
#include "lib/policy/limiter.h"

#include "lib/base/util.h"

#include <string.h>

bool rate_limit_take(struct rate_limit *limit, double rate, double burst, int64_t now_us)
{
	if (rate <= 0)
		return true;
	if (burst < 1)
		burst = 1;
	if (!limit->used) {
		limit->used = true;
		limit->tokens = burst;
	} else {
		limit->tokens += rate * (double)(now_us - limit->filled_us) / US_PER_S;
	}
	limit->filled_us = now_us;
	if (limit->tokens > burst)
		limit->tokens = burst;
	if (limit->tokens < 1)
		return false;
	limit->tokens -= 1;
	return true;
}

enum { SENT, ACCEPTED };

void throttle_init(struct throttle *throttle, uint32_t window_ms)
{
	memset(throttle->slots, 0, sizeof(throttle->slots));
	window_init(&throttle->window, throttle->slots, ARRAY_LEN(throttle->slots),
	            max_i64(1, us_of_ms(window_ms) / (int64_t)ARRAY_LEN(throttle->slots)));
}

double throttle_probability(struct throttle *throttle, double k, int64_t now_us)
{
	double sent = window_sum(&throttle->window, now_us, SENT);
	double accepted = window_sum(&throttle->window, now_us, ACCEPTED);
	double p = (sent - k * accepted) / (sent + 1);

	return p > 0 ? p : 0;
}

void throttle_sent(struct throttle *throttle, int64_t now_us)
{
	window_add(&throttle->window, now_us, SENT, 1);
}

void throttle_accepted(struct throttle *throttle, int64_t now_us)
{
	window_add(&throttle->window, now_us, ACCEPTED, 1);
}
