/* SPDX-License-Identifier: MIT */
/**
 * Who is alive: every thread that loops marks each pass, and others see when one has stopped.
 *
 * Two use it. The watchdog is fed only when every thread has marked lately. The sweeper lets no
 * lease run out on time in which an ingress thread (one that takes heartbeats from sockets) made no
 * pass. Idle loops must therefore still pass at least every PROGRESS_IDLE_MS.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_IDLE_MS 100
#define PROGRESS_NO_DISK INT64_MIN

enum progress_role { PROGRESS_WORKER, PROGRESS_INGRESS };

/** Embedded by its thread's owner. */
struct progress {
	const char *name;
	enum progress_role role;
	_Atomic(uint64_t) passes;
	_Atomic(int64_t) marked_ms;   /* clock_ms() at the end of the last pass */
	_Atomic(int64_t) previous_ms; /* and of the one before, when the last began; INT64_MIN
	                                 before the first */
	_Atomic(int64_t) disk_ms;     /* clock_ms() since when it waits for the disk, or
	                                 PROGRESS_NO_DISK */
	struct progress *next;        /* guarded by LOCK_PROGRESS */
};

/** Adds @p progress to the list, marked as of now. @param name  borrowed until progress_remove() */
void progress_add(struct progress *progress, const char *name, enum progress_role role);
void progress_remove(struct progress *progress);
/** One pass done: all that was ready has been handled. Owner's thread; two relaxed stores. */
void progress_mark(struct progress *progress);

/**
 * Around what may wait for the disk: meanwhile the thread is not stuck, however long it takes, as
 * no restart makes a disk faster. Owner's thread; they do not nest.
 */
void progress_disk_begin(struct progress *progress);
void progress_disk_end(struct progress *progress);
/** For how many ms a thread has been waiting for the disk, the longest; 0 when none is. @p ret_name
 * is set when above 0. */
int64_t progress_disk_ms(const char **ret_name);

/** Age in ms of the oldest mark among threads of @p role (or all, role -1) that do not wait
 * for the disk; names the thread (@p ret_name may be NULL). 0 when there are none. */
int64_t progress_oldest_ms(int role, const char **ret_name);
/**
 * Has every ingress thread completed, since @p since_ms of clock_ms(), one whole pass that also
 * began after it, so in a later millisecond? True when there are none.
 */
bool progress_ingress_passed(int64_t since_ms);
