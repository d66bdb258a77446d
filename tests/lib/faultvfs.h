/* SPDX-License-Identifier: MIT */
/**
 * An SQLite VFS in front of the real files, whose operations a test makes fail or stop, and an
 * allocator of SQLite that runs out of memory. Thread: any. Syncs are only counted: no test cuts
 * the power, and a busy disk would make the tests slow.
 */
#pragma once

#include <stdbool.h>

/* FAULTVFS_VIEW: a transaction takes its snapshot of the WAL. It is only counted, and never fails.
 */
enum faultvfs_op { FAULTVFS_READ, FAULTVFS_WRITE, FAULTVFS_SYNC, FAULTVFS_VIEW, FAULTVFS_OPS };
enum faultvfs_file { FAULTVFS_DB, FAULTVFS_WAL, FAULTVFS_ANY };

/** Makes this the VFS of each file that SQLite opens from now on. Once in each process. */
void faultvfs_install(void);
/** Operations succeed again, the counters are 0, and threads that faultvfs_hold_sync() holds go on.
 */
void faultvfs_reset(void);
/**
 * From the nth such operation on (0: the next one) all of them fail.
 * @param code  SQLITE_IOERR_WRITE, SQLITE_FULL, ...
 */
void faultvfs_fail(enum faultvfs_op op, enum faultvfs_file file, int nth, int code);
/** The nth such operation fails; those after it succeed. */
void faultvfs_fail_once(enum faultvfs_op op, enum faultvfs_file file, int nth, int code);
/** What files return for SQLITE_FCNTL_LAST_ERRNO; 0: the real value. */
void faultvfs_set_errno(int code);
/** Has an operation failed since it was armed? */
bool faultvfs_hit(void);
/** How many such operations there were since faultvfs_reset(). */
unsigned faultvfs_count(enum faultvfs_op op, enum faultvfs_file file);

/** From now on each sync of @p file waits for faultvfs_release(). */
void faultvfs_hold_sync(enum faultvfs_file file);
/** Waits until a sync waits. */
void faultvfs_wait_held(void);
void faultvfs_release(void);

/** Places of a checkpoint at which a thread can be stopped. */
enum faultvfs_place {
	FAULTVFS_NOWHERE,
	FAULTVFS_CHECKPOINT,       /* before the checkpoint takes the checkpoint lock */
	FAULTVFS_CHECKPOINT_BEGUN, /* the checkpoint found that the WAL has grown and has read its
	                              new length, but not yet how much of it was moved */
	FAULTVFS_CHECKPOINT_ENDED, /* after the checkpoint released the checkpoint lock */
};
/** The next thread other than the caller that reaches @p place, and none after it, stops there
 * until faultvfs_go(). */
void faultvfs_stop_at(enum faultvfs_place place);
/** Waits until a thread has stopped there. */
void faultvfs_wait_stopped(void);
bool faultvfs_is_stopped(void);
void faultvfs_go(void);

/** Installs the allocator; call it before any other function of SQLite. After
 * faultvfs_memory_arm() SQLite's nth allocation fails, after faultvfs_memory_arm_all() the nth and
 * all that follow. */
void faultvfs_memory_install(void);
void faultvfs_memory_arm(int nth);
void faultvfs_memory_arm_all(int nth);
/** Disarms. @return whether an allocation was made to fail */
bool faultvfs_memory_hit(void);
