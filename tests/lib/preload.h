/* SPDX-License-Identifier: MIT */
/**
 * The common part of the libraries that are preloaded into a daemon under test. Each includes this
 * header once. The header maps the control file, which is memory shared with the test, recognises
 * the files of one directory, and replaces the calls that open, write and sync files. The library
 * decides about each call: its open_fails(), write_fails() and sync_fails() set errno and return
 * true to make the call fail.
 */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* @p path is relative to @p at, as in openat(). */
static bool open_fails(int at, const char *path);
/* @p offset is -1 for the file's own position. */
static bool write_fails(int fd, int64_t offset, size_t count);
static bool sync_fails(int fd);

static char dir[PATH_MAX];

/*
 * The next definition of each call: the C library's, or that of a sanitizer, which must see each
 * call. NULL until find_control() has run; the program may open and write files before that.
 */
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);
static int (*next_openat)(int, const char *, int, ...);
static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite)(int, const void *, size_t, off64_t);

/** Call this in the constructor. @return @p size bytes of the control file; NULL: nothing fails */
static inline void *find_control(const char *control_variable, const char *dir_variable,
                                 size_t size)
{
	const char *path = getenv(control_variable);
	const char *state = getenv(dir_variable);

	*(void **)&next_fsync = dlsym(RTLD_NEXT, "fsync");
	*(void **)&next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	*(void **)&next_openat = dlsym(RTLD_NEXT, "openat64");
	*(void **)&next_write = dlsym(RTLD_NEXT, "write");
	*(void **)&next_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	if (path == NULL || state == NULL || realpath(state, dir) == NULL)
		return NULL;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)syscall(SYS_close, fd);
	return map != MAP_FAILED ? map : NULL;
}

static inline bool is_below(const char *path)
{
	size_t prefix = strlen(dir);

	return prefix > 0 && strncmp(path, dir, prefix) == 0 && path[prefix] == '/';
}

/** Is @p fd a file in the directory? Allocates nothing. */
static inline bool is_fd_below(int fd)
{
	char link[32] = "/proc/self/fd/";
	char target[PATH_MAX];
	size_t at = strlen(link);

	for (int scale = 1000000000; scale > 0; scale /= 10) {
		if (fd >= scale || scale == 1)
			link[at++] = (char)('0' + fd / scale % 10);
	}
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return is_below(target);
}

/** The directory itself is not below itself: the daemon also opens it for other reasons. */
static inline bool is_path_below(int at, const char *path)
{
	struct stat here;
	struct stat state;

	if (path[0] == '/')
		return is_below(path);
	return at != AT_FDCWD && dir[0] != '\0' && fstat(at, &here) == 0 &&
	       stat(dir, &state) == 0 && here.st_dev == state.st_dev && here.st_ino == state.st_ino;
}

/* --- in place of the C library's ---------------------------------------------- */

static inline mode_t mode_of(int flags, va_list args)
{
	bool has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;

	return has_mode ? va_arg(args, mode_t) : 0;
}

static inline int do_open(int at, const char *path, int flags, mode_t mode)
{
	if (open_fails(at, path))
		return -1;
	return next_openat != NULL ? next_openat(at, path, flags, mode)
	                           : (int)syscall(SYS_openat, at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return do_open(at, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return do_open(at, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return do_open(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return do_open(AT_FDCWD, path, flags, mode);
}

int fsync(int fd)
{
	return sync_fails(fd) ? -1 : next_fsync(fd);
}

int fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : next_fdatasync(fd);
}

ssize_t write(int fd, const void *data, size_t count)
{
	if (write_fails(fd, -1, count))
		return -1;
	return next_write != NULL ? next_write(fd, data, count)
	                          : syscall(SYS_write, fd, data, count);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset)
{
	return write_fails(fd, offset, count) ? -1 : next_pwrite(fd, data, count, offset);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset)
{
	return pwrite64(fd, data, count, offset);
}
