/* SPDX-License-Identifier: MIT */
/**
 * Builds a database as a salvage does: under another name, in one transaction, renamed when it is
 * complete. So a crash at any moment leaves nothing that a start would take for a journal. Each row
 * passes the checks that reading it back would make, and all of them together a verification, so
 * that --check of the result finds nothing.
 */
#include "journal/import.h"

#include "journal/internal.h"
#include "journal/lockfile.h"
#include "journal/migrations.h"
#include "journal/pack.h"
#include "journal/salvage_swap.h"
#include "journal/sql.h"
#include "journal/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal_import {
	char dir[PATH_MAX];
	int dir_fd;
	int lock_fd;
	bool made_dir;
	bool made_lock;
	bool is_empty; /* but for what this import makes */
	bool is_finished;
	sqlite3 *db;
	sqlite3_stmt *put_instance;
	sqlite3_stmt *put_entry;
	uint64_t last_instance; /* incarnation of the latest that was added */
	uint64_t last_entry;
	uint64_t revision; /* the greatest that was added */
};

/* --- the directory ------------------------------------------------------------------ */

/* Of a file system's own, of the lock, or of an import that was killed. */
static bool may_be_there(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strcmp(name, "lost+found") == 0 || strcmp(name, JOURNAL_FILE_LOCK) == 0 ||
	       strncmp(name, JOURNAL_FILE_BUILDING, strlen(JOURNAL_FILE_BUILDING)) == 0;
}

static int import_check_empty(const char *dir, struct journal_error *ret_error)
{
	DIR *listing = opendir(dir);
	const struct dirent *each = NULL;
	int r = 0;

	if (listing == NULL)
		return journal_error_set(ret_error, -errno, "cannot read '%s': %s", dir,
		                         strerror(errno));
	if (faccessat(dirfd(listing), JOURNAL_FILE, F_OK, 0) == 0)
		r = journal_error_set(ret_error, -EEXIST,
		                      "'%s' is not empty: '" JOURNAL_FILE "' is in it", dir);
	while (r == 0 && (errno = 0, each = readdir(listing)) != NULL) {
		if (!may_be_there(each->d_name))
			r = journal_error_set(ret_error, -EEXIST,
			                      "'%s' is not empty: '%s' is in it", dir,
			                      each->d_name);
	}
	if (r == 0 && errno != 0)
		r = journal_error_set(ret_error, -errno, "cannot read '%s': %s", dir,
		                      strerror(errno));
	(void)closedir(listing); /* was only read */
	return r;
}

