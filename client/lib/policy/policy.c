/* SPDX-License-Identifier: MIT */
#include "lib/policy/policy.h"

#include "lib/base/util.h"

static const rollcall_policy safe = {
	.time = {.total_ms = 10000, .attempt_ms = 3000, .connect_ms = 1000, .min_start_ms = 5},
	.retry = {.max_retries = 2,
                  .base_ms = 50,
                  .max_ms = 2000,
                  .jitter = ROLLCALL_J_FULL,
                  .recap = 1,
                  .budget_ratio = 0.2,
                  .budget_min_per_s = 3,
                  .retry_unknown = 1,
                  .retry_5xx = 1,
                  .avoid_tried = 1},
	.breaker = {.mode = ROLLCALL_B_CONSEC,
                    .failure_threshold = 5,
                    .recovery_ms = 30000,
                    .probes = 1,
                    .window_ms = 10000,
                    .min_calls = 20,
                    .ratio = 0.5,
                    .open_jitter = 0.1},
	.bulkhead = {.max_inflight = 100,
                     .max_queue = 100,
                     .max_wait_ms = 100,
                     .lim_min = 1,
                     .lim_max = 1000},
	.outlier = {.consec_5xx = 5,
                    .consec_local = 5,
                    .interval_ms = 10000,
                    .base_ms = 30000,
                    .max_ms = 300000,
                    .max_percent = 10,
                    .panic_percent = 50,
                    .stdev_factor = 1.9,
                    .min_hosts = 5,
                    .min_volume = 100,
                    .jitter = 0.1},
	.throttle = {.window_ms = 120000},
	.hedge = {.percentile = 0.95, .max_extra = 0.05, .min_delay_ms = 10},
};

void rollcall_policy_default_sized(rollcall_policy *policy, size_t size)
{
	rollcall_policy made = safe;

	made.size = size;
	sized_out(policy, size, &made, sizeof(made));
}

void rollcall_policy_classic_sized(rollcall_policy *policy, size_t size)
{
	rollcall_policy classic = safe;

	classic.size = size;
	classic.time.total_ms = 0;
	classic.time.attempt_ms = 30000;
	classic.retry.max_retries = 3;
	classic.retry.base_ms = 1000;
	classic.retry.max_ms = 60000;
	classic.retry.jitter = ROLLCALL_J_CLASSIC;
	classic.retry.recap = 0;
	classic.retry.budget_ratio = -1;
	classic.retry.avoid_tried = 0;
	classic.breaker.open_jitter = 0;
	classic.bulkhead.max_inflight = ROLLCALL_CLASSIC_POOL_1;
	classic.bulkhead.max_queue = 0;
	classic.bulkhead.max_wait_ms = 0;
	classic.outlier.consec_5xx = 0;
	classic.outlier.consec_local = 0;
	classic.outlier.stdev_factor = 0;
	sized_out(policy, size, &classic, sizeof(classic));
}

static bool policy_is_share(double value)
{
	return value >= 0 && value <= 1;
}

static bool valid_retry(const rollcall_policy *policy)
{
	return policy->retry.max_retries <= 100 && policy->retry.base_ms <= policy->retry.max_ms &&
	       policy->retry.max_ms <= DAY_MS && policy->retry.jitter <= ROLLCALL_J_NONE &&
	       policy->retry.budget_ratio <= 100 && policy->retry.budget_ratio >= -1;
}

static bool valid_breaker(const rollcall_policy *policy)
{
	return policy->breaker.mode <= ROLLCALL_B_RATIO && policy->breaker.failure_threshold >= 1 &&
	       policy->breaker.probes >= 1 && policy->breaker.recovery_ms <= DAY_MS &&
	       policy->breaker.open_max_ms <= DAY_MS && policy->breaker.window_ms >= 10 &&
	       policy_is_share(policy->breaker.ratio) &&
	       policy_is_share(policy->breaker.slow_ratio) &&
	       policy_is_share(policy->breaker.open_jitter);
}

static bool valid_rest(const rollcall_policy *policy)
{
	return policy->bulkhead.limit <= ROLLCALL_L_GRADIENT2 && policy->bulkhead.lim_min >= 1 &&
	       policy->bulkhead.lim_min <= policy->bulkhead.lim_max &&
	       policy->outlier.max_percent <= 100 && policy->outlier.panic_percent <= 100 &&
	       policy_is_share(policy->outlier.jitter) && policy->outlier.stdev_factor >= 0 &&
	       policy->rate.rate >= 0 && policy->rate.burst >= 0 && policy->throttle.k >= 0 &&
	       (policy->throttle.k <= 0 || policy->throttle.window_ms >= 120) &&
	       policy_is_share(policy->hedge.percentile) &&
	       policy_is_share(policy->hedge.max_extra) && policy_is_share(policy->fault.abort_p) &&
	       policy_is_share(policy->fault.delay_p) && policy->fault.abort_status >= 0 &&
	       policy->fault.abort_status <= 599;
}

bool policy_valid(const rollcall_policy *policy)
{
	return policy->time.attempt_ms >= 1 && policy->time.attempt_ms <= DAY_MS &&
	       policy->time.total_ms <= DAY_MS && valid_retry(policy) && valid_breaker(policy) &&
	       valid_rest(policy);
}
