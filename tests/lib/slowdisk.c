/* SPDX-License-Identifier: MIT */
/**
 * A disk that is slow, full or broken, for one program at a time:
 *
 *	LD_PRELOAD=slowdisk.so SLOWDISK_DIR=/state SLOWDISK_CONTROL=/tmp/control rollcalld ...
 *
 * A struct slowdisk at the start of the control file sets what happens to the files in
 * SLOWDISK_DIR. The control file is shared memory: the test may change it at any moment. The
 * library runs on every thread of the daemon, so all its state is atomic.
 */
#include "preload.h"

#include <dirent.h>
#include <stdatomic.h>
#include <time.h>

struct slowdisk {
	_Atomic(int32_t) sync_delay_ms;
	_Atomic(int32_t) sync_errno;
	_Atomic(int32_t) write_delay_ms;
	_Atomic(int32_t) write_errno;
	_Atomic(int64_t) quota_bytes; /* of all files together; 0 = no bound */
	/* read by the test */
	_Atomic(int64_t) syncs;
	_Atomic(int64_t) refusals;
	/* set by the test */
	_Atomic(int32_t) open_errno;
	_Atomic(int32_t) open_skip;  /* opens that succeed before one fails */
	_Atomic(int32_t) open_every; /* not 0: all opens fail */
};

#define FDS 65536
enum { UNKNOWN, INSIDE, OUTSIDE };

static int (*next_close)(int);

static struct slowdisk *control;
static _Atomic(unsigned char) place[FDS]; /* of each descriptor */

__attribute__((constructor)) static void start(void)
{
	*(void **)&next_close = dlsym(RTLD_NEXT, "close");
	control = find_control("SLOWDISK_CONTROL", "SLOWDISK_DIR", sizeof(*control));
}

static bool is_inside(int fd)
{
	if (control == NULL || fd < 0 || fd >= FDS)
		return false;
	unsigned char known = atomic_load(&place[fd]);
	if (known == UNKNOWN) {
		known = is_fd_below(fd) ? INSIDE : OUTSIDE;
		atomic_store(&place[fd], known);
	}
	return known == INSIDE;
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

/** @return whether growing the file to @p end bytes would exceed the quota; errno is set then */
static bool is_full(int fd, int64_t end)
{
	int64_t quota = atomic_load(&control->quota_bytes);
	struct stat about;

	if (quota == 0 || fstat(fd, &about) < 0 || end <= about.st_size)
		return false;
	return bytes_used() + end - about.st_size > quota && refuse(ENOSPC);
}

/** Call this before the file grows to @p end bytes. */
static bool growth_fails(int fd, int64_t end)
{
	wait_ms(atomic_load(&control->write_delay_ms));
	return refuse(atomic_load(&control->write_errno)) || is_full(fd, end);
}

static bool write_fails(int fd, int64_t offset, size_t count)
{
	if (!is_inside(fd))
		return false;
	if (offset < 0)
		offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
	return growth_fails(fd, offset + (int64_t)count);
}

static bool sync_fails(int fd)
{
	if (!is_inside(fd))
		return false;
	atomic_fetch_add(&control->syncs, 1);
	wait_ms(atomic_load(&control->sync_delay_ms));
	return refuse(atomic_load(&control->sync_errno));
}

static bool open_fails(int at, const char *path)
{
	if (control == NULL || atomic_load(&control->open_errno) == 0 || !is_path_below(at, path))
		return false;
	if (atomic_load(&control->open_every) == 0 && atomic_fetch_sub(&control->open_skip, 1) != 0)
		return false;
	return refuse(atomic_load(&control->open_errno));
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		atomic_store(&place[fd], UNKNOWN);
	return next_close != NULL ? next_close(fd) : (int)syscall(SYS_close, fd);
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
	if (is_inside(fd) && growth_fails(fd, offset + length))
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
