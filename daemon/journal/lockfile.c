/* SPDX-License-Identifier: MIT */
#include "journal/lockfile.h"

#include "base/parse.h"
#include "journal/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/** Reads the pid that the lock's holder wrote. @return 0: none that is valid */
static uint64_t read_pid(int fd)
{
	char text[24];
	uint64_t pid = 0;
	ssize_t len = pread(fd, text, sizeof(text), 0);

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len <= 0 || parse_u64((struct str){text, (size_t)len}, 1, INT32_MAX, &pid) < 0)
		return 0;
	return pid;
}

/* The pid is only for messages, so a full disk does not matter. */
static void write_pid(int fd)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) < 0)
		return;
}

/**
 * Locks the directory itself: when the lock file is deleted while a daemon runs, a second daemon
 * would create and lock a new one.
 * @return 0, also where the file system cannot lock a directory; -EBUSY
 */
static int lock_dir(int dir_fd)
{
	return flock(dir_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
}

int lockfile_take(int dir_fd, const char *dir, int *ret_fd, struct journal_error *ret_error)
{
	/* An OFD lock belongs to the open file, not to the process: closing another descriptor of
	 * the file does not release it, and two journals in one process exclude each other too. */
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(dir_fd, JOURNAL_FILE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return journal_error_set(ret_error, -errno, "cannot open '%s/%s': %s", dir,
		                         JOURNAL_FILE_LOCK, strerror(errno));
	int r = lock_dir(dir_fd);
	if (r == 0 && fcntl(fd, F_OFD_SETLK, &lock) < 0)
		r = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	if (r == 0) {
		write_pid(fd);
		*ret_fd = fd;
		return 0;
	}

	uint64_t pid = r == -EBUSY ? read_pid(fd) : 0;

	(void)close(fd); /* nothing was written */
	if (r != -EBUSY)
		return journal_error_set(ret_error, r, "cannot lock '%s/%s': %s", dir,
		                         JOURNAL_FILE_LOCK, strerror(-r));
	if (pid == 0)
		return journal_error_set(ret_error, r, "'%s' is in use by another process", dir);
	return journal_error_set(ret_error, r, "'%s' is in use by process %llu", dir,
	                         (unsigned long long)pid);
}
