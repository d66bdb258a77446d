/* SPDX-License-Identifier: MIT */
/**
 * The survey of the state directory before SQLite opens the database. It finds damage that SQLite
 * passes over without an error: a write-ahead log with a bad frame before its end, of which SQLite
 * drops the rest, and a database that has lost its content, which SQLite takes for a new one, so
 * that it deletes the log beside it.
 */
#pragma once

#include "base/attr.h"
#include "journal/wal.h"

struct survey {
	struct wal_report wal;
	char finding[200]; /* describes the damage; empty: none was found */
	char note[200];    /* describes an incomplete transaction, which is no damage; or empty */
	bool is_lost;      /* the database has lost its content, or is missing */
};

/** Reads the files; changes nothing. @param ret_survey  the caller ends it with survey_fini()
 * @return 0, -ENOMEM, or an error of the disk */
int survey_files(int dir_fd, struct survey *ret_survey) MUST_USE;
/** Takes an all-zero survey too. */
void survey_fini(struct survey *survey);
