/* SPDX-License-Identifier: MIT */
/**
 * Looks at the files of the state directory before SQLite does, for damage that SQLite passes over
 * without an error: a write-ahead log that goes bad before its end, and a database that has lost
 * all its content, which SQLite takes for a new one, deleting the log beside it.
 */
#pragma once

#include "base/attr.h"
#include "journal/wal.h"

struct survey {
	struct wal_report wal;
	char finding[200]; /* what is damaged; empty: nothing */
	char note[200];    /* what is worth a word, but no damage; empty: nothing */
	bool is_lost;      /* the database has no content, though it had */
};

/** @return 0, or an error of the disk */
int survey_files(int dir_fd, struct survey *ret_survey) MUST_USE;
/** Takes one that is all zero. */
void survey_fini(struct survey *survey);
