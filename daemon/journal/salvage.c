/* SPDX-License-Identifier: MIT */
#include "journal/salvage.h"

#include "base/clock.h"
#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* SQLite's files beside the database go with it. */
static const char *const suffixes[] = {"", "-wal", "-shm"};

struct salvage {
	sqlite3 *from;
	sqlite3 *to;
	sqlite3_stmt *latest; /* of an incarnation in the new file: its revision */
	sqlite3_stmt *put;
	sqlite3_stmt *drop;
	uint64_t revision; /* greatest that was seen */
	bool incomplete;   /* instances are missing: rows were damaged or out of reach */
};

/* --- reading what can be read ---------------------------------------------- */

typedef int (*row_fn)(struct salvage *salvage, sqlite3_stmt *stmt);

/**
 * Calls @p fn with each row that SQLite can reach. Behind a damaged page it leaps ahead by 1, 2,
 * 4, ... until it reaches sound ones again, so what is lost beside the damage is at most as much
 * again.
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
			last = sqlite3_column_int64(stmt, key);
			leap = 1;
			r = fn(salvage, stmt);
		}
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

static int keep(struct salvage *salvage, const struct instance *instance)
{
	int r = row_bind_instance(salvage->put, instance);

	if (instance->revision > salvage->revision)
		salvage->revision = instance->revision;
	return r < 0 ? r : sql_run(salvage->put);
}

static int take_instance(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct instance instance;
	int r = row_instance(stmt, &instance);

	if (r == 0)
		return keep(salvage, &instance);
	salvage->incomplete = true; /* its events may bring it back */
	return r == -EBADMSG ? 0 : r;
}

static int note_revision(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct event event;
	int r = row_event(stmt, &event);

	if (r == 0 && event.revision > salvage->revision)
		salvage->revision = event.revision;
	return r == -EBADMSG ? 0 : r;
}

/** Each event holds all of its instance: it counts when the row is damaged, or older. */
static int take_event(struct salvage *salvage, sqlite3_stmt *stmt)
{
	struct event event;
	int64_t latest = 0;
	int r = row_event(stmt, &event);

	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	(void)sqlite3_bind_int64(salvage->latest, 1, (int64_t)event.instance.incarnation);
	r = sql_step(salvage->latest); /* binding to an existing parameter cannot fail */
	if (r > 0) {
		latest = sqlite3_column_int64(salvage->latest, 0);
		(void)sqlite3_reset(salvage->latest); /* it gave its row */
	}
	if (r < 0 || (int64_t)event.revision <= latest)
		return r < 0 ? r : 0;
	if (!event_removes(event.kind))
		return keep(salvage, &event.instance);
	if (event.revision > salvage->revision)
		salvage->revision = event.revision;
	(void)sqlite3_bind_int64(salvage->drop, 1, (int64_t)event.instance.incarnation);
	return sql_run(salvage->drop);
}

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
	char text[128];
	int64_t instances = 0;
	int r;

	ret_result->revision = revision_to_go_on_from(salvage->revision);
	(void)snprintf(text, sizeof(text), "UPDATE counters SET value = %lld",
	               (long long)ret_result->revision);
	r = sql_exec(salvage->to, "DELETE FROM instances WHERE incarnation NOT IN"
	                          " (SELECT max(incarnation) FROM instances GROUP BY service, id)");
	if (r == 0)
		r = sql_exec(salvage->to, text);
	if (r == 0)
		r = sql_exec(salvage->to, "COMMIT");
	if (r == 0)
		r = sql_integer(salvage->to, "SELECT count(*) FROM instances", &instances);
	ret_result->instances = (uint64_t)instances;
	return r;
}

