/* SPDX-License-Identifier: MIT */
/**
 * Reads the event log for queries, beside the writer. Runs on the thread that owns the reader.
 *
 * Invariant: an answer is complete or an error. Every event of the range is read, verified by its
 * checksum and compared with the revision that must come next. To let SQL select by service, id
 * and kind would be faster, but an event whose service is damaged would be left out of the answer
 * without an error. query.span bounds the cost instead.
 */
#include "base/check.h"
#include "journal/internal.h"
#include "journal/scan.h"
#include "journal/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BIND_SINCE = 1, BIND_END };

struct journal_reader {
	struct magic magic;
	sqlite3 *db;
	sqlite3_stmt *state;
	sqlite3_stmt *next;
	sqlite3_stmt *events;
	sqlite3_stmt *oldest;
	char path[PATH_MAX];
};
MAGIC(journal_reader, 0x6a726472);

/* Events up to the first value may have been removed; the latest revision; the revision floor. */
static const char select_state[] =
	"SELECT begins, max(floor, ifnull((SELECT max(revision) FROM events), 0)), floor FROM"
	" (SELECT (SELECT value FROM counters WHERE name = 'removed_through') AS begins,"
	"  (SELECT value FROM counters WHERE name = 'revision_floor') AS floor)";
static const char select_next[] = "SELECT min(revision) FROM events WHERE revision > ?1";
static const char select_events[] =
	"SELECT " ROW_EVENT " FROM events WHERE revision > ?1 AND revision <= ?2 ORDER BY revision";

static const char select_oldest[] =
	"SELECT value, ifnull((SELECT time_ms FROM events WHERE revision > value"
	" ORDER BY revision LIMIT 1), 0) FROM counters WHERE name = 'removed_through'";

/** Marks damage for the next start, which verifies the whole database; the daemon goes on. */
static int reader_error(const struct journal_reader *reader, int r)
{
	if (r != -EBADMSG)
		return r;
	journal_suspect(reader->path);
	return -EIO;
}

