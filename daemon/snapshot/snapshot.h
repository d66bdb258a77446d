/* SPDX-License-Identifier: MIT */
/**
 * The read model in memory: a snapshot holds all services, instances and entries at one revision.
 *
 * A snapshot never changes after it is published, so any number of threads read it without a lock.
 * One thread, the writer, prepares the next one and publishes it by swapping a pointer; what it
 * replaced is freed once the last reader has left. Snapshots share the services that did not
 * change.
 *
 *	const struct snapshot *now = snapshot_enter(store);
 *	const struct service *service = snapshot_service(now, name);
 *	... read; blob_ref() or copy what must outlive the visit ...
 *	snapshot_leave(store);
 *
 * Threads: any thread that is registered with RCU reads; the writer of the store uses drafts.
 * Between enter and leave a thread must not block: no I/O, no lock_wait(), no parking of the
 * request.
 */
#pragma once

#include "base/attr.h"
#include "base/blob.h"
#include "model/event.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The part of an instance that heartbeats change. It is shared by all versions of the instance and
 * ends with the incarnation. The lease clock (registry/registry.h) stands still while the daemon
 * cannot take heartbeats.
 */
struct lease {
	_Atomic int64_t renewed_ms;      /* lease clock */
	_Atomic int64_t renewed_real_ms; /* ms since 1970, for last_heartbeat */
	_Atomic uint32_t load_ppm;       /* last reported load, in parts per million of 1.0 */
};

/** One instance in the read model. Frozen, but for its lease. */
struct member {
	struct instance value;
	struct lease *lease;
	struct str json; /* of instance_put_json_open(): without the revision and the brace */
	uint32_t bytes;  /* of memory, the strings included */
	/* one reference for the snapshots, and one for each answer rendered after its visit */
	atomic_uint refs;
};

/** Counts the leases that ran out since a time; see registry/expiry.c. */
struct expiry_window {
	int64_t start_ms; /* lease clock; 0: no window yet */
	uint32_t alive;   /* instances that were alive at the start */
	uint32_t expired; /* leases that ran out since */
};

/**
 * The part of a service that all its versions share; lives as long as the service has instances. So
 * the cursors of picks survive changes of the instances. A filtered pick uses the cursor of its
 * filter's hash.
 */
#define SERVICE_CURSORS 8
struct service_life {
	_Atomic uint64_t round_robin;
	_Atomic uint64_t weighted;
	_Atomic uint64_t filtered[SERVICE_CURSORS];
	_Atomic int64_t held_until_ms; /* lease clock: no expiry before it; 0: never held */
	_Atomic uint32_t wanted; /* a bit per index that picks have asked for, see balance.h */

	_Atomic uint32_t due; /* leases found to have run out, and not decided yet */

	struct expiry_window window; /* writer only */

	size_t name_len;
	char name[]; /* ends with a NUL, for the log */
};

/** The life of the service that @p member belongs to. Works because the member's service name is
 * the name in that struct. */
static inline struct service_life *member_life(const struct member *member)
{
	return container_of((char *)(uintptr_t)member->value.service.data, struct service_life,
	                    name);
}

/** Data that balance/ derives from one version of a service; freed with that version. */
struct service_index {
	void (*free)(struct service_index *);
};
#define SERVICE_INDEXES 2 /* weighted order, hash ring */
#define SERVICE_VIEWS   8 /* filtered subsets kept per version */

/** One version of a service. Frozen, but for the atomic caches, which any reader may fill once. */
struct service {
	struct str name;
	uint64_t hash;
	uint64_t revision;                      /* of the latest event of any of its instances */
	uint64_t status_revision[STATUS_COUNT]; /* of the latest event that changed the set of
	                                           instances with this status, or one in it */
	uint32_t count;
	uint32_t status_count[STATUS_COUNT];
	uint32_t can_expire;                 /* instances with a lease: instance_can_expire() */
	const struct member *const *members; /* all, in order of registration */
	const struct member *const *healthy; /* those with STATUS_HEALTHY, in the same order */
	struct service_life *life;
	_Atomic(struct blob *) answer;                          /* see service_answer() */
	_Atomic(struct service_index *) index[SERVICE_INDEXES]; /* owned */
	_Atomic(struct service_index *) view[SERVICE_VIEWS];    /* owned */
	/* hash table from id to member, with open addressing: a slot holds 1 + an index of members,
	 * or 0: free */
	const uint32_t *id_hashes; /* of each member's id */
	const uint32_t *slots;
	uint32_t slot_mask;
};