/** Damage so bad that not even this much can be read leaves the new file empty. */
static int copy(struct salvage *salvage, const char *path)
{
	int r = sql_open(path, SQLITE_OPEN_READWRITE, &salvage->from);

	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	(void)sqlite3_db_config(salvage->from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = read_reachable(salvage,
	                   "SELECT " ROW_INSTANCE " FROM instances WHERE incarnation > ?1"
	                   " ORDER BY incarnation",
	                   4, take_instance);
	/* When it is the events that are damaged, they must not bring back whom they saw arrive
	 * but no longer see leave. */
	row_fn use = salvage->incomplete ? take_event : note_revision;
	if (r == 0)
		r = read_reachable(salvage,
		                   "SELECT " ROW_EVENT " FROM events WHERE revision > ?1"
		                   " ORDER BY revision",
		                   0, use);
	return r;
}

/** @param path  of the file that is built */
static int build(struct salvage *salvage, const char *path, struct journal_error *ret_error)
{
	bool is_new;
	int r = journal_open_file(path, &salvage->to, &is_new, ret_error);

	if (r < 0)
		return r;
	r = sql_exec(salvage->to, "BEGIN IMMEDIATE");
	if (r == 0)
		r = sql_prepare(salvage->to,
		                "SELECT revision FROM instances WHERE incarnation = ?1",
		                &salvage->latest);
	if (r == 0)
		r = sql_prepare(salvage->to,
		                "REPLACE INTO instances (" ROW_INSTANCE
		                ") VALUES (" ROW_INSTANCE_BIND ")",
		                &salvage->put);
	if (r == 0)
		r = sql_prepare(salvage->to, "DELETE FROM instances WHERE incarnation = ?1",
		                &salvage->drop);
	return r;
}

/** @return an error that closing brought: then the new file may not be whole */
static int close_both(struct salvage *salvage)
{
	int r = 0;

	(void)sqlite3_finalize(salvage->latest); /* take NULL; their errors were seen */
	(void)sqlite3_finalize(salvage->put);
	(void)sqlite3_finalize(salvage->drop);
	(void)sqlite3_close(salvage->from); /* only read */
	if (salvage->to != NULL) {
		/* All of it has to be in the one file that is renamed. */
		sql_rollback(salvage->to);
		r = sql_exec(salvage->to, "PRAGMA journal_mode=DELETE");
		(void)sqlite3_close(salvage->to); /* nothing is left to write */
	}
	return r;
}

/* --- taking its place ------------------------------------------------------ */

/** The same name however often a crash makes us begin again: the time at which it was built. */
static int name_kept(int dir_fd, char *out, size_t size)
{
	struct stat built;
	struct tm utc;
	char text[32];

	if (fstatat(dir_fd, JOURNAL_FILE_SALVAGED, &built, 0) < 0)
		return -errno;
	if (gmtime_r(&built.st_mtime, &utc) == NULL)
		return -EOVERFLOW;
	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &utc); /* always fits */
	(void)snprintf(out, size, JOURNAL_FILE ".corrupt-%s", text);
	return 0;
}

static int swap(int dir_fd)
{
	char kept[64];
	char from[sizeof(JOURNAL_FILE) + 8];
	char to[80];
	int r = name_kept(dir_fd, kept, sizeof(kept));

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(suffixes); i++) {
		(void)snprintf(from, sizeof(from), JOURNAL_FILE "%s", suffixes[i]);
		(void)snprintf(to, sizeof(to), "%s%s", kept, suffixes[i]);
		if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
			r = -errno;
	}
	/* The new file must not meet the old one's WAL, whatever the order in which names reach
	 * the disk. */
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, JOURNAL_FILE_SALVAGED, dir_fd, JOURNAL_FILE) < 0)
		r = -errno;
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	return r;
}

int salvage_finish(int dir_fd, struct journal_error *ret_error)
{
	int r;

	if (faccessat(dir_fd, JOURNAL_FILE_SALVAGED, F_OK, 0) < 0)
		return 0;
	r = swap(dir_fd);
	return r < 0 ? journal_error_set(ret_error, r, "cannot put the salvaged file in place: %s",
	                                 strerror(-r))
	             : 0;
}

static void remove_building(int dir_fd)
{
	char name[sizeof(JOURNAL_FILE_BUILDING) + 8];

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		(void)snprintf(name, sizeof(name), JOURNAL_FILE_BUILDING "%s", suffixes[i]);
		(void)unlinkat(dir_fd, name, 0); /* mostly not there */
	}
}

int salvage_run(int dir_fd, const char *path, struct salvage_result *ret_result,
                struct journal_error *ret_error)
{
	struct salvage salvage = {0};
	struct salvage_result result = {0};
	char building[PATH_MAX + 16];
	int r;

	(void)snprintf(building, sizeof(building), "%.*s%s",
	               (int)(strlen(path) - strlen(JOURNAL_FILE)), path, JOURNAL_FILE_BUILDING);
	remove_building(dir_fd);
	r = build(&salvage, building, ret_error);
	if (r == 0)
		r = copy(&salvage, path);
	if (r == 0)
		r = conclude(&salvage, &result);

	int closed = close_both(&salvage);
	r = r < 0 ? r : closed;
	if (r == 0 && renameat(dir_fd, JOURNAL_FILE_BUILDING, dir_fd, JOURNAL_FILE_SALVAGED) < 0)
		r = -errno;
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0)
		r = name_kept(dir_fd, result.kept_as, sizeof(result.kept_as));
	if (r == 0)
		r = swap(dir_fd);
	if (r < 0) {
		remove_building(dir_fd);
		return journal_error_set(ret_error, r, "'%s' is damaged and cannot be salvaged: %s",
		                         path, strerror(-r));
	}
	*ret_result = result;
	return 0;
}
