/* SPDX-License-Identifier: MIT */
/**
 * Export and import: writes the current state of a registry as text, and makes a new state
 * directory from such a text. One JSON object per line (backup/record.h); counts in the first line
 * and a checksum in the last show whether the text is complete. Main thread, before or without a
 * daemon.
 */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"

#include <stdio.h>

/**
 * Writes the current state in the state directory @p dir to @p out. No daemon may be using @p dir.
 * @p out stays open.
 * @return 0, or an error with a text: those of journal_export_open(); -EILSEQ: the state has a
 * value that an import would refuse; -ENOMEM; -EIO, -ENOSPC, -EPIPE, ...: @p out cannot be written,
 * or the journal cannot be read
 */
int backup_export(const char *dir, FILE *out, struct journal_error *ret_error) MUST_USE;
/**
 * Makes the state directory @p dir from the export that @p in holds. @p dir must be empty or
 * missing; a failure leaves it as it was. @p in stays open.
 * @return 0, or an error with a text: those of journal_import_open(), journal_import_instance(),
 * journal_import_entry() and journal_import_finish(); -EINVAL: @p in is no complete export, the
 * text names the line; -ENOMEM; -EIO, ...: @p in cannot be read
 */
int backup_import(const char *dir, FILE *in, struct journal_error *ret_error) MUST_USE;
