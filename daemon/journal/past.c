/* SPDX-License-Identifier: MIT */
/**
 * Rebuilding past states, and writing the keyframes that bound the cost of it. Runs on the archive
 * thread of the background reader (registry/reader.h), beside the writer.
 *
 * Invariant: a state is complete or an error. Each event on the way must be there and sound; the
 * only gap that is taken is the one that a salvage leaves below revision_floor.
 *
 * Applying the events forwards, from the keyframe on, would hold every version of every instance
 * in between. Backwards, the first event met of an incarnation decides it, and later ones are
 * skipped; what no event decides is as the keyframe has it. Without a usable keyframe the state of
 * the latest revision is read from the tables of the current state.
 */
#include "journal/past.h"

#include "base/check.h"
#include "base/clock.h"
#include "journal/internal.h"
#include "journal/keyframe.h"
#include "journal/pack.h"
#include "journal/past_state.h"
#include "journal/revision_set.h"
#include "journal/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIND_AFTER = 1, BIND_THROUGH };

enum past_stmt {
	PAST_VIEW,
	PAST_LOG,
	PAST_MARK,
	PAST_NEXT,
	PAST_CHANGES,
	PAST_CURRENT,
	PAST_CURRENT_ENTRIES,
	PAST_STMT_COUNT
};
/* No statement selects by service or id: a row whose service or id is damaged would be left out
 * without an error. Rows are compared with the query once their checksum has been verified. */
static const char *const past_statements[PAST_STMT_COUNT] = {
	/* From its first row until it is reset, all reads see one state of the database. BEGIN and
	 * ROLLBACK would do the same, but ROLLBACK needs memory. */
	[PAST_VIEW] = "SELECT value FROM counters",
	[PAST_LOG] =
		"SELECT begins, max(floor, ifnull((SELECT max(revision) FROM events), 0)), floor"
		" FROM (SELECT (SELECT value FROM counters WHERE name = 'removed_through')"
		" AS begins, (SELECT value FROM counters WHERE name = 'revision_floor') AS floor)",
	[PAST_MARK] = "SELECT " ROW_EVENT " FROM events WHERE revision = ?1",
	[PAST_NEXT] = "SELECT " ROW_EVENT " FROM events WHERE revision >= ?1"
		      " ORDER BY revision LIMIT 1",
	/* Newest first: the first event met of an incarnation is its latest state. */
	[PAST_CHANGES] = "SELECT " ROW_EVENT " FROM events WHERE revision > ?1 AND revision <= ?2"
			 " ORDER BY revision DESC",
	[PAST_CURRENT] = "SELECT " ROW_INSTANCE " FROM instances",
	[PAST_CURRENT_ENTRIES] = "SELECT " ROW_ENTRY " FROM entries",
};
struct past {
	struct magic magic;
	int dir_fd;
	sqlite3 *db;
	sqlite3_stmt *stmt[PAST_STMT_COUNT];
	char path[PATH_MAX];
};
MAGIC(past, 0x70617374);

/** The work of one past_read(). */
struct rebuild {
	struct past *past;
	const struct past_query *query;
	struct past_bounds bounds;
	uint64_t removed; /* events up to it have been removed */
	uint64_t floor;   /* a salvage's gap in the revisions ends here */
	uint64_t next;  /* revision that the next event read must have; events come newest first */
	bool is_before; /* the query's time is before all events that are kept */
	struct past_state *state;
	struct revision_set decided; /* incarnations of which an event has been read */
};

/* --- open and close ------------------------------------------------------------ */

/** Marks damage for the next start, which verifies the whole database; the daemon goes on. */
static int past_error(const struct past *past, int r)
{
	if (r != -EBADMSG)
		return r;
	journal_suspect(past->path);
	return -EIO;
}

