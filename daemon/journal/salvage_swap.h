/* SPDX-License-Identifier: MIT */
/** The renames that put the new database of a salvage in the place of the damaged one. After a
 * crash between any two of them, salvage_finish() completes them. */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * Writes the new name of the damaged file to @p out. It contains the time at which the new database
 * was built, so that salvage_finish() goes on with the same name after a crash.
 * @return 0, or an error of the file system
 */
int salvage_name_kept(int dir_fd, char *out, size_t size) MUST_USE;
/** Renames the damaged database and SQLite's files beside it, then the new one. @return 0, or an
 * error of the file system */
int salvage_swap(int dir_fd) MUST_USE;
/** Was any file renamed to @p kept? None was, when the database and its log were missing. */
bool salvage_was_kept(int dir_fd, const char *kept);
/** Deletes the incomplete files of an interrupted salvage. */
void salvage_remove_unfinished(int dir_fd);
