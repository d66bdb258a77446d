/* SPDX-License-Identifier: MIT */
/**
 * Building the new database of a salvage. Runs on the thread that opens the journal.
 *
 * Invariant: only values whose checksum is right are kept, of one incarnation the one with the
 * greatest revision. Sources are the current rows, the keyframe if rows are missing, and then the
 * events, in this order. The current rows alone lack those on damaged pages; the events alone
 * lack what retention has removed, and bring back instances whose removal is lost.
 */
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
	uint64_t revision; /* greatest of all that was read */
	uint64_t begins;   /* all events after this revision should be there */
	uint64_t events;   /* number of those that were read */
	uint64_t astray;   /* rows out of order that are still accepted: bounds a circular tree */
	bool is_open;      /* from is a database with counters */
	bool is_old;       /* from has the first schema */
	bool incomplete;   /* instances or entries are missing: rows are damaged or unreachable */
};

/* --- reading the damaged database ------------------------------------------ */

/** @return 1: the row is sound; 0: it is damaged; or an error of the disk or of memory */
typedef int (*row_fn)(struct salvage *salvage, sqlite3_stmt *stmt);

/* Less than any row that rollcall writes takes. */
#define ROW_BYTES_MIN 32

/**
 * Calls @p fn with each row that SQLite can reach. At a damaged page the key to continue from leaps
 * ahead by 1, 2, 4, ... until SQLite reaches sound pages again, so it skips at most as many sound
 * keys as there are damaged ones.
 *
 * In a damaged tree a scan may go back, to rows that it has given before or to those of a page in
 * the wrong place. These are accepted, but do not lower the key to continue from. As the tree may
 * be circular, only as many are accepted as the file has room for.
 * @param text  selects rows with a key greater than ?1, in ascending order; the key is column @p
 * key
 */
static int salvage_rows(struct salvage *salvage, const char *text, int key, row_fn fn)
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
		(void)sqlite3_reset(stmt); /* its error is in r */
		if (r != -EBADMSG)
			break;
		salvage->incomplete = true;
		last += leap;
		leap *= 2;
		r = 0;
	}
	(void)sqlite3_finalize(stmt); /* its error is in r */
	if (r == -EBADMSG) {          /* the table is missing */
		salvage->incomplete = true;
		r = 0;
	}
	return r;
}

/* --- writing the new database ---------------------------------------------- */

static int salvage_find_latest(struct salvage *salvage, enum event_subject subject,
                               uint64_t incarnation, uint64_t *ret_revision)
{
	sqlite3_stmt *latest = salvage->latest[subject];

	(void)sqlite3_bind_int64(latest, 1, (int64_t)incarnation); /* cannot fail: ?1 exists */
	int r = sql_step(latest);

	*ret_revision = 0;
	if (r > 0) {
		*ret_revision = (uint64_t)sqlite3_column_int64(latest, 0);
		(void)sqlite3_reset(latest); /* cannot fail after a row */
	}
	return r < 0 ? r : 0;
}

static void salvage_note_revision(struct salvage *salvage, uint64_t revision)
{
	if (revision > salvage->revision)
		salvage->revision = revision;
}

/** Writes @p instance unless a newer version of it has been: a stale page may hold an older one. */
static int salvage_instance(struct salvage *salvage, const struct instance *instance)
{
	uint64_t latest;
	int r = salvage_find_latest(salvage, SUBJECT_INSTANCE, instance->incarnation, &latest);

	salvage_note_revision(salvage, instance->revision);
	if (r < 0 || latest >= instance->revision)
		return r;
	r = row_bind_instance(salvage->put[SUBJECT_INSTANCE], instance);
	return r < 0 ? r : sql_run(salvage->put[SUBJECT_INSTANCE]);
}

/** As salvage_instance(). */
static int salvage_entry(struct salvage *salvage, const struct entry *entry)
{
	uint64_t latest;
	int r = salvage_find_latest(salvage, SUBJECT_ENTRY, entry->incarnation, &latest);

	salvage_note_revision(salvage, entry->revision);
	if (r < 0 || latest >= entry->revision)
		return r;
	r = row_bind_entry(salvage->put[SUBJECT_ENTRY], entry);
	return r < 0 ? r : sql_run(salvage->put[SUBJECT_ENTRY]);
}

