/* SPDX-License-Identifier: MIT */
/** A draft from its first event to its publishing. Only draft.c and draft_publish.c look into it. */
#pragma once

#include "base/attr.h"
#include "snapshot/draft_service.h"
#include "snapshot/entries.h"

/** An event that the draft has applied; publishing copies its revision and incarnation. */
struct fixup {
	const struct event *event; /* NULL: it was committed before, and has `revision` */
	uint64_t revision;
	struct member *member; /* NULL: the event removes it */
	struct draft_service *service;
	unsigned statuses; /* bit per status whose set changed */
};

struct snapshot_draft {
	struct snapshot_store *store;
	const struct snapshot *latest;
	struct snapshot *next; /* set by finish */
	struct snapshot_counts counts;

	struct draft_service **services; /* owned */
	size_t service_count;
	size_t service_size;
	uint32_t *table; /* hash table: 1 + an index of services; 0: free */
	size_t table_size;
	uint32_t bucket_growth[BUCKET_COUNT]; /* number of services that may be new, by bucket */

	struct entries_draft *entries; /* NULL: no entry has changed */
	struct fixup *fixups;
	size_t fixup_count;
	size_t fixup_size;
	struct garbage *garbage;
	size_t garbage_count;
	size_t garbage_size;
};

/** Makes room for one more element of @p element bytes in the array that @p array points to.
 * @return 0 or -ENOMEM */
int draft_grow(void *array, size_t *size, size_t count, size_t element) MUST_USE;
/** Publishing retires @p object, which @p fn frees once no visit can read it.
 * @return 0 or -ENOMEM */
int draft_retire(struct snapshot_draft *draft, const void *object, void (*fn)(void *)) MUST_USE;
