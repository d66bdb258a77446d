/* SPDX-License-Identifier: MIT */
/**
 * Verification of a database. Runs on the thread that calls journal_verify(), or that opens a
 * journal after damage was found while running.
 *
 * Invariant: a finding is damage, and any other end of a query (memory, a lock, the disk) is an
 * error, never a finding. SQLite's integrity_check verifies the pages, but neither the content of a
 * row nor that the current state follows from the events: that is what checksums and relations are
 * for.
 */
#include "journal/verify.h"

#include "journal/internal.h"
#include "journal/keyframe.h"
#include "journal/pack.h"
#include "journal/revision_set.h"
#include "journal/scan.h"
#include "journal/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One damaged page may cause thousands of findings. */
#define FINDINGS_MAX 100

struct verify {
	sqlite3 *db;
	int dir_fd;
	bool is_old; /* has the first schema */
	verify_fn report;
	void *arg;
	uint64_t findings;
};

static void PRINTF_LIKE(2, 3) verify_find(struct verify *verify, const char *format, ...)
{
	char line[640];
	va_list args;

	if (++verify->findings > FINDINGS_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args); /* may be cut */
	va_end(args);
	verify->report(verify->arg, line);
}

/** Ends a check with the result of its query: damage becomes a finding. @return 0, or an error */
static int verify_end(struct verify *verify, const char *where, int r)
{
	if (r != -EBADMSG)
		return r;
	verify_find(verify, "%s: unreadable: %s", where, sqlite3_errmsg(verify->db));
	return 0;
}

static const char *verify_text(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text != NULL ? (const char *)text : "";
}

static int find_page(void *arg, const char *line)
{
	struct verify *verify = arg;

	verify_find(verify, "pages: %s", line);
	return 0;
}

static int verify_pages(struct verify *verify)
{
	char pragma[48];

	(void)snprintf(pragma, sizeof(pragma), "PRAGMA integrity_check(%d)", FINDINGS_MAX);
	return verify_end(verify, "pages", scan_pages(verify->db, pragma, find_page, verify));
}

/** The keys of a table as they are read, in ascending order. */
struct keys {
	const char *table;
	int64_t last;
	unsigned back; /* number of keys that were not above the one before */
};

/** @return false: stop reading, as the damaged tree may be circular */
static bool keys_next(struct verify *verify, struct keys *keys, int64_t key)
{
	bool is_back = key <= keys->last;

	keys->last = key;
	if (!is_back || ++keys->back <= FINDINGS_MAX)
		return true;
	verify_find(verify, "%s: out of order; the rest was not read", keys->table);
	return false;
}

