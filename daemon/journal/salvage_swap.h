/* SPDX-License-Identifier: MIT */
/** The renames that put a salvaged file in the place of the damaged one. A crash between any two of
 * them leaves a state that salvage_finish() completes. */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * Writes the name that the damaged file gets. It holds the time at which the new file was built, so
 * that a swap which a crash interrupted goes on with the same name.
 * @return 0 or an error of the disk
 */
int salvage_name_kept(int dir_fd, char *out, size_t size) MUST_USE;
/** Renames the damaged file and those beside it, then the new one. @return 0 or an error of the
 * disk */
int salvage_swap(int dir_fd) MUST_USE;
/** Is there a file named @p kept, or one beside it? A database that was missing leaves none. */
bool salvage_was_kept(int dir_fd, const char *kept);
/** Removes what an interrupted salvage was building. */
void salvage_remove_unfinished(int dir_fd);
