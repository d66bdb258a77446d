/* SPDX-License-Identifier: MIT */
/** Random numbers: a fast generator for choices, and the system's for names. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** xoshiro256** (Blackman, Vigna) with one state per thread, seeded by the system. Not for
 * secrets. */
uint64_t random_u64(void);
/** Uniform in 0 .. bound-1, without modulo bias (Lemire). @param bound  1 or more */
uint64_t random_below(uint64_t bound);
/** For tests: seeds this thread's generator. */
void random_seed(uint64_t seed);
/** Bytes from getrandom(2). Aborts the process when that fails. */
void random_bytes(void *out, size_t len);
