/* SPDX-License-Identifier: MIT */
/** What a closed journal holds now, read without changing it: for a copy in another form. */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"

struct journal_export;

/** What an export begins with. */
struct journal_summary {
	uint64_t history;
	uint64_t revision; /* the latest that was given */
	uint64_t instances;
	uint64_t entries;
};

/**
 * Locks the state directory against a daemon, and verifies the journal in it.
 * @return 0; -ENODATA: nothing has been written to it; -EBADMSG: it is damaged; -EPROTO: another
 * version must migrate it first; -EBUSY: another process has it; otherwise as journal_open(). Each
 * with a text.
 */
int journal_export_open(const char *dir, struct journal_export **ret_export,
                        struct journal_summary *ret_summary,
                        struct journal_error *ret_error) MUST_USE;
/**
 * Calls @p instance with every instance, then @p entry with every entry, in ascending order of
 * incarnation. The value is borrowed until the call returns; a result below 0 ends the visit and is
 * returned.
 * @return 0, -EBADMSG, errors of the disk, or what a call returned
 */
int journal_export_each(struct journal_export *export,
                        int (*instance)(void *arg, const struct instance *instance),
                        int (*entry)(void *arg, const struct entry *entry), void *arg) MUST_USE;
/** Takes NULL. */
void journal_export_close(struct journal_export *export);

/** CRC-32 of @p text, going on from @p crc; 0 at first. */
uint32_t journal_crc(uint32_t crc, struct str text);
