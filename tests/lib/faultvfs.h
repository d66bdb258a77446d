/* SPDX-License-Identifier: MIT */
/**
 * A disk that fails when told to: stands between SQLite and the real files. And memory that runs
 * out in SQLite. Any thread. Syncs are only counted: no test cuts the power, and a busy disk would
 * make them slow.
 */
#pragma once

#include <stdbool.h>

/* FAULTVFS_VIEW: a transaction takes its view of the file; it is only counted. */
enum faultvfs_op { FAULTVFS_READ, FAULTVFS_WRITE, FAULTVFS_SYNC, FAULTVFS_VIEW, FAULTVFS_OPS };
enum faultvfs_file { FAULTVFS_DB, FAULTVFS_WAL, FAULTVFS_ANY };

/** Makes it the default of all that is opened from now on; once a process. */
void faultvfs_install(void);
/** All works again. */
void faultvfs_reset(void);
/**
 * From the nth such operation on (0: the next one) all of them fail.
 * @param code  SQLITE_IOERR_WRITE, SQLITE_FULL, ...
 */
void faultvfs_fail(enum faultvfs_op op, enum faultvfs_file file, int nth, int code);
/** The nth fails, those after it work. */
void faultvfs_fail_once(enum faultvfs_op op, enum faultvfs_file file, int nth, int code);
/** The errno that files say was their last. */
void faultvfs_set_errno(int code);
/** Has one failed since? */
bool faultvfs_hit(void);
/** How many such operations there were since faultvfs_reset(). */
unsigned faultvfs_count(enum faultvfs_op op, enum faultvfs_file file);

/** From now on syncs of @p file wait for faultvfs_release(). */
void faultvfs_hold_sync(enum faultvfs_file file);
/** Waits until one does. */
void faultvfs_wait_held(void);
void faultvfs_release(void);

/** Places of a checkpoint at which a thread can be stopped. */
enum faultvfs_place {
	FAULTVFS_NOWHERE,
	FAULTVFS_CHECKPOINT,       /* about to begin: it has not taken the checkpoint lock */
	FAULTVFS_CHECKPOINT_BEGUN, /* it has read how long the WAL is, if that has changed since,
	                              and not yet how much of it was moved */
	FAULTVFS_CHECKPOINT_ENDED, /* has given up the checkpoint lock */
};
/** The next other thread that comes to @p place, and none after it, stops there until
 * faultvfs_go(). */
void faultvfs_stop_at(enum faultvfs_place place);
/** Waits until one has. */
void faultvfs_wait_stopped(void);
bool faultvfs_is_stopped(void);
void faultvfs_go(void);

/** Before anything else of SQLite: its nth allocation from faultvfs_memory_arm() on fails, once;
 * from faultvfs_memory_arm_all() on, all that follow as well. */
void faultvfs_memory_install(void);
void faultvfs_memory_arm(int nth);
void faultvfs_memory_arm_all(int nth);
/** Disarms; was one made to fail? */
bool faultvfs_memory_hit(void);
