/* SPDX-License-Identifier: MIT */
/**
 * The entries of snapshots and of drafts. Any thread reads a snapshot's; only the writer uses a
 * draft's.
 *
 * Invariant: a published table, its buckets and its entries never change, but are freed by RCU once
 * they are replaced. A change copies the table and one bucket.
 *
 * Entries could hang on struct service. But an entry outlives the instances of its service, so
 * services without instances would have to stay, and there are few entries beside the instances: a
 * table of their own is shared by all snapshots until an entry changes.
 */
#include "snapshot/entries.h"

#include "base/check.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

/* Bytes of an entry's places in buckets, and malloc()'s overhead. */
#define ENTRY_COST 128

static uint32_t bucket_of_service(struct str service)
{
	return (uint32_t)(hash_str(service) % ENTRY_BUCKETS);
}

/** The index of the first entry that is not before @p key. @p bucket may be NULL. */
static uint32_t entries_position(const struct entry_bucket *bucket, const struct entry *key)
{
	uint32_t low = 0;
	uint32_t high = bucket != NULL ? bucket->count : 0;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (entry_compare(bucket->items[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct entry *entries_find(const struct entry_bucket *bucket, const struct entry *key)
{
	uint32_t at = entries_position(bucket, key);

	return bucket != NULL && at < bucket->count && entry_compare(bucket->items[at], key) == 0
	               ? bucket->items[at]
	               : NULL;
}

/* --- the table ------------------------------------------------------------------- */

struct entries *entries_new(uint64_t revision)
{
	struct entries *entries = calloc(1, sizeof(*entries));

	if (entries != NULL)
		entries->revision = revision;
	return entries;
}

void entries_free(struct entries *entries)
{
	for (size_t b = 0; entries != NULL && b < ENTRY_BUCKETS; b++) {
		const struct entry_bucket *bucket = entries->buckets[b];

		for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++)
			free((void *)(uintptr_t)bucket->items[i]);
		free((void *)(uintptr_t)bucket);
	}
	free(entries);
}

const struct entry *snapshot_entry(const struct snapshot *snapshot, enum entry_kind kind,
                                   struct str service, struct str name)
{
	struct entry key = {.kind = kind, .service = service, .name = name};

	return entries_find(snapshot->entries->buckets[bucket_of_service(service)], &key);
}

const struct entry *snapshot_entry_next(const struct snapshot *snapshot, struct str service,
                                        size_t *pos)
{
	const struct entry_bucket *bucket = snapshot->entries->buckets[bucket_of_service(service)];
	struct entry first = {.service = service}; /* kind 0: before all entries of the service */
	size_t at = entries_position(bucket, &first) + *pos;

	if (bucket == NULL || at >= bucket->count ||
	    !str_equal(bucket->items[at]->service, service))
		return NULL;
	(*pos)++;
	return bucket->items[at];
}

const struct entry *snapshot_entries_next(const struct snapshot *snapshot, uint64_t *pos)
{
	uint32_t at = (uint32_t)*pos;

	for (uint64_t b = *pos >> 32; b < ENTRY_BUCKETS; b++, at = 0) {
		const struct entry_bucket *bucket = snapshot->entries->buckets[b];

		if (bucket == NULL || at >= bucket->count)
			continue;
		*pos = b << 32 | (at + 1);
		return bucket->items[at];
	}
	return NULL;
}

uint64_t snapshot_entries_revision(const struct snapshot *snapshot)
{
	return snapshot->entries->revision;
}

uint64_t entry_cost(const struct entry *entry)
{
	return ENTRY_COST + sizeof(*entry) + entry->service.len + entry->name.len +
	       entry->document.len + entry->author.len;
}

/* --- the draft ------------------------------------------------------------------- */

static struct str copy_str(char **at, struct str text)
{
	struct str copied = {*at, text.len};

	if (text.len > 0)
		memcpy(*at, text.data, text.len);
	*at += text.len;
	return copied;
}

/** Makes an entry with copies of the strings in the same allocation. */
static struct entry *entry_new(const struct event *event)
{
	const struct entry *from = &event->entry;
	bool is_new = event->revision == 0; /* else the event was committed before */
	struct str author = is_new ? event->author : from->author;
	struct entry *entry = malloc(sizeof(*entry) + from->service.len + from->name.len +
	                             from->document.len + author.len);
	char *at = (char *)(entry + 1);

	if (entry == NULL)
		return NULL;
	*entry = *from;
	entry->service = copy_str(&at, from->service);
	entry->name = copy_str(&at, from->name);
	entry->document = copy_str(&at, from->document);
	entry->author = copy_str(&at, author);
	entry->time_ms = is_new ? event->time_ms : from->time_ms;
	return entry;
}

/** @return the draft's own copy of a bucket, with room for one more entry; NULL: out of memory */
static struct entry_bucket *entries_own_bucket(struct entries_draft *draft,
                                               const struct entries *latest, uint32_t number)
{
	struct entry_bucket *own = draft->own[number];
	const struct entry_bucket *from = own != NULL ? own : latest->buckets[number];
	uint32_t count = from != NULL ? from->count : 0;
	uint32_t size = count + count / 8 + 4;

	if (own != NULL && own->count < own->size)
		return own;

	struct entry_bucket *bucket =
		realloc(own, sizeof(*bucket) + size * sizeof(bucket->items[0]));
	if (bucket == NULL)
		return NULL;
	if (own == NULL) {
		bucket->count = count;
		if (count > 0)
			memcpy(bucket->items, from->items, count * sizeof(bucket->items[0]));
	}
	bucket->size = size;
	draft->own[number] = bucket;
	return bucket;
}

/* Makes room for one more fixup and one more replaced entry. */
static int entries_make_room(struct entries_draft *draft)
{
	if (draft->fixup_count == draft->fixup_size) {
		size_t size = draft->fixup_size * 2 + 8;
		struct entry_fixup *fixups =
			reallocarray(draft->fixups, size, sizeof(*draft->fixups));

		if (fixups == NULL)
			return -ENOMEM;
		draft->fixups = fixups;
		draft->fixup_size = size;
	}
	if (draft->replaced_count == draft->replaced_size) {
		size_t size = draft->replaced_size * 2 + 8;
		const struct entry **replaced =
			reallocarray(draft->replaced, size, sizeof(const struct entry *));

		if (replaced == NULL)
			return -ENOMEM;
		draft->replaced = replaced;
		draft->replaced_size = size;
	}
	return 0;
}

const struct entry *entries_draft_find(const struct entries_draft *draft,
                                       const struct entries *latest, const struct entry *key)
{
	uint32_t number = bucket_of_service(key->service);
	bool is_own = draft != NULL && draft->own[number] != NULL;

	return entries_find(is_own ? draft->own[number] : latest->buckets[number], key);
}

const struct entry *entries_draft_apply(struct entries_draft *draft, const struct entries *latest,
                                        const struct event *event, const struct entry **ret_before)
{
	struct entry_bucket *bucket =
		entries_own_bucket(draft, latest, bucket_of_service(event->entry.service));
	bool removes = event_removes(event->kind);

	if (bucket == NULL || entries_make_room(draft) < 0)
		return NULL;
	struct entry *after = removes ? NULL : entry_new(event);
	if (after == NULL && !removes)
		return NULL;
	const struct entry *before = entries_find(bucket, &event->entry);
	CHECK(before != NULL || !removes);
	const struct entry **at = &bucket->items[entries_position(bucket, &event->entry)];
	size_t behind = (size_t)(&bucket->items[bucket->count] - at) * sizeof(*at);

	if (before != NULL)
		draft->replaced[draft->replaced_count++] = before;
	if (removes) {
		memmove(at, at + 1, behind - sizeof(*at));
		bucket->count--;
	} else {
		if (before == NULL) {
			memmove(at + 1, at, behind);
			bucket->count++;
		}
		*at = after;
	}
	draft->fixups[draft->fixup_count++] = (struct entry_fixup){
		.event = event->revision == 0 ? event : NULL,
		.revision = event->revision,
		.entry = after,
	};
	*ret_before = before;
	return removes ? before : after;
}

struct entries *entries_draft_next(const struct entries_draft *draft, const struct entries *latest)
{
	struct entries *next = malloc(sizeof(*next));

	if (next == NULL)
		return NULL;
	*next = *latest;
	for (size_t b = 0; b < ENTRY_BUCKETS; b++)
		if (draft->own[b] != NULL)
			next->buckets[b] = draft->own[b];
	return next;
}

uint64_t entries_draft_settle(struct entries_draft *draft, struct entries *next)
{
	for (size_t i = 0; i < draft->fixup_count; i++) {
		const struct entry_fixup *fixup = &draft->fixups[i];
		uint64_t revision = fixup->event != NULL ? fixup->event->revision : fixup->revision;

		if (fixup->entry != NULL && fixup->event != NULL) {
			fixup->entry->revision = fixup->event->entry.revision;
			fixup->entry->incarnation = fixup->event->entry.incarnation;
		}
		if (next->revision < revision)
			next->revision = revision;
	}
	return next->revision;
}

void entries_draft_free(struct entries_draft *draft)
{
	if (draft == NULL)
		return;
	free(draft->fixups);
	free(draft->replaced);
	free(draft);
}

void entries_draft_discard(struct entries_draft *draft)
{
	if (draft == NULL)
		return;
	for (size_t i = 0; i < draft->fixup_count; i++)
		free(draft->fixups[i].entry);
	for (size_t b = 0; b < ENTRY_BUCKETS; b++)
		free(draft->own[b]);
	entries_draft_free(draft);
}
