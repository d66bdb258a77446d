/* SPDX-License-Identifier: MIT */
#include "lib/base/env.h"

#include "lib/base/util.h"

#include <stdbool.h>
#include <sys/random.h>
#include <time.h>

static int64_t monotonic_us(void *arg)
{
	struct timespec now;

	(void)arg;
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

uint64_t random_step(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static _Thread_local uint64_t generator;
static _Thread_local bool seeded;

static void env_seed(void)
{
	uint64_t fresh;

	/* Early in boot the system has no random bits: the clock and an address do. */
	if (getrandom(&fresh, sizeof(fresh), GRND_NONBLOCK) != (ssize_t)sizeof(fresh))
		fresh = (uint64_t)monotonic_us(NULL) ^ (uint64_t)(uintptr_t)&generator;
	generator = fresh;
	seeded = true;
}

static uint64_t thread_random(void *arg)
{
	(void)arg;
	if (!seeded)
		env_seed();
	return random_step(&generator);
}

void env_init(struct env *env, const rollcall_env *from)
{
	*env = (struct env){from->now_us, from->random_u64, from->arg};
	if (env->now_us == NULL)
		env->now_us = monotonic_us;
	if (env->random_u64 == NULL)
		env->random_u64 = thread_random;
	env_seed();
}

double env_uniform(const struct env *env)
{
	return (double)(env_random(env) >> 11) * 0x1p-53;
}

/* Lemire's method: one multiplication, and a division only in the rare biased case. */
uint64_t env_below(const struct env *env, uint64_t bound)
{
	unsigned __int128 wide = (unsigned __int128)env_random(env) * bound;

	if ((uint64_t)wide < bound) {
		uint64_t least = -bound % bound;

		while ((uint64_t)wide < least)
			wide = (unsigned __int128)env_random(env) * bound;
	}
	return (uint64_t)(wide >> 64);
}
