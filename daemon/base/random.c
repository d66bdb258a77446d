/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include "base/check.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>

static _Thread_local uint64_t state[4];
static _Thread_local bool seeded;

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

void random_bytes(void *out, size_t len)
{
	unsigned char *at = out;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		CHECK(got > 0);
		at += got;
		len -= (size_t)got;
	}
}

/* SplitMix64 spreads any seed, 0 included, over a state that is never all zeros. */
void random_seed(uint64_t seed)
{
	for (size_t i = 0; i < ARRAY_LEN(state); i++) {
		seed += 0x9e3779b97f4a7c15;
		uint64_t z = seed;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		state[i] = z ^ z >> 31;
	}
	seeded = true;
}

uint64_t random_u64(void)
{
	if (__builtin_expect(!seeded, 0)) {
		do
			random_bytes(state, sizeof(state));
		while ((state[0] | state[1] | state[2] | state[3]) == 0);
		seeded = true;
	}

	uint64_t result = rotate(state[1] * 5, 7) * 9;
	uint64_t shifted = state[1] << 17;
	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate(state[3], 45);
	return result;
}

/* D. Lemire, "Fast random integer generation in an interval", 2019. */
uint64_t random_below(uint64_t bound)
{
	__extension__ typedef unsigned __int128 wide;

	CHECK(bound > 0);
	wide product = (wide)random_u64() * bound;
	if ((uint64_t)product < bound) {
		uint64_t threshold = (0 - bound) % bound;
		while ((uint64_t)product < threshold)
			product = (wide)random_u64() * bound;
	}
	return (uint64_t)(product >> 64);
}