int journal_reader_open(const char *dir, struct journal_reader **ret_reader)
{
	struct journal_reader *reader = calloc(1, sizeof(*reader));
	int r = 0;

	if (reader == NULL)
		return -ENOMEM;
	reader->magic = MAGIC_INIT(journal_reader);
	if ((size_t)snprintf(reader->path, sizeof(reader->path), "%s/" JOURNAL_FILE, dir) >=
	    sizeof(reader->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = sql_open(reader->path, SQLITE_OPEN_READONLY, &reader->db);
	if (r == 0)
		r = sql_prepare(reader->db, select_state, &reader->state);
	if (r == 0)
		r = sql_prepare(reader->db, select_next, &reader->next);
	if (r == 0)
		r = sql_prepare(reader->db, select_events, &reader->events);
	if (r == 0)
		r = sql_prepare(reader->db, select_oldest, &reader->oldest);
	if (r < 0) {
		r = reader_error(reader, r);
		journal_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

void journal_reader_close(struct journal_reader *reader)
{
	if (reader == NULL)
		return;
	CHECK_MAGIC(reader, journal_reader);
	/* They take NULL; their errors were returned when the statements ran. */
	(void)sqlite3_finalize(reader->state);
	(void)sqlite3_finalize(reader->next);
	(void)sqlite3_finalize(reader->events);
	(void)sqlite3_finalize(reader->oldest);
	(void)sqlite3_close(reader->db); /* only read */
	free(reader);
}

static bool reader_matches(const struct journal_query *query, const struct event *event)
{
	return (query->kinds == 0 || (query->kinds >> event->kind & 1) != 0) &&
	       (query->service.len == 0 || str_equal(query->service, event_service(event))) &&
	       (query->id.len == 0 || str_equal(query->id, event_instance_id(event)));
}

/**
 * Begins a view: until reader_end_view() all reads see one state of the database, as a statement
 * that has given a row keeps its read transaction open. BEGIN and ROLLBACK would do the same, but
 * ROLLBACK needs memory, and a reader that cannot end its transaction keeps the WAL from ever
 * starting over.
 */
static int reader_begin_view(struct journal_reader *reader, struct scan_order *ret_order,
                             uint64_t *ret_latest)
{
	int r = sql_step(reader->state);

	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	*ret_order = (struct scan_order){
		.begins = (uint64_t)sqlite3_column_int64(reader->state, 0),
		.floor = (uint64_t)sqlite3_column_int64(reader->state, 2),
	};
	*ret_latest = (uint64_t)sqlite3_column_int64(reader->state, 1);
	return 0;
}

static void reader_end_view(struct journal_reader *reader)
{
	(void)sqlite3_reset(reader->state); /* its error was returned by sql_step() */
}

/**
 * Finds the last revision that the query may read. Revisions may have gaps, so its span is counted
 * from the first event that exists.
 */
static int reader_find_end(struct journal_reader *reader, const struct journal_query *query,
                           uint64_t latest, uint64_t *ret_end)
{
	uint64_t next;
	int r;

	*ret_end = latest;
	if (query->span == 0)
		return 0;
	if (sqlite3_bind_int64(reader->next, BIND_SINCE, (int64_t)query->since) != SQLITE_OK)
		return -ENOMEM;
	r = sql_step(reader->next);
	if (r > 0) {
		next = (uint64_t)sqlite3_column_int64(reader->next, 0); /* 0: no event */
		if (next > 0 && latest - next >= query->span)
			*ret_end = next + query->span - 1;
		r = 0;
	}
	(void)sqlite3_reset(reader->next); /* its error is in r */
	return r;
}

/** The callback of a query, and how far it has come. */
struct visitor {
	int (*each)(void *arg, const struct event *event);
	void *arg;
	uint64_t last; /* revision of the last event that it got, at first query.since */
};

/**
 * Visits the events that match, up to revision @p end.
 * @param order  begins at query.since, and follows each event
 * @return 0; 1: query.limit is reached; what the callback returned below 0; or an error
 */
static int reader_visit(struct journal_reader *reader, const struct journal_query *query,
                        uint64_t end, struct scan_order *order, struct visitor *visitor)
{
	struct event event;
	uint32_t visited = 0;
	int each_r = 0;
	int failed = sqlite3_bind_int64(reader->events, BIND_SINCE, (int64_t)query->since);
	int r = 1;

	failed |= sqlite3_bind_int64(reader->events, BIND_END, (int64_t)end);
	if (failed != 0)
		return -ENOMEM;
	while (visited < query->limit && each_r >= 0) {
		r = sql_step(reader->events);
		if (r <= 0)
			break;
		r = row_event(reader->events, &event);
		if (r == 0 && !scan_order_next(order, event.revision))
			r = -EBADMSG;
		if (r < 0)
			break;
		if (!reader_matches(query, &event))
			continue;
		each_r = visitor->each(visitor->arg, &event);
		if (each_r < 0)
			break;
		visitor->last = event.revision;
		visited++;
	}
	(void)sqlite3_reset(reader->events); /* its error is in r */
	if (each_r < 0)
		return each_r;
	if (r == 0 && visited < query->limit && !scan_order_ended(order, end))
		r = -EBADMSG;
	return r < 0 ? reader_error(reader, r) : visited == query->limit;
}

int journal_reader_events(struct journal_reader *reader, const struct journal_query *query,
                          int (*each)(void *arg, const struct event *event), void *arg,
                          uint64_t *ret_last, uint64_t *ret_oldest)
{
	struct scan_order order = {.last = 0};
	uint64_t latest = 0;
	struct visitor visitor = {.each = each, .arg = arg, .last = query->since};
	uint64_t end = 0;
	int r;

	CHECK_MAGIC(reader, journal_reader);
	r = reader_begin_view(reader, &order, &latest);
	if (r == 0 && query->since < order.begins)
		r = -ESTALE;
	if (r == 0 && query->since > latest) {
		visitor.last = latest;
		r = -ERANGE;
	}
	if (r == 0)
		r = reader_find_end(reader, query, latest, &end);
	order.last = query->since;
	r = reader_error(reader, r);
	if (r == 0)
		r = reader_visit(reader, query, end, &order, &visitor);
	reader_end_view(reader);
	if (r == 0 && end > visitor.last) /* no event up to there is left unread */
		visitor.last = end;
	if (r >= 0 || r == -ERANGE)
		*ret_last = visitor.last;
	if (r >= 0 || r == -ESTALE)
		*ret_oldest = order.begins + 1;
	if (r < 0)
		return r;
	return r == 0 && end < latest ? 1 : 0;
}

int journal_reader_oldest(struct journal_reader *reader, uint64_t *ret_oldest, int64_t *ret_ms)
{
	CHECK_MAGIC(reader, journal_reader);
	int r = sql_step(reader->oldest);

	if (r <= 0)
		return reader_error(reader, r < 0 ? r : -EBADMSG);
	*ret_oldest = (uint64_t)sqlite3_column_int64(reader->oldest, 0) + 1;
	*ret_ms = sqlite3_column_int64(reader->oldest, 1);
	(void)sqlite3_reset(reader->oldest); /* cannot fail after a row */
	return 0;
}
