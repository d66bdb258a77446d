/* SPDX-License-Identifier: MIT */
/*
 * Each method of a file counts itself (meet()), fails if it is the armed operation, and otherwise
 * calls the same method of the real file, whose struct follows ours in memory. All settings are
 * guarded by one lock, because the threads of a journal (the writer, the checkpointer, readers)
 * call the methods while the test changes the settings. The allocator has atomics of its own:
 * SQLite allocates while it holds its locks.
 */
#include "faultvfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct file {
	sqlite3_file base;
	enum faultvfs_file which;
	sqlite3_file *real; /* in the memory after this struct */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* guarded by lock */
static unsigned counts[FAULTVFS_OPS][FAULTVFS_ANY + 1];
static enum faultvfs_op fail_op;
static enum faultvfs_file fail_file;
static int fail_nth = -1; /* below 0: none */
static int fail_code;
static bool fail_ever_after;
static int fail_errno;
static bool hit;
static enum faultvfs_file held = FAULTVFS_ANY; /* ANY: none */
static bool sync_waits;
static enum faultvfs_place stop_place;
static pthread_t stop_setter; /* the thread that called faultvfs_stop_at(); it never stops */
static bool is_stopped;

static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;

/** Counts the operation. @return SQLITE_OK, or the code with which it must fail */
static int meet(struct file *file, enum faultvfs_op op)
{
	int rc = SQLITE_OK;

	pthread_mutex_lock(&lock);
	counts[op][file->which]++;
	counts[op][FAULTVFS_ANY]++;
	if (fail_nth >= 0 && op == fail_op &&
	    (fail_file == FAULTVFS_ANY || fail_file == file->which)) {
		if (fail_nth == 0) {
			rc = fail_code;
			hit = true;
		}
		if (fail_nth > 0 || !fail_ever_after)
			fail_nth--;
	}
	while (op == FAULTVFS_SYNC && held != FAULTVFS_ANY && held == file->which) {
		sync_waits = true;
		pthread_cond_broadcast(&changed);
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static struct file *of(sqlite3_file *file)
{
	return (struct file *)file;
}

static void pass(enum faultvfs_place place)
{
	pthread_mutex_lock(&lock);
	if (stop_place == place && pthread_equal(stop_setter, pthread_self()) == 0) {
		stop_place = FAULTVFS_NOWHERE;
		is_stopped = true;
		pthread_cond_broadcast(&changed);
		while (is_stopped)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}

static int do_close(sqlite3_file *f)
{
	return of(f)->real->pMethods->xClose(of(f)->real);
}

static int do_read(sqlite3_file *f, void *out, int len, sqlite3_int64 at)
{
	int rc = meet(of(f), FAULTVFS_READ);

	return rc != SQLITE_OK ? rc : of(f)->real->pMethods->xRead(of(f)->real, out, len, at);
}

static int do_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
	int rc = meet(of(f), FAULTVFS_WRITE);

	return rc != SQLITE_OK ? rc : of(f)->real->pMethods->xWrite(of(f)->real, data, len, at);
}

static int do_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return of(f)->real->pMethods->xTruncate(of(f)->real, size);
}

static int do_sync(sqlite3_file *f, int flags)
{
	(void)flags;
	return meet(of(f), FAULTVFS_SYNC);
}

static int do_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return of(f)->real->pMethods->xFileSize(of(f)->real, size);
}

static int do_lock(sqlite3_file *f, int level)
{
	return of(f)->real->pMethods->xLock(of(f)->real, level);
}

static int do_unlock(sqlite3_file *f, int level)
{
	return of(f)->real->pMethods->xUnlock(of(f)->real, level);
}

static int do_reserved(sqlite3_file *f, int *out)
{
	return of(f)->real->pMethods->xCheckReservedLock(of(f)->real, out);
}

