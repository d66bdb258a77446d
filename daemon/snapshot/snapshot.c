/* SPDX-License-Identifier: MIT */
/**
 * The store of snapshots, and reading one. Any thread that is registered with RCU reads; one
 * thread, the writer of this store, creates, publishes (draft.c) and frees.
 *
 * Invariant: whatever snapshot_enter() returns stays whole until snapshot_leave(). A lock around
 * the latest snapshot would make every lookup wait for the writer; a reference count on it would
 * make all threads write to one cache line. RCU needs neither, but a reader must not block.
 */
#include "snapshot/snapshot.h"

#include "base/hash.h"
#include "snapshot/internal.h"

#include <stdlib.h>

struct snapshot_store *snapshot_store_new(uint64_t revision)
{
	struct snapshot_store *store = calloc(1, sizeof(*store));
	struct snapshot *empty = calloc(1, sizeof(*empty));

	if (empty != NULL) {
		empty->names = calloc(1, sizeof(*empty->names));
		empty->entries = entries_new(revision);
	}
	if (store == NULL || empty == NULL || empty->names == NULL || empty->entries == NULL) {
		if (empty != NULL) {
			free(empty->names);
			free((void *)(uintptr_t)empty->entries);
		}
		free(empty);
		free(store);
		return NULL;
	}
	empty->revision = revision;
	atomic_init(&store->latest, empty);
	return store;
}

static void free_services(struct snapshot *snapshot)
{
	for (size_t b = 0; b < BUCKET_COUNT; b++) {
		const struct bucket *bucket = snapshot->buckets[b];

		for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
			struct service *service = (struct service *)(uintptr_t)bucket->services[i];

			for (uint32_t m = 0; m < service->count; m++)
				member_retire((void *)(uintptr_t)service->members[m]);
			free(service->life);
			service_free(service);
		}
		free((void *)(uintptr_t)bucket);
	}
}

void snapshot_store_free(struct snapshot_store *store)
{
	if (store == NULL)
		return;
	rcu_drain();
	snapshot_store_drop(store);
}

void snapshot_store_drop(struct snapshot_store *store)
{
	if (store == NULL)
		return;

	struct snapshot *last = atomic_load_explicit(&store->latest, memory_order_acquire);
	free_services(last);
	names_free(last->names);
	entries_free((struct entries *)(uintptr_t)last->entries);
	free(last);
	free(store);
}

const struct snapshot *snapshot_enter(const struct snapshot_store *store)
{
	rcu_enter();
	return atomic_load(&store->latest);
}

void snapshot_leave(const struct snapshot_store *store)
{
	(void)store;
	rcu_leave();
}

uint64_t snapshot_revision(const struct snapshot *snapshot)
{
	return snapshot->revision;
}

struct snapshot_counts snapshot_counts(const struct snapshot *snapshot)
{
	return snapshot->counts;
}

uint32_t bucket_position(const struct bucket *bucket, uint64_t hash, struct str name)
{
	uint32_t low = 0;
	uint32_t high = bucket->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct service *service = bucket->services[middle];
		bool before = service->hash != hash ? service->hash < hash
		                                    : str_compare(service->name, name) < 0;

		if (before)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct service *snapshot_find(const struct snapshot *snapshot, uint64_t hash, struct str name)
{
	const struct bucket *bucket = snapshot->buckets[bucket_of(hash)];

	if (bucket == NULL)
		return NULL;

	uint32_t at = bucket_position(bucket, hash, name);
	if (at < bucket->count && bucket->services[at]->hash == hash &&
	    str_equal(bucket->services[at]->name, name))
		return bucket->services[at];
	return NULL;
}

const struct service *snapshot_service(const struct snapshot *snapshot, struct str name)
{
	return snapshot_find(snapshot, hash_str(name), name);
}

static int directory_by_name(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static struct directory *build_directory(const struct snapshot *snapshot)
{
	size_t count = snapshot->counts.services;
	struct directory *directory = malloc(sizeof(*directory) + count * sizeof(struct str));

	if (directory == NULL)
		return NULL;
	directory->count = 0;
	for (size_t b = 0; b < BUCKET_COUNT; b++) {
		const struct bucket *bucket = snapshot->buckets[b];

		for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++)
			directory->names[directory->count++] = bucket->services[i]->name;
	}
	qsort(directory->names, directory->count, sizeof(struct str), directory_by_name);
	return directory;
}

const struct directory *snapshot_directory(const struct snapshot *snapshot)
{
	_Atomic(struct directory *) *cache = &snapshot->names->directory;
	struct directory *directory = atomic_load_explicit(cache, memory_order_acquire);

	if (directory != NULL)
		return directory;

	struct directory *mine = build_directory(snapshot);
	if (mine == NULL)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(cache, &directory, mine, memory_order_acq_rel,
	                                            memory_order_acquire))
		return mine;
	free(mine);
	return directory;
}

size_t directory_find(const struct directory *directory, struct str name, bool after)
{
	size_t low = 0;
	size_t high = directory->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_compare(directory->names[middle], name);

		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void names_free(void *object)
{
	struct names *names = object;

	free(atomic_load_explicit(&names->directory, memory_order_acquire));
	free(names);
}