static int salvage_instance_row(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct instance instance;
	int r = row_instance(stmt, &instance);

	if (r == 0)
		r = salvage_instance(salvage, &instance);
	else if (r == -EBADMSG)
		salvage->incomplete = true; /* its events may restore it */
	return r == 0 ? 1 : r == -EBADMSG ? 0 : r;
}

static int salvage_entry_row(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct entry entry;
	int r = row_entry(stmt, &entry);

	if (r == 0)
		r = salvage_entry(salvage, &entry);
	else if (r == -EBADMSG)
		salvage->incomplete = true;
	return r == 0 ? 1 : r == -EBADMSG ? 0 : r;
}

/** @return as row_fn */
static int salvage_read_event(struct salvage *salvage, sqlite3_stmt *stmt, struct event *ret_event)
{
	int r = row_event(stmt, ret_event);

	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	salvage_note_revision(salvage, ret_event->revision);
	salvage->events += ret_event->revision > salvage->begins;
	return 1;
}

static int count_event(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct event event;

	return salvage_read_event(salvage, stmt, &event);
}

/** Applies an event that is newer than its subject in the new database: each event holds all of its
 * subject. */
static int salvage_event(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct event event;
	uint64_t latest;
	int r = salvage_read_event(salvage, stmt, &event);

	if (r <= 0)
		return r;
	enum event_subject subject = event_subject(event.kind);
	if (!event_removes(event.kind)) {
		r = subject == SUBJECT_ENTRY ? salvage_entry(salvage, &event.entry)
		                             : salvage_instance(salvage, &event.instance);
		return r < 0 ? r : 1;
	}
	r = salvage_find_latest(salvage, subject, event_incarnation(&event), &latest);
	if (r < 0 || latest > event.revision)
		return r < 0 ? r : 1;
	(void)sqlite3_bind_int64(salvage->drop[subject], 1, (int64_t)event_incarnation(&event));
	r = sql_run(salvage->drop[subject]);
	return r < 0 ? r : 1;
}

/* --- keyframes ---------------------------------------------------------------- */

/** Does the keyframe follow an event of this database, with no event after it removed? @return 1,
 * 0, or an error */
static int salvage_is_usable(struct salvage *salvage, const struct keyframe_mark *mark)
{
	int64_t checksum = 0;
	char text[96];

	if (!salvage->is_open)
		return 1; /* no event is left to compare it with */
	if (mark->revision <= salvage->begins)
		return 0;
	(void)snprintf(text, sizeof(text), "SELECT checksum FROM events WHERE revision = %llu",
	               (unsigned long long)mark->revision);
	int r = sql_integer(salvage->from, text, &checksum);
	/* A lost event does not make the keyframe wrong. */
	return r == -EBADMSG || (r == 0 && checksum == 0) ? 1
	       : r < 0                                    ? r
	                                                  : checksum == (int64_t)mark->checksum;
}

static int salvage_packed(struct salvage *salvage, struct str *rows)
{
	struct instance instance;
	struct entry entry;
	bool is_entry = pack_is_entry(*rows);
	int r = is_entry ? unpack_entry(rows, &entry) : unpack_instance(rows, &instance);

	if (r < 0)
		return r;
	return is_entry ? salvage_entry(salvage, &entry) : salvage_instance(salvage, &instance);
}

static int salvage_all_packed(struct salvage *salvage, struct str rows)
{
	int r = 0;

	while (r == 0 && rows.len > 0)
		r = salvage_packed(salvage, &rows);
	return r;
}

/** Writes the instances and entries of one keyframe. @return 1; 0: it is not usable; or an error */
static int salvage_try_keyframe(struct salvage *salvage, int dir_fd, uint64_t keyframe)
{
	struct keyframe_mark mark;
	struct buf rows;
	int r = keyframe_check(dir_fd, keyframe, &mark);

	if (r < 0) /* a damaged cache is no error */
		return r == -ENOMEM ? r : 0;
	r = salvage_is_usable(salvage, &mark);
	if (r <= 0)
		return r;
	buf_init(&rows, KEYFRAME_BYTES_MAX);
	r = keyframe_read(dir_fd, keyframe, (struct str){NULL, 0}, &rows);
	if (r < 0)
		r = r == -ENOMEM ? r : 0;
	else if (rows.len > 0)
		r = salvage_all_packed(salvage, (struct str){rows.data, rows.len});
	buf_fini(&rows);
	if (r < 0)
		return r;
	salvage_note_revision(salvage, mark.revision);
	return 1;
}