static int do_control(sqlite3_file *f, int op, void *arg)
{
	pthread_mutex_lock(&lock);
	int code = fail_errno;
	pthread_mutex_unlock(&lock);
	if (op == SQLITE_FCNTL_LAST_ERRNO && code != 0) {
		*(int *)arg = code;
		return SQLITE_OK;
	}
	return of(f)->real->pMethods->xFileControl(of(f)->real, op, arg);
}

static int do_sector(sqlite3_file *f)
{
	return of(f)->real->pMethods->xSectorSize(of(f)->real);
}

static int do_traits(sqlite3_file *f)
{
	return of(f)->real->pMethods->xDeviceCharacteristics(of(f)->real);
}

static int do_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return of(f)->real->pMethods->xShmMap(of(f)->real, page, size, extend, out);
}

/* wal.c numbers the locks: 0 is the writer's, 1 the checkpointer's, from 3 on those of readers. */
#define CHECKPOINT_LOCK 1
#define READ_LOCKS      3

static int do_shm_lock(sqlite3_file *f, int offset, int count, int flags)
{
	if (offset == CHECKPOINT_LOCK && count == 1 && (flags & SQLITE_SHM_LOCK) != 0)
		pass(FAULTVFS_CHECKPOINT);
	if (offset >= READ_LOCKS && flags == (SQLITE_SHM_LOCK | SQLITE_SHM_SHARED))
		(void)meet(of(f), FAULTVFS_VIEW);

	int rc = of(f)->real->pMethods->xShmLock(of(f)->real, offset, count, flags);
	if (offset == CHECKPOINT_LOCK && count == 1 && (flags & SQLITE_SHM_UNLOCK) != 0)
		pass(FAULTVFS_CHECKPOINT_ENDED);
	return rc;
}

static void do_shm_barrier(sqlite3_file *f)
{
	of(f)->real->pMethods->xShmBarrier(of(f)->real);
}

static int do_shm_unmap(sqlite3_file *f, int remove)
{
	return of(f)->real->pMethods->xShmUnmap(of(f)->real, remove);
}

static int do_fetch(sqlite3_file *f, sqlite3_int64 at, int len, void **out)
{
	return of(f)->real->pMethods->xFetch(of(f)->real, at, len, out);
}

static int do_unfetch(sqlite3_file *f, sqlite3_int64 at, void *data)
{
	/* Files are not memory-mapped, so only a checkpoint calls this: when the WAL has grown. */
	if (data == NULL && of(f)->which == FAULTVFS_DB)
		pass(FAULTVFS_CHECKPOINT_BEGUN);
	return of(f)->real->pMethods->xUnfetch(of(f)->real, at, data);
}

static const sqlite3_io_methods methods = {
	.iVersion = 3,
	.xClose = do_close,
	.xRead = do_read,
	.xWrite = do_write,
	.xTruncate = do_truncate,
	.xSync = do_sync,
	.xFileSize = do_size,
	.xLock = do_lock,
	.xUnlock = do_unlock,
	.xCheckReservedLock = do_reserved,
	.xFileControl = do_control,
	.xSectorSize = do_sector,
	.xDeviceCharacteristics = do_traits,
	.xShmMap = do_shm_map,
	.xShmLock = do_shm_lock,
	.xShmBarrier = do_shm_barrier,
	.xShmUnmap = do_shm_unmap,
	.xFetch = do_fetch,
	.xUnfetch = do_unfetch,
};

static int do_open(sqlite3_vfs *self, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	struct file *file = of(f);
	int rc;

	(void)self;
	file->real = (sqlite3_file *)(file + 1);
	file->which = (flags & SQLITE_OPEN_WAL) != 0 ? FAULTVFS_WAL : FAULTVFS_DB;
	rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
	file->base.pMethods = file->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

void faultvfs_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "fault";
	vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	vfs.pNext = NULL;
	vfs.xOpen = do_open;
	sqlite3_vfs_register(&vfs, 1);
}

