/* SPDX-License-Identifier: MIT */
#include "journal/salvage.h"

#include "base/buf.h"
#include "base/clock.h"
#include "journal/internal.h"
#include "journal/keyframe.h"
#include "journal/pack.h"
#include "journal/salvage_swap.h"
#include "journal/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct salvage {
	sqlite3 *from;
	sqlite3 *to;
	sqlite3_stmt *latest[SUBJECT_COUNT]; /* of an incarnation in the new file: its revision */
	sqlite3_stmt *put[SUBJECT_COUNT];
	sqlite3_stmt *drop[SUBJECT_COUNT];
	uint64_t revision; /* greatest that was seen */
	uint64_t begins;   /* events after this should all be there */
	uint64_t events;   /* of those, how many were read */
	uint64_t astray;   /* rows out of order that may still come, so that it ends */
	bool is_open;      /* from is a database that has counters */
	bool is_old;       /* from has the first schema */
	bool incomplete;   /* instances or entries are missing: rows were damaged or out of reach */
};

/* --- reading what can be read ---------------------------------------------- */

/** @return 1: the row is sound; 0: it is not; or an error of the disk or of memory */
typedef int (*row_fn)(struct salvage *salvage, sqlite3_stmt *stmt);

/* Smaller than any row of ours. */
#define ROW_BYTES_MIN 32

/**
 * Calls @p fn with each row that SQLite can reach. Behind a damaged page it leaps ahead by 1, 2,
 * 4, ... until it reaches sound ones again, so what is lost beside the damage is at most as much
 * again.
 *
 * In a damaged tree a scan may go back, to rows that it has given or to those of a page that is in
 * the wrong place. They are taken, but do not lower the key to go on from; and as a tree can lead
 * round in circles, only as many of them as the file has room for.
 * @param text  selects rows with a key greater than ?1, in ascending order; the key is column @p
 * key
 */
static int read_reachable(struct salvage *salvage, const char *text, int key, row_fn fn)
{
	sqlite3_stmt *stmt = NULL;
	int64_t last = 0;
	int64_t leap = 1;
	int r = sql_prepare(salvage->from, text, &stmt);

	while (r == 0 && last < ROW_REVISION_MAX) {
		r = sql_error(salvage->from, sqlite3_bind_int64(stmt, 1, last));
		while (r == 0 && (r = sql_step(stmt)) > 0) {
			int64_t found = sqlite3_column_int64(stmt, key);

			r = fn(salvage, stmt);
			if (r > 0 && found > last) {
				last = found;
				leap = 1;
			} else if (r >= 0 && salvage->astray-- == 0) {
				salvage->astray = 0;
				r = -EBADMSG;
			}
			r = r > 0 ? 0 : r;
		}
		(void)sqlite3_reset(stmt); /* its error is known */
		if (r != -EBADMSG)
			break;
		salvage->incomplete = true;
		last += leap;
		leap *= 2;
		r = 0;
	}
	(void)sqlite3_finalize(stmt); /* its error is known */
	if (r == -EBADMSG) {          /* not even the table is there */
		salvage->incomplete = true;
		r = 0;
	}
	return r;
}

/* --- writing it to the new file -------------------------------------------- */

static int find_latest(struct salvage *salvage, enum event_subject subject, uint64_t incarnation,
                       uint64_t *ret_revision)
{
	sqlite3_stmt *latest = salvage->latest[subject];

	(void)sqlite3_bind_int64(latest, 1, (int64_t)incarnation);
	int r = sql_step(latest); /* binding to an existing parameter cannot fail */

	*ret_revision = 0;
	if (r > 0) {
		*ret_revision = (uint64_t)sqlite3_column_int64(latest, 0);
		(void)sqlite3_reset(latest); /* it gave its row */
	}
	return r < 0 ? r : 0;
}

static void note_revision(struct salvage *salvage, uint64_t revision)
{
	if (revision > salvage->revision)
		salvage->revision = revision;
}

/** Keeps @p instance unless a newer state of it is kept: a page may be a stale one. */
static int keep(struct salvage *salvage, const struct instance *instance)
{
	uint64_t latest;
	int r = find_latest(salvage, SUBJECT_INSTANCE, instance->incarnation, &latest);

	note_revision(salvage, instance->revision);
	if (r < 0 || latest >= instance->revision)
		return r;
	r = row_bind_instance(salvage->put[SUBJECT_INSTANCE], instance);
	return r < 0 ? r : sql_run(salvage->put[SUBJECT_INSTANCE]);
}