struct snapshot;
struct snapshot_store;

struct snapshot_counts {
	uint64_t services;
	uint64_t instances[STATUS_COUNT];
	uint64_t entries;
	uint64_t bytes; /* sum of member_cost(), entry_cost() and SERVICE_COST of all of them */
};

/**
 * The memory that an instance takes, in bytes: its member, its part of the answer that all lookups
 * share, and INSTANCE_COST for its lease, its places in arrays and hash tables, and malloc()'s
 * overhead. Indexes are not counted: only services that are picked from by weight or hash have any.
 */
#define INSTANCE_COST 512
#define SERVICE_COST  768 /* of a service without its instances, its name included */
/** The cost of an instance that has no member yet: renders it to measure. */
uint64_t instance_cost(const struct instance *instance);
/** An upper bound of instance_cost(), without rendering. */
uint64_t instance_cost_most(const struct instance *instance);
uint64_t member_cost(const struct member *member);
/** The memory that an entry takes, in bytes. */
uint64_t entry_cost(const struct entry *entry);

/** @param revision  of the first snapshot, which is empty
 * @return a store owned by the caller; NULL: out of memory */
struct snapshot_store *snapshot_store_new(uint64_t revision) MUST_USE;
/** Waits for RCU callbacks and frees the store. The caller ensures that no thread uses it any more.
 * Takes NULL. */
void snapshot_store_free(struct snapshot_store *store);
/** As snapshot_store_free() without waiting, for a store that only this thread has read. Takes
 * NULL.
 */
void snapshot_store_drop(struct snapshot_store *store);

/** Begins a visit. Never blocks, never fails; visits nest. Thread: any that is registered with RCU.
 * @return the latest snapshot, borrowed until snapshot_leave() */
const struct snapshot *snapshot_enter(const struct snapshot_store *store);
void snapshot_leave(const struct snapshot_store *store);

uint64_t snapshot_revision(const struct snapshot *snapshot);
struct snapshot_counts snapshot_counts(const struct snapshot *snapshot);
/** @return borrowed until snapshot_leave(); NULL: the service has no instance */
const struct service *snapshot_service(const struct snapshot *snapshot, struct str name);

/** @return borrowed until snapshot_leave(); NULL: there is no such entry */
const struct entry *snapshot_entry(const struct snapshot *snapshot, enum entry_kind kind,
                                   struct str service, struct str name);
/** Visits the entries of a service, by kind and name. @param pos  0 at first. @return borrowed
 * until snapshot_leave(); NULL at the end */
const struct entry *snapshot_entry_next(const struct snapshot *snapshot, struct str service,
                                        size_t *pos);
/** Visits all entries: those of a service one after the other, services in no order. @param pos  0
 * at first. @return borrowed until snapshot_leave(); NULL at the end */
const struct entry *snapshot_entries_next(const struct snapshot *snapshot, uint64_t *pos);
/** The revision of the latest event about any entry; after a restart, the journal's latest. */
uint64_t snapshot_entries_revision(const struct snapshot *snapshot);

/** @return the member with this id, borrowed like @p service; NULL: none. O(1). */
const struct member *service_member(const struct service *service, struct str id);

/**
 * The answer to a plain lookup: {"service":...,"revision":N,"instances":[the healthy ones]}. The
 * first reader of a version of the service renders it, and all readers share it. N is
 * service->status_revision[STATUS_HEALTHY]. Thread: any.
 * @return borrowed until snapshot_leave(), blob_ref() keeps it longer; NULL: out of memory
 */
struct blob *service_answer(const struct service *service);
/** Appends the member as a complete JSON object with its revision, as lookups contain it. */
void member_put_json(struct buf *out, const struct member *member);
/** The length of what member_put_json() appends. */
size_t member_json_len(const struct member *member);

/**
 * Keeps a member beyond the visit, for an answer that is rendered while it is sent: the member's
 * record, revision and JSON, but neither its lease nor its service's name.
 * Thread: any; member_ref() only inside the visit that found the member.
 */
void member_ref(const struct member *member);
void member_unref(const struct member *member);
/** Bytes of members and rendered answers that are in no snapshot any more and that only answers
 * being sent still refer to. Thread: any. */
