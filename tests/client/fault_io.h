/* SPDX-License-Identifier: MIT */
/** Fails the nth request for a descriptor, a thread or a libcurl handle from now on, once. */
#pragma once

#include <stdbool.h>

/** @param nth  0: the next one */
void fault_io_arm(int nth);
/** Disarms. @return whether a request was made to fail */
bool fault_io_hit(void);