/** The same for an entry. */
static int keep_entry(struct salvage *salvage, const struct entry *entry)
{
	uint64_t latest;
	int r = find_latest(salvage, SUBJECT_ENTRY, entry->incarnation, &latest);

	note_revision(salvage, entry->revision);
	if (r < 0 || latest >= entry->revision)
		return r;
	r = row_bind_entry(salvage->put[SUBJECT_ENTRY], entry);
	return r < 0 ? r : sql_run(salvage->put[SUBJECT_ENTRY]);
}

static int take_instance(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct instance instance;
	int r = row_instance(stmt, &instance);

	if (r == 0)
		r = keep(salvage, &instance);
	else if (r == -EBADMSG)
		salvage->incomplete = true; /* its events may bring it back */
	return r == 0 ? 1 : r == -EBADMSG ? 0 : r;
}

static int take_entry(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct entry entry;
	int r = row_entry(stmt, &entry);

	if (r == 0)
		r = keep_entry(salvage, &entry);
	else if (r == -EBADMSG)
		salvage->incomplete = true;
	return r == 0 ? 1 : r == -EBADMSG ? 0 : r;
}

/** @return as of row_fn */
static int read_event(struct salvage *salvage, sqlite3_stmt *stmt, struct event *ret_event)
{
	int r = row_event(stmt, ret_event);

	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	note_revision(salvage, ret_event->revision);
	salvage->events += ret_event->revision > salvage->begins;
	return 1;
}

static int count_event(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct event event;

	return read_event(salvage, stmt, &event);
}

/** Each event holds all of its subject: it counts when the row is damaged, or older. */
static int take_event(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct event event;
	uint64_t latest;
	int r = read_event(salvage, stmt, &event);

	if (r <= 0)
		return r;
	enum event_subject subject = event_subject(event.kind);
	if (!event_removes(event.kind)) {
		r = subject == SUBJECT_ENTRY ? keep_entry(salvage, &event.entry)
		                             : keep(salvage, &event.instance);
		return r < 0 ? r : 1;
	}
	r = find_latest(salvage, subject, event_incarnation(&event), &latest);
	if (r < 0 || latest > event.revision)
		return r < 0 ? r : 1;
	(void)sqlite3_bind_int64(salvage->drop[subject], 1, (int64_t)event_incarnation(&event));
	r = sql_run(salvage->drop[subject]);
	return r < 0 ? r : 1;
}

/* --- what keyframes still have ------------------------------------------------ */

/** Does it follow an event of this database, and are all events since then kept? */
static int is_usable(struct salvage *salvage, const struct keyframe_mark *mark)
{
	int64_t checksum = 0;
	char text[96];

	if (!salvage->is_open)
		return 1; /* nothing is left to ask */
	if (mark->revision <= salvage->begins)
		return 0;
	(void)snprintf(text, sizeof(text), "SELECT checksum FROM events WHERE revision = %llu",
	               (unsigned long long)mark->revision);
	int r = sql_integer(salvage->from, text, &checksum);
	/* An event that is lost proves nothing against it. */
	return r == -EBADMSG || (r == 0 && checksum == 0) ? 1
	       : r < 0                                    ? r
	                                                  : checksum == (int64_t)mark->checksum;
}

static int keep_packed(struct salvage *salvage, struct str *rows)
{
	struct instance instance;
	struct entry entry;
	bool is_entry = pack_is_entry(*rows);
	int r = is_entry ? unpack_entry(rows, &entry) : unpack_instance(rows, &instance);

	if (r < 0)
		return r;
	return is_entry ? keep_entry(salvage, &entry) : keep(salvage, &instance);
}

static int keep_all(struct salvage *salvage, struct str rows)
{
	int r = 0;

	while (r == 0 && rows.len > 0)
		r = keep_packed(salvage, &rows);
	return r;
}