/** Writes the instances and entries of the newest usable keyframe. The caller then applies the
 * events after it. */
static int salvage_keyframe(struct salvage *salvage, int dir_fd, uint64_t *ret_revision)
{
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 0;
	int r = keyframe_list(dir_fd, list, &count);

	while (r == 0 && count-- > 0) {
		r = salvage_try_keyframe(salvage, dir_fd, list[count]);
		if (r > 0)
			*ret_revision = list[count];
	}
	return r < 0 ? r : 0;
}

/* --- the new database ------------------------------------------------------------ */

uint64_t journal_continue_from(uint64_t greatest_read)
{
	uint64_t now_ms = (uint64_t)clock_real_ms();

	return greatest_read > now_ms ? greatest_read : now_ms;
}

/**
 * Drops duplicates and completes the new database. When the event that removed an instance is lost,
 * the one before it may have restored the instance: of two incarnations of one id the later one
 * stays, and one that is wrong ends with its lease. The log begins anew, so that a reader which
 * goes on from an earlier revision gets -ESTALE, as events may be missing.
 */
static int salvage_conclude(struct salvage *salvage, struct salvage_result *ret_result)
{
	char text[160];
	int64_t instances = 0;
	int r;

	ret_result->revision = journal_continue_from(salvage->revision);
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

/** Reads begins. Counters have no checksum, so an implausible value is not used. */
static int salvage_read_counters(struct salvage *salvage)
{
	int64_t begins = 0;
	int r = sql_integer(salvage->from,
	                    "SELECT max(value) FROM counters"
	                    " WHERE name IN ('revision_floor', 'removed_through')",
	                    &begins);

	if (r == 0 && begins >= 0 && begins < ROW_REVISION_MAX / 2) {
		salvage->is_open = true;
		salvage->begins = (uint64_t)begins;
		salvage_note_revision(salvage, salvage->begins);
	}
	return r;
}

/** Opens the damaged database. When even its counters cannot be read, is_open stays false. */
static int salvage_open_from(struct salvage *salvage, const char *path)
{
	struct stat stat_of;
	int r = sql_open_alone(path, &salvage->from);

	if (r == 0)
		r = stat(path, &stat_of) < 0 ? -errno : 0;
	if (r == 0) {
		salvage->astray = (uint64_t)stat_of.st_size / ROW_BYTES_MIN;
		r = salvage_read_counters(salvage);
	}
	return r == -EBADMSG ? 0 : r;
}

/** Sets is_old: the database was damaged before it could be migrated. */
static int salvage_read_version(struct salvage *salvage)
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

/** Fills the new database. @param path  of the database to read; NULL: there is none */
static int salvage_fill(struct salvage *salvage, int dir_fd, const char *path,
                        uint64_t *ret_keyframe)
{
	int r = path != NULL ? salvage_open_from(salvage, path) : 0;

	if (r == 0 && salvage->from != NULL)
		r = salvage_read_version(salvage);
	if (r == 0 && salvage->from != NULL)
		r = salvage_rows(salvage,
		                 salvage->is_old ? "SELECT " ROW_INSTANCE_001 FROM_INSTANCES
		                                 : "SELECT " ROW_INSTANCE FROM_INSTANCES,
		                 ROW_incarnation, salvage_instance_row);
	if (r == 0 && salvage->from != NULL && !salvage->is_old)
		r = salvage_rows(salvage, "SELECT " ROW_ENTRY FROM_ENTRIES, ROW_ENTRY_incarnation,
		                 salvage_entry_row);
	if (r == 0 && (salvage->incomplete || !salvage->is_open))
		r = salvage_keyframe(salvage, dir_fd, ret_keyframe);
	/* If all rows are sound, the events may be damaged: then one that registers may be there
	 * while the one that removes is lost, so they are counted, not applied. */
	row_fn use = salvage->incomplete ? salvage_event : count_event;
	if (r == 0 && salvage->from != NULL)
		r = salvage_rows(salvage,
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

/** Creates the new database at @p path and prepares the statements that fill it. */
static int salvage_open_to(struct salvage *salvage, const char *path,
                           struct journal_error *ret_error)
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

/** Closes both databases. @return 0, or an error: then the new file may be incomplete */
static int salvage_close(struct salvage *salvage)
{
	int r = 0;

	for (size_t i = 0; i < SUBJECT_COUNT; i++) {
		(void)sqlite3_finalize(
			salvage->latest[i]); /* take NULL; errors were returned before */
		(void)sqlite3_finalize(salvage->put[i]);
		(void)sqlite3_finalize(salvage->drop[i]);
	}
	(void)sqlite3_close(salvage->from); /* only read */
	if (salvage->to != NULL) {
		/* Only one file is renamed, so nothing may be left in a WAL. */
		sql_rollback(salvage->to);
		r = sql_exec(salvage->to, "PRAGMA journal_mode=DELETE");
		(void)sqlite3_close(salvage->to); /* nothing is left to write */
	}
	return r;
}

/* --- files ---------------------------------------------------------------------- */

/** Writes the path of @p file in the directory of the database at @p path. */
static void path_beside(const char *path, const char *file, char out[PATH_MAX + 16])
{
	(void)snprintf(out, PATH_MAX + 16, "%.*s%s", (int)(strlen(path) - strlen(JOURNAL_FILE)),
	               path, file);
}

/** Copies the database, and over it the sound pages of its log. */
static int salvage_fill_image(int db_fd, int wal_fd, int image_fd, const struct wal_report *wal)
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
	/* Bytes 18 and 19 of the database's header: SQLite then does not look for a WAL. */
	static const char no_wal[2] = {1, 1};
	int r = wal_apply(wal_fd, wal, image_fd);
	if (r == 0 && pwrite(image_fd, no_wal, sizeof(no_wal), 18) != sizeof(no_wal))
		r = -errno;
	return r;
}

static int salvage_make_image(int dir_fd, const struct wal_report *wal)
{
	int db_fd = openat(dir_fd, JOURNAL_FILE, O_RDONLY | O_CLOEXEC);
	int wal_fd = openat(dir_fd, JOURNAL_FILE "-wal", O_RDONLY | O_CLOEXEC);
	int image_fd =
		openat(dir_fd, JOURNAL_FILE_IMAGE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = wal_fd < 0 || image_fd < 0 ? -errno
	                                   : salvage_fill_image(db_fd, wal_fd, image_fd, wal);

	if (db_fd >= 0)
		(void)close(db_fd); /* only read */
	if (wal_fd >= 0)
		(void)close(wal_fd); /* only read */
	if (image_fd >= 0 && close(image_fd) < 0 && r == 0)
		r = -errno;
	return r == -EDQUOT ? -ENOSPC : r;
}

/** Builds the new database from the sound parts of the old files. */
static int salvage_build(int dir_fd, const char *path, const struct survey *survey,
                         struct salvage_result *ret_result, struct journal_error *ret_error)
{
	struct salvage salvage = {.incomplete = survey->wal.is_damaged || survey->is_lost};
	bool needs_image = salvage.incomplete && survey->wal.apply > 0;
	char building[PATH_MAX + 16];
	char image[PATH_MAX + 16];
	const char *from = needs_image ? image : survey->is_lost ? NULL : path;

	path_beside(path, JOURNAL_FILE_BUILDING, building);
	path_beside(path, JOURNAL_FILE_IMAGE, image);
	int r = needs_image ? salvage_make_image(dir_fd, &survey->wal) : 0;
	if (r == 0)
		r = salvage_open_to(&salvage, building, ret_error);
	if (r == 0)
		r = salvage_fill(&salvage, dir_fd, from, &ret_result->keyframe);
	if (r == 0)
		r = salvage_conclude(&salvage, ret_result);

	int closed = salvage_close(&salvage);
	(void)unlinkat(dir_fd, JOURNAL_FILE_IMAGE, 0); /* usually absent */
	return r < 0 ? r : closed;
}

int salvage_run(int dir_fd, const char *path, const struct survey *survey,
                struct salvage_result *ret_result, struct journal_error *ret_error)
{
	struct salvage_result result = {.instances = 0};
	int r;

	salvage_remove_unfinished(dir_fd);
	r = salvage_build(dir_fd, path, survey, &result, ret_error);
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
