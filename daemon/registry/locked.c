/* SPDX-License-Identifier: MIT */
/*
 * Commits while another process has the write lock of the database, such as an operator's sqlite3
 * shell in a transaction. Writer thread only. A try that finds the database locked has written
 * nothing, so it is retried. Changes wait for at most 2 s after the first such try, counted over
 * all batches; then they are refused until the lock is released. One long wait inside SQLite is not
 * possible: meanwhile the thread could neither be stopped nor report that it makes progress.
 */
#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "registry/internal.h"

#include <errno.h>
#include <inttypes.h>

#define LOCKED_TRIES (2000 / JOURNAL_LOCKED_MS)

static void locked_set(struct registry *registry, bool is_locked)
{
	atomic_store_explicit(&registry->is_locked, is_locked, memory_order_relaxed);
	metrics_set(METRIC_LOCKED, is_locked);
}

static void locked_note(struct registry *registry)
{
	char holder[JOURNAL_HOLDER_SIZE];

	if (registry->locked_tries > LOCKED_TRIES)
		return;
	registry->locked_tries++;
	if (registry->locked_tries == 1) {
		registry->locked_since_ms = clock_ms();
		locked_set(registry, true);
		metrics_count(METRIC_LOCK_WAITS, 1);
		journal_locked_by(registry->journal, holder);
		log_line(LOG_WARNING, "%s has locked the database: changes wait for it", holder);
	} else if (registry->locked_tries == LOCKED_TRIES) {
		journal_locked_by(registry->journal, holder);
		log_line(LOG_ERR,
		         "%s still has the database locked: changes are refused until it ends its "
		         "transaction; reads and heartbeats go on",
		         holder);
	}
}

static void locked_note_free(struct registry *registry)
{
	if (registry->locked_tries == 0)
		return;
	registry->locked_tries = 0;
	locked_set(registry, false);
	log_line(LOG_NOTICE, "the database was locked for %" PRId64 " ms: changes are accepted",
	         clock_ms() - registry->locked_since_ms);
}

int locked_write(struct registry *registry, struct batch *batch,
                 int (*write)(struct registry *registry, struct batch *batch))
{
	for (;;) {
		progress_disk_begin(&registry->progress);
		int r = write(registry, batch);
		progress_disk_end(&registry->progress);

		if (r == -EINPROGRESS)
			return r; /* proposed to the ledger: nothing is written yet */
		if (r != -EBUSY) {
			if (journal_failure(registry->journal) == 0)
				locked_note_free(registry);
			return r;
		}
		locked_note(registry);
		progress_mark(&registry->progress);
		if (registry->locked_tries >= LOCKED_TRIES || mailbox_is_stopping(&registry->queue))
			return r;
	}
}

void locked_probe(struct registry *registry)
{
	if (registry->locked_tries > 0 && journal_probe(registry->journal) == 0)
		locked_note_free(registry);
}
