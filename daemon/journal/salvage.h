/* SPDX-License-Identifier: MIT */
/**
 * What to do about a damaged file: keep it under another name, and put in its place a new one with
 * the instances whose rows, or whose events, are sound, or which the newest keyframe still has.
 */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"
#include "journal/survey.h"

#include <stdint.h>

struct salvage_result {
	char kept_as[64]; /* new name of the damaged file; empty: there was none */
	uint64_t instances;
	uint64_t events_lost; /* events that could not be read, as far as is known */
	uint64_t keyframe;    /* the keyframe that instances came from; 0: none */
	uint64_t revision;    /* where revisions go on from */
};

/** Reads all of the file. @return 0: it is sound; -EBADMSG: it is not; or an error of the disk */
int salvage_examine(int dir_fd, const char *path, struct journal_error *ret_error) MUST_USE;
/**
 * Builds the new file, keeps the old one, and has the new one take its place. Nobody has it open.
 * A crash at any moment leaves either the damaged file, to begin again, or a complete new one for
 * salvage_finish().
 * @return 0, -ENOSPC, -EIO, -ENOMEM, ...: then the damaged file is where it was
 */
int salvage_run(int dir_fd, const char *path, const struct survey *survey,
                struct salvage_result *ret_result, struct journal_error *ret_error) MUST_USE;
/** Completes what a crash cut short. */
int salvage_finish(int dir_fd, struct journal_error *ret_error) MUST_USE;
