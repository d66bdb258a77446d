/* SPDX-License-Identifier: MIT */
/**
 * What time it is for the age of events. The system's clock may be wrong for a while, as on a
 * machine whose battery is empty, and what is removed for its age is gone. So a clock that is more
 * than a day ahead of the log is believed only after a day of running; until then time goes on from
 * the log's own newest event.
 */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define AGE_DAY_MS (24 * INT64_C(3600000))

struct age {
	int64_t now_ms;   /* real time, as believed, ... */
	int64_t at_ms;    /* ... at this clock_ms(); 0: never looked at, and no events */
	int64_t since_ms; /* clock_ms() since which the clock has been ahead; only when it is */
	bool is_ahead;
};

/** Reads from the log of @p db what time it was. */
int age_open(struct age *age, sqlite3 *db) MUST_USE;
/** What time it is, while the system's clock shows @p real_ms. Logs when it begins and ends to
 * differ. */
int64_t age_now(struct age *age, int64_t real_ms);