void faultvfs_reset(void)
{
	pthread_mutex_lock(&lock);
	fail_nth = -1;
	fail_errno = 0;
	hit = false;
	memset(counts, 0, sizeof(counts));
	pthread_mutex_unlock(&lock);
	faultvfs_release();
}

static void arm(enum faultvfs_op op, enum faultvfs_file file, int nth, int code, bool ever_after)
{
	pthread_mutex_lock(&lock);
	fail_op = op;
	fail_file = file;
	fail_nth = nth;
	fail_code = code;
	fail_ever_after = ever_after;
	hit = false;
	pthread_mutex_unlock(&lock);
}

void faultvfs_fail(enum faultvfs_op op, enum faultvfs_file file, int nth, int code)
{
	arm(op, file, nth, code, true);
}

void faultvfs_fail_once(enum faultvfs_op op, enum faultvfs_file file, int nth, int code)
{
	arm(op, file, nth, code, false);
}

void faultvfs_set_errno(int code)
{
	pthread_mutex_lock(&lock);
	fail_errno = code;
	pthread_mutex_unlock(&lock);
}

bool faultvfs_hit(void)
{
	pthread_mutex_lock(&lock);
	bool was = hit;
	pthread_mutex_unlock(&lock);
	return was;
}

unsigned faultvfs_count(enum faultvfs_op op, enum faultvfs_file file)
{
	pthread_mutex_lock(&lock);
	unsigned count = counts[op][file];
	pthread_mutex_unlock(&lock);
	return count;
}

void faultvfs_hold_sync(enum faultvfs_file file)
{
	pthread_mutex_lock(&lock);
	held = file;
	sync_waits = false;
	pthread_mutex_unlock(&lock);
}

void faultvfs_wait_held(void)
{
	pthread_mutex_lock(&lock);
	while (!sync_waits)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void faultvfs_stop_at(enum faultvfs_place place)
{
	pthread_mutex_lock(&lock);
	stop_place = place;
	stop_setter = pthread_self();
	pthread_mutex_unlock(&lock);
}

void faultvfs_wait_stopped(void)
{
	pthread_mutex_lock(&lock);
	while (!is_stopped)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

bool faultvfs_is_stopped(void)
{
	pthread_mutex_lock(&lock);
	bool was = is_stopped;
	pthread_mutex_unlock(&lock);
	return was;
}

void faultvfs_go(void)
{
	pthread_mutex_lock(&lock);
	is_stopped = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void faultvfs_release(void)
{
	pthread_mutex_lock(&lock);
	held = FAULTVFS_ANY;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* --- memory ---------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static atomic_int memory_countdown = -1; /* below 0: disarmed */
static atomic_bool memory_stays_out;
static atomic_bool memory_hit;

static bool runs_out(void)
{
	if (atomic_load(&memory_countdown) < 0 || atomic_fetch_sub(&memory_countdown, 1) != 0)
		return false;
	if (atomic_load(&memory_stays_out))
		atomic_store(&memory_countdown, 0);
	atomic_store(&memory_hit, true);
	return true;
}

static void *do_malloc(int size)
{
	return runs_out() ? NULL : real_memory.xMalloc(size);
}

static void *do_realloc(void *old, int size)
{
	return runs_out() ? NULL : real_memory.xRealloc(old, size);
}

void faultvfs_memory_install(void)
{
	sqlite3_mem_methods memory;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
		abort();
	memory = real_memory;
	memory.xMalloc = do_malloc;
	memory.xRealloc = do_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK)
		abort();
}

void faultvfs_memory_arm(int nth)
{
	atomic_store(&memory_stays_out, false);
	atomic_store(&memory_hit, false);
	atomic_store(&memory_countdown, nth);
}

void faultvfs_memory_arm_all(int nth)
{
	faultvfs_memory_arm(-1);
	atomic_store(&memory_stays_out, true);
	atomic_store(&memory_countdown, nth);
}

bool faultvfs_memory_hit(void)
{
	atomic_store(&memory_countdown, -1);
	return atomic_load(&memory_hit);
}
