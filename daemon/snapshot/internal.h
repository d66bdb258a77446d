/* SPDX-License-Identifier: MIT */
/**
 * The memory layout of snapshots, for this folder only: a table of BUCKET_COUNT buckets by hash of
 * the service's name, each a frozen, sorted array. Publishing copies the table and the buckets that
 * changed, so its cost depends on the change and not on the size of the registry.
 */
#pragma once

#include "base/rcu.h"
#include "snapshot/snapshot.h"

#define BUCKET_BITS  10
#define BUCKET_COUNT (1u << BUCKET_BITS)

/** The services whose hash has the bucket's number in its top bits, sorted by hash and name. */
struct bucket {
	uint32_t count;
	const struct service *services[];
};

/** The cache of the directory: snapshots share it until a service comes or goes. */
struct names {
	_Atomic(struct directory *) directory; /* built by the first listing; owned */
};

/** An object that publishing a draft replaces: freed once no reader can see it. */
struct garbage {
	void *object;
	void (*free)(void *object);
};

/** All entries: buckets by hash of the service, each sorted by entry_compare(). */
#define ENTRY_BUCKETS 256
struct entry_bucket {
	uint32_t count;
	uint32_t size;
	const struct entry *items[];
};
struct entries {
	uint64_t revision;                                 /* of the latest event about any entry */
	const struct entry_bucket *buckets[ENTRY_BUCKETS]; /* NULL: empty */
};

struct snapshot {
	struct retired retired;
	uint64_t revision;
	struct snapshot_counts counts;
	struct names *names;
	const struct entries *entries;              /* shared until an entry changes */
	const struct bucket *buckets[BUCKET_COUNT]; /* NULL: empty */

	/* set when a newer snapshot is published */
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

/** As snapshot_service(). @param hash  hash_str() of @p name */
const struct service *snapshot_find(const struct snapshot *snapshot, uint64_t hash,
                                    struct str name);
/** The index of the first service in @p bucket that is not before (@p hash, @p name). */
uint32_t bucket_position(const struct bucket *bucket, uint64_t hash, struct str name);

/** @return an empty table; NULL: out of memory */
struct entries *entries_new(uint64_t revision) MUST_USE;
/** Frees the table with its buckets and entries. Takes NULL. */
void entries_free(struct entries *entries);

/** The arguments of service_freeze(). */
struct service_build {
	struct service_life *life;
	uint64_t hash;
	const struct member **members; /* NULL (a hole): skipped */
	const uint32_t *id_hashes;     /* of each member's id */
	uint32_t count;                /* of both arrays, holes included */
};

/** Makes a version of a service, with its arrays in one allocation. @return owned by the caller,
 * service_free() frees it; NULL: out of memory */
struct service *service_freeze(const struct service_build *build) MUST_USE;
/** Frees the service and its caches, but neither its members nor its life. */
void service_free(void *object);
/** Frees a struct names. */
void names_free(void *object);

/** Makes a member with copies of the strings and with its rendered JSON. @p lease and @p
 * service_name are borrowed. @return a member with one reference, which member_retire() drops;
 * NULL: out of memory */
struct member *member_new(const struct instance *instance, struct str service_name,
                          struct lease *lease) MUST_USE;
/** Drops the reference of the snapshots, when no later visit can find the member. */
void member_retire(void *object);
