/* SPDX-License-Identifier: MIT */
/**
 * Keyframes: all instances and entries at one revision, each a file of its own beside the database.
 * A state of the past is the newest keyframe before it and the events in between. They are caches:
 * nothing but the past needs them, and one that is missing or damaged only makes an older one be
 * used.
 *
 * A file is a header, an index of the services, and the packed instances and entries of each.
 * Header, index and each service have a CRC-32, so one service is read and proved without the
 * others. The header also names the event of its revision by that row's checksum: after a backup
 * was put back, the keyframes of the history that it undid belong to no event.
 */
#pragma once

#include "base/attr.h"
#include "model/entry.h"
#include "model/instance.h"

#include <stddef.h>
#include <stdint.h>

/** The revision with 16 digits follows, so that names sort as revisions do. */
#define KEYFRAME_PREFIX "rollcall.keyframe-"
#define KEYFRAMES_MAX   1024
/** The instances of one take no more. */
#define KEYFRAME_BYTES_MAX ((size_t)1 << 32)

/** Which event a keyframe follows. */
struct keyframe_mark {
	uint64_t revision;
	int64_t time_ms;
	uint32_t checksum;
};

/** One while it is made: what belongs to one service is added together. */
struct keyframe_draft {
	struct buf rows;
	struct buf index;
	struct str service; /* borrowed from the last that was added; data NULL: none */
	size_t begun;       /* where its rows begin, ... */
	size_t entry;       /* ... and its entry in the index */
	uint32_t services;
};

void keyframe_init(struct keyframe_draft *draft);
void keyframe_fini(struct keyframe_draft *draft);
/** Errors stick until keyframe_write(). The service's name must live until keyframe_end(). */
void keyframe_add(struct keyframe_draft *draft, const struct instance *instance);
void keyframe_add_entry(struct keyframe_draft *draft, const struct entry *entry);
/** All have been added: names that were given need not live any longer. */
void keyframe_end(struct keyframe_draft *draft);
/** Writes it durably under its name: whole or not at all. @return 0, -ENOSPC, -EIO, -ENOMEM */
int keyframe_write(struct keyframe_draft *draft, int dir_fd,
                   const struct keyframe_mark *mark) MUST_USE;

/** The revisions of the keyframes in the directory, ascending; their content is not looked at.
 * Only the newest KEYFRAMES_MAX. */
int keyframe_list(int dir_fd, uint64_t ret[KEYFRAMES_MAX], size_t *ret_count) MUST_USE;
int keyframe_remove(int dir_fd, uint64_t revision);
/** Removes what a crash left unfinished. */
void keyframe_remove_partial(int dir_fd);

/** Reads which event it follows. @return 0; -EBADMSG: damaged; -ENOENT; errors of the disk */
int keyframe_mark(int dir_fd, uint64_t revision, struct keyframe_mark *ret_mark) MUST_USE;
/** Appends the packed instances and entries of @p service, or of all when it is empty, to @p rows.
 * On failure what was appended is worth nothing. @return as keyframe_mark(), or -ENOMEM */
int keyframe_read(int dir_fd, uint64_t revision, struct str service, struct buf *rows) MUST_USE;
/** Reads and proves all of it. */
int keyframe_check(int dir_fd, uint64_t revision, struct keyframe_mark *ret_mark) MUST_USE;
