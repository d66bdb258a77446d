/* SPDX-License-Identifier: MIT */
/**
 * The clock by which retention measures the age of events. The system's clock may be wrong for a
 * while, as on a machine whose battery is empty, and an event that is removed for its age is lost.
 * So a system clock that jumps more than a day ahead of the log is used only once it has been ahead
 * for a day; until then the time goes on from the log's newest event, by the monotonic clock.
 */
#pragma once

#include "base/attr.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define AGE_DAY_MS (24 * INT64_C(3600000))

struct age {
	int64_t now_ms;   /* this clock's time at at_ms, in ms since 1970 */
	int64_t at_ms;    /* clock_ms(); 0: the log was empty, and age_now() was never called */
	int64_t since_ms; /* clock_ms() since which the system's clock has been ahead */
	bool is_ahead;    /* the system's clock is ahead and not used */
};

/** Sets the time by the newest events of @p db. @return 0, or an error as sql_error() */
int age_open(struct age *age, sqlite3 *db) MUST_USE;
/** The time in ms since 1970, when the system's clock shows @p real_ms. Logs when it stops using
 * the system's clock, and when it uses it again. */
int64_t age_now(struct age *age, int64_t real_ms);
