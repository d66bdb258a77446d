/* SPDX-License-Identifier: MIT */
#include "journal/holder.h"

#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* SQLite's locks (its file format, and os_unix.c): a writer locks byte 120 of the -shm file;
 * exclusive access locks a range of the database itself. */
#define SHM_WRITE_LOCK 120
#define DB_LOCKS       0x40000000
#define DB_LOCKS_LEN   512

/**
 * Finds the descriptor by which SQLite has the file open. Opening the file here would not do:
 * closing any descriptor of a file drops all locks that the process has on it.
 * @return -1: there is none
 */
static int holder_descriptor(const char *path)
{
	struct stat wanted;
	struct stat found;
	const struct dirent *each;
	int fd = -1;
	DIR *dir = stat(path, &wanted) == 0 ? opendir("/proc/self/fd") : NULL;

	while (dir != NULL && fd < 0 && (each = readdir(dir)) != NULL) {
		uint64_t number;

		if (parse_u64(str_of(each->d_name), 0, INT_MAX, &number) == 0 &&
		    fstat((int)number, &found) == 0 && found.st_dev == wanted.st_dev &&
		    found.st_ino == wanted.st_ino)
			fd = (int)number;
	}
	if (dir != NULL)
		(void)closedir(dir); /* only read */
	return fd;
}

/** @return the process with an exclusive lock there; 0: the kernel names none */
static pid_t holder_pid(const char *path, off_t at, off_t len)
{
	/* F_GETLK for a shared lock finds exclusive locks only. */
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = len};
	int fd = holder_descriptor(path);

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid > 0 ? lock.l_pid : 0; /* below 0: an OFD lock, of no process */
}

/** Reads the name of a process. @return false: hidden from other users, or the process is gone */
static bool holder_name(pid_t pid, char *out, size_t size)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, out, size - 1);
	(void)close(fd); /* only read */
	while (len > 0 && out[len - 1] == '\n')
		len--;
	out[len > 0 ? len : 0] = '\0';
	return len > 0;
}

void holder_find(const char *path, char out[JOURNAL_HOLDER_SIZE])
{
	char shm[PATH_MAX];
	char name[24];
	pid_t pid = 0;

	if ((size_t)snprintf(shm, sizeof(shm), "%s-shm", path) < sizeof(shm))
		pid = holder_pid(shm, SHM_WRITE_LOCK, 1);
	if (pid == 0)
		pid = holder_pid(path, DB_LOCKS, DB_LOCKS_LEN);
	if (pid == 0)
		(void)snprintf(out, JOURNAL_HOLDER_SIZE, "another process");
	else if (holder_name(pid, name, sizeof(name)))
		(void)snprintf(out, JOURNAL_HOLDER_SIZE, "process %d (%s)", (int)pid, name);
	else
		(void)snprintf(out, JOURNAL_HOLDER_SIZE, "process %d", (int)pid);
}

const char *holder_reason(const char *path, int r, char *text, size_t size)
{
	char holder[JOURNAL_HOLDER_SIZE];

	if (r != -EBUSY)
		return strerror(-r);
	holder_find(path, holder);
	(void)snprintf(text, size, "%s keeps it locked", holder);
	return text;
}
