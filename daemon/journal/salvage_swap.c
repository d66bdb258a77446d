/* SPDX-License-Identifier: MIT */
#include "journal/salvage_swap.h"

#include "journal/internal.h"
#include "journal/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The database and SQLite's files beside it. */
static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

int salvage_name_kept(int dir_fd, char *out, size_t size)
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

int salvage_swap(int dir_fd)
{
	char kept[64];
	char from[sizeof(JOURNAL_FILE) + 8];
	char to[80];
	int r = salvage_name_kept(dir_fd, kept, sizeof(kept));

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(suffixes); i++) {
		(void)snprintf(from, sizeof(from), JOURNAL_FILE "%s", suffixes[i]);
		(void)snprintf(to, sizeof(to), "%s%s", kept, suffixes[i]);
		if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
			r = -errno;
	}
	/* Synced first: after a power cut the new database must never be beside the old WAL. */
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, JOURNAL_FILE_SALVAGED, dir_fd, JOURNAL_FILE) < 0)
		r = -errno;
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	return r;
}

bool salvage_was_kept(int dir_fd, const char *kept)
{
	char name[80];
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", kept, suffixes[i]);
		found = found || faccessat(dir_fd, name, F_OK, 0) == 0;
	}
	return found;
}

int salvage_finish(int dir_fd, struct journal_error *ret_error)
{
	int r;

	if (faccessat(dir_fd, JOURNAL_FILE_SALVAGED, F_OK, 0) < 0) {
		salvage_remove_unfinished(dir_fd); /* of a salvage or an import */
		return 0;
	}
	r = salvage_swap(dir_fd);
	return r < 0 ? journal_error_set(ret_error, r,
	                                 "cannot put the salvaged database in place: %s",
	                                 strerror(-r))
	             : 0;
}

void salvage_remove_unfinished(int dir_fd)
{
	char name[sizeof(JOURNAL_FILE_BUILDING) + 8];

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		(void)snprintf(name, sizeof(name), JOURNAL_FILE_BUILDING "%s", suffixes[i]);
		(void)unlinkat(dir_fd, name, 0); /* usually absent */
	}
	(void)unlinkat(dir_fd, JOURNAL_FILE_IMAGE, 0);
}