size_t snapshot_retired_bytes(void);
/** Appends the member as a complete JSON object with last_heartbeat and heartbeat_age_ms, as in the
 * answer about one instance. @param now_real_ms  since 1970 */
void member_put_json_live(struct buf *out, const struct member *member, int64_t now_real_ms);

/**
 * A draft: the next snapshot, which no reader sees while the writer prepares it. Only new, apply
 * and finish can fail, before the caller commits to the journal; publishing cannot. Thread: writer
 * only; one draft of a store at a time.
 *
 *	draft = snapshot_draft_new(store);
 *	snapshot_draft_apply(draft, &event, lease);  // each event, in order
 *	snapshot_draft_finish(draft);
 *	... commit: the events get their revisions ...
 *	snapshot_draft_publish(draft);               // or snapshot_draft_discard(draft)
 */
struct snapshot_draft;

struct snapshot_draft *snapshot_draft_new(struct snapshot_store *store) MUST_USE;
/** The member as the events applied so far leave it. @return borrowed until the draft ends; NULL:
 * there is none */
const struct member *snapshot_draft_member(const struct snapshot_draft *draft, struct str name,
                                           struct str id);
/** Counts the service's instances by status, as the events applied so far leave it.
 * @param ret_count  set unless NULL is returned
 * @return the service's life, borrowed until the draft ends; NULL: no event of the draft is about
 * the service, and it has no instances */
struct service_life *snapshot_draft_count(const struct snapshot_draft *draft, struct str name,
                                          uint32_t ret_count[STATUS_COUNT]);
/** Of how many of its instances instance_can_expire() is true; 0 when it is not there. */
uint32_t snapshot_draft_can_expire(const struct snapshot_draft *draft, struct str name);
struct snapshot_counts snapshot_draft_counts(const struct snapshot_draft *draft);
/**
 * Applies one event.
 * @param event  its strings are copied. An event without a revision is borrowed until the draft
 * ends: publishing reads its revision and incarnation. One with a revision was committed before,
 * and is not kept.
 * @param lease  of a new member, borrowed while the member is in any snapshot; ignored if the
 * member exists
 * @return the member after the event, or the one that it removed, borrowed until the draft ends;
 * NULL: out of memory, nothing has changed
 */
const struct member *snapshot_draft_apply(struct snapshot_draft *draft, const struct event *event,
                                          struct lease *lease) MUST_USE;
/** The entry as the events applied so far leave it. @return borrowed until the draft ends; NULL:
 * there is none */
const struct entry *snapshot_draft_entry(const struct snapshot_draft *draft, enum entry_kind kind,
                                         struct str service, struct str name);
/**
 * Applies an event about an entry, as snapshot_draft_apply() does. An event that removes an entry
 * may be applied only if the entry exists.
 * @return the entry after the event, or the one that it removed, borrowed until the draft ends;
 * NULL: out of memory, nothing has changed
 */
const struct entry *snapshot_draft_apply_entry(struct snapshot_draft *draft,
                                               const struct event *event) MUST_USE;
/** Completes the draft; nothing may be applied any more. @return 0; -ENOMEM: discard the draft */
int snapshot_draft_finish(struct snapshot_draft *draft) MUST_USE;
/** After finish, visits each service that has changed and has instances.
 * @param pos  0 at first
 * @param ret_previous  the version before; NULL: the service is new
 * @return borrowed until the draft ends, may still be changed by the caller; NULL at the end */
struct service *snapshot_draft_next(const struct snapshot_draft *draft, size_t *pos,
                                    const struct service **ret_previous);
/** Makes the draft the latest snapshot and frees the draft; readers see all of it or none. The
 * caller has set the revision and incarnation of every event that was applied without. */
void snapshot_draft_publish(struct snapshot_draft *draft);
/** Frees the draft; the latest snapshot stays. Takes NULL. */
void snapshot_draft_discard(struct snapshot_draft *draft);

/** The names of all services, sorted by bytes. The first listing after a service came or went
 * builds it. */
struct directory {
	size_t count;
	struct str names[]; /* borrowed like the directory itself */
};
/** Thread: any. @return borrowed until snapshot_leave(); NULL: out of memory */
const struct directory *snapshot_directory(const struct snapshot *snapshot);
/** The index of the first name >= @p name, or > @p name if @p after; count: there is none. */
size_t directory_find(const struct directory *directory, struct str name, bool after);
