/* SPDX-License-Identifier: MIT */
/**
 * Makes one allocation, write, sync or open of a program fail, once:
 *
 *	LD_PRELOAD=failcall.so FAILCALL_DIR=/state FAILCALL_CONTROL=/tmp/control rollcalld ...
 *
 * A struct failcall at the start of the control file, which is shared memory, says which: `left`
 * counts down with each call of a kind, and the call that finds 0 fails. Writes, syncs and opens
 * count for files in FAILCALL_DIR only, allocations for the whole process.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { ALLOCATION, WRITE, SYNC, OPEN, KIND_COUNT };

struct failcall {
	struct {
		_Atomic(int64_t) left; /* calls until the one that fails; below 0: none does */
		_Atomic(int64_t) seen; /* calls since the test set it to 0 */
		_Atomic(int64_t) failed;
	} kind[KIND_COUNT];
	_Atomic(int32_t) error; /* errno of writes, syncs and opens */
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct failcall *control;
static char dir[PATH_MAX];
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("FAILCALL_CONTROL");
	const char *state = getenv("FAILCALL_DIR");

	*(void **)&next_fsync = dlsym(RTLD_NEXT, "fsync");
	*(void **)&next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	if (path == NULL || state == NULL || realpath(state, dir) == NULL)
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)syscall(SYS_close, fd);
	if (map != MAP_FAILED)
		control = map;
}

static bool fails(enum kind kind)
{
	if (control == NULL)
		return false;
	atomic_fetch_add(&control->kind[kind].seen, 1);
	if (atomic_load(&control->kind[kind].left) < 0 ||
	    atomic_fetch_sub(&control->kind[kind].left, 1) != 0)
		return false;
	atomic_fetch_add(&control->kind[kind].failed, 1);
	errno = kind == ALLOCATION ? ENOMEM : atomic_load(&control->error);
	return true;
}

/* --- memory ------------------------------------------------------------------- */

void *malloc(size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	if (fails(ALLOCATION))
		return ENOMEM;
	*ret = __libc_memalign(alignment, size);
	return *ret != NULL ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_memalign(alignment, size);
}

/* --- files --------------------------------------------------------------------- */

static bool is_below(const char *path)
{
	size_t prefix = strlen(dir);

	return strncmp(path, dir, prefix) == 0 && path[prefix] == '/';
}

static bool is_inside(int fd)
{
	char link[32];
	char target[PATH_MAX];

	if (control == NULL)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return is_below(target);
}

int fsync(int fd)
{
	return is_inside(fd) && fails(SYNC) ? -1 : next_fsync(fd);
}

int fdatasync(int fd)
{
	return is_inside(fd) && fails(SYNC) ? -1 : next_fdatasync(fd);
}

ssize_t write(int fd, const void *data, size_t count)
{
	return is_inside(fd) && fails(WRITE) ? -1 : syscall(SYS_write, fd, data, count);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset)
{
	return is_inside(fd) && fails(WRITE) ? -1 : syscall(SYS_pwrite64, fd, data, count, offset);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset)
{
	return pwrite64(fd, data, count, offset);
}

int openat64(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
		va_list list;

		va_start(list, flags);
		mode = va_arg(list, mode_t);
		va_end(list);
	}
	bool inside = control != NULL &&
	              (path[0] == '/' ? is_below(path) : at != AT_FDCWD && is_inside(at));
	if (inside && fails(OPEN))
		return -1;
	return (int)syscall(SYS_openat, at, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	va_list list;

	va_start(list, flags);
	mode_t mode = va_arg(list, mode_t);
	va_end(list);
	return openat64(at, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list list;

	va_start(list, flags);
	mode_t mode = va_arg(list, mode_t);
	va_end(list);
	return openat64(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list list;

	va_start(list, flags);
	mode_t mode = va_arg(list, mode_t);
	va_end(list);
	return openat64(AT_FDCWD, path, flags, mode);
}
