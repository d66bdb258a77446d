/* SPDX-License-Identifier: MIT */
/**
 * Reads SQLite's write-ahead log without SQLite, to distinguish damage from the torn tail that a
 * power cut leaves.
 *
 * SQLite stops reading at the first frame whose checksum is wrong and drops the rest without an
 * error. After a power cut that frame is in the last transaction, which was not acknowledged. When
 * a frame goes bad later, SQLite drops acknowledged transactions. Each commit is synced before the
 * next transaction is written, so any of these proves damage:
 *   - a sound frame that follows a commit frame behind the bad one;
 *   - the -shm file, which counts a transaction only once it is synced;
 *   - a sound frame that follows a wrong header, as the header is synced first;
 *   - a frame of which nothing but the salt or the checksum is wrong.
 *
 * Functions without state; each blocks on the disk.
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wal_report {
	uint32_t page_size;  /* 0: no frame can be read */
	uint64_t frames;     /* number written since the log last started over, if known */
	uint64_t valid;      /* number up to the last commit that SQLite finds */
	uint64_t bad;        /* if is_damaged: first bad frame, from 1 on; 0: the header */
	uint64_t bad_frames; /* number of bad ones up to the last acknowledged commit */
	uint64_t dropped;    /* number of completed transactions that SQLite would drop */
	uint64_t apply;      /* number up to the last commit that wal_apply() uses */
	bool is_damaged;
	bool is_torn;         /* the last transaction is incomplete */
	bool has_torn_commit; /* ... but its commit frame is there: it may have been acknowledged */
	unsigned char *ok;    /* a bit per frame: its content is right; owned */
};

/**
 * Reads all of the log; changes nothing.
 * @param wal_fd,shm_fd  below 0: there is no such file
 * @param ret_report  the caller ends it with wal_report_fini()
 * @return 0, -ENOMEM, -EIO or another error of the disk
 */
int wal_examine(int wal_fd, int shm_fd, struct wal_report *ret_report) MUST_USE;
/** Takes an all-zero report too. */
void wal_report_fini(struct wal_report *report);
/** Writes the pages of all sound frames up to report->apply into the database @p out_fd.
 * @return 0, -ENOMEM, -ENOSPC, or another error of the disk */
int wal_apply(int wal_fd, const struct wal_report *report, int out_fd) MUST_USE;
