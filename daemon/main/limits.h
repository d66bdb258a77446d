/* SPDX-License-Identifier: MIT */
/** Limits of the process: open files and settings of malloc(). */
#pragma once

#include <stdint.h>

/** Raises the soft limit of open files to the hard one. @return the new limit */
uint64_t limits_raise_files(void);
/** The least number of open files that a daemon with @p threads http threads needs. */
uint64_t limits_files_needed(int64_t threads);
/** How many of @p wanted connections fit beside the daemon's own files.
 * @param files  at least limits_files_needed() */
unsigned limits_connections(uint64_t files, int64_t threads, int64_t wanted);
/** Keeps malloc() from returning memory that the next batch will need. Call it before threads
 * start. */
void limits_tune_malloc(void);
