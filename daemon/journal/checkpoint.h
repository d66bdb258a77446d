/* SPDX-License-Identifier: MIT */
/**
 * Moves what the WAL holds into the database, on a thread and connection of its own, so that
 * commits need not wait for it. SQLite lets the WAL start over only when all of it has been moved
 * and nothing was added meanwhile; under steady load that moment is made by the writer: it moves
 * the short rest itself, between two batches (journal_tidy()).
 */
#pragma once

#include "base/attr.h"

#include <stdint.h>

struct checkpointer;
struct journal;

/** Starts the thread. @return 0, -ENOMEM, -EAGAIN, or errors of the file */
int checkpointer_start(struct journal *journal, struct checkpointer **ret_checkpointer) MUST_USE;
/** Ends and frees it. Takes NULL. */
void checkpointer_stop(struct checkpointer *checkpointer);
/** A commit has just made the WAL so long: lets the thread begin when that is worth it. Writer's
 * thread; never blocks. */
void checkpointer_hint(struct checkpointer *checkpointer, uint32_t wal_pages);
/**
 * Moves the rest when little is left, or when the WAL is too long to wait. Writer's thread.
 * @return 0, or an error as of sql_error()
 */
int checkpointer_finish(struct checkpointer *checkpointer, uint32_t wal_pages) MUST_USE;
