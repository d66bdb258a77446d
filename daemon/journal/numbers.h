/* SPDX-License-Identifier: MIT */
/** A set of numbers above 0, such as revisions. Begins as {NULL, 0, 0}. */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers {
	uint64_t *slots;
	size_t count;
	size_t size; /* a power of two */
};

bool numbers_has(const struct numbers *numbers, uint64_t number);
/** @param number  not in it yet @return 0 or -ENOMEM */
int numbers_add(struct numbers *numbers, uint64_t number) MUST_USE;
/** Empty again. */
void numbers_fini(struct numbers *numbers);
