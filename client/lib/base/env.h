/* SPDX-License-Identifier: MIT */
/** The clock and the random numbers of a client: rollcall_env with its defaults filled in. Any
 * thread. */
#pragma once

#include "rollcall.h"

#include <stdint.h>

struct env {
	int64_t (*now_us)(void *arg);
	uint64_t (*random_u64)(void *arg);
	void *arg;
};

/** Copies @p from and fills in defaults. Also gives the calling thread's generator a new seed, so
 * that a forked child draws other numbers than its parent. */
void env_init(struct env *env, const rollcall_env *from);

static inline int64_t env_now(const struct env *env)
{
	return env->now_us(env->arg);
}

static inline uint64_t env_random(const struct env *env)
{
	return env->random_u64(env->arg);
}

/** @return a random number, uniform in [0, 1) */
double env_uniform(const struct env *env);
/** @return a random number, uniform in 0 .. bound - 1, without bias. @param bound  1 or more */
uint64_t env_below(const struct env *env, uint64_t bound);

/** One step of splitmix64, for sequences that must repeat for a seed. */
uint64_t random_step(uint64_t *state);
