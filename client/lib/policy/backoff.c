/* SPDX-License-Identifier: MIT */
#include "lib/policy/backoff.h"

#include "lib/base/util.h"

static int64_t jittered(rollcall_jitter jitter, double v, double base, double previous,
                        const struct env *env)
{
	switch (jitter) {
	case ROLLCALL_J_CLASSIC:
		return (int64_t)(v * (0.5 + env_uniform(env)));
	case ROLLCALL_J_FULL:
		return (int64_t)(v * env_uniform(env));
	case ROLLCALL_J_EQUAL:
		return (int64_t)(v / 2 + v / 2 * env_uniform(env));
	case ROLLCALL_J_DECORR:
		if (previous < base)
			previous = base;
		return (int64_t)(base + (3 * previous - base) * env_uniform(env));
	case ROLLCALL_J_NONE:
	default:
		return (int64_t)v;
	}
}

int64_t backoff_us(const struct backoff *rule, unsigned n, int64_t previous_us,
                   const struct env *env)
{
	int64_t base = us_of_ms(rule->base_ms);
	int64_t most = us_of_ms(rule->max_ms);
	int64_t v = n < 20 ? min_i64(most, base << n) : most;
	int64_t pause = jittered(rule->jitter, (double)v, (double)base, (double)previous_us, env);

	if (rule->recap || rule->jitter == ROLLCALL_J_DECORR)
		pause = min_i64(pause, most);
	return pause;
}
