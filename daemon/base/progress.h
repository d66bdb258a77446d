/* SPDX-License-Identifier: MIT */
/**
 * Liveness of threads: every thread that loops marks each pass, so that others can see when one
 * hangs.
 *
 * Two users: main() feeds the watchdog only if every thread has marked lately. The sweeper expires
 * no lease for time in which an ingress thread (one that reads heartbeats from sockets) made no
 * pass. So even an idle loop must make a pass at least every PROGRESS_IDLE_MS.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_IDLE_MS 100
#define PROGRESS_NO_DISK INT64_MIN

enum progress_role { PROGRESS_WORKER, PROGRESS_INGRESS };

/** Embedded in the struct that owns the thread. */
struct progress {
	const char *name;
	enum progress_role role;
	_Atomic(uint64_t) passes;
	_Atomic(int64_t) marked_ms;   /* clock_ms() at the end of the last pass */
	_Atomic(int64_t) previous_ms; /* the same of the pass before, when the last pass began;
	                                 INT64_MIN before the first pass */
	_Atomic(int64_t) disk_ms;     /* clock_ms() when a wait for the disk began;
	                                 PROGRESS_NO_DISK: the thread does not wait */
	struct progress *next;        /* guarded by LOCK_PROGRESS */
};

/** Adds @p progress to the list and marks it. @param name  borrowed until progress_remove() */
void progress_add(struct progress *progress, const char *name, enum progress_role role);
void progress_remove(struct progress *progress);
/** Ends a pass: all that was ready has been handled. Owner's thread; never blocks. */
void progress_mark(struct progress *progress);

/**
 * Enclose calls that may wait for the disk: meanwhile the thread does not count as hanging, because
 * no restart makes a disk faster. Owner's thread; they do not nest.
 */
void progress_disk_begin(struct progress *progress);
void progress_disk_end(struct progress *progress);
/** The longest current wait of a thread for the disk in ms, 0 when there is none. Sets @p ret_name
 * when above 0. */
int64_t progress_disk_ms(const char **ret_name);

/** Age in ms of the oldest mark among threads of @p role (-1: all) that do not wait for the disk; 0
 * when there are none. @p ret_name (may be NULL) gets the thread's name. */
int64_t progress_oldest_ms(int role, const char **ret_name);
/**
 * Has every ingress thread completed one whole pass that began after @p since_ms of clock_ms(), in
 * a later millisecond? True when there are no such threads.
 */
bool progress_ingress_passed(int64_t since_ms);
