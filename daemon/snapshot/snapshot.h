/* SPDX-License-Identifier: MIT */
/**
 * The read model: every service and instance at one revision, frozen.
 *
 * A snapshot never changes after it is published, so any number of threads read it without a lock.
 *One thread, the writer, prepares the next one beside it and swaps the pointer; what it replaced is
 *freed once the last reader has left. Services that did not change are shared between snapshots.
 *
 *	const struct snapshot *now = snapshot_enter(store);
 *	const struct service *service = snapshot_service(now, name);
 *	... read, blob_ref() or copy out what must outlive the visit ...
 *	snapshot_leave(store);
 *
 * Between enter and leave a thread must not block: no I/O, no lock_wait(), no parking of the
 *request.
 */
#pragma once

#include "base/attr.h"
#include "base/blob.h"
#include "model/event.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What heartbeats touch: outlives the versions of its instance, ends with the incarnation. Times
 * are of the registry's lease clock (registry/registry.h), which stands still while the daemon
 * cannot take heartbeats.
 */
struct lease {
	_Atomic int64_t renewed_ms;      /* lease clock */
	_Atomic int64_t renewed_real_ms; /* real time, for last_heartbeat */
	_Atomic uint32_t load_ppm;       /* last reported load, parts per million of 1.0 */
};

/** One instance in the read model. Frozen, but for its lease. */
struct member {
	struct instance value;
	struct lease *lease;
	struct str json; /* instance_put_json_open(): lacks its revision and the brace */
	uint32_t bytes;  /* of memory that it takes */
	/* one reference of the snapshots, and one of each answer that is rendered after its visit
	 */
	atomic_uint refs;
};

/** How many leases ran out since when; see registry/expiry.c. */
struct expiry_window {
	int64_t start_ms; /* lease clock; 0: none yet */
	uint32_t alive;   /* instances that were alive then */
	uint32_t expired;
};

/**
 * What lasts as long as a service has instances, whatever versions of it come and go.
 * Strategies' cursors survive membership changes; filtered picks use the cursor of their filter's
 * hash.
 */
#define SERVICE_CURSORS 8
struct service_life {
	_Atomic uint64_t round_robin;
	_Atomic uint64_t weighted;
	_Atomic uint64_t filtered[SERVICE_CURSORS];
	_Atomic int64_t held_until_ms; /* lease clock: expiries wait until then; 0: never did */
	_Atomic uint32_t wanted;       /* bit per index that picks have asked for, see balance.h */

	_Atomic uint32_t due; /* leases found to have run out, not decided yet */

	struct expiry_window window; /* writer only */

	size_t name_len;
	char name[]; /* ends with a NUL too, for the log */
};

/** The life of the service that @p member belongs to: that is where its service's name is stored.
 */
static inline struct service_life *member_life(const struct member *member)
{
	return container_of((char *)(uintptr_t)member->value.service.data, struct service_life,
	                    name);
}

/** What balance/ derives from one version of a service: built with it, freed with it. */
struct service_index {
	void (*free)(struct service_index *);
};
#define SERVICE_INDEXES 2 /* weighted order, hash ring */
#define SERVICE_VIEWS   8 /* filtered subsets kept per version */

/** One service at one version. Frozen, but for the atomic caches, which any reader may fill once.
 */
struct service {
	struct str name;
	uint64_t hash;
	uint64_t revision;                      /* of the latest event of any of its instances */
	uint64_t status_revision[STATUS_COUNT]; /* of the latest event that changed what has this
	                                           status */
	uint32_t count;
	uint32_t status_count[STATUS_COUNT];
	const struct member *const *members; /* all, in registration order */
	const struct member *const *healthy; /* those a pick may choose, in registration order */
	struct service_life *life;
	_Atomic(struct blob *) answer;                          /* see service_answer() */
	_Atomic(struct service_index *) index[SERVICE_INDEXES]; /* owned */
	_Atomic(struct service_index *) view[SERVICE_VIEWS];    /* owned */
	/* id -> member: open addressing; a slot holds 1 + an index of members, 0 when free */
	const uint32_t *id_hashes; /* of each member */
	const uint32_t *slots;
	uint32_t slot_mask;
};

struct snapshot;
struct snapshot_store;

struct snapshot_counts {
	uint64_t services;
	uint64_t instances[STATUS_COUNT];
	uint64_t entries;
	uint64_t
		bytes; /* what all of them cost: instance_cost(), entry_cost(), SERVICE_COST each */
};

/**
 * Memory that an instance costs, in bytes: its member, its place in the answer that all lookups
 * share, and INSTANCE_COST for its lease, its places in arrays and hash tables, and malloc()'s own.
 * Indexes are left out, which exist only for services that are picked from by weight or by hash.
 */
#define INSTANCE_COST 512
#define SERVICE_COST  768 /* of a service without its instances, its name included */
/** @param instance  one that is not made yet: renders it to find out */
uint64_t instance_cost(const struct instance *instance);
/** At least instance_cost(), without rendering. */
uint64_t instance_cost_most(const struct instance *instance);
uint64_t member_cost(const struct member *member);
/** An entry, in the same way. */
uint64_t entry_cost(const struct entry *entry);

/** @param revision  of the first, empty snapshot */
struct snapshot_store *snapshot_store_new(uint64_t revision) MUST_USE;
/** No reader and no writer is left. Takes NULL. */
void snapshot_store_free(struct snapshot_store *store);
/** The same without waiting: of a store that no other thread ever read. Takes NULL. */
void snapshot_store_drop(struct snapshot_store *store);

/** Begins a visit. Never blocks, never fails; visits nest. Thread: any that is registered with RCU.
 */
const struct snapshot *snapshot_enter(const struct snapshot_store *store);
void snapshot_leave(const struct snapshot_store *store);

