/* SPDX-License-Identifier: MIT */
#include "journal/survey.h"

#include "journal/internal.h"
#include "journal/keyframe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A shorter file is an empty database to SQLite. */
#define DATABASE_MIN 512

static bool survey_exists(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, 0) == 0;
}

/** @return a descriptor, -ENOENT, or an error */
static int survey_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static int survey_wal(int dir_fd, struct survey *survey)
{
	int wal_fd = survey_open(dir_fd, JOURNAL_FILE "-wal");
	int shm_fd = survey_open(dir_fd, JOURNAL_FILE "-shm");
	int r = wal_fd < 0 && wal_fd != -ENOENT ? wal_fd : 0;

	if (r == 0)
		r = wal_examine(wal_fd, shm_fd, &survey->wal);
	if (wal_fd >= 0)
		(void)close(wal_fd); /* only read */
	if (shm_fd >= 0)
		(void)close(shm_fd); /* only read */
	return r;
}

static void describe_wal(const struct wal_report *wal, struct survey *survey)
{
	char where[48];

	(void)snprintf(where, sizeof(where), "frame %llu of %llu", (unsigned long long)wal->bad,
	               (unsigned long long)wal->frames);
	if (wal->is_damaged)
		(void)snprintf(
			survey->finding, sizeof(survey->finding),
			"'" JOURNAL_FILE "-wal' is damaged in %s (frames with a wrong content: "
			"%llu), from where on SQLite would drop %llu completed transactions",
			wal->bad > 0 ? where : "its header", (unsigned long long)wal->bad_frames,
			(unsigned long long)wal->dropped);
	else if (wal->is_torn)
		(void)snprintf(
			survey->note, sizeof(survey->note),
			"'" JOURNAL_FILE "-wal' ends in a transaction that is incomplete, "
			"as a power cut leaves it: %llu frames%s",
			(unsigned long long)(wal->frames - wal->valid),
			wal->has_torn_commit
				? "; it was not acknowledged, unless damage made it incomplete"
				: "");
}

/**
 * Sets is_lost for a database without content if its log, keyframes, a rest of bytes or a reserve
 * file show that it had some. A missing database was usually moved away on purpose, so there only a
 * log or keyframes count, from which it can be restored.
 */
static int survey_database(int dir_fd, struct survey *survey)
{
	uint64_t keyframes[KEYFRAMES_MAX];
	size_t count = 0;
	struct stat stat;
	bool is_there = fstatat(dir_fd, JOURNAL_FILE, &stat, 0) == 0;

	if (!is_there && errno != ENOENT)
		return -errno;
	if (is_there && (stat.st_size >= DATABASE_MIN || !S_ISREG(stat.st_mode)))
		return 0;
	int r = keyframe_list(dir_fd, keyframes, &count);
	if (r < 0)
		return r;
	survey->is_lost =
		count > 0 || survey->wal.apply > 0 ||
		(is_there && (stat.st_size > 0 || survey_exists(dir_fd, JOURNAL_FILE_RESERVE)));
	if (!survey->is_lost)
		return 0;
	if (is_there)
		(void)snprintf(survey->finding, sizeof(survey->finding),
		               "'" JOURNAL_FILE "' has lost its content: %lld bytes are left",
		               (long long)stat.st_size);
	else
		(void)snprintf(survey->finding, sizeof(survey->finding),
		               "'" JOURNAL_FILE "' is missing: only its %s left",
		               survey->wal.apply > 0 ? "write-ahead log is" : "keyframes are");
	return 0;
}

int survey_files(int dir_fd, struct survey *ret_survey)
{
	struct survey survey = {.is_lost = false};
	int r = survey_wal(dir_fd, &survey);

	if (r == 0) {
		describe_wal(&survey.wal, &survey);
		r = survey_database(dir_fd, &survey);
	}
	if (r < 0) {
		survey_fini(&survey);
		return r;
	}
	*ret_survey = survey;
	return 0;
}

void survey_fini(struct survey *survey)
{
	wal_report_fini(&survey->wal);
}
