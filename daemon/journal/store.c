/* SPDX-License-Identifier: MIT */
/** Stores events that another engine has ordered and numbered: the journal is then a log of what
 * was applied. Writer's thread. */
#include "journal/internal.h"

#include <errno.h>

int journal_store(struct journal *journal, const struct event *events, size_t count)
{
	CHECK_MAGIC(journal, journal);
	if (journal_has_failed(journal))
		return -EIO;
	if (count == 0)
		return 0;
	if (events[0].revision <= journal->revision)
		return -ESTALE;
	for (size_t i = 0; i < count; i++) {
		if (events[i].revision != journal->revision + i + 1)
			return -ERANGE;
		uint64_t incarnation = event_incarnation(&events[i]);

		if (incarnation == 0 || incarnation > events[i].revision)
			return -EINVAL;
	}
	return journal_write(journal, events, count);
}

int journal_give_up(struct journal *journal, const char *reason)
{
	return journal_fail_because(journal, -EIO, reason);
}
