/* SPDX-License-Identifier: MIT */
/** A set of revisions, or of incarnations, which are revisions too: all above 0. {NULL, 0, 0} is
 * empty. One thread at a time. */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revision_set {
	uint64_t *slots;
	size_t count;
	size_t size; /* a power of two */
};

bool revision_set_has(const struct revision_set *set, uint64_t revision);
/** @param revision  not in the set yet. @return 0 or -ENOMEM */
int revision_set_add(struct revision_set *set, uint64_t revision) MUST_USE;
/** Frees the memory; the set is empty then and may be used again. */
void revision_set_fini(struct revision_set *set);
