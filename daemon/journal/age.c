/* SPDX-License-Identifier: MIT */
#include "journal/age.h"

#include "base/clock.h"
#include "base/log.h"
#include "journal/sql.h"
#include "model/event.h"

#include <errno.h>
#include <inttypes.h>

#define HOUR_MS (AGE_DAY_MS / 24)

/* Each gives the revision and the time of one event. */
static const char select_newest[] =
	"SELECT revision, time_ms FROM events ORDER BY revision DESC LIMIT 1";
static const char select_next[] =
	"SELECT revision, time_ms FROM events WHERE revision >= ?1 ORDER BY revision LIMIT 1";
static const char select_before[] =
	"SELECT revision, time_ms FROM events WHERE revision < ?1 ORDER BY revision DESC LIMIT 1";

/* The rows are not verified here: a damaged time must not make a sum overflow. */
static int64_t age_bounded(int64_t time_ms)
{
	return time_ms > EVENT_TIME_MS_MAX    ? EVENT_TIME_MS_MAX
	       : time_ms < -EVENT_TIME_MS_MAX ? -EVENT_TIME_MS_MAX
	                                      : time_ms;
}

/** @return 1; 0: there is no such event; or an error as sql_error() */
static int age_read_event(sqlite3 *db, const char *text, int64_t revision, int64_t *ret_revision,
                          int64_t *ret_ms)
{
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(db, text, &stmt);

	if (r == 0 && sqlite3_bind_parameter_count(stmt) > 0)
		r = sql_error(db, sqlite3_bind_int64(stmt, 1, revision));
	if (r == 0)
		r = sql_step(stmt);
	if (r > 0) {
		*ret_revision = sqlite3_column_int64(stmt, 0);
		*ret_ms = age_bounded(sqlite3_column_int64(stmt, 1));
	}
	(void)sqlite3_finalize(stmt); /* takes NULL; its error is in r */
	return r;
}

/** Finds the first event at or after @p from_ms; the caller knows that there is one, of revision
 * @p high at most. Bisects, as times grow with revisions. */
static int age_find_first(sqlite3 *db, int64_t from_ms, int64_t high, int64_t *ret_revision,
                          int64_t *ret_ms)
{
	int64_t low = 1;

	while (low <= high) {
		int64_t middle = low + (high - low) / 2;
		int64_t revision = 0;
		int64_t ms = 0;
		int r = age_read_event(db, select_next, middle, &revision, &ms);

		if (r < 0)
			return r;
		if (r > 0 && ms >= from_ms) {
			*ret_revision = revision;
			*ret_ms = ms;
			high = middle - 1;
		} else {
			low = middle + 1;
		}
	}
	return 0;
}

/*
 * If the log shows a jump of more than a day less than a day before its newest event, the clock of
 * an earlier process may have been wrong: the time then goes on from before the jump.
 */
int age_open(struct age *age, sqlite3 *db)
{
	int64_t newest = 0;
	int64_t newest_ms = 0;
	int64_t before = 0;
	int64_t before_ms = 0;
	int r = age_read_event(db, select_newest, 0, &newest, &newest_ms);

	*age = (struct age){0};
	if (r <= 0)
		return r;
	int64_t first = newest;
	int64_t first_ms = newest_ms;
	r = age_find_first(db, newest_ms - AGE_DAY_MS, newest, &first, &first_ms);
	if (r == 0)
		r = age_read_event(db, select_before, first, &before, &before_ms);
	if (r < 0 && r != -EBADMSG) /* damage of old events is for their readers to report */
		return r;
	age->now_ms = newest_ms;
	if (r > 0 && first_ms - before_ms > AGE_DAY_MS)
		age->now_ms = before_ms + (newest_ms > first_ms ? newest_ms - first_ms : 0);
	age->at_ms = clock_ms();
	return 0;
}

static void note_ahead(struct age *age, int64_t ahead_ms)
{
	if (!age->is_ahead)
		log_line(LOG_NOTICE,
		         "the system's clock is %" PRId64
		         " hours ahead of the event log: events are not removed for their age by "
		         "it until it has been ahead for a day",
		         ahead_ms / HOUR_MS);
	age->is_ahead = true;
}

static void note_agrees(struct age *age, const char *why)
{
	if (age->is_ahead)
		log_line(LOG_NOTICE,
		         "events are removed for their age by the system's clock again: %s", why);
	age->is_ahead = false;
}

int64_t age_now(struct age *age, int64_t real_ms)
{
	int64_t at_ms = clock_ms();
	int64_t expected_ms = age->at_ms == 0 ? real_ms : age->now_ms + (at_ms - age->at_ms);

	if (!age->is_ahead)
		age->since_ms = at_ms;
	if (real_ms - expected_ms <= AGE_DAY_MS) {
		note_agrees(age, "it agrees with the event log");
		expected_ms = real_ms;
	} else if (at_ms - age->since_ms >= AGE_DAY_MS) {
		note_agrees(age, "it has been ahead for a day");
		expected_ms = real_ms;
	} else {
		note_ahead(age, real_ms - expected_ms);
	}
	age->now_ms = expected_ms;
	age->at_ms = at_ms;
	return expected_ms;
}
