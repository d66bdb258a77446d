/* SPDX-License-Identifier: MIT */
/**
 * Begin and end of the writer's transactions. Each begins with the question whether this process is
 * still the only one that writes: the locks keep a second daemon out, but not another program, nor
 * a daemon of a version that does not know them. What they append must not be taken for damage.
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
	CHECK(r > 0); /* it always gives its row */
	*ret_version = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt); /* it gave its row */
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
	/* Also when another process has moved the whole WAL and started it over. */
	if (journal->data_version != 0)
		journal->is_touched = true;
	journal->data_version = version;
	return 0;
}

int journal_begin(struct journal *journal)
{
	/* An earlier one could not be undone for want of memory. */
	sql_rollback(journal->db);
	if (sqlite3_get_autocommit(journal->db) == 0)
		return -ENOMEM;

	int r = sql_run(journal->stmt[STMT_BEGIN]);

	return r < 0 ? r : journal_check_alone(journal);
}
