/* SPDX-License-Identifier: MIT */
/**
 * Salvage of a damaged database: renames it, and puts in its place a new one with the instances and
 * entries that sound rows, sound events or the newest usable keyframe still hold. Runs in
 * journal_open(), on its thread, with the directory locked.
 */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"
#include "journal/survey.h"

#include <stdint.h>

struct salvage_result {
	char kept_as[64];     /* new name of the damaged file; empty: there was none */
	uint64_t instances;   /* number of them in the new file */
	uint64_t events_lost; /* number of events that could not be read, as far as is known */
	uint64_t keyframe;    /* revision of the keyframe that was used; 0: none */
	uint64_t revision;    /* the next event gets a greater one */
};

/** Verifies all of the database (verify.h). @return 0: it is sound, or missing; -EBADMSG: it is
 * damaged; or another error, as journal_open() */
int salvage_examine(int dir_fd, const char *path, struct journal_error *ret_error) MUST_USE;
/**
 * Builds the new database, renames the old one and renames the new one into its place. No
 * connection may have the database open. A crash at any moment leaves either the damaged database,
 * and the next start salvages again, or a complete new one for salvage_finish().
 * @param survey  of the files as they are
 * @return 0; -ENOSPC, -EIO, -ENOMEM or another error, with the damaged database left in its place
 */
int salvage_run(int dir_fd, const char *path, const struct survey *survey,
                struct salvage_result *ret_result, struct journal_error *ret_error) MUST_USE;
/** Completes the renames that a crash interrupted, or removes a new database that was not complete.
 * @return 0, or an error of the file system */
int salvage_finish(int dir_fd, struct journal_error *ret_error) MUST_USE;
