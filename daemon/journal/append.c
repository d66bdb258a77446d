/* SPDX-License-Identifier: MIT */
/**
 * Appending events to the journal, and restoring the current state. Writer's thread, but for
 * journal_number().
 *
 * Invariant: an event and the row of its instance or entry change in the same transaction, so the
 * tables of the current state always are what the events lead to.
 *
 * SQLite could give the revisions while it inserts. But a row's checksum covers its revision, and
 * later events of a batch refer to incarnations that began in it: revisions are given before the
 * transaction, and taken back when it fails.
 */
#include "journal/checkpoint.h"
#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>

static bool is_of_same_subject(const struct event *a, const struct event *b)
{
	if (event_subject(a->kind) != event_subject(b->kind))
		return false;
	return event_subject(a->kind) == SUBJECT_ENTRY
	               ? entry_compare(&a->entry, &b->entry) == 0
	               : str_equal(a->instance.id, b->instance.id) &&
	                         str_equal(a->instance.service, b->instance.service);
}

static uint64_t *incarnation_of(struct event *event)
{
	return event_subject(event->kind) == SUBJECT_ENTRY ? &event->entry.incarnation
	                                                   : &event->instance.incarnation;
}

/** The incarnation that the subject of event @p i has after the earlier events of the batch; 0:
 * none of them is about it, or the last one removes it. */
static uint64_t batch_incarnation(struct event *events, size_t i)
{
	const struct event *event = &events[i];

	while (i-- > 0) {
		if (is_of_same_subject(&events[i], event))
			return event_removes(events[i].kind) ? 0 : *incarnation_of(&events[i]);
	}
	return 0;
}

static void number_event(struct event *events, size_t i, uint64_t revision)
{
	struct event *event = &events[i];
	uint64_t *incarnation = incarnation_of(event);

	event->revision = revision;
	if (event_subject(event->kind) == SUBJECT_ENTRY) {
		event->entry.revision = revision;
		event->entry.author = event->author;
		event->entry.time_ms = event->time_ms;
	} else {
		event->instance.revision = revision;
	}
	if (event->kind == EVENT_REGISTERED)
		*incarnation = revision;
	else if (*incarnation == 0)
		*incarnation = batch_incarnation(events, i);
	if (*incarnation == 0 && event->kind == EVENT_ENTRY_PUT)
		*incarnation = revision;
	CHECK(*incarnation != 0);
}

void journal_number(struct event *events, size_t count, uint64_t first)
{
	for (size_t i = 0; i < count; i++)
		number_event(events, i, first + i);
}

/** Undoes journal_number(): removes all revisions, and the incarnations that the batch began.
 * @param revision  the latest before the batch; a greater incarnation is one of the batch */
static void unnumber_events(struct event *events, size_t count, uint64_t revision)
{
	for (size_t i = 0; i < count; i++) {
		events[i].revision = 0;
		events[i].instance.revision = 0;
		events[i].entry.revision = 0;
		if (*incarnation_of(&events[i]) > revision)
			*incarnation_of(&events[i]) = 0;
	}
}

static int append_drop_row(struct journal *journal, enum journal_stmt which, uint64_t incarnation)
{
	sqlite3_stmt *stmt = journal->stmt[which];
	int r = sql_error(journal->db, sqlite3_bind_int64(stmt, 1, (int64_t)incarnation));

	if (r == 0)
		r = sql_run(stmt);
	/* A row that the registry has is missing: another process deleted it, or damage. */
	if (r == 0 && sqlite3_changes(journal->db) != 1)
		r = journal->is_touched ? -ETXTBSY : -EBADMSG;
	return r;
}

static int append_instance(struct journal *journal, const struct event *event)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_PUT_INSTANCE];

	if (event_removes(event->kind))
		return append_drop_row(journal, STMT_DROP_INSTANCE, event->instance.incarnation);
	int r = row_bind_instance(stmt, &event->instance);
	return r < 0 ? r : sql_run(stmt);
}

static int append_entry(struct journal *journal, const struct event *event)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_PUT_ENTRY];

	if (event_removes(event->kind))
		return append_drop_row(journal, STMT_DROP_ENTRY, event->entry.incarnation);
	int r = row_bind_entry(stmt, &event->entry);
	return r < 0 ? r : sql_run(stmt);
}

static int append_event(struct journal *journal, const struct event *event)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_PUT_EVENT];
	int r = row_bind_event(stmt, event);

	if (r == 0)
		r = sql_run(stmt);
	if (r < 0)
		return r;
	return event_subject(event->kind) == SUBJECT_ENTRY ? append_entry(journal, event)
	                                                   : append_instance(journal, event);
}

int journal_write(struct journal *journal, const struct event *events, size_t count)
{
	int r = journal_begin(journal);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = append_event(journal, &events[i]);
	bool is_prepared = r == 0;
	if (is_prepared)
		r = sql_run(journal->stmt[STMT_COMMIT]);
	if (r < 0) {
		sql_rollback(journal->db);
		r = journal_fail(journal, r);
		return r == -EIO && is_prepared ? -ENOTRECOVERABLE : r;
	}
	if (journal->counted_through == journal->revision) {
		journal->events += count;
		journal->counted_through += count;
	}
	journal->revision += count;
	checkpointer_hint(journal->checkpointer, journal->wal_pages);
	return 0;
}

int journal_append(struct journal *journal, struct event *events, size_t count)
{
	CHECK_MAGIC(journal, journal);
	if (journal_has_failed(journal))
		return -EIO;
	if (count == 0)
		return 0;

	journal_number(events, count, journal->revision + 1);
	int r = journal_write(journal, events, count);
	if (r < 0)
		unnumber_events(events, count, journal->revision);
	return r;
}

int journal_probe(struct journal *journal)
{
	CHECK_MAGIC(journal, journal);
	if (journal_has_failed(journal))
		return -EIO;

	int r = journal_begin(journal);
	sql_rollback(journal->db);
	return journal_fail(journal, r);
}

int journal_restore(struct journal *journal,
                    int (*each)(void *arg, const struct instance *instance), void *arg)
{
	struct instance instance;
	sqlite3_stmt *stmt = NULL;
	int r;

	CHECK_MAGIC(journal, journal);
	r = sql_prepare(journal->db, "SELECT " ROW_INSTANCE " FROM instances ORDER BY incarnation",
	                &stmt);
	if (r < 0)
		return journal_fail(journal, r);
	while ((r = sql_step(stmt)) > 0) {
		r = row_instance(stmt, &instance);
		if (r < 0)
			break;
		r = each(arg, &instance);
		if (r < 0) {
			(void)sqlite3_finalize(stmt); /* only read */
			return r;
		}
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return journal_fail(journal, r);
}

int journal_restore_entries(struct journal *journal,
                            int (*each)(void *arg, const struct entry *entry), void *arg)
{
	struct entry entry;
	sqlite3_stmt *stmt = NULL;
	int r;

	CHECK_MAGIC(journal, journal);
	r = sql_prepare(journal->db, "SELECT " ROW_ENTRY " FROM entries ORDER BY incarnation",
	                &stmt);
	if (r < 0)
		return journal_fail(journal, r);
	while ((r = sql_step(stmt)) > 0) {
		r = row_entry(stmt, &entry);
		if (r < 0)
			break;
		r = each(arg, &entry);
		if (r < 0) {
			(void)sqlite3_finalize(stmt); /* only read */
			return r;
		}
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return journal_fail(journal, r);
}
