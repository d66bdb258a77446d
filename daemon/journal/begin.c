/* SPDX-License-Identifier: MIT */
/**
 * Begins the writer's transactions. Each first checks that no other process has appended events:
 * the lock of the directory keeps out a second daemon, but not another program, nor a daemon of a
 * version without that lock. What these append must not be reported as damage.
 */
#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>

static int read_data_version(struct journal *journal, int64_t *ret_version)
{
	sqlite3_stmt *stmt = journal->stmt[STMT_DATA_VERSION];
	int r = sql_step(stmt);

	if (r < 0)
		return r;
	CHECK(r > 0); /* this PRAGMA always gives a row */
	*ret_version = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt); /* cannot fail after a row */
	return 0;
}

int journal_check_alone(struct journal *journal)
{
	uint64_t revision = 0;
	int64_t version = 0;
	int r = read_data_version(journal, &version);

	if (r < 0 || version == journal->data_version)
		return r;
	r = journal_last_revision(journal->db, &revision);
	if (r < 0)
		return r;
	if (revision != journal->revision)
		return -ETXTBSY;
	/* A checkpoint by another process that starts the WAL over counts as well. */
	if (journal->data_version != 0)
		journal->is_touched = true;
	journal->data_version = version;
	return 0;
}

int journal_begin(struct journal *journal)
{
	/* The rollback of an earlier transaction may have failed for want of memory. */
	sql_rollback(journal->db);
	if (sqlite3_get_autocommit(journal->db) == 0)
		return -ENOMEM;

	int r = sql_run(journal->stmt[STMT_BEGIN]);

	return r < 0 ? r : journal_check_alone(journal);
}
