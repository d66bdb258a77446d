/* SPDX-License-Identifier: MIT */
/** Fails the nth allocation from now on, once: for tests that out-of-memory changes nothing. */
#pragma once

#include <stdbool.h>

/** @param nth  0: the next one */
void fault_arm(int nth);
/** Disarms; was an allocation made to fail? */
bool fault_hit(void);
