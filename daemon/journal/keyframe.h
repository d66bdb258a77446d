/* SPDX-License-Identifier: MIT */
/**
 * Keyframes: files beside the database, each with all instances and entries at one revision. A past
 * state is the newest keyframe before it and the events in between. Keyframes are caches: without
 * one, or with a damaged one, an older keyframe is used.
 *
 * A file is a header, an index of the services, and the packed instances and entries (pack.h) of
 * each service. Header, index and each service have a CRC-32, so one service can be read and
 * verified without the others. The header also holds the checksum of the event of its revision: a
 * keyframe of a history that a restored backup has undone follows no event of the log.
 *
 * Threads: a draft belongs to one thread. Functions that take a directory block on the disk.
 */
#pragma once

#include "base/attr.h"
#include "model/entry.h"
#include "model/instance.h"

#include <stddef.h>
#include <stdint.h>

/** A file's name is this and the revision in 16 digits, so names sort as revisions do. */
#define KEYFRAME_PREFIX "rollcall.keyframe-"
#define KEYFRAMES_MAX   1024
/** Bytes of the index, and of the packed instances and entries, at most. */
#define KEYFRAME_BYTES_MAX ((size_t)1 << 32)

/** The event that a keyframe follows. */
struct keyframe_mark {
	uint64_t revision;
	int64_t time_ms;   /* since 1970 */
	uint32_t checksum; /* of its row */
};

/** A keyframe in memory. The instances and entries of one service are added one after the other. */
struct keyframe_draft {
	struct buf rows;
	struct buf index;
	struct str service; /* of the latest instance or entry, borrowed; data NULL: none */
	size_t begun;       /* offset of the service's first row in rows */
	size_t entry;       /* offset of the service's entry in index */
	uint32_t services;  /* in the index */
};

void keyframe_init(struct keyframe_draft *draft);
void keyframe_fini(struct keyframe_draft *draft);
/** Adds an instance. Running out of memory is reported by keyframe_write(). The service's name is
 * borrowed until keyframe_end(). */
void keyframe_add(struct keyframe_draft *draft, const struct instance *instance);
/** As keyframe_add(). */
void keyframe_add_entry(struct keyframe_draft *draft, const struct entry *entry);
/** Completes the draft: nothing may be added, and no name is borrowed any longer. */
void keyframe_end(struct keyframe_draft *draft);
/** Writes and syncs the draft, under the name of @p mark's revision: all of it or nothing.
 * @return 0; -ENOMEM, also of an earlier keyframe_add(); -ENOSPC: disk or quota full; -EIO or
 * another error of the file system */
int keyframe_write(struct keyframe_draft *draft, int dir_fd,
                   const struct keyframe_mark *mark) MUST_USE;

/** Lists the revisions of the newest KEYFRAMES_MAX keyframes by their names, ascending, without
 * reading the files. @return 0, or an error of the file system */
int keyframe_list(int dir_fd, uint64_t ret[KEYFRAMES_MAX], size_t *ret_count) MUST_USE;
/** Deletes a keyframe. @return 0, or an error of unlink() */
int keyframe_remove(int dir_fd, uint64_t revision);
/** Deletes the incomplete file of a keyframe_write() that a crash interrupted. */
void keyframe_remove_partial(int dir_fd);

/** Reads the event that the keyframe follows. @return 0; -EBADMSG: damaged; -ENOENT: there is no
 * such keyframe; or an error of the disk */
int keyframe_mark(int dir_fd, uint64_t revision, struct keyframe_mark *ret_mark) MUST_USE;
/** Appends the packed instances and entries of @p service, or of all if it is empty, to @p rows.
 * After an error the caller ignores what was appended. @return as keyframe_mark(), or -ENOMEM */
int keyframe_read(int dir_fd, uint64_t revision, struct str service, struct buf *rows) MUST_USE;
/** Reads and verifies all of the keyframe. @return as keyframe_read() */
int keyframe_check(int dir_fd, uint64_t revision, struct keyframe_mark *ret_mark) MUST_USE;
