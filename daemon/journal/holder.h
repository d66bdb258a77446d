/* SPDX-License-Identifier: MIT */
/** Finds the process that keeps a database locked, as far as the kernel shows it, for messages. */
#pragma once

#include "journal/journal.h"

#include <stddef.h>

/**
 * Names the process whose lock keeps this one from writing the database at @p path: "process 123
 * (sqlite3)", "process 123" when its name is hidden, "another process" when the kernel names none.
 * Works only while a connection of this process has the database open.
 */
void holder_find(const char *path, char out[JOURNAL_HOLDER_SIZE]);
/** Describes the error @p r of sql_error() on the database at @p path: for -EBUSY "process 123
 * (sqlite3) keeps it locked", else as strerror(). @param text  a buffer that may be used. @return
 * @p text or a string of strerror() */
const char *holder_reason(const char *path, int r, char *text, size_t size);
