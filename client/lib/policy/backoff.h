/* SPDX-License-Identifier: MIT */
/** The length of the pause before a retry. Pure. */
#pragma once

#include "lib/base/env.h"
#include "rollcall.h"

#include <stdbool.h>

struct backoff {
	uint32_t base_ms;
	uint32_t max_ms;
	rollcall_jitter jitter;
	bool recap; /* apply max_ms after jitter too */
};

/**
 * @param n  0 for the first retry
 * @param previous_us  the previous pause, 0 for the first retry; read for ROLLCALL_J_DECORR only
 * @return microseconds
 */
int64_t backoff_us(const struct backoff *rule, unsigned n, int64_t previous_us,
                   const struct env *env);
