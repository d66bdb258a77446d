/* SPDX-License-Identifier: MIT */
/*
 * SipHash, after J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012,
 * with one compression and three finalisation rounds.
 */
#include "base/hash.h"

#include "base/random.h"

#include <string.h>

static uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908}; /* changed by hash_seed() only */

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline uint64_t little_endian(const unsigned char bytes[8])
{
	uint64_t word = 0;

	memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

void hash_seed(void)
{
	random_bytes(key, sizeof(key));
}

uint64_t hash_bytes(const void *data, size_t len)
{
	const unsigned char *at = data;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	};

	for (size_t left = len / 8; left > 0; left--, at += 8) {
		uint64_t word = little_endian(at);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}

	uint64_t last = (uint64_t)len << 56;
	for (unsigned i = 0; i < len % 8; i++)
		last |= (uint64_t)at[i] << 8 * i;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;

	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
