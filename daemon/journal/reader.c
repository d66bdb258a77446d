/* SPDX-License-Identifier: MIT */
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

/* How far back events are complete, and the latest revision. */
static const char select_state[] =
	"SELECT begins, max(floor, ifnull((SELECT max(revision) FROM events), 0)), floor FROM"
	" (SELECT (SELECT value FROM counters WHERE name = 'removed_through') AS begins,"
	"  (SELECT value FROM counters WHERE name = 'revision_floor') AS floor)";
static const char select_next[] = "SELECT min(revision) FROM events WHERE revision > ?1";
/* What a query asks for is compared after an event is proved: one that is damaged in its service,
 * its id or its kind may be just what was asked for. */
static const char select_events[] =
	"SELECT " ROW_EVENT " FROM events WHERE revision > ?1 AND revision <= ?2 ORDER BY revision";

static const char select_oldest[] =
	"SELECT value, ifnull((SELECT time_ms FROM events WHERE revision > value"
	" ORDER BY revision LIMIT 1), 0) FROM counters WHERE name = 'removed_through'";

/** Damage to one event is no reason to stop the daemon; the next start will see to it. */
static int damage_is_told(const struct journal_reader *reader, int r)
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
		r = damage_is_told(reader, r);
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
	(void)sqlite3_finalize(reader->state); /* take NULL; their errors were seen */
	(void)sqlite3_finalize(reader->next);
	(void)sqlite3_finalize(reader->events); /* when they ran */
	(void)sqlite3_finalize(reader->oldest);
	(void)sqlite3_close(reader->db); /* only read */
	free(reader);
}

static bool is_asked_for(const struct journal_query *query, const struct event *event)
{
	return (query->kinds == 0 || (query->kinds >> event->kind & 1) != 0) &&
	       (query->service.len == 0 || str_equal(query->service, event_service(event))) &&
	       (query->id.len == 0 || str_equal(query->id, event_instance_id(event)));
}

/**
 * All that is read between this and end_view() is of one state of the file: a statement that has
 * given a row keeps it. BEGIN and ROLLBACK would too, but ROLLBACK needs memory, and a reader that
 * cannot end its transaction keeps the WAL from starting over for good.
 */
static int begin_view(struct journal_reader *reader, struct scan_order *ret_order,
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

static void end_view(struct journal_reader *reader)
{
	(void)sqlite3_reset(reader->state); /* its error is known */
}

/**
 * The last revision that the query may look at: revisions may leave gaps, so its span begins with
 * the first that there is.
 */
static int find_end(struct journal_reader *reader, const struct journal_query *query,
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
		next = (uint64_t)sqlite3_column_int64(reader->next, 0); /* 0: there is none */
		if (next > 0 && latest - next >= query->span)
			*ret_end = next + query->span - 1;
		r = 0;
	}
	(void)sqlite3_reset(reader->next); /* its error is known */
	return r;
}

/** Whom the events are for. */
struct visitor {
	int (*each)(void *arg, const struct event *event);
	void *arg;
	uint64_t last; /* the revision that it was given last, or where it begins */
};

/**
 * Reads all events up to @p end. Each must be there and be sound: otherwise the answer could be
 * incomplete without any sign of it.
 * @param order  from where the query begins; order->last goes along
 * @return 1: as many as were asked for
 */
static int visit(struct journal_reader *reader, const struct journal_query *query, uint64_t end,
                 struct scan_order *order, struct visitor *visitor)
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
		if (!is_asked_for(query, &event))
			continue;
		each_r = visitor->each(visitor->arg, &event);
		if (each_r < 0)
			break;
		visitor->last = event.revision;
		visited++;
	}
	(void)sqlite3_reset(reader->events); /* its error is known */
	if (each_r < 0)
		return each_r;
	if (r == 0 && visited < query->limit && !scan_order_ended(order, end))
		r = -EBADMSG;
	return r < 0 ? damage_is_told(reader, r) : visited == query->limit;
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
	r = begin_view(reader, &order, &latest);
	if (r == 0 && query->since < order.begins)
		r = -ESTALE;
	if (r == 0 && query->since > latest) {
		visitor.last = latest;
		r = -ERANGE;
	}
	if (r == 0)
		r = find_end(reader, query, latest, &end);
	order.last = query->since;
	r = damage_is_told(reader, r);
	if (r == 0)
		r = visit(reader, query, end, &order, &visitor);
	end_view(reader);
	if (r == 0 && end > visitor.last) /* all up to there has been looked at */
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
		return damage_is_told(reader, r < 0 ? r : -EBADMSG);
	*ret_oldest = (uint64_t)sqlite3_column_int64(reader->oldest, 0) + 1;
	*ret_ms = sqlite3_column_int64(reader->oldest, 1);
	(void)sqlite3_reset(reader->oldest); /* it gave its row */
	return 0;
}
