/* SPDX-License-Identifier: MIT */
/** Verification of a state directory: which files it reads, and in what order. verify.c verifies
 * the content of the database. */
#include "journal/verify.h"

#include "journal/holder.h"
#include "journal/internal.h"
#include "journal/keyframe.h"
#include "journal/lockfile.h"
#include "journal/salvage.h"
#include "journal/sql.h"
#include "journal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void ignore_finding(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

void verify_keep_first(void *arg, const char *line)
{
	struct journal_error *error = arg;

	if (error->text[0] != '\0')
		return;
	(void)snprintf(error->text, sizeof(error->text), "%s", line);
	for (char *c = error->text; *c != '\0'; c++)
		if (*c == '\n') /* SQLite has findings of several lines */
			*c = ' ';
}

/** Verifies the database at @p path. @return as journal_verify() */
static int verify_path(int dir_fd, const char *path, verify_fn report, void *arg,
                       struct journal_error *ret_error)
{
	sqlite3 *db = NULL;
	int64_t version = 0;
	char reason[JOURNAL_HOLDER_SIZE + 32];
	int r = sql_open_alone(path, &db);

	if (r < 0)
		(void)journal_error_set(ret_error, r, "cannot open '%s': %s", path,
		                        holder_reason(path, r, reason, sizeof(reason)));
	else
		r = journal_identify(db, path, &version, ret_error);
	if (r == -EBADMSG)
		report(arg, ret_error->text);
	if (r == 0 && version > 0) {
		r = verify_file(db, version, dir_fd, report, arg);
		if (r < 0)
			(void)journal_error_set(ret_error, r, "cannot read '%s': %s", path,
			                        strerror(-r));
	}
	(void)sqlite3_close(db); /* nothing was written */
	return r == 0 && version == 0 ? 1 : r;
}

int salvage_examine(int dir_fd, const char *path, struct journal_error *ret_error)
{
	int r = verify_path(dir_fd, path, ignore_finding, NULL, ret_error);

	return r == -ENOENT || r > 0 ? 0 : r; /* moved away by hand: a start makes a new one */
}

/** Reports damaged keyframes. They are caches, so the database counts as sound. */
static int verify_keyframes(int dir_fd, verify_fn report, void *arg)
{
	uint64_t list[KEYFRAMES_MAX];
	struct keyframe_mark mark;
	char line[128];
	size_t count = 0;
	int r = keyframe_list(dir_fd, list, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		int checked = keyframe_check(dir_fd, list[i], &mark);

		if (checked == 0)
			continue;
		(void)snprintf(line, sizeof(line),
		               "keyframe %llu: %s; it is a cache and may be deleted",
		               (unsigned long long)list[i],
		               checked == -EBADMSG ? "damaged" : strerror(-checked));
		report(arg, line);
	}
	return r;
}

/** Verifies the files as they are (survey.h) before SQLite opens the database. */
static int verify_dir(int dir_fd, const char *path, verify_fn report, void *arg,
                      struct journal_error *ret_error)
{
	struct survey survey;
	int r = survey_files(dir_fd, &survey);

	if (r < 0)
		return journal_error_set(ret_error, r, "cannot read '%s' or its log: %s", path,
		                         strerror(-r));
	if (survey.note[0] != '\0')
		report(arg, survey.note);
	if (survey.finding[0] != '\0') {
		report(arg, survey.finding);
		r = -EBADMSG; /* SQLite would drop or delete the log */
	} else {
		r = verify_path(dir_fd, path, report, arg, ret_error);
	}
	survey_fini(&survey);
	return r;
}

int journal_verify(const char *dir, verify_fn report, void *arg)
{
	char path[PATH_MAX];
	struct journal_error error = {""};
	int lock_fd = -1;
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir_fd < 0) {
		r = -errno;
		(void)journal_error_set(&error, r, "cannot open '%s': %s", dir, strerror(-r));
		goto out;
	}
	r = lockfile_take(dir_fd, dir, &lock_fd, &error);
	if (r < 0)
		goto out;
	if ((size_t)snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, dir) >= sizeof(path))
		r = journal_error_set(&error, -ENAMETOOLONG,
		                      "the path of the state directory is too long");
	else
		r = verify_dir(dir_fd, path, report, arg, &error);
	if (r >= 0) {
		int listed = verify_keyframes(dir_fd, report, arg);

		if (listed < 0)
			r = journal_error_set(&error, listed, "cannot read the keyframes: %s",
			                      strerror(-listed));
	}

out:
	if (r < 0 && r != -EBADMSG)
		report(arg, error.text);
	if (lock_fd >= 0)
		(void)close(lock_fd); /* releases the lock */
	if (dir_fd >= 0)
		(void)close(dir_fd); /* only read */
	return r;
}
