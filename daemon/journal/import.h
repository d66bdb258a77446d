/* SPDX-License-Identifier: MIT */
/** A new journal that is filled from a copy, in a state directory that holds none. */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"

struct journal_import;

/**
 * Makes the state directory (not its parents) where it is missing, locks it, and begins a database
 * under another name in it.
 * @return 0; -EEXIST: the directory is not empty; -EBUSY: another process has it; otherwise as
 * journal_open(). Each with a text.
 */
int journal_import_open(const char *dir, struct journal_import **ret_import,
                        struct journal_error *ret_error) MUST_USE;
/**
 * Adds one that is current, with the numbers that it has; each in ascending order of incarnation.
 * @return 0; -EINVAL: it is none that a journal holds, or is out of order; -ENOSPC, -EIO, -ENOMEM.
 * Each with a text.
 */
int journal_import_instance(struct journal_import *import, const struct instance *instance,
                            struct journal_error *ret_error) MUST_USE;
int journal_import_entry(struct journal_import *import, const struct entry *entry,
                         struct journal_error *ret_error) MUST_USE;
/**
 * Verifies what was added and puts the database in its place. It begins a new history, whose event
 * log is empty; its revisions go on above all that the old one can have given, so that readers
 * which go on from there get -ESTALE.
 * @param revision  the latest that the old journal gave
 * @return as journal_import_instance(); -EINVAL: what was added contradicts itself
 */
int journal_import_finish(struct journal_import *import, uint64_t revision,
                          struct journal_error *ret_error) MUST_USE;
/** Unless it was finished, removes all that it has made. Takes NULL. */
void journal_import_close(struct journal_import *import);
