/* SPDX-License-Identifier: MIT */
/**
 * Checkpoints: moves the pages of the WAL into the database, on a thread and a connection of its
 * own, so that commits do not wait for it. SQLite starts the WAL over only when all of it has been
 * moved and no commit was added meanwhile. Under steady load that moment never comes by itself, so
 * the writer moves a short rest between two batches (journal_tidy()).
 */
#pragma once

#include "base/attr.h"

#include <stdint.h>

struct checkpointer;
struct journal;

/** Starts the thread. @return 0, -ENOMEM, -EAGAIN: no thread can be started, or an error as
 * sql_error() */
int checkpointer_start(struct journal *journal, struct checkpointer **ret_checkpointer) MUST_USE;
/** Stops the thread and frees the checkpointer. Takes NULL. */
void checkpointer_stop(struct checkpointer *checkpointer);
/** After a commit that left @p wal_pages pages in the WAL: wakes the thread when a checkpoint is
 * worth its cost. Writer's thread; never blocks. */
void checkpointer_hint(struct checkpointer *checkpointer, uint32_t wal_pages);
/**
 * Moves the rest of the WAL when the rest is short, or the WAL too long to wait for that. Writer's
 * thread; blocks on the disk.
 * @param wal_pages  in the WAL after the latest commit
 * @return 0, also when nothing was moved; or an error as sql_error()
 */
int checkpointer_finish(struct checkpointer *checkpointer, uint32_t wal_pages) MUST_USE;
