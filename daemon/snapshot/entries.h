/* SPDX-License-Identifier: MIT */
/** The entries of a draft: copies of the buckets that change. Writer only. */
#pragma once

#include "snapshot/internal.h"

struct entry_fixup {
	const struct event *event; /* NULL: it was committed before, as `revision` */
	uint64_t revision;
	struct entry *entry; /* made by the draft; NULL when the event removes it */
};

struct entries_draft {
	struct entry_bucket *own[ENTRY_BUCKETS]; /* NULL: as published */
	struct entry_fixup *fixups;
	size_t fixup_count;
	size_t fixup_size;
	const struct entry **replaced; /* published or of the draft, no longer in a bucket */
	size_t replaced_count;
	size_t replaced_size;
};

/** The entry in the draft, or as published. */
const struct entry *entries_draft_find(const struct entries_draft *draft,
                                       const struct entries *latest, const struct entry *key);
/** @param ret_before  what it replaces or removes; NULL: nothing
 * @return the entry after the event, or the one that it removed; NULL: out of memory, nothing has
 * changed */
const struct entry *entries_draft_apply(struct entries_draft *draft, const struct entries *latest,
                                        const struct event *event,
                                        const struct entry **ret_before) MUST_USE;
/** @return the table of the next snapshot, NULL: out of memory */
struct entries *entries_draft_next(const struct entries_draft *draft,
                                   const struct entries *latest) MUST_USE;
/** Writes the numbers of the events into the entries and the table. @return the greatest revision
 */
uint64_t entries_draft_settle(struct entries_draft *draft, struct entries *next);
/** After publishing: frees the draft, and not what it made. Takes NULL. */
void entries_draft_free(struct entries_draft *draft);
/** Frees the draft and what it made. Takes NULL. */
void entries_draft_discard(struct entries_draft *draft);
