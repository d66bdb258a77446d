/* SPDX-License-Identifier: MIT */
/**
 * SipHash-1-3 with a secret key made at start, so that a client that chooses names cannot choose
 * collisions. Values differ from run to run: never store or send them.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

/** Draws the key from the system; called once before threads start. Without it the key is a
 * constant (tests). */
void hash_seed(void);
uint64_t hash_bytes(const void *data, size_t len);

static inline uint64_t hash_str(struct str text)
{
	return hash_bytes(text.data, text.len);
}
