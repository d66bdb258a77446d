/* SPDX-License-Identifier: MIT */
#include "main/state.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OURS "rollcall." /* the beginning of the name of each of our files */

static void restrict_file(int dir_fd, const char *name, mode_t mask)
{
	struct stat file;

	if (fstatat(dir_fd, name, &file, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(file.st_mode) ||
	    (file.st_mode & mask) == 0)
		return;
	if (fchmodat(dir_fd, name, file.st_mode & 0777 & ~mask, 0) < 0)
		log_line(LOG_WARNING, "cannot keep others from reading '%s': %s", name,
		         strerror(errno));
}

/* Older versions did not set the umask and left files that all users may read. */
static int restrict_files(const char *dir, mode_t mask)
{
	DIR *listing = opendir(dir);
	const struct dirent *entry;

	if (listing == NULL)
		return -errno;
	while ((entry = readdir(listing)) != NULL) {
		if (strncmp(entry->d_name, OURS, strlen(OURS)) == 0)
			restrict_file(dirfd(listing), entry->d_name, mask);
	}
	(void)closedir(listing); /* only read, so no error matters */
	return 0;
}

int state_umask(const char *dir, mode_t *ret_mask)
{
	const mode_t group = S_IRGRP | S_IXGRP;
	struct stat found;

	if (stat(dir, &found) < 0)
		return -errno;
	*ret_mask = (found.st_mode & group) == group ? 0027 : 0077;
	(void)umask(*ret_mask);
	return 0;
}

int state_prepare(const char *dir)
{
	mode_t mask = 0077;
	int r = mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;

	/* Makes the last folder only: a missing parent is more likely a mistake in the path. */
	if (r < 0) {
		log_line(LOG_ERR,
		         "cannot make the state directory '%s': %s; --state-dir=DIR names another",
		         dir, strerror(-r));
		return r;
	}
	r = state_umask(dir, &mask);
	if (r == 0)
		r = restrict_files(dir, mask);
	if (r < 0)
		log_line(LOG_ERR, "cannot use the state directory '%s': %s", dir, strerror(-r));
	return r;
}