/** Adds the instances and entries of one keyframe. @return 1; 0: it cannot be used; or an error */
static int try_keyframe(struct salvage *salvage, int dir_fd, uint64_t keyframe)
{
	struct keyframe_mark mark;
	struct buf rows;
	int r = keyframe_check(dir_fd, keyframe, &mark);

	if (r < 0) /* it is only a cache that is worth nothing */
		return r == -ENOMEM ? r : 0;
	r = is_usable(salvage, &mark);
	if (r <= 0)
		return r;
	buf_init(&rows, KEYFRAME_BYTES_MAX);
	r = keyframe_read(dir_fd, keyframe, (struct str){NULL, 0}, &rows);
	if (r < 0)
		r = r == -ENOMEM ? r : 0;
	else if (rows.len > 0)
		r = keep_all(salvage, (struct str){rows.data, rows.len});
	buf_fini(&rows);
	if (r < 0)
		return r;
	note_revision(salvage, mark.revision);
	return 1;
}

/** Adds what the newest keyframe has that can be used; the events that follow it come after. */
static int take_keyframe(struct salvage *salvage, int dir_fd, uint64_t *ret_revision)
{
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 0;
	int r = keyframe_list(dir_fd, list, &count);

	while (r == 0 && count-- > 0) {
		r = try_keyframe(salvage, dir_fd, list[count]);
		if (r > 0)
			*ret_revision = list[count];
	}
	return r < 0 ? r : 0;
}

/* --- the new file ---------------------------------------------------------------- */

/**
 * Revisions must not go back, and the latest ones may have been in what is lost. Milliseconds since
 * 1970 are more than any journal has given, unless it made a thousand events a second ever since;
 * the next accident starts from there, and time has gone on.
 */
static uint64_t revision_to_go_on_from(uint64_t seen)
{
	uint64_t now_ms = (uint64_t)clock_real_ms();

	return seen > now_ms ? seen : now_ms;
}

/**
 * Once the last event of an instance is lost, the one before it may bring back what was removed.
 * Of two lives of one id the later is the true one; a wrong one ends with its lease.
 * The log begins anew: who resumes a watch from before must be told, as events may be missing.
 */
static int conclude(struct salvage *salvage, struct salvage_result *ret_result)
{
	char text[160];
	int64_t instances = 0;
	int r;

	ret_result->revision = revision_to_go_on_from(salvage->revision);
	if (salvage->is_open && salvage->revision > salvage->begins + salvage->events)
		ret_result->events_lost = salvage->revision - salvage->begins - salvage->events;
	(void)snprintf(text, sizeof(text),
	               "UPDATE counters SET value = %lld"
	               " WHERE name IN ('revision_floor', 'removed_through')",
	               (long long)ret_result->revision);
	r = sql_exec(salvage->to, "DELETE FROM instances WHERE incarnation NOT IN"
	                          " (SELECT max(incarnation) FROM instances GROUP BY service, id)");
	if (r == 0)
		r = sql_exec(salvage->to,
		             "DELETE FROM entries WHERE incarnation NOT IN (SELECT"
		             " max(incarnation) FROM entries GROUP BY service, kind, name)");
	if (r == 0)
		r = sql_exec(salvage->to, text);
	if (r == 0)
		r = sql_exec(salvage->to, "COMMIT");
	if (r == 0)
		r = sql_integer(salvage->to, "SELECT count(*) FROM instances", &instances);
	ret_result->instances = (uint64_t)instances;
	return r;
}

/** The counters have no checksum, so a value that is far off is not used. */
static int read_counters(struct salvage *salvage)
{
	int64_t begins = 0;
	int r = sql_integer(salvage->from,
	                    "SELECT max(value) FROM counters"
	                    " WHERE name IN ('revision_floor', 'removed_through')",
	                    &begins);

	if (r == 0 && begins >= 0 && begins < ROW_REVISION_MAX / 2) {
		salvage->is_open = true;
		salvage->begins = (uint64_t)begins;
		note_revision(salvage, salvage->begins);
	}
	return r;
}

/** Damage so bad that not even this much can be read leaves nothing to copy. */
static int open_from(struct salvage *salvage, const char *path)
{
	struct stat stat_of;
	int r = sql_open_alone(path, &salvage->from);

	if (r == 0)
		r = stat(path, &stat_of) < 0 ? -errno : 0;
	if (r == 0) {
		salvage->astray = (uint64_t)stat_of.st_size / ROW_BYTES_MIN;
		r = read_counters(salvage);
	}
	return r == -EBADMSG ? 0 : r;
}

/** Sets is_old: the file was damaged before it could be migrated. */
static int read_version(struct salvage *salvage)
{
	static const char has_version[] =
		"SELECT count(*) FROM sqlite_schema s, pragma_table_info(s.name) i"
		" WHERE s.type = 'table' AND i.name = 'version'";
	int64_t version = 0;
	int r = sql_integer(salvage->from, has_version, &version);

	salvage->is_old = r == 0 && version == 0;
	return r == -EBADMSG ? 0 : r;
}

