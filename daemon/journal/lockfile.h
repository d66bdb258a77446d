/* SPDX-License-Identifier: MIT */
/** One daemon a state directory. The lock goes with the process, whatever ends it. */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"

/**
 * Takes the lock of the directory and writes our pid into its file.
 * @param ret_fd  close() releases
 * @return 0; -EBUSY: another holds it, named in the text; or why the file cannot be opened
 */
int lockfile_take(int dir_fd, const char *dir, int *ret_fd,
                  struct journal_error *ret_error) MUST_USE;
