/* SPDX-License-Identifier: MIT */
/**
 * Reads a journal that no daemon has open. The file, its log and the -shm file stay as they are, as
 * in a verification; all of it is verified first, since a copy must not spread what is damaged. A
 * file of an older schema is refused: to read it as this version does, it would have to be
 * migrated.
 */
#include "journal/export.h"

#include "journal/holder.h"
#include "journal/internal.h"
#include "journal/lockfile.h"
#include "journal/migrations.h"
#include "journal/sql.h"
#include "journal/survey.h"
#include "journal/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct journal_export {
	int dir_fd;
	int lock_fd;
	sqlite3 *db;
	char path[PATH_MAX]; /* of the database */
};

static int export_check_version(struct journal_export *export, struct journal_error *ret_error)
{
	int64_t version = 0;
	int r = journal_identify(export->db, export->path, &version, ret_error);

	if (r < 0)
		return r;
	if (version == 0)
		return journal_error_set(ret_error, -ENODATA,
		                         "nothing has been written to '%s' yet", export->path);
	if (version < (int64_t)schema_migrations_count)
		return journal_error_set(ret_error, -EPROTO,
		                         "'%s' was written by an older version of rollcall: start "
		                         "this one on it once, which migrates it",
		                         export->path);
	return 0;
}

static int export_is_damaged(const struct journal_export *export, const char *finding,
                             struct journal_error *ret_error)
{
	return journal_error_set(ret_error, -EBADMSG, "'%.90s' is damaged: %s", export->path,
	                         finding);
}

static int export_verify(struct journal_export *export, struct journal_error *ret_error)
{
	struct journal_error finding = {""};
	int r = export_check_version(export, ret_error);

	if (r < 0)
		return r;
	r = verify_file(export->db, (int64_t)schema_migrations_count, export->dir_fd,
	                verify_keep_first, &finding);
	if (r == -EBADMSG)
		return export_is_damaged(export, finding.text, ret_error);
	if (r < 0)
		(void)journal_error_set(ret_error, r, "cannot read '%s': %s", export->path,
		                        strerror(-r));
	return r;
}

/** What SQLite would pass over. */
static int export_survey(const struct journal_export *export, struct journal_error *ret_error)
{
	struct survey survey;
	int r = survey_files(export->dir_fd, &survey);

	if (r < 0)
		return journal_error_set(ret_error, r, "cannot read '%s' or its log: %s",
		                         export->path, strerror(-r));
	if (survey.finding[0] != '\0')
		r = export_is_damaged(export, survey.finding, ret_error);
	survey_fini(&survey);
	return r;
}

static int export_read_summary(struct journal_export *export, struct journal_summary *ret_summary)
{
	int64_t instances = 0;
	int64_t entries = 0;
	int r = journal_read_history(export->db, &ret_summary->history);

	if (r == 0)
		r = journal_last_revision(export->db, &ret_summary->revision);
	if (r == 0)
		r = sql_integer(export->db, "SELECT count(*) FROM instances", &instances);
	if (r == 0)
		r = sql_integer(export->db, "SELECT count(*) FROM entries", &entries);
	ret_summary->instances = (uint64_t)instances;
	ret_summary->entries = (uint64_t)entries;
	return r;
}

static int export_open_db(struct journal_export *export, struct journal_summary *ret_summary,
                          struct journal_error *ret_error)
{
	char reason[JOURNAL_HOLDER_SIZE + 32];
	int r = export_survey(export, ret_error);

	if (r < 0)
		return r;
	r = sql_open_alone(export->path, &export->db);
	if (r < 0)
		return journal_error_set(ret_error, r, "cannot open '%s': %s", export->path,
		                         holder_reason(export->path, r, reason, sizeof(reason)));
	r = export_verify(export, ret_error);
	if (r < 0)
		return r;
	r = export_read_summary(export, ret_summary);
	if (r < 0)
		return journal_error_set(ret_error, r, "cannot read '%s': %s", export->path,
		                         strerror(-r));
	return 0;
}

int journal_export_open(const char *dir, struct journal_export **ret_export,
                        struct journal_summary *ret_summary, struct journal_error *ret_error)
{
	struct journal_export *export = calloc(1, sizeof(*export));
	int r;

	if (export == NULL)
		return journal_error_set(ret_error, -ENOMEM, "out of memory");
	export->lock_fd = -1;
	export->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (export->dir_fd < 0)
		r = journal_error_set(ret_error, -errno, "cannot open '%s': %s", dir,
		                      strerror(errno));
	else if ((size_t)snprintf(export->path, sizeof(export->path), "%s/" JOURNAL_FILE, dir) >=
	         sizeof(export->path))
		r = journal_error_set(ret_error, -ENAMETOOLONG,
		                      "the path of the state directory is too long");
	else if (faccessat(export->dir_fd, JOURNAL_FILE, F_OK, 0) < 0)
		r = journal_error_set(ret_error, -errno, "cannot open '%s': %s", export->path,
		                      strerror(errno));
	else
		r = lockfile_take(export->dir_fd, dir, &export->lock_fd, ret_error);
	if (r == 0)
		r = export_open_db(export, ret_summary, ret_error);
	if (r < 0) {
		journal_export_close(export);
		return r;
	}
	*ret_export = export;
	return 0;
}

int journal_export_each(struct journal_export *export,
                        int (*instance)(void *arg, const struct instance *instance),
                        int (*entry)(void *arg, const struct entry *entry), void *arg)
{
	struct instance of_instance;
	struct entry of_entry;
	sqlite3_stmt *stmt = NULL;
	int r = sql_prepare(export->db,
	                    "SELECT " ROW_INSTANCE " FROM instances ORDER BY incarnation", &stmt);

	while (r == 0 && (r = sql_step(stmt)) > 0) {
		r = row_instance(stmt, &of_instance);
		if (r == 0)
			r = instance(arg, &of_instance);
	}
	(void)sqlite3_finalize(stmt); /* its error is known */
	stmt = NULL;
	if (r == 0)
		r = sql_prepare(export->db,
		                "SELECT " ROW_ENTRY " FROM entries ORDER BY incarnation", &stmt);
	while (r == 0 && (r = sql_step(stmt)) > 0) {
		r = row_entry(stmt, &of_entry);
		if (r == 0)
			r = entry(arg, &of_entry);
	}
	(void)sqlite3_finalize(stmt); /* its error is known */
	return r;
}

void journal_export_close(struct journal_export *export)
{
	if (export == NULL)
		return;
	(void)sqlite3_close(export->db); /* nothing was written */
	if (export->lock_fd >= 0)
		(void)close(export->lock_fd); /* releases the lock */
	if (export->dir_fd >= 0)
		(void)close(export->dir_fd); /* only read */
	free(export);
}

uint32_t journal_crc(uint32_t crc, struct str text)
{
	return (uint32_t)crc32(crc, (const Bytef *)text.data, (uInt)text.len);
}
