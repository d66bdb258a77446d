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
#include "preload.h"

#include <stdatomic.h>

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

__attribute__((constructor)) static void start(void)
{
	control = find_control("FAILCALL_CONTROL", "FAILCALL_DIR", sizeof(*control));
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

static bool open_fails(int at, const char *path)
{
	return control != NULL && is_path_below(at, path) && fails(OPEN);
}

static bool write_fails(int fd, int64_t offset, size_t count)
{
	(void)offset, (void)count;
	return control != NULL && is_fd_below(fd) && fails(WRITE);
}

static bool sync_fails(int fd)
{
	return control != NULL && is_fd_below(fd) && fails(SYNC);
}
