/* SPDX-License-Identifier: MIT */
#include "journal/checkpoint.h"
#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>

/* One transaction removes at most so many events: about as long as a commit of a full batch. */
#define STEP_EVENTS 1000
/* Looking for old events more often finds a handful at a time, and each find costs an fsync. */
#define AGE_EVERY_MS 1000

/** Revisions up to which events are more than retention wants; 0: none. */
static uint64_t beyond_count(const struct journal *journal)
{
	uint64_t most = journal->retention.events_max_count;

	return most == 0 || journal->revision <= most ? 0 : journal->revision - most;
}

/** Events from before this are more than retention wants. */
static int64_t beyond_age(const struct journal *journal, int64_t now_ms)
{
	int64_t most = journal->retention.events_max_age_ms;

	return most == 0 ? INT64_MIN : now_ms - most;
}

static int note_oldest(struct journal *journal)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_OLDEST_EVENTS];
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, 1));

	if (r < 0)
		return r;
	r = sql_step(stmt);
	if (r > 0) {
		journal->oldest = (uint64_t)sqlite3_column_int64(stmt, 0);
		journal->oldest_ms = sqlite3_column_int64(stmt, 1);
		(void)sqlite3_reset(stmt); /* it gave its row */
	}
	return r < 0 ? r : 0;
}

/** Is it worth a transaction? The count may be exceeded by a tenth, up to one step, to have few. */
static bool is_due(struct journal *journal, int64_t now_ms)
{
	uint64_t most = journal->retention.events_max_count;
	uint64_t slack = most / 10 < STEP_EVENTS ? most / 10 : STEP_EVENTS;

	if (journal->oldest == 0 || journal->oldest >= journal->revision)
		return false;
	if (beyond_count(journal) >= journal->oldest + slack)
		return true;
	if (now_ms - journal->aged_ms >= 0 && now_ms - journal->aged_ms < AGE_EVERY_MS)
		return false;
	journal->aged_ms = now_ms;
	return journal->oldest_ms < beyond_age(journal, now_ms);
}

/** The last of the events, from the oldest on, that may go in one step; the newest never does. */
static int find_last(struct journal *journal, int64_t now_ms, uint64_t *ret_last, bool *ret_more)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_OLDEST_EVENTS];
	uint64_t through = beyond_count(journal);
	int64_t before_ms = beyond_age(journal, now_ms);
	uint64_t last = 0;
	size_t found = 0;
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, STEP_EVENTS));

	if (r < 0)
		return r;
	while ((r = sql_step(stmt)) > 0) {
		uint64_t revision = (uint64_t)sqlite3_column_int64(stmt, 0);

		if (revision >= journal->revision ||
		    (revision > through && sqlite3_column_int64(stmt, 1) >= before_ms))
			break;
		last = revision;
		found++;
	}
	(void)sqlite3_reset(stmt); /* its error is known */
	if (r < 0)
		return r;
	*ret_last = last;
	*ret_more = found == STEP_EVENTS;
	return 0;
}

static int run_with(struct journal *journal, enum journal_stmt which, uint64_t revision)
{
	sqlite3_stmt *stmt = journal->stmt[which];
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, (int64_t)revision));

	return r < 0 ? r : sql_run(stmt);
}

/** @return 1 when a full step was removed, so that there may be more */
static int remove_events(struct journal *journal, int64_t now_ms)
{
	uint64_t last = 0;
	bool more = false;
	int r = sql_run(journal->stmt[STMT_BEGIN]);

	if (r == 0)
		r = find_last(journal, now_ms, &last, &more);
	if (r == 0 && last != 0)
		r = run_with(journal, STMT_REMOVE_EVENTS, last);
	if (r == 0 && last != 0)
		r = run_with(journal, STMT_NOTE_REMOVED, last);
	if (r == 0)
		r = sql_run(journal->stmt[STMT_COMMIT]);
	if (r < 0) {
		sql_rollback(journal->db);
		return r;
	}
	journal->oldest = 0;
	if (more)
		journal->aged_ms = 0;
	return more ? 1 : 0;
}

int journal_tidy(struct journal *journal, int64_t now_real_ms)
{
	int more = 0;
	int r = 0;

	CHECK_MAGIC(journal, journal);
	if (journal_has_failed(journal))
		return -EIO;
	if (journal->oldest == 0)
		r = note_oldest(journal);
	if (r == 0 && is_due(journal, now_real_ms))
		r = more = remove_events(journal, now_real_ms);
	if (r >= 0)
		r = checkpointer_finish(journal->checkpointer, journal->wal_pages);
	return r < 0 ? journal_fail(journal, r) : more > 0;
}
