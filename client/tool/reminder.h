/* SPDX-License-Identifier: MIT */
/** A failure that lasts is reported when it begins and then each minute. Zeroed: nothing fails. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct reminder {
	bool failing;
	int kind;
	int64_t due_ms;
};

/** It failed (again). @param kind  of the failure; another is reported at once. @return is it to be
 * reported now? */
bool reminder_failed(struct reminder *reminder, int kind);
/** It succeeded. @return had a failure been reported? */
bool reminder_succeeded(struct reminder *reminder);