#define FROM_INSTANCES " FROM instances WHERE incarnation > ?1 ORDER BY incarnation"
#define FROM_ENTRIES   " FROM entries WHERE incarnation > ?1 ORDER BY incarnation"
#define FROM_EVENTS    " FROM events WHERE revision > ?1 ORDER BY revision"

/** @param path  of what can be read; NULL: nothing */
static int copy(struct salvage *salvage, int dir_fd, const char *path, uint64_t *ret_keyframe)
{
	int r = path != NULL ? open_from(salvage, path) : 0;

	if (r == 0 && salvage->from != NULL)
		r = read_version(salvage);
	if (r == 0 && salvage->from != NULL)
		r = read_reachable(salvage,
		                   salvage->is_old ? "SELECT " ROW_INSTANCE_001 FROM_INSTANCES
		                                   : "SELECT " ROW_INSTANCE FROM_INSTANCES,
		                   ROW_incarnation, take_instance);
	if (r == 0 && salvage->from != NULL && !salvage->is_old)
		r = read_reachable(salvage, "SELECT " ROW_ENTRY FROM_ENTRIES, ROW_ENTRY_incarnation,
		                   take_entry);
	if (r == 0 && (salvage->incomplete || !salvage->is_open))
		r = take_keyframe(salvage, dir_fd, ret_keyframe);
	/* When it is the events that are damaged, they must not bring back whom they saw arrive
	 * but no longer see leave. */
	row_fn use = salvage->incomplete ? take_event : count_event;
	if (r == 0 && salvage->from != NULL)
		r = read_reachable(salvage,
		                   salvage->is_old ? "SELECT " ROW_EVENT_001 FROM_EVENTS
		                                   : "SELECT " ROW_EVENT FROM_EVENTS,
		                   ROW_revision, use);
	return r;
}

static const char *const select_latest[SUBJECT_COUNT] = {
	[SUBJECT_INSTANCE] = "SELECT revision FROM instances WHERE incarnation = ?1",
	[SUBJECT_ENTRY] = "SELECT revision FROM entries WHERE incarnation = ?1",
};
static const char *const put_row[SUBJECT_COUNT] = {
	[SUBJECT_INSTANCE] =
		"REPLACE INTO instances (" ROW_INSTANCE ") VALUES (" ROW_INSTANCE_BIND ")",
	[SUBJECT_ENTRY] = "REPLACE INTO entries (" ROW_ENTRY ") VALUES (" ROW_ENTRY_BIND ")",
};
static const char *const drop_row[SUBJECT_COUNT] = {
	[SUBJECT_INSTANCE] = "DELETE FROM instances WHERE incarnation = ?1",
	[SUBJECT_ENTRY] = "DELETE FROM entries WHERE incarnation = ?1",
};

/** @param path  of the file that is built */
static int build(struct salvage *salvage, const char *path, struct journal_error *ret_error)
{
	bool is_new;
	int r = journal_open_file(path, &salvage->to, &is_new, ret_error);

	if (r < 0)
		return r;
	r = sql_exec(salvage->to, "BEGIN IMMEDIATE");
	for (size_t i = 0; r == 0 && i < SUBJECT_COUNT; i++) {
		r = sql_prepare(salvage->to, select_latest[i], &salvage->latest[i]);
		if (r == 0)
			r = sql_prepare(salvage->to, put_row[i], &salvage->put[i]);
		if (r == 0)
			r = sql_prepare(salvage->to, drop_row[i], &salvage->drop[i]);
	}
	return r;
}

/** @return an error that closing brought: then the new file may not be whole */
static int close_both(struct salvage *salvage)
{
	int r = 0;

	for (size_t i = 0; i < SUBJECT_COUNT; i++) {
		(void)sqlite3_finalize(salvage->latest[i]); /* take NULL; their errors were seen */
		(void)sqlite3_finalize(salvage->put[i]);
		(void)sqlite3_finalize(salvage->drop[i]);
	}
	(void)sqlite3_close(salvage->from); /* only read */
	if (salvage->to != NULL) {
		/* All of it has to be in the one file that is renamed. */
		sql_rollback(salvage->to);
		r = sql_exec(salvage->to, "PRAGMA journal_mode=DELETE");
		(void)sqlite3_close(salvage->to); /* nothing is left to write */
	}
	return r;
}

