/* SPDX-License-Identifier: MIT */
#include "journal/journal.h"

#include <sqlite3.h>
#include <stdio.h>

/* By sqlite.org/wal.html: since 3.7.0; fixed in 3.51.3, 3.50.7 and 3.44.6. */
bool journal_sqlite_loses_commits(int version)
{
	return version < 3044006 || (version >= 3045000 && version < 3050007) ||
	       (version >= 3051000 && version < 3051003);
}

const char *journal_sqlite_note(char *out, size_t size)
{
	if (!journal_sqlite_loses_commits(sqlite3_libversion_number()))
		return NULL;
	(void)snprintf(out, size,
	               "SQLite %s may lose commits when two connections make checkpoints (fixed in "
	               "3.51.3): worked around, this daemon makes one checkpoint at a time",
	               sqlite3_libversion());
	return out;
}
