/* SPDX-License-Identifier: MIT */
/**
 * policy/ decides, without doing: breaker, bulkhead, budget, rate limits, backoff, ejection and the
 * strategies. Nothing in it does I/O, takes a lock or needs a clock: callers pass the time, and
 * hold the lock of the object. This header has the policy itself: its defaults and its valid
 * ranges.
 */
#pragma once

#include "rollcall.h"

#include <stdbool.h>

/** @return whether all numbers of @p policy are in range */
bool policy_valid(const rollcall_policy *policy);