static int import_open_dir(struct journal_import *import, struct journal_error *ret_error)
{
	import->made_dir = mkdir(import->dir, 0700) == 0;
	if (!import->made_dir && errno != EEXIST)
		return journal_error_set(ret_error, -errno, "cannot make '%s': %s", import->dir,
		                         strerror(errno));
	import->dir_fd = open(import->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (import->dir_fd < 0)
		return journal_error_set(ret_error, -errno, "cannot open '%s': %s", import->dir,
		                         strerror(errno));
	import->made_lock = faccessat(import->dir_fd, JOURNAL_FILE_LOCK, F_OK, 0) < 0;
	int r = lockfile_take(import->dir_fd, import->dir, &import->lock_fd, ret_error);
	if (r == 0)
		r = import_check_empty(import->dir, ret_error);
	import->is_empty = r == 0;
	return r;
}

/* --- the database ------------------------------------------------------------------- */

static int import_failed(const struct journal_import *import, int r,
                         struct journal_error *ret_error)
{
	return journal_error_set(ret_error, r, "cannot write to '%s/%s': %s", import->dir,
	                         JOURNAL_FILE_BUILDING, strerror(-r));
}

static int import_open_db(struct journal_import *import, struct journal_error *ret_error)
{
	char path[PATH_MAX + sizeof(JOURNAL_FILE_BUILDING) + 1];
	bool is_new;

	salvage_remove_unfinished(import->dir_fd);
	(void)snprintf(path, sizeof(path), "%s/" JOURNAL_FILE_BUILDING, import->dir);
	int r = journal_open_file(path, &import->db, &is_new, ret_error);
	if (r < 0)
		return r;
	r = sql_exec(import->db, "BEGIN IMMEDIATE");
	if (r == 0)
		r = sql_prepare(import->db,
		                "INSERT INTO instances (" ROW_INSTANCE
		                ") VALUES (" ROW_INSTANCE_BIND ")",
		                &import->put_instance);
	if (r == 0)
		r = sql_prepare(import->db,
		                "INSERT INTO entries (" ROW_ENTRY ") VALUES (" ROW_ENTRY_BIND ")",
		                &import->put_entry);
	return r < 0 ? import_failed(import, r, ret_error) : 0;
}

int journal_import_open(const char *dir, struct journal_import **ret_import,
                        struct journal_error *ret_error)
{
	struct journal_import *import = calloc(1, sizeof(*import));
	int r;

	if (import == NULL)
		return journal_error_set(ret_error, -ENOMEM, "out of memory");
	import->dir_fd = import->lock_fd = -1;
	if ((size_t)snprintf(import->dir, sizeof(import->dir), "%s", dir) >=
	    sizeof(import->dir) - sizeof(JOURNAL_FILE_BUILDING))
		r = journal_error_set(ret_error, -ENAMETOOLONG,
		                      "the path of the state directory is too long");
	else
		r = import_open_dir(import, ret_error);
	if (r == 0)
		r = import_open_db(import, ret_error);
	if (r < 0) {
		journal_import_close(import);
		return r;
	}
	*ret_import = import;
	return 0;
}

/** Notes the numbers of one that is about to be added. */
static int import_note_numbers(struct journal_import *import, uint64_t incarnation,
                               uint64_t revision, uint64_t *last, struct journal_error *ret_error)
{
	if (incarnation <= *last)
		return journal_error_set(ret_error, -EINVAL,
		                         "incarnation %llu must be greater than %llu, the one "
		                         "before it",
		                         (unsigned long long)incarnation,
		                         (unsigned long long)*last);
	*last = incarnation;
	if (revision > import->revision)
		import->revision = revision;
	return 0;
}

static const char not_storable[] = "it is not within the limits of what a journal holds";

int journal_import_instance(struct journal_import *import, const struct instance *instance,
                            struct journal_error *ret_error)
{
	struct parts parts;
	struct instance read;

	parts_of_instance(instance, &parts);
	if (parts_to_instance(&parts, &read) < 0)
		return journal_error_set(ret_error, -EINVAL, "%s", not_storable);
	int r = import_note_numbers(import, instance->incarnation, instance->revision,
	                            &import->last_instance, ret_error);
	if (r < 0)
		return r;
	r = row_bind_instance(import->put_instance, instance);
	if (r == 0)
		r = sql_run(import->put_instance);
	return r < 0 ? import_failed(import, r, ret_error) : 0;
}

int journal_import_entry(struct journal_import *import, const struct entry *entry,
                         struct journal_error *ret_error)
{
	struct parts parts;
	struct entry read;

	parts_of_entry(entry, &parts);
	if (parts_to_entry(&parts, &read) < 0 || !entry_is_valid(entry))
		return journal_error_set(ret_error, -EINVAL, "%s", not_storable);
	int r = import_note_numbers(import, entry->incarnation, entry->revision,
	                            &import->last_entry, ret_error);
	if (r < 0)
		return r;
	r = row_bind_entry(import->put_entry, entry);
	if (r == 0)
		r = sql_run(import->put_entry);
	return r < 0 ? import_failed(import, r, ret_error) : 0;
}

/* --- the end ------------------------------------------------------------------------ */

/* Room is left to give revisions. */
#define REVISION_MOST ((uint64_t)ROW_REVISION_MAX / 2)

/* An event has one subject, so no two of these have a number in common. */
#define NUMBERS(of) "(SELECT " of " FROM instances UNION ALL SELECT " of " FROM entries)"
#define SHARED(of)  "SELECT count(*) - count(DISTINCT " of ") FROM " NUMBERS(of)

static int import_check_numbers(struct journal_import *import, uint64_t revision,
                                struct journal_error *ret_error)
{
	int64_t shared = 0;
	int r;

	if (revision < import->revision || revision > REVISION_MOST)
		return journal_error_set(ret_error, -EINVAL,
		                         "the revision %llu must be from %llu, which is in use, to "
		                         "%llu",
		                         (unsigned long long)revision,
		                         (unsigned long long)import->revision,
		                         (unsigned long long)REVISION_MOST);
	r = sql_integer(import->db, SHARED("revision"), &shared);
	if (r == 0 && shared == 0)
		r = sql_integer(import->db, SHARED("incarnation"), &shared);
	if (r < 0)
		return import_failed(import, r, ret_error);
	return shared == 0 ? 0
	                   : journal_error_set(ret_error, -EINVAL,
	                                       "instances or entries share a revision or an "
	                                       "incarnation");
}

static int import_verify(struct journal_import *import, struct journal_error *ret_error)
{
	ret_error->text[0] = '\0';
	int r = verify_file(import->db, (int64_t)schema_migrations_count, import->dir_fd,
	                    verify_keep_first, ret_error);

	if (r == -EBADMSG && ret_error->text[0] != '\0')
		return -EINVAL;
	return r < 0 ? import_failed(import, r, ret_error) : 0;
}

/** As salvage does: the events are not there, and readers must get to know. */
static int import_commit(struct journal_import *import, uint64_t revision)
{
	char text[160];

	(void)snprintf(text, sizeof(text),
	               "UPDATE counters SET value = %llu"
	               " WHERE name IN ('revision_floor', 'removed_through')",
	               (unsigned long long)journal_continue_from(revision));
	int r = sql_exec(import->db, text);
	return r < 0 ? r : sql_exec(import->db, "COMMIT");
}

static void import_close_db(struct journal_import *import)
{
	(void)sqlite3_finalize(import->put_instance); /* take NULL; their errors were seen */
	(void)sqlite3_finalize(import->put_entry);
	import->put_instance = import->put_entry = NULL;
	(void)sqlite3_close(import->db); /* nothing is left to write */
	import->db = NULL;
}

/** One file, under its name, on the disk. */
static int import_put_in_place(struct journal_import *import)
{
	int r = sql_exec(import->db, "PRAGMA journal_mode=DELETE");

	import_close_db(import);
	if (r == 0 &&
	    renameat(import->dir_fd, JOURNAL_FILE_BUILDING, import->dir_fd, JOURNAL_FILE) < 0)
		r = -errno;
	if (r == 0 && fsync(import->dir_fd) < 0) {
		r = -errno;
		(void)unlinkat(import->dir_fd, JOURNAL_FILE, 0); /* as if nothing had begun */
	}
	import->is_finished = r == 0;
	return r;
}

int journal_import_finish(struct journal_import *import, uint64_t revision,
                          struct journal_error *ret_error)
{
	int r = import_check_numbers(import, revision, ret_error);

	if (r < 0)
		return r;
	r = import_commit(import, revision);
	if (r < 0)
		return import_failed(import, r, ret_error);
	r = import_verify(import, ret_error);
	if (r < 0)
		return r;
	r = import_put_in_place(import);
	return r < 0 ? import_failed(import, r, ret_error) : 0;
}

void journal_import_close(struct journal_import *import)
{
	if (import == NULL)
		return;
	sql_rollback(import->db); /* takes NULL */
	import_close_db(import);
	if (!import->is_finished && import->is_empty)
		salvage_remove_unfinished(import->dir_fd);
	if (!import->is_finished && import->lock_fd >= 0 && import->made_lock)
		(void)unlinkat(import->dir_fd, JOURNAL_FILE_LOCK, 0); /* its content is no loss */
	if (import->lock_fd >= 0)
		(void)close(import->lock_fd); /* releases the lock */
	if (import->dir_fd >= 0)
		(void)close(import->dir_fd); /* only read */
	if (!import->is_finished && import->made_dir)
		(void)rmdir(import->dir); /* stays when something else is in it by now */
	free(import);
}
