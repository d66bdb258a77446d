/* SPDX-License-Identifier: MIT */
/**
 * A registry's state as text: written from one state directory, read into another. One JSON object
 * a line (backup/record.h); counts and a checksum at the end show whether all of it is there.
 */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"

#include <stdio.h>

/**
 * Writes what the state directory @p dir holds. No daemon may have it.
 * @return as journal_export_open(); -EILSEQ: it holds what no import would take; -EIO, -ENOSPC,
 * -EPIPE, ...: @p out cannot be written. Each with a text.
 */
int backup_export(const char *dir, FILE *out, struct journal_error *ret_error) MUST_USE;
/**
 * Reads an export into the state directory @p dir, which must be empty, or missing. After a failure
 * it is as it was.
 * @return as journal_import_open(); -EINVAL: it is not a whole export; an error of @p in. Each with
 * a text.
 */
int backup_import(const char *dir, FILE *in, struct journal_error *ret_error) MUST_USE;
