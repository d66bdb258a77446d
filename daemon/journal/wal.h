/* SPDX-License-Identifier: MIT */
/**
 * SQLite's write-ahead log, read without SQLite: is what SQLite will not read a torn tail, or
 * damage?
 *
 * SQLite ends at the first frame whose checksum is wrong and drops the rest without an error. A
 * power cut leaves such a frame in the last transaction, which was not acknowledged. A frame that
 * goes bad later drops transactions that were. As each commit is synced before the next transaction
 * is written, these prove damage: a frame that follows a commit frame behind the bad one; the -shm
 * file, which counts a transaction only once it is synced; a frame that follows a wrong header, as
 * the header is synced first; and a frame of which nothing but its salt or its checksum is wrong.
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wal_report {
	uint32_t page_size; /* 0: there is no frame that can be read */
	uint64_t frames;    /* written since the log last began, as far as that can be seen */
	uint64_t valid;     /* up to the last commit that SQLite finds */
	uint64_t bad; /* the first frame that is wrong, from 1 on; 0 the header; with is_damaged */
	uint64_t bad_frames; /* wrong ones up to the last acknowledged commit */
	uint64_t dropped;    /* transactions that were completed and that SQLite would drop */
	uint64_t apply;      /* frames up to the last commit that wal_apply() takes */
	bool is_damaged;
	bool is_torn;         /* ends in a transaction that is not complete */
	bool has_torn_commit; /* ... but has its commit frame: it may have been acknowledged */
	unsigned char *ok;    /* a bit a frame: its content is right */
};

/**
 * Reads all of the log; changes nothing.
 * @param wal_fd,shm_fd  below 0: there is no such file
 * @return 0, -EIO, -ENOMEM, ...
 */
int wal_examine(int wal_fd, int shm_fd, struct wal_report *ret_report) MUST_USE;
/** Takes one that wal_examine() did not fill, if it is all zero. */
void wal_report_fini(struct wal_report *report);
/** Writes the pages of all sound frames up to report->apply to where they belong in @p out_fd. */
int wal_apply(int wal_fd, const struct wal_report *report, int out_fd) MUST_USE;