static int verify_events(struct verify *verify)
{
	struct keys keys = {.table = "events"};
	struct scan_order order;
	struct event event;
	sqlite3_stmt *stmt = NULL;
	int r = scan_order_begin(verify->db, &order);

	if (r == -EBADMSG) {
		verify_find(verify,
		            "counters: removed_through or revision_floor is missing or invalid");
		return 0;
	}
	if (r == 0)
		r = sql_prepare(verify->db,
		                verify->is_old
		                        ? "SELECT " ROW_EVENT_001 " FROM events ORDER BY revision"
		                        : "SELECT " ROW_EVENT " FROM events ORDER BY revision",
		                &stmt);
	while (r == 0 && (r = sql_step(stmt)) > 0) {
		long long revision = sqlite3_column_int64(stmt, ROW_revision);

		if (!scan_order_next(&order, (uint64_t)revision))
			verify_find(verify,
			            "event %lld: the event before it is missing, or comes later",
			            revision);
		r = row_event(stmt, &event);
		if (r == -EBADMSG) {
			verify_find(verify, "event %lld: its content does not match its checksum",
			            revision);
			r = 0;
		}
		if (r == 0 && !keys_next(verify, &keys, revision))
			break;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return verify_end(verify, keys.table, r);
}

static int verify_instances(struct verify *verify)
{
	struct keys keys = {.table = "instances"};
	struct instance instance;
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(
		verify->db,
		verify->is_old ? "SELECT " ROW_INSTANCE_001 " FROM instances ORDER BY incarnation"
			       : "SELECT " ROW_INSTANCE " FROM instances ORDER BY incarnation",
		&stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		r = row_instance(stmt, &instance);
		if (r == -EBADMSG) {
			verify_find(
				verify,
				"instance '%s' of '%s': its content does not match its checksum",
				verify_text(stmt, ROW_id), verify_text(stmt, ROW_service));
			r = 0;
		}
		if (r == 0 &&
		    !keys_next(verify, &keys, sqlite3_column_int64(stmt, ROW_incarnation)))
			break;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return verify_end(verify, keys.table, r);
}

static int verify_entries(struct verify *verify)
{
	struct keys keys = {.table = "entries"};
	struct entry entry;
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(verify->db, "SELECT " ROW_ENTRY " FROM entries ORDER BY incarnation",
	                    &stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		r = row_entry(stmt, &entry);
		if (r == -EBADMSG) {
			verify_find(verify,
			            "entry '%s' of '%s': its content does not match its checksum",
			            verify_text(stmt, ROW_ENTRY_name),
			            verify_text(stmt, ROW_ENTRY_service));
			r = 0;
		}
		if (r == 0 &&
		    !keys_next(verify, &keys, sqlite3_column_int64(stmt, ROW_ENTRY_incarnation)))
			break;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return verify_end(verify, keys.table, r);
}

#define OF_ROW(type, member, ...)                     ", i." #member
#define OF_EVENT(type, member, ...)                   ", e." #member
#define OF_ROW_001(type, member, place, since, ...)   OF_ROW_SINCE_##since(member)
#define OF_EVENT_001(type, member, place, since, ...) OF_EVENT_SINCE_##since(member)
#define OF_ROW_SINCE_1(member)                        ", i." #member
#define OF_ROW_SINCE_2(member)
#define OF_EVENT_SINCE_1(member) ", e." #member
#define OF_EVENT_SINCE_2(member)
/* clang-format off */
/* Lists of kinds for SQL; no kind is 0. */
#define KIND_STAYS(number)
#define KIND_GONE(number)                             ", " #number
#define KIND_IF_GONE(name, number, text, after, of)   KIND_##after(number)
#define OF_INSTANCE_INSTANCE(number)                  ", " #number
#define OF_INSTANCE_ENTRY(number)
#define KIND_IF_INSTANCE(name, number, text, after, of) OF_INSTANCE_##of(number)
#define OF_ENTRY_ENTRY(number)                        ", " #number
#define OF_ENTRY_INSTANCE(number)
#define KIND_IF_ENTRY(name, number, text, after, of)  OF_ENTRY_##of(number)
#define GONE "(0" EVENT_KINDS(KIND_IF_GONE) ")"
#define EVENTS_OF_INSTANCES "(SELECT * FROM events WHERE kind IN (0" EVENT_KINDS(KIND_IF_INSTANCE) "))"
#define EVENTS_OF_ENTRIES "(SELECT * FROM events WHERE kind IN (0" EVENT_KINDS(KIND_IF_ENTRY) "))"

/*
 * Queries that give a row for each finding: what is wrong, service, id, and the revision concerned.
 *
 *	table   instances or entries
 *	events  the events about them
 *	id      the table's column that corresponds to the events' id
 *	key     columns that identify a row: no two rows may be equal in all of them
 */
#define IS_TWICE(table, id, key) \
	"SELECT 'occurs twice', service, " id ", max(revision) FROM " table \
	" GROUP BY " key " HAVING count(*) > 1"
#define LAGS_BEHIND(table, events, id) \
	"SELECT CASE WHEN e.kind IN " GONE " THEN 'was removed by event'" \
	" ELSE 'lags behind event' END, i.service, i." id ", e.revision" \
	" FROM (SELECT incarnation, max(revision) AS revision, kind FROM " events \
	"  GROUP BY incarnation) e JOIN " table " i USING (incarnation)" \
	" WHERE e.kind IN " GONE " OR e.revision > i.revision"
/* The event is missing, and retention has not removed it. */
#define HAS_NO_EVENT(table, events, id) \
	"SELECT 'has no event', service, " id ", revision FROM " table " WHERE revision >" \
	" (SELECT value FROM counters WHERE name = 'removed_through')" \
	" AND revision NOT IN (SELECT revision FROM " events ")"
#define IS_MISSING(table, events) \
	"SELECT 'is missing after event', service, id, max(revision) FROM " events \
	" GROUP BY incarnation HAVING kind NOT IN " GONE \
	" AND incarnation NOT IN (SELECT incarnation FROM " table ")"
#define RELATIONS(table, events, id, key) \
	IS_TWICE(table, id, key), LAGS_BEHIND(table, events, id), HAS_NO_EVENT(table, events, id), \
	IS_MISSING(table, events)
/* clang-format on */
static const char *const instance_relations[] = {
	RELATIONS("instances", EVENTS_OF_INSTANCES, "id", "service, id")};
static const char *const entry_relations[] = {
	RELATIONS("entries", EVENTS_OF_ENTRIES, "name", "service, kind, name")};

/* A row and the event of the same revision differ. */
#define DIFFERS                                                    \
	"SELECT 'differs from event', i.service, i.id, i.revision" \
	" FROM instances i JOIN events e USING (revision) WHERE "
static const char differs[] =
	DIFFERS "(0" INSTANCE_FIELDS(OF_ROW) ") IS NOT (0" INSTANCE_FIELDS(OF_EVENT) ")";
static const char differs_001[] =
	DIFFERS "(0" INSTANCE_FIELDS(OF_ROW_001) ") IS NOT (0" INSTANCE_FIELDS(OF_EVENT_001) ")";
static const char entry_differs[] =
	"SELECT 'differs from event', i.service, i.name, i.revision"
	" FROM entries i JOIN events e USING (revision)"
	" WHERE (i.incarnation, i.kind, i.service, i.name, i.document, i.author, i.time_ms)"
	" IS NOT (e.incarnation, e.entry, e.service, e.id, e.document, e.author, e.time_ms)";

/** @param what  "instance" or "entry" */
static int verify_relation(struct verify *verify, const char *what, const char *relation)
{
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(verify->db, relation, &stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		verify_find(verify, "%s '%s' of '%s': %s (revision %lld)", what,
		            verify_text(stmt, 2), verify_text(stmt, 1), verify_text(stmt, 0),
		            (long long)sqlite3_column_int64(stmt, 3));
		r = 0;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return verify_end(verify, "relations", r);
}

static int verify_relations(struct verify *verify)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(instance_relations); i++)
		r = verify_relation(verify, "instance", instance_relations[i]);
	if (r == 0 && verify->findings == 0)
		r = verify_relation(verify, "instance", verify->is_old ? differs_001 : differs);
	for (size_t i = 0; r == 0 && !verify->is_old && i < ARRAY_LEN(entry_relations); i++)
		r = verify_relation(verify, "entry", entry_relations[i]);
	if (r == 0 && !verify->is_old && verify->findings == 0)
		r = verify_relation(verify, "entry", entry_differs);
	return r;
}

/* --- the current state against the newest keyframe -------------------------------------- */

/** Adds every incarnation that the query @p text gives, with ?1 bound to @p revision, to @p out. */
static int verify_collect(struct verify *verify, const char *text, uint64_t revision,
                          struct revision_set *out)
{
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(verify->db, text, &stmt);

	if (r == 0)
		r = sql_error(verify->db, sqlite3_bind_int64(stmt, 1, (int64_t)revision));
	while (r == 0 && (r = sql_step(stmt)) > 0)
		r = revision_set_add(out, (uint64_t)sqlite3_column_int64(stmt, 0));
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return r;
}

/** Finds the newest sound keyframe that follows an event of this log. @return 1, 0, or an error */
static int verify_find_keyframe(struct verify *verify, uint64_t *ret_revision)
{
	uint64_t list[KEYFRAMES_MAX];
	struct keyframe_mark mark;
	struct scan_order order;
	size_t count = 0;
	char text[96];
	int64_t checksum;
	int r = keyframe_list(verify->dir_fd, list, &count);

	if (r == 0)
		r = scan_order_begin(verify->db, &order);
	while (r == 0 && count-- > 0 && list[count] > order.begins) {
		if (keyframe_check(verify->dir_fd, list[count], &mark) < 0)
			continue;
		(void)snprintf(text, sizeof(text),
		               "SELECT checksum FROM events WHERE revision = %llu",
		               (unsigned long long)list[count]);
		r = sql_integer(verify->db, text, &checksum);
		if (r == 0 && checksum == (int64_t)mark.checksum) {
			*ret_revision = list[count];
			return 1;
		}
	}
	return r;
}

/** An instance or entry of a keyframe. */
struct packed {
	const char *what;
	struct str service;
	struct str name;
	uint64_t incarnation;
};

static int unpack_any(struct str *rows, struct packed *ret)
{
	struct instance instance = {.revision = 0};
	struct entry entry = {.revision = 0};
	bool is_entry = pack_is_entry(*rows);
	int r = is_entry ? unpack_entry(rows, &entry) : unpack_instance(rows, &instance);

	*ret = is_entry ? (struct packed){"entry", entry.service, entry.name, entry.incarnation}
	                : (struct packed){"instance", instance.service, instance.id,
	                                  instance.incarnation};
	return r;
}

/**
 * Finds instances and entries of the keyframe that are neither current nor removed since.
 * @param current  incarnations in the tables
 * @param removed  incarnations that events after the keyframe have removed
 * @param in_keyframe  gets the incarnations in the keyframe
 */
static int verify_compare_keyframe(struct verify *verify, uint64_t revision, struct str rows,
                                   const struct revision_set *current,
                                   const struct revision_set *removed,
                                   struct revision_set *in_keyframe)
{
	struct packed of;
	int r = 0;

	while (r == 0 && rows.len > 0) {
		r = unpack_any(&rows, &of);
		if (r == 0)
			r = revision_set_add(in_keyframe, of.incarnation);
		if (r == 0 && !revision_set_has(current, of.incarnation) &&
		    !revision_set_has(removed, of.incarnation))
			verify_find(verify,
			            "%s '%.*s' of '%.*s': is missing after the keyframe of "
			            "revision %llu",
			            of.what, (int)of.name.len, of.name.data, (int)of.service.len,
			            of.service.data, (unsigned long long)revision);
	}
	return r;
}

/* The current instances and entries, of the first schema and of the latest. */
#define CURRENT_001 "SELECT incarnation, service, id, 'instance' FROM instances"
#define CURRENT     CURRENT_001 " UNION ALL SELECT incarnation, service, name, 'entry' FROM entries"

/** Finds current instances and entries that began before the keyframe and are not in it. */
static int verify_compare_current(struct verify *verify, uint64_t revision,
                                  const struct revision_set *in_keyframe)
{
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(verify->db, verify->is_old ? CURRENT_001 : CURRENT, &stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		uint64_t incarnation = (uint64_t)sqlite3_column_int64(stmt, 0);

		if (incarnation <= revision && !revision_set_has(in_keyframe, incarnation))
			verify_find(verify,
			            "%s '%s' of '%s': is not in the keyframe of revision %llu",
			            verify_text(stmt, 3), verify_text(stmt, 2),
			            verify_text(stmt, 1), (unsigned long long)revision);
		r = 0;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	return r;
}

/** Compares the current state with the newest keyframe: the check of instances and entries whose
 * events retention has removed. */
static int verify_keyframe(struct verify *verify)
{
	struct revision_set current = {.count = 0};
	struct revision_set removed = {.count = 0};
	struct revision_set in_keyframe = {.count = 0};
	struct buf rows;
	uint64_t revision = 0;
	int r = verify_find_keyframe(verify, &revision);

	if (r <= 0)
		return verify_end(verify, "keyframes", r);
	buf_init(&rows, KEYFRAME_BYTES_MAX);
	r = keyframe_read(verify->dir_fd, revision, (struct str){NULL, 0}, &rows);
	if (r == 0)
		r = verify_collect(verify,
		                   verify->is_old ? "SELECT incarnation FROM (" CURRENT_001
		                                    ") WHERE incarnation <= ?1"
		                                  : "SELECT incarnation FROM (" CURRENT
		                                    ") WHERE incarnation <= ?1",
		                   revision, &current);
	if (r == 0)
		r = verify_collect(
			verify,
			"SELECT incarnation FROM events WHERE revision > ?1 AND kind IN " GONE,
			revision, &removed);
	if (r == 0)
		r = verify_compare_keyframe(verify, revision, (struct str){rows.data, rows.len},
		                            &current, &removed, &in_keyframe);
	if (r == 0)
		r = verify_compare_current(verify, revision, &in_keyframe);
	buf_fini(&rows);
	revision_set_fini(&current);
	revision_set_fini(&removed);
	revision_set_fini(&in_keyframe);
	return verify_end(verify, "comparison with the keyframe", r);
}

static int verify_history(struct verify *verify)
{
	uint64_t history;
	int r = journal_read_history(verify->db, &history);

	if (r != -EBADMSG)
		return r;
	verify_find(verify, "counters: the id of the history is missing");
	return 0;
}

int verify_file(sqlite3 *db, int64_t version, int dir_fd, verify_fn report, void *arg)
{
	struct verify verify = {
		.db = db, .dir_fd = dir_fd, .is_old = version == 1, .report = report, .arg = arg};
	uint64_t revision;
	int r = verify_pages(&verify);

	if (r == 0)
		r = verify_events(&verify);
	if (r == 0)
		r = verify_instances(&verify);
	if (r == 0 && !verify.is_old)
		r = verify_entries(&verify);
	if (r == 0)
		r = verify_end(&verify, "counters", journal_last_revision(db, &revision));
	if (r == 0 && !verify.is_old)
		r = verify_history(&verify);
	/* Damaged rows would contradict each other as well. */
	if (r == 0 && verify.findings == 0)
		r = verify_relations(&verify);
	if (r == 0 && verify.findings == 0)
		r = verify_keyframe(&verify);
	if (verify.findings > FINDINGS_MAX) {
		char line[48];

		(void)snprintf(line, sizeof(line), "and %llu more",
		               (unsigned long long)(verify.findings - FINDINGS_MAX));
		report(arg, line);
	}
	return r == 0 && verify.findings > 0 ? -EBADMSG : r;
}
