/* SPDX-License-Identifier: MIT */
/**
 * How a snapshot is stored: a fixed table of buckets by hash of the service's name, each a frozen,
 * sorted array. A publish copies the table and the buckets that changed: what it costs follows the
 * change, not the registry.
 */
#pragma once

#include "base/rcu.h"
#include "snapshot/snapshot.h"

#define BUCKET_BITS  10
#define BUCKET_COUNT (1u << BUCKET_BITS)

/** Services whose hash has this bucket's number in its top bits; by hash, then name. */
struct bucket {
	uint32_t count;
	const struct service *services[];
};

/** The set of names, shared by snapshots until a service comes or goes. */
struct names {
	_Atomic(struct directory *) directory; /* built by the first listing */
};

/** What one publish replaced: freed when no reader can see it any more. */
struct garbage {
	void *object;
	void (*free)(void *object);
};

/** All entries: by hash of the service, each bucket sorted. */
#define ENTRY_BUCKETS 256
struct entry_bucket {
	uint32_t count;
	uint32_t size;
	const struct entry *items[];
};
struct entries {
	uint64_t revision;
	const struct entry_bucket *buckets[ENTRY_BUCKETS]; /* NULL: empty */
};

struct snapshot {
	struct retired retired;
	uint64_t revision;
	struct snapshot_counts counts;
	struct names *names;
	const struct entries *entries;              /* shared until one of them changes */
	const struct bucket *buckets[BUCKET_COUNT]; /* NULL: empty */

	/* set when it is replaced */
	struct garbage *garbage; /* owned */
	size_t garbage_count;
};

struct snapshot_store {
	_Atomic(struct snapshot *) latest;
};

static inline uint32_t bucket_of(uint64_t hash)
{
	return (uint32_t)(hash >> (64 - BUCKET_BITS));
}

const struct service *snapshot_find(const struct snapshot *snapshot, uint64_t hash,
                                    struct str name);
/** Index of the first service in @p bucket that is not before (hash, name). */
uint32_t bucket_position(const struct bucket *bucket, uint64_t hash, struct str name);

struct entries *entries_new(uint64_t revision) MUST_USE;
/** With all buckets and entries in them. Takes NULL. */
void entries_free(struct entries *entries);

/** What the freezing of a service needs. */
struct service_build {
	struct service_life *life;
	uint64_t hash;
	const struct member **members; /* holes (NULL) are left out */
	const uint32_t *id_hashes;
	uint32_t count; /* with holes */
};

/** One allocation holding the service and its arrays. @return NULL when out of memory */
struct service *service_freeze(const struct service_build *build) MUST_USE;
/** Frees the service and its caches, not its members or life. */
void service_free(void *object);
void names_free(void *object);

/** A member with its own copies of the strings and its rendered JSON. */
struct member *member_new(const struct instance *instance, struct str service_name,
                          struct lease *lease) MUST_USE;
/** Drops the reference of the snapshots: no later visit finds it. */
void member_retire(void *object);
