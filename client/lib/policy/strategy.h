/* SPDX-License-Identifier: MIT */
/** The library's own strategies, on the interface that programs have too: see rollcall.h. */
#pragma once

#include "rollcall.h"

extern const rollcall_strategy strategy_round_robin;
extern const rollcall_strategy strategy_weighted;
extern const rollcall_strategy strategy_random;
extern const rollcall_strategy strategy_p2c;
extern const rollcall_strategy strategy_ring;

/** @return the index of an instance that is not skipped, chosen uniformly, or ROLLCALL_NONE */
size_t strategy_any(const rollcall_choice *choice);

/** @return not 0: the instance is not skipped */
static inline int strategy_usable(const rollcall_choice *choice, size_t index)
{
	return choice->skip == NULL || choice->skip[index] == 0;
}