int past_open(const char *dir, struct past **ret_past)
{
	struct past *past = calloc(1, sizeof(*past));
	int r = 0;

	if (past == NULL)
		return -ENOMEM;
	past->magic = MAGIC_INIT(past);
	past->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (past->dir_fd < 0)
		r = -errno;
	if (r == 0 && (size_t)snprintf(past->path, sizeof(past->path), "%s/" JOURNAL_FILE, dir) >=
	                      sizeof(past->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = sql_open(past->path, SQLITE_OPEN_READONLY, &past->db);
	for (size_t i = 0; r == 0 && i < PAST_STMT_COUNT; i++)
		r = sql_prepare(past->db, past_statements[i], &past->stmt[i]);
	if (r < 0) {
		r = past_error(past, r);
		past_close(past);
		return r;
	}
	keyframe_remove_partial(past->dir_fd);
	*ret_past = past;
	return 0;
}

void past_close(struct past *past)
{
	if (past == NULL)
		return;
	CHECK_MAGIC(past, past);
	for (size_t i = 0; i < PAST_STMT_COUNT; i++)
		(void)sqlite3_finalize(
			past->stmt[i]); /* takes NULL; its errors were returned when it ran */
	(void)sqlite3_close(past->db);  /* only read */
	if (past->dir_fd >= 0)
		(void)close(past->dir_fd); /* only read */
	free(past);
}

/* --- queries ------------------------------------------------------------------------ */

static int past_read_log(struct past *past, uint64_t *ret_removed, uint64_t *ret_latest,
                         uint64_t *ret_floor)
{
	sqlite3_stmt *stmt = past->stmt[PAST_LOG];
	int r = sql_step(stmt);

	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	*ret_removed = (uint64_t)sqlite3_column_int64(stmt, 0);
	*ret_latest = (uint64_t)sqlite3_column_int64(stmt, 1);
	*ret_floor = (uint64_t)sqlite3_column_int64(stmt, 2);
	(void)sqlite3_reset(stmt); /* cannot fail after a row */
	return 0;
}

/** Reads the one event that statement @p which selects. @return 0, -ENOENT, or an error */
static int past_read_mark(struct past *past, enum past_stmt which, uint64_t revision,
                          struct keyframe_mark *ret)
{
	sqlite3_stmt *stmt = past->stmt[which];
	struct event event;
	int r = sql_error(past->db, sqlite3_bind_int64(stmt, 1, (int64_t)revision));

	if (r == 0)
		r = sql_step(stmt);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = row_event(stmt, &event);
	if (r == 0)
		*ret = (struct keyframe_mark){
			.revision = event.revision,
			.time_ms = event.time_ms,
			.checksum = (uint32_t)sqlite3_column_int64(stmt, ROW_CHECKSUM),
		};
	(void)sqlite3_reset(stmt); /* cannot fail after a row */
	return r;
}

/** Finds the last event up to @p time_ms; without one, gives the revision before the oldest event.
 * Bisects, as times grow with revisions. */
static int past_find_revision(struct rebuild *rebuild, int64_t time_ms, uint64_t *ret_revision)
{
	uint64_t found = rebuild->removed;
	uint64_t low = found + 1;
	uint64_t high = rebuild->bounds.latest;

	while (low <= high) {
		uint64_t middle = low + (high - low) / 2;
		struct keyframe_mark mark;
		int r = past_read_mark(rebuild->past, PAST_NEXT, middle, &mark);

		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0 && mark.revision >= middle && mark.time_ms <= time_ms) {
			found = mark.revision;
			low = mark.revision + 1;
		} else {
			high = middle - 1;
		}
	}
	*ret_revision = found;
	return 0;
}

/* --- the state ---------------------------------------------------------------------- */

/** @param id  of the instance; of an entry, the id of the instance that it is about */
static bool past_matches(const struct rebuild *rebuild, struct str service, struct str id)
{
	const struct past_query *query = rebuild->query;

	return (query->service.len == 0 || str_equal(query->service, service)) &&
	       (query->id.len == 0 || str_equal(query->id, id));
}

/** May @p revision be the next event read, or the end of the events? It is the one expected, or the
 * gap of a salvage lies between, which ends at the floor, or holds the revision asked for. */
static bool is_expected(const struct rebuild *rebuild, uint64_t revision)
{
	return revision == rebuild->next ||
	       (revision < rebuild->next && rebuild->next <= rebuild->floor &&
	        (rebuild->next == rebuild->floor || rebuild->next == rebuild->bounds.revision));
}

static int apply_event(struct rebuild *rebuild, sqlite3_stmt *stmt)
{
	struct event event;
	int r = row_event(stmt, &event);

	if (r < 0)
		return r;
	if (!is_expected(rebuild, event.revision))
		return -EBADMSG;
	rebuild->next = event.revision - 1;
	if (!past_matches(rebuild, event_service(&event), event_instance_id(&event)) ||
	    revision_set_has(&rebuild->decided, event_incarnation(&event)))
		return 0;
	r = revision_set_add(&rebuild->decided, event_incarnation(&event));
	if (r < 0 || event_removes(event.kind))
		return r;
	return event_subject(event.kind) == SUBJECT_ENTRY
	               ? past_state_put_entry(rebuild->state, &event.entry)
	               : past_state_put_instance(rebuild->state, &event.instance);
}

static int apply_current(struct rebuild *rebuild, sqlite3_stmt *stmt)
{
	struct instance instance;
	int r = row_instance(stmt, &instance);

	return r < 0 || !past_matches(rebuild, instance.service, instance.id)
	               ? r
	               : past_state_put_instance(rebuild->state, &instance);
}

static int apply_current_entry(struct rebuild *rebuild, sqlite3_stmt *stmt)
{
	struct entry entry;
	int r = row_entry(stmt, &entry);

	return r < 0 || !past_matches(rebuild, entry.service, entry_instance_id(&entry))
	               ? r
	               : past_state_put_entry(rebuild->state, &entry);
}

static int past_each_row(struct rebuild *rebuild, enum past_stmt which, uint64_t after,
                         int (*apply)(struct rebuild *rebuild, sqlite3_stmt *stmt))
{
	sqlite3_stmt *stmt = rebuild->past->stmt[which];
	int failed = 0;
	int r;

	if (which == PAST_CHANGES) {
		failed |= sqlite3_bind_int64(stmt, BIND_AFTER, (int64_t)after);
		failed |= sqlite3_bind_int64(stmt, BIND_THROUGH, (int64_t)rebuild->bounds.revision);
	}
	if (failed != 0)
		return -ENOMEM;
	rebuild->next = rebuild->bounds.revision;
	while ((r = sql_step(stmt)) > 0) {
		r = apply(rebuild, stmt);
		if (r < 0)
			break;
	}
	(void)sqlite3_reset(stmt); /* its error is in r */
	if (r == 0 && which == PAST_CHANGES && !is_expected(rebuild, after))
		r = -EBADMSG;
	return r;
}

/** Unpacks one instance or entry from @p rest, and adds it to the state unless an event decides it.
 * @param at  its offset in rows */
static int apply_packed(struct rebuild *rebuild, struct str *rest, size_t at)
{
	bool is_entry = pack_is_entry(*rest);
	struct instance instance = {.revision = 0};
	struct entry entry = {.revision = 0};
	int r = is_entry ? unpack_entry(rest, &entry) : unpack_instance(rest, &instance);
	uint64_t incarnation = is_entry ? entry.incarnation : instance.incarnation;

	if (r < 0 || revision_set_has(&rebuild->decided, incarnation) ||
	    !past_matches(rebuild, is_entry ? entry.service : instance.service,
	                  is_entry ? entry_instance_id(&entry) : instance.id))
		return r;
	return past_state_add(rebuild->state, is_entry ? SUBJECT_ENTRY : SUBJECT_INSTANCE,
	                      incarnation, at);
}

/** Adds what the keyframe has and no later event decides. @param len  bytes of the keyframe in the
 * state's rows */
static int apply_keyframe(struct rebuild *rebuild, size_t len)
{
	struct str rest = {rebuild->state->rows.data, len};
	int r = 0;

	while (r == 0 && rest.len > 0)
		r = apply_packed(rebuild, &rest, len - rest.len);
	return r;
}

static void past_restart(struct rebuild *rebuild)
{
	past_state_reset(rebuild->state);
	revision_set_fini(&rebuild->decided);
}

/** Rebuilds the state from @p keyframe; 0: from the beginning of the journal. @return 1: done; 0:
 * the keyframe cannot be read; or an error of the log */
static int past_try_keyframe(struct rebuild *rebuild, uint64_t keyframe)
{
	struct past_state *state = rebuild->state;

	past_restart(rebuild);
	/* The keyframe comes first: if it is damaged, no event need be read. */
	int r = keyframe == 0 ? 0
	                      : keyframe_read(rebuild->past->dir_fd, keyframe,
	                                      rebuild->query->service, &state->rows);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	size_t len = state->rows.len;
	r = past_each_row(rebuild, PAST_CHANGES, keyframe, apply_event);
	if (r < 0)
		return r;
	r = apply_keyframe(rebuild, len);
	return r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

/** Does the keyframe follow an event of this log, with no event after it removed?
 * @param ret_ms  the time of that event, if there is one
 * @return 1, 0, or an error of the log */
static int past_is_usable(struct past *past, uint64_t removed, uint64_t keyframe, int64_t *ret_ms)
{
	struct keyframe_mark stored;
	struct keyframe_mark mark = {.revision = 0};

	if (keyframe <= removed || keyframe_mark(past->dir_fd, keyframe, &stored) < 0)
		return 0;
	int r = past_read_mark(past, PAST_MARK, keyframe, &mark);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret_ms = mark.time_ms;
	return mark.checksum == stored.checksum;
}

/** Tries to rebuild the state of the keyframe itself, since a sound header does not prove its rows.
 * @return 1, 0, or an error of the log */
static int past_try_alone(struct rebuild *rebuild, uint64_t keyframe)
{
	struct past_bounds *bounds = &rebuild->bounds;
	uint64_t asked = bounds->revision;
	int r = past_is_usable(rebuild->past, rebuild->removed, keyframe, &bounds->oldest_ms);

	if (r <= 0)
		return r;
	bounds->revision = keyframe;
	r = past_try_keyframe(rebuild, keyframe);
	bounds->revision = asked;
	return r;
}

/** Sets the oldest bound for -ESTALE: the first keyframe whose state can really be rebuilt, so that
 * a client that asks for it gets it. */
static int past_find_oldest(struct rebuild *rebuild, const uint64_t *list, size_t count)
{
	struct past_bounds *bounds = &rebuild->bounds;
	struct keyframe_mark mark = {.time_ms = 0};
	int r;

	bounds->oldest = bounds->latest;
	for (size_t i = 0; i < count; i++) {
		if (list[i] <= bounds->revision) /* has been tried */
			continue;
		r = past_try_alone(rebuild, list[i]);
		if (r < 0)
			return r;
		if (r > 0) {
			bounds->oldest = list[i];
			return 0;
		}
	}
	r = past_read_mark(rebuild->past, PAST_MARK, bounds->latest, &mark);
	bounds->oldest_ms = mark.time_ms;
	return r == -ENOENT ? 0 : r;
}

static int rebuild_state(struct rebuild *rebuild)
{
	uint64_t revision = rebuild->bounds.revision;
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 0;
	int64_t ms;
	int r = keyframe_list(rebuild->past->dir_fd, list, &count);

	for (size_t i = count; r == 0 && i-- > 0;) {
		if (list[i] > revision)
			continue;
		r = past_is_usable(rebuild->past, rebuild->removed, list[i], &ms);
		if (r > 0)
			r = past_try_keyframe(rebuild, list[i]);
	}
	if (r == 0 && rebuild->removed == 0)
		r = past_try_keyframe(rebuild, 0);
	if (r == 0 && revision == rebuild->bounds.latest && !rebuild->is_before) {
		past_restart(rebuild);
		r = past_each_row(rebuild, PAST_CURRENT, 0, apply_current);
		if (r == 0)
			r = past_each_row(rebuild, PAST_CURRENT_ENTRIES, 0, apply_current_entry);
		return r < 0 ? r : 0;
	}
	if (r != 0)
		return r < 0 ? r : 0;
	r = past_find_oldest(rebuild, list, count);
	return r < 0 ? r : -ESTALE;
}

static int past_resolve(struct rebuild *rebuild)
{
	const struct past_query *query = rebuild->query;
	struct past_bounds *bounds = &rebuild->bounds;
	int r = past_read_log(rebuild->past, &rebuild->removed, &bounds->latest, &rebuild->floor);

	if (r < 0)
		return r;
	if (query->by_time ? query->time_ms > clock_real_ms() : query->revision > bounds->latest)
		return -ERANGE;
	bounds->revision = query->revision;
	if (query->by_time)
		r = past_find_revision(rebuild, query->time_ms, &bounds->revision);
	rebuild->is_before =
		query->by_time && rebuild->removed > 0 && bounds->revision == rebuild->removed;
	return r;
}

int past_read(struct past *past, const struct past_query *query, struct past_state **ret_state,
              struct past_bounds *ret_bounds)
{
	struct rebuild rebuild = {.past = past, .query = query};
	int r;

	CHECK_MAGIC(past, past);
	rebuild.state = past_state_new();
	if (rebuild.state == NULL)
		return -ENOMEM;
	r = sql_step(past->stmt[PAST_VIEW]);
	if (r >= 0)
		r = past_resolve(&rebuild);
	if (r == 0)
		r = rebuild_state(&rebuild);
	(void)sqlite3_reset(past->stmt[PAST_VIEW]); /* its error is in r */
	revision_set_fini(&rebuild.decided);
	if (r == 0 || r == -ESTALE || r == -ERANGE)
		*ret_bounds = rebuild.bounds;
	if (r < 0) {
		past_state_free(rebuild.state);
		return past_error(past, r);
	}
	past_state_sort(rebuild.state);
	*ret_state = rebuild.state;
	return 0;
}

/* --- keyframes ------------------------------------------------------------------------ */

int past_newest_keyframe(struct past *past, uint64_t *ret_revision, int64_t *ret_ms)
{
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 0;
	uint64_t removed = 0;
	uint64_t latest = 0;
	uint64_t floor = 0;
	int64_t ms = 0;

	CHECK_MAGIC(past, past);
	int r = past_read_log(past, &removed, &latest, &floor);
	if (r == 0)
		r = keyframe_list(past->dir_fd, list, &count);
	while (r == 0 && count > 0) {
		r = past_is_usable(past, removed, list[count - 1], &ms);
		count -= r == 0;
	}
	if (r < 0)
		return past_error(past, r);
	*ret_revision = r > 0 ? list[count - 1] : 0;
	*ret_ms = r > 0 ? ms : 0;
	return 0;
}

int past_is_cut(struct past *past, uint64_t revision, bool *ret_is_cut)
{
	uint64_t removed = 0;
	uint64_t latest = 0;
	uint64_t floor = 0;
	int r;

	CHECK_MAGIC(past, past);
	r = past_read_log(past, &removed, &latest, &floor);
	if (r < 0)
		return past_error(past, r);
	*ret_is_cut = removed > 0 && revision <= removed;
	return 0;
}

/** Deletes keyframes whose events retention has removed, and those of a history that a restored
 * backup has undone. */
static int past_remove_unusable(struct past *past)
{
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 0;
	uint64_t removed = 0;
	uint64_t latest = 0;
	uint64_t floor = 0;
	int64_t ms;
	int r = past_read_log(past, &removed, &latest, &floor);

	if (r == 0)
		r = keyframe_list(past->dir_fd, list, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = past_is_usable(past, removed, list[i], &ms);
		if (r == 0)
			(void)keyframe_remove(past->dir_fd, list[i]); /* retried next time */
		r = r < 0 ? r : 0;
	}
	return r;
}

int past_put_keyframe(struct past *past, struct keyframe_draft *draft, uint64_t revision,
                      int64_t *ret_ms)
{
	struct keyframe_mark mark = {.revision = 0};
	int r;

	CHECK_MAGIC(past, past);
	r = past_read_mark(past, PAST_MARK, revision, &mark);
	if (r == 0)
		r = keyframe_write(draft, past->dir_fd, &mark);
	if (r == 0)
		r = past_remove_unusable(past);
	if (r < 0)
		return past_error(past, r);
	*ret_ms = mark.time_ms;
	return 0;
}
