/* SPDX-License-Identifier: MIT */
/**
 * A disk that is slow, full or broken, for one program at a time:
 *
 *	LD_PRELOAD=slowdisk.so SLOWDISK_DIR=/state SLOWDISK_CONTROL=/tmp/control rollcalld ...
 *
 * What it does to the files in SLOWDISK_DIR is a struct slowdisk at the start of the control file,
 * which a test may change at any moment: it is shared memory.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct slowdisk {
	_Atomic(int32_t) sync_delay_ms;
	_Atomic(int32_t) sync_errno;
	_Atomic(int32_t) write_delay_ms;
	_Atomic(int32_t) write_errno;
	_Atomic(int64_t) quota_bytes; /* of all files together; 0 = no bound */
	/* told to the test */
	_Atomic(int64_t) syncs;
	_Atomic(int64_t) refusals;
	_Atomic(int32_t) open_errno;
	_Atomic(int32_t) open_skip;  /* so many succeed, then one fails */
	_Atomic(int32_t) open_every; /* not 0: all fail */
};

#define FDS 65536
enum { UNKNOWN, INSIDE, OUTSIDE };

/*
 * What comes after this library: the C library, or a sanitizer that must see each call. Before
 * start() has run they are the system calls themselves.
 */
static int (*next_close)(int);
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);
static int (*next_openat)(int, const char *, int, ...);
static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite)(int, const void *, size_t, off64_t);

static struct slowdisk *control;
static char dir[PATH_MAX];
static _Atomic(unsigned char) place[FDS]; /* of each descriptor */

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("SLOWDISK_CONTROL");
	const char *state = getenv("SLOWDISK_DIR");

	*(void **)&next_close = dlsym(RTLD_NEXT, "close");
	*(void **)&next_fsync = dlsym(RTLD_NEXT, "fsync");
	*(void **)&next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	*(void **)&next_openat = dlsym(RTLD_NEXT, "openat64");
	*(void **)&next_write = dlsym(RTLD_NEXT, "write");
	*(void **)&next_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	if (path == NULL || state == NULL || realpath(state, dir) == NULL)
		return;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)syscall(SYS_close, fd);
	if (map != MAP_FAILED)
		control = map;
}

static bool is_inside(int fd)
{
	char link[32] = "/proc/self/fd/";
	char target[PATH_MAX];
	size_t at = strlen(link);

	if (control == NULL || fd < 0 || fd >= FDS)
		return false;
	if (atomic_load(&place[fd]) != UNKNOWN)
		return atomic_load(&place[fd]) == INSIDE;

	for (int scale = 10000; scale > 0; scale /= 10) {
		if (fd >= scale || scale == 1)
			link[at++] = (char)('0' + fd / scale % 10);
	}
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	size_t prefix = strlen(dir);
	bool inside = strncmp(target, dir, prefix) == 0 && target[prefix] == '/';
	atomic_store(&place[fd], inside ? INSIDE : OUTSIDE);
	return inside;
}

static void wait_ms(int32_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	while (ms > 0 && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int64_t bytes_used(void)
{
	DIR *listing = opendir(dir);
	const struct dirent *entry;
	struct stat about;
	int64_t sum = 0;

	if (listing == NULL)
		return 0;
	while ((entry = readdir(listing)) != NULL) {
		if (fstatat(dirfd(listing), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(about.st_mode))
			sum += about.st_size;
	}
	(void)closedir(listing);
	return sum;
}

static bool refuse(int code)
{
	if (code == 0)
		return false;
	atomic_fetch_add(&control->refusals, 1);
	errno = code;
	return true;
}

/** Would the file's growth to @p end bytes not fit? Sets errno. */
static bool is_full(int fd, int64_t end)
{
	int64_t quota = atomic_load(&control->quota_bytes);
	struct stat about;

	if (quota == 0 || fstat(fd, &about) < 0 || end <= about.st_size)
		return false;
	return bytes_used() + end - about.st_size > quota && refuse(ENOSPC);
}

static bool write_fails(int fd, int64_t end)
{
	if (!is_inside(fd))
		return false;
	wait_ms(atomic_load(&control->write_delay_ms));
	return refuse(atomic_load(&control->write_errno)) || is_full(fd, end);
}

/** @return whether the sync fails */
static bool sync_fails(int fd)
{
	if (!is_inside(fd))
		return false;
	atomic_fetch_add(&control->syncs, 1);
	wait_ms(atomic_load(&control->sync_delay_ms));
	return refuse(atomic_load(&control->sync_errno));
}

/** The directory itself does not count: the daemon looks at it by other means too. */
static bool is_path_inside(int at, const char *path)
{
	size_t prefix = strlen(dir);

	if (control == NULL || prefix == 0)
		return false;
	if (path[0] == '/')
		return strncmp(path, dir, prefix) == 0 && path[prefix] == '/';
	if (at == AT_FDCWD)
		return false;

	struct stat here;
	struct stat state;
	return fstat(at, &here) == 0 && stat(dir, &state) == 0 && here.st_dev == state.st_dev &&
	       here.st_ino == state.st_ino;
}

static bool open_fails(int at, const char *path)
{
	if (!is_path_inside(at, path) || atomic_load(&control->open_errno) == 0)
		return false;
	if (atomic_load(&control->open_every) == 0 && atomic_fetch_sub(&control->open_skip, 1) != 0)
		return false;
	return refuse(atomic_load(&control->open_errno));
}

static mode_t mode_of(int flags, va_list args)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

static int do_open(int at, const char *path, int flags, mode_t mode)
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

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		atomic_store(&place[fd], UNKNOWN);
	return next_close != NULL ? next_close(fd) : (int)syscall(SYS_close, fd);
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
	if (is_inside(fd) &&
	    write_fails(fd, (int64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) + (int64_t)count))
		return -1;
	return next_write != NULL ? next_write(fd, data, count)
	                          : syscall(SYS_write, fd, data, count);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset)
{
	return write_fails(fd, offset + (int64_t)count) ? -1 : next_pwrite(fd, data, count, offset);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset)
{
	return pwrite64(fd, data, count, offset);
}

int ftruncate64(int fd, off64_t length)
{
	if (is_inside(fd) && is_full(fd, length))
		return -1;
	return (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	if (write_fails(fd, offset + length))
		return -1;
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	return fallocate64(fd, mode, offset, length);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
	return fallocate64(fd, 0, offset, length) < 0 ? errno : 0;
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
	return posix_fallocate64(fd, offset, length);
}
