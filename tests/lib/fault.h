/* SPDX-License-Identifier: MIT */
/**
 * Makes one allocation of the daemon's or the client's code fail, the nth from now on: for tests
 * that running out of memory changes nothing.
 */
#pragma once

#include <stdbool.h>

/** @param nth  0: the next one */
void fault_arm(int nth);
/** Disarms. @return whether an allocation was made to fail */
bool fault_hit(void);