uint64_t snapshot_revision(const struct snapshot *snapshot);
struct snapshot_counts snapshot_counts(const struct snapshot *snapshot);
/** @return borrowed until snapshot_leave(); NULL when it has no instance */
const struct service *snapshot_service(const struct snapshot *snapshot, struct str name);

/** @return borrowed until snapshot_leave(); NULL: there is none */
const struct entry *snapshot_entry(const struct snapshot *snapshot, enum entry_kind kind,
                                   struct str service, struct str name);
/** Each entry of a service, by kind and name. @param pos  0 at first. @return NULL at the end */
const struct entry *snapshot_entry_next(const struct snapshot *snapshot, struct str service,
                                        size_t *pos);
/** Each entry, those of a service together, in no order of services. */
const struct entry *snapshot_entries_next(const struct snapshot *snapshot, uint64_t *pos);
/** The latest event about any entry. After a restart it is the journal's latest revision. */
uint64_t snapshot_entries_revision(const struct snapshot *snapshot);

/** @return the member with this id, NULL when there is none. O(1). */
const struct member *service_member(const struct service *service, struct str id);

/**
 * The answer to a plain lookup, {"service":...,"revision":N,"instances":[healthy ones]}, rendered
 * on the first read after a change and shared from then on. N is
 * service->status_revision[STATUS_HEALTHY].
 * @return borrowed until snapshot_leave() (blob_ref() to keep); NULL when out of memory
 */
struct blob *service_answer(const struct service *service);
/** Appends the member as a complete JSON object with its revision, as it stands in lookups. */
void member_put_json(struct buf *out, const struct member *member);
/** The length of what member_put_json() appends. */
size_t member_json_len(const struct member *member);

/**
 * Keeps a member beyond the visit, for an answer that is rendered while its reader takes it: its
 * record, revision and JSON, but neither its lease nor its service's name.
 * Thread: any; member_ref() inside the visit that found it.
 */
void member_ref(const struct member *member);
void member_unref(const struct member *member);
/** Bytes of members and rendered answers that no snapshot has any more, kept only by what is being
 * sent. */
size_t snapshot_retired_bytes(void);
/** Appends the member as a complete JSON object with last_heartbeat and heartbeat_age_ms, as it
 * stands alone. */
void member_put_json_live(struct buf *out, const struct member *member, int64_t now_real_ms);

/**
 * The next snapshot, unseen while the writer prepares it. What can fail is in apply and finish,
 *before the caller commits the journal; publishing cannot fail. Thread: writer only; one draft at a
 *time.
 *
 *	draft = snapshot_draft_new(store);
 *	snapshot_draft_apply(draft, &event, lease);  // each event, in order
 *	snapshot_draft_finish(draft);
 *	... commit: the events get their revisions ...
 *	snapshot_draft_publish(draft);               // or snapshot_draft_discard(draft)
 */
struct snapshot_draft;

struct snapshot_draft *snapshot_draft_new(struct snapshot_store *store) MUST_USE;
/** The member as it is after what was applied so far. @return borrowed until the draft ends, NULL
 * when there is none */
const struct member *snapshot_draft_member(const struct snapshot_draft *draft, struct str name,
                                           struct str id);
/** How many instances the service has after what was applied so far, by status; its life, NULL when
 * it is new or gone. */
struct service_life *snapshot_draft_count(const struct snapshot_draft *draft, struct str name,
                                          uint32_t ret_count[STATUS_COUNT]);
struct snapshot_counts snapshot_draft_counts(const struct snapshot_draft *draft);
/**
 * Applies one event.
 * @param event  its strings are copied. Without a revision it is kept (borrowed) until the draft
 * ends: publishing takes its revision and incarnation. With one it was committed before, and
 * nothing is kept.
 * @param lease  of a new member; borrowed for as long as the member is in any snapshot; ignored for
 * one that exists
 * @return the member after the event, or the one that it removed; NULL: out of memory, nothing has
 * changed
 */
const struct member *snapshot_draft_apply(struct snapshot_draft *draft, const struct event *event,
                                          struct lease *lease) MUST_USE;
/** The entry as it is after what was applied so far. @return borrowed until the draft ends, NULL
 * when there is none */
const struct entry *snapshot_draft_entry(const struct snapshot_draft *draft, enum entry_kind kind,
                                         struct str service, struct str name);
/**
 * Applies an event about an entry: as snapshot_draft_apply(). A removal needs that there is one.
 * @return the entry after the event, or the one that it removed; NULL: out of memory
 */
const struct entry *snapshot_draft_apply_entry(struct snapshot_draft *draft,
                                               const struct event *event) MUST_USE;
/** Freezes it. @return 0 or -ENOMEM (discard it) */
int snapshot_draft_finish(struct snapshot_draft *draft) MUST_USE;
/** After finish: visits each service that has changed and still has instances. @return NULL at the
 * end */
struct service *snapshot_draft_next(const struct snapshot_draft *draft, size_t *pos,
                                    const struct service **ret_previous);
/** Makes it the latest snapshot; readers see all of it or none. Each member and event have their
 * revisions. */
void snapshot_draft_publish(struct snapshot_draft *draft);
void snapshot_draft_discard(struct snapshot_draft *draft);

/** All services in order of name (bytes); found by binary search. Built on the first listing after
 * a service came or went. */
struct directory {
	size_t count;
	struct str names[]; /* borrowed like the directory itself */
};
/** @return borrowed until snapshot_leave(); NULL when out of memory */
const struct directory *snapshot_directory(const struct snapshot *snapshot);
/** The first index whose name is >= @p name (or > it, when @p after). */
size_t directory_find(const struct directory *directory, struct str name, bool after);
