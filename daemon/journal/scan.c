/* SPDX-License-Identifier: MIT */
#include "journal/scan.h"

#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>
#include <string.h>

int scan_order_begin(sqlite3 *db, struct scan_order *ret_order)
{
	int64_t begins = -1;
	int64_t floor = -1;
	int r = sql_integer(db, "SELECT value FROM counters WHERE name = 'removed_through'",
	                    &begins);

	if (r == 0)
		r = sql_integer(db, "SELECT value FROM counters WHERE name = 'revision_floor'",
		                &floor);
	if (r < 0)
		return r;
	if (begins < 0 || floor < 0)
		return -EBADMSG;
	*ret_order = (struct scan_order){.begins = (uint64_t)begins, .floor = (uint64_t)floor};
	return 0;
}

bool scan_order_next(struct scan_order *order, uint64_t revision)
{
	uint64_t before = order->last > order->begins ? order->last : order->begins;
	bool is_next =
		revision == before + 1 || (revision > before && revision == order->floor + 1);

	if (revision <= order->begins) /* readers cannot ask for it: gaps are allowed */
		is_next = revision > order->last;
	order->last = revision;
	return is_next;
}

bool scan_order_ended(const struct scan_order *order, uint64_t end)
{
	return order->last >= end || order->begins >= end || order->floor >= end;
}

static int scan_instances(sqlite3 *db, int64_t version, uint64_t *ret_latest)
{
	struct instance instance;
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(db,
	                    version == 1 ? "SELECT " ROW_INSTANCE_001 " FROM instances"
	                                 : "SELECT " ROW_INSTANCE " FROM instances",
	                    &stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		r = row_instance(stmt, &instance);
		if (r < 0)
			break;
		if (instance.revision > *ret_latest)
			*ret_latest = instance.revision;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return r;
}

static int scan_entries(sqlite3 *db, uint64_t *ret_latest)
{
	struct entry entry;
	sqlite3_stmt *stmt = NULL;
	uint64_t before = 0;
	int r = sql_prepare(db, "SELECT " ROW_ENTRY " FROM entries ORDER BY incarnation", &stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		r = row_entry(stmt, &entry);
		if (r == 0 && entry.incarnation <= before)
			r = -EBADMSG;
		if (r < 0)
			break;
		before = entry.incarnation;
		if (entry.revision > *ret_latest)
			*ret_latest = entry.revision;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return r;
}

/** Reads only the revisions: exchanged or lost pages show in their order. */
static int scan_events(sqlite3 *db, uint64_t *ret_latest)
{
	struct scan_order order = {.last = 0};
	sqlite3_stmt *stmt = NULL;
	int r = scan_order_begin(db, &order);

	if (r == 0)
		r = sql_prepare(db, "SELECT revision FROM events ORDER BY revision", &stmt);
	while (r == 0 && (r = sql_step(stmt)) > 0)
		r = scan_order_next(&order, (uint64_t)sqlite3_column_int64(stmt, 0)) ? 0 : -EBADMSG;
	(void)sqlite3_finalize(stmt); /* its error is in r */
	*ret_latest = order.last > order.floor ? order.last : order.floor;
	return r;
}

int scan_pages(sqlite3 *db, const char *pragma, scan_fn find, void *arg)
{
	sqlite3_stmt *stmt = NULL;
	/* If the schema has a view, SQLite does not look for pages that belong to no table (seen
	 * with 3.40: it takes the view's root page, 0, for the mark of a partial check). */
	int r = sql_exec(db, "BEGIN; DROP VIEW IF EXISTS history");

	if (r == -EBUSY || r == -EROFS) /* not writable now: run the check with the view */
		r = 0;
	if (r == 0)
		r = sql_prepare(db, pragma, &stmt);
	while (r == 0 && (r = sql_step(stmt)) > 0) {
		const unsigned char *line = sqlite3_column_text(stmt, 0);

		r = line == NULL                            ? -ENOMEM
		    : strcmp((const char *)line, "ok") == 0 ? 0
		                                            : find(arg, (const char *)line);
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	sql_rollback(db);
	return r;
}

static int is_damage(void *arg, const char *line)
{
	(void)arg;
	(void)line;
	return -EBADMSG;
}

int scan_file(sqlite3 *db, int64_t version)
{
	uint64_t changed = 0;
	uint64_t latest = 0;
	int r = scan_pages(db, "PRAGMA quick_check(1)", is_damage, NULL);

	if (r == 0)
		r = scan_instances(db, version, &changed);
	if (r == 0 && version > 1)
		r = scan_entries(db, &changed);
	if (r == 0)
		r = scan_events(db, &latest);
	return r == 0 && changed > latest ? -EBADMSG : r;
}
