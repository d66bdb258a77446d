/* SPDX-License-Identifier: MIT */
/** Which other process keeps a database locked, as far as the kernel shows it. For messages only.
 */
#pragma once

#include "journal/journal.h"

#include <stddef.h>

/**
 * Names the process whose lock keeps this one from writing the database at @p path: "process 123
 * (sqlite3)", "process 123" when its name is hidden, "another process" when it is not known. A
 * connection of this process must have the file open.
 */
void holder_find(const char *path, char out[JOURNAL_HOLDER_SIZE]);
/** What a failure @p r of SQLite on @p path means: as strerror(), but -EBUSY names the holder. */
const char *holder_reason(const char *path, int r, char *text, size_t size);
