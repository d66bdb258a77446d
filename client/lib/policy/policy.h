/* SPDX-License-Identifier: MIT */
/** Policies: their defaults and what may be in them. */
#pragma once

#include "rollcall.h"

#include <stdbool.h>

/** Are all numbers in range? */
bool policy_valid(const rollcall_policy *policy);
