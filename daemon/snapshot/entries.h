/* SPDX-License-Identifier: MIT */
/** The entries of a draft: copies of the buckets that it changes. Writer only. */
#pragma once

#include "snapshot/internal.h"

/** An event that a draft has applied; publishing copies its revision and incarnation. */
struct entry_fixup {
	const struct event *event; /* NULL: it was committed before, and has `revision` */
	uint64_t revision;
	struct entry *entry; /* made by the draft; NULL: the event removes it */
};

struct entries_draft {
	struct entry_bucket *own[ENTRY_BUCKETS]; /* NULL: the published bucket stays */
	struct entry_fixup *fixups;
	size_t fixup_count;
	size_t fixup_size;
	const struct entry **replaced; /* published or made by the draft; in no bucket any more */
	size_t replaced_count;
	size_t replaced_size;
};

/** @param draft  NULL: no entry has changed. @return the entry as the draft has it; NULL: none */
const struct entry *entries_draft_find(const struct entries_draft *draft,
                                       const struct entries *latest, const struct entry *key);
/** Applies an event about an entry, as snapshot_draft_apply_entry().
 * @param ret_before  the entry that it replaces or removes; NULL: none
 * @return the entry after the event, or the one that it removed; NULL: out of memory, nothing has
 * changed */
const struct entry *entries_draft_apply(struct entries_draft *draft, const struct entries *latest,
                                        const struct event *event,
                                        const struct entry **ret_before) MUST_USE;
/** Makes the table of the next snapshot. @return owned by the caller; NULL: out of memory */
struct entries *entries_draft_next(const struct entries_draft *draft,
                                   const struct entries *latest) MUST_USE;
/** Copies the revisions and incarnations of the events into the entries and the table. @return the
 * greatest revision */
uint64_t entries_draft_settle(struct entries_draft *draft, struct entries *next);
/** After publishing: frees the draft, but not the entries and buckets that it made. Takes NULL. */
void entries_draft_free(struct entries_draft *draft);
/** Frees the draft with the entries and buckets that it made. Takes NULL. */
void entries_draft_discard(struct entries_draft *draft);
