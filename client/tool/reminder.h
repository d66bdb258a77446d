/* SPDX-License-Identifier: MIT */
/** Limits reports of a lasting failure: one when it begins, and then one per minute. Zeroed: no
 * failure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct reminder {
	bool failing;
	int kind;
	int64_t due_ms;
};

/** Notes a failure. @param kind  of the failure; another kind is reported at once. @return whether
 * to report it now */
bool reminder_failed(struct reminder *reminder, int kind);
/** Notes a success. @return whether a failure had been reported */
bool reminder_succeeded(struct reminder *reminder);
