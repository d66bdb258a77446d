/* SPDX-License-Identifier: MIT */
/** Locks a state directory against a second daemon. The kernel releases the lock when the process
 * ends, however it ends. */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"

/**
 * Takes the lock of the directory and writes the pid of this process into its lock file.
 * @param dir  its path, for messages
 * @param ret_fd  owned by the caller; close() releases the lock
 * @param ret_error  set with each error
 * @return 0; -EBUSY: another process, which ret_error names, holds it; or an error of open() or
 * fcntl()
 */
int lockfile_take(int dir_fd, const char *dir, int *ret_fd,
                  struct journal_error *ret_error) MUST_USE;
