/* SPDX-License-Identifier: MIT */
/**
 * Retention, one bounded step per call. Writer's thread, between two batches.
 *
 * Invariant: events are removed from the oldest on only, in the transaction that raises
 * removed_through, so the log never has a gap that its readers cannot recognise.
 *
 * DELETE ... WHERE time_ms < ? would be one statement, but it would read the whole log in one
 * transaction, believe a damaged time, and leave gaps where the clock was set back. Events are
 * counted some per step: revisions have gaps, and count(*) would read the whole log as well.
 */
#include "base/clock.h"
#include "journal/checkpoint.h"
#include "journal/internal.h"
#include "journal/row.h"
#include "journal/sql.h"

#include <errno.h>

/* Events that one step removes at most: takes about as long as the commit of a full batch. */
#define STEP_EVENTS 1000
/* Events that one step counts at most: takes next to nothing beside a commit. */
#define STEP_COUNT 2000
/* Between two looks for old events: each look that finds some costs an fsync. */
#define AGE_EVERY_MS 1000
/* Between two checks for another writer while nothing is committed. */
#define ALONE_EVERY_MS 1000

/** The time before which events are too old for retention. */
static int64_t beyond_age(const struct journal *journal, int64_t now_ms)
{
	int64_t most = journal->retention.events_max_age_ms;

	return most == 0 ? INT64_MIN : now_ms - most;
}

/** Was the event appended while the clock was ahead? By their times, later events are older. */
static bool is_misdated(const struct journal *journal, int64_t time_ms, int64_t now_ms)
{
	return journal->retention.events_max_age_ms > 0 && time_ms - now_ms > AGE_DAY_MS;
}

/** Reads the next event and verifies it, as a damaged time would remove events too early.
 * @return 1: an event; 0: the end; or an error */
static int tidy_next_event(sqlite3_stmt *stmt, struct event *ret_event)
{
	int r = sql_step(stmt);

	if (r <= 0)
		return r;
	r = row_event(stmt, ret_event);
	return r < 0 ? r : 1;
}

static int tidy_find_oldest(struct journal *journal)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_OLDEST_EVENTS];
	struct event event;
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, 1));

	if (r < 0)
		return r;
	r = tidy_next_event(stmt, &event);
	if (r > 0) {
		journal->oldest = event.revision;
		journal->oldest_ms = event.time_ms;
	}
	(void)sqlite3_reset(stmt); /* its error is in r */
	return r < 0 ? r : 0;
}

static uint64_t count_slack(const struct journal *journal)
{
	uint64_t most = journal->retention.events_max_count;

	return most / 10 < STEP_EVENTS ? most / 10 : STEP_EVENTS;
}

/** May there be too many events? There are at most as many as revisions since the oldest. */
static bool may_be_too_many(const struct journal *journal)
{
	uint64_t most = journal->retention.events_max_count;

	return most > 0 && journal->oldest > 0 &&
	       journal->revision - journal->oldest >= most + count_slack(journal);
}

/** Counts the next STEP_COUNT events. @return 1: more are to be counted; 0: done; or an error */
static int tidy_count_events(struct journal *journal)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_COUNT_EVENTS];
	int failed = sqlite3_bind_int64(stmt, 1, (int64_t)journal->counted_through);

	failed |= sqlite3_bind_int64(stmt, 2, STEP_COUNT);
	int r = failed != 0 ? -ENOMEM : sql_step(stmt);
	if (r < 0)
		return r;
	CHECK(r > 0); /* an aggregate always gives its row */
	uint64_t found = (uint64_t)sqlite3_column_int64(stmt, 0);
	uint64_t last = (uint64_t)sqlite3_column_int64(stmt, 1);
	(void)sqlite3_reset(stmt); /* cannot fail after a row */
	journal->events += found;
	journal->counted_through = found == STEP_COUNT ? last : journal->revision;
	return found == STEP_COUNT;
}

/** The number of oldest events that are too many; 0 also while they are not all counted. */
static uint64_t beyond_count(const struct journal *journal)
{
	uint64_t most = journal->retention.events_max_count;

	return most == 0 || journal->counted_through < journal->revision || journal->events <= most
	               ? 0
	               : journal->events - most;
}

/** Is a removal worth its transaction? To have few of them, the count may be exceeded by a tenth,
 * but by one step at most. */