/* --- the files ------------------------------------------------------------------ */

/** The name of @p file beside the database at @p path. */
static void path_beside(const char *path, const char *file, char out[PATH_MAX + 16])
{
	(void)snprintf(out, PATH_MAX + 16, "%.*s%s", (int)(strlen(path) - strlen(JOURNAL_FILE)),
	               path, file);
}

/** Copies the database, and puts the pages in that are sound in its log. */
static int fill_image(int db_fd, int wal_fd, int image_fd, const struct wal_report *wal)
{
	char block[16384];
	ssize_t n = 0;

	while (db_fd >= 0 && (n = read(db_fd, block, sizeof(block))) > 0) {
		ssize_t written = write(image_fd, block, (size_t)n);

		if (written != n)
			return written < 0 ? -errno : -ENOSPC;
	}
	if (n < 0)
		return -errno;
	/* Of the database's own header: no log of this name is to be looked for. */
	static const char no_log[2] = {1, 1};
	int r = wal_apply(wal_fd, wal, image_fd);
	if (r == 0 && pwrite(image_fd, no_log, sizeof(no_log), 18) != sizeof(no_log))
		r = -errno;
	return r;
}

static int make_image(int dir_fd, const struct wal_report *wal)
{
	int db_fd = openat(dir_fd, JOURNAL_FILE, O_RDONLY | O_CLOEXEC);
	int wal_fd = openat(dir_fd, JOURNAL_FILE "-wal", O_RDONLY | O_CLOEXEC);
	int image_fd =
		openat(dir_fd, JOURNAL_FILE_IMAGE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = wal_fd < 0 || image_fd < 0 ? -errno : fill_image(db_fd, wal_fd, image_fd, wal);

	if (db_fd >= 0)
		(void)close(db_fd); /* only read */
	if (wal_fd >= 0)
		(void)close(wal_fd); /* only read */
	if (image_fd >= 0 && close(image_fd) < 0 && r == 0)
		r = -errno;
	return r == -EDQUOT ? -ENOSPC : r;
}

/** Builds the new file from what is sound in the old ones. */
static int build_new(int dir_fd, const char *path, const struct survey *survey,
                     struct salvage_result *ret_result, struct journal_error *ret_error)
{
	struct salvage salvage = {.incomplete = survey->wal.is_damaged || survey->is_lost};
	bool needs_image = salvage.incomplete && survey->wal.apply > 0;
	char building[PATH_MAX + 16];
	char image[PATH_MAX + 16];
	const char *from = needs_image ? image : survey->is_lost ? NULL : path;

	path_beside(path, JOURNAL_FILE_BUILDING, building);
	path_beside(path, JOURNAL_FILE_IMAGE, image);
	int r = needs_image ? make_image(dir_fd, &survey->wal) : 0;
	if (r == 0)
		r = build(&salvage, building, ret_error);
	if (r == 0)
		r = copy(&salvage, dir_fd, from, &ret_result->keyframe);
	if (r == 0)
		r = conclude(&salvage, ret_result);

	int closed = close_both(&salvage);
	(void)unlinkat(dir_fd, JOURNAL_FILE_IMAGE, 0); /* mostly not there */
	return r < 0 ? r : closed;
}

int salvage_run(int dir_fd, const char *path, const struct survey *survey,
                struct salvage_result *ret_result, struct journal_error *ret_error)
{
	struct salvage_result result = {.instances = 0};
	int r;

	salvage_remove_unfinished(dir_fd);
	r = build_new(dir_fd, path, survey, &result, ret_error);
	if (r == 0 && renameat(dir_fd, JOURNAL_FILE_BUILDING, dir_fd, JOURNAL_FILE_SALVAGED) < 0)
		r = -errno;
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0)
		r = salvage_name_kept(dir_fd, result.kept_as, sizeof(result.kept_as));
	if (r == 0)
		r = salvage_swap(dir_fd);
	if (r == 0 && !salvage_was_kept(dir_fd, result.kept_as))
		result.kept_as[0] = '\0';
	if (r < 0) {
		salvage_remove_unfinished(dir_fd);
		return journal_error_set(ret_error, r, "'%s' is damaged and cannot be salvaged: %s",
		                         path, strerror(-r));
	}
	*ret_result = result;
	return 0;
}
