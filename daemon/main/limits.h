/* SPDX-License-Identifier: MIT */
/** What the process asks of the kernel and of malloc(). */
#pragma once

#include <stdint.h>

/** Raises the limit of open files as far as it goes. @return how many may be open */
uint64_t limits_raise_files(void);
/** How many files must be allowed for a daemon with @p threads http threads to be of any use. */
uint64_t limits_files_needed(int64_t threads);
/** How many of @p wanted connections fit beside the daemon's own files; @p files are enough. */
unsigned limits_connections(uint64_t files, int64_t threads, int64_t wanted);
/** Before threads start: keeps malloc() from returning memory that the next batch will want. */
void limits_tune_malloc(void);