static bool tidy_is_due(struct journal *journal, int64_t now_ms)
{
	if (journal->oldest == 0)
		return false;
	if (beyond_count(journal) > count_slack(journal))
		return true;
	if (now_ms - journal->aged_ms >= 0 && now_ms - journal->aged_ms < AGE_EVERY_MS)
		return false;
	journal->aged_ms = now_ms;
	return journal->oldest_ms < beyond_age(journal, now_ms) ||
	       is_misdated(journal, journal->oldest_ms, now_ms);
}

/** Finds the last event that one step removes, from the oldest on.
 * @param ret_last  0: none
 * @param ret_more  the step is full: more may be due */
static int tidy_find_last(struct journal *journal, int64_t now_ms, uint64_t *ret_last,
                          bool *ret_more)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_OLDEST_EVENTS];
	uint64_t beyond = beyond_count(journal);
	int64_t before_ms = beyond_age(journal, now_ms);
	struct event event;
	uint64_t last = 0;
	size_t found = 0;
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, STEP_EVENTS));

	if (r < 0)
		return r;
	while ((r = tidy_next_event(stmt, &event)) > 0) {
		found++;
		if (found > beyond && is_misdated(journal, event.time_ms, now_ms))
			continue; /* goes with a later event that is too old */
		if (found > beyond && event.time_ms >= before_ms)
			break;
		last = event.revision;
	}
	(void)sqlite3_reset(stmt); /* its error is in r */
	if (r < 0)
		return r;
	*ret_last = last;
	*ret_more = found == STEP_EVENTS && last != 0;
	return 0;
}

static int tidy_run(struct journal *journal, enum journal_stmt which, uint64_t revision)
{
	sqlite3_stmt *stmt = journal->stmt[which];
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, (int64_t)revision));

	return r < 0 ? r : sql_run(stmt);
}

/** Updates the count of events after all @p count events up to @p last have been removed. */
static void note_removed(struct journal *journal, uint64_t last, uint64_t count)
{
	if (last <= journal->counted_through && count <= journal->events) {
		journal->events -= count;
	} else { /* more than were counted: continue counting behind them */
		journal->events = 0;
		journal->counted_through = last;
	}
	journal->oldest = 0;
}

/** Removes one step of events. @return 1: more may be due; 0: no; or an error */
static int tidy_remove_events(struct journal *journal, int64_t now_ms)
{
	uint64_t removed = 0;
	uint64_t last = 0;
	bool more = false;
	int r = journal_begin(journal);

	if (r == 0)
		r = tidy_find_last(journal, now_ms, &last, &more);
	if (r == 0 && last != 0)
		r = tidy_run(journal, STMT_REMOVE_EVENTS, last);
	removed = (uint64_t)sqlite3_changes(journal->db);
	if (r == 0 && last != 0)
		r = tidy_run(journal, STMT_NOTE_REMOVED, last);
	if (r == 0)
		r = sql_run(journal->stmt[STMT_COMMIT]);
	if (r < 0) {
		sql_rollback(journal->db);
		return r;
	}
	if (last != 0)
		note_removed(journal, last, removed);
	if (more)
		journal->aged_ms = 0;
	return more ? 1 : 0;
}

/** Checks for another writer though nothing is committed: clients would read a state that is no
 * longer the database's. */
static int tidy_check_alone(struct journal *journal)
{
	int64_t now_ms = clock_ms();

	if (journal->alone_ms != 0 && now_ms - journal->alone_ms < ALONE_EVERY_MS)
		return 0;
	journal->alone_ms = now_ms;
	return journal_check_alone(journal);
}

int journal_tidy(struct journal *journal, int64_t now_real_ms)
{
	int64_t now_ms = age_now(&journal->age, now_real_ms);
	bool more = false;
	int r = 0;

	CHECK_MAGIC(journal, journal);
	if (journal_has_failed(journal))
		return -EIO;
	r = tidy_check_alone(journal);
	if (r == 0 && journal->oldest == 0)
		r = tidy_find_oldest(journal);
	if (r == 0 && journal->counted_through < journal->revision && may_be_too_many(journal))
		r = tidy_count_events(journal);
	more = r > 0;
	if (r >= 0 && tidy_is_due(journal, now_ms))
		r = tidy_remove_events(journal, now_ms);
	more = more || r > 0;
	if (r >= 0 || r == -EBUSY) /* a locked database: the events are removed later */
		r = checkpointer_finish(journal->checkpointer, journal->wal_pages);
	return r < 0 ? journal_fail(journal, r) : more;
}
