/* SPDX-License-Identifier: MIT */
/**
 * What the registry's files share: its state, with the thread that may access each member.
 *
 *	registry.c  start, stop, and the functions that any thread may call
 *	writer.c    one batch: decide, commit, complete
 *	decide.c    command -> event
 *	expiry.c    due lease -> event; holds back mass expiry
 *	intents.c   operators' intents, also for ids that are not registered
 *	items.c     what the ledger has decided: foreign batches, verdicts on our own
 *	locked.c    commits while another process has the database locked
 *	publish.c   after the commit: snapshot, leases, watchers, log
 *	leases.h    lease clock, timers, sweeper
 *	reader.h    threads that read the past
 *	history.c   queries of the event log
 *	archive.c   keyframes, queries of past states
 *	rebuild.c   past states and their differences
 */
#pragma once

#include "base/lock.h"
#include "base/progress.h"
#include "base/rcu.h"
#include "ledger/ledger.h"
#include "model/intent.h"
#include "registry/leases.h"
#include "registry/registry.h"

#include <pthread.h>

/** How long after a failed commit a due lease is examined again. */
#define EXPIRY_RETRY_MS 1000

/* Removed services are not remembered, only their latest removal by hash of the name. Services that
 * share a bucket cause spurious wake-ups, nothing worse. */
#define REMOVED_BUCKETS 1024

/** The most events of one batch entry: one about the instance, one about its intent. */
#define ENTRY_EVENTS 2

/** The most due leases that one batch takes besides its commands. */
#define BATCH_DUE 64

/** One command or due lease in a batch, and what was decided about it. */
struct batch_entry {
	struct command *command;     /* NULL: a due lease */
	struct due_lease due;        /* when `command` is NULL */
	struct tenure *tenure;       /* of the event's instance */
	const struct member *member; /* after the event, or the member that the event removed */
	struct event *event;         /* NULL: nothing changed. About the instance if that changed,
	                                otherwise about its intent */
	int64_t renewed_ms;          /* a due lease: its latest heartbeat when it was decided */
	bool is_postponed;           /* a due lease: examine it again at again_ms */
	int64_t again_ms;            /* lease clock */
	enum command_outcome outcome;
	int error;
};

/** What follows from an event once it is committed, besides the snapshot. */
struct change {
	const struct member *member; /* after the event, or the member that the event removed */
	struct tenure *tenure;       /* of the event's instance; EVENT_REGISTERED begins it */
	bool is_alive;               /* the owner caused the event: it renews the lease */
	int64_t decided_on_ms;       /* for leases_settle() */
};

/**
 * How many leases of a service have expired, as far as this batch has decided. silences_commit()
 * copies the numbers to the service after the commit, so that deciding again after a failed commit
 * starts from the same numbers. See expiry.c.
 */
struct silence {
	struct service_life *life;
	uint32_t decided; /* leases that this batch has decided, but life->due still counts */
	struct expiry_window window;
	int64_t held_until_ms; /* lease clock; 0: the batch begins no hold */
	uint32_t silent;       /* expired leases when the hold began */
};

struct batch {
	struct snapshot_draft *draft;
	struct batch_entry *entries;
	size_t entry_count;
	struct event *events;
	struct change *changes; /* of each event */
	size_t event_count;
	size_t size; /* capacity of events, changes and recounted */
	struct silence silences[BATCH_DUE];
	size_t silence_count;
	struct str *recounted; /* services whose counts by status change; may have duplicates */
	size_t recounted_count;
	int64_t now_real_ms;    /* clock_real_ms() */
	int64_t now_journal_ms; /* journal_now_ms() */
	int64_t now_lease_ms;   /* leases_now() */
	bool is_torn; /* a batch entry that needs two events has only the first: nothing may be
	                 committed */
	int64_t proposed_us; /* clock_us() */
	bool is_open;        /* proposed; the ledger has not sent the verdict yet */
};

struct hold {
	int64_t until_ms; /* lease clock */
};

struct registry {
	/* set in registry_open(), never changed */
	struct journal *journal;
	struct ledger *ledger;
	struct snapshot_store *store;
	struct watch_hub *watch;
	char *dir;
	uint32_t batch_max;
	bool sweep_by_hand;
	bool write_by_hand;
	void (*failed_fn)(void *arg);
	void *failed_arg;

	/* atomic */
	_Atomic bool has_failed;
	_Atomic bool is_full;
	_Atomic bool is_locked;
	_Atomic uint32_t held_services;
	_Atomic uint64_t recounted; /* latest change of any service's counts by status */
	/* revision of the latest removal of an instance: of any, and by hash of its service's
	 * name */
	_Atomic uint64_t removed_any;
	_Atomic uint64_t removed[REMOVED_BUCKETS];
	/* revision of the latest event about an entry, by the same hash */
	_Atomic uint64_t intended[REMOVED_BUCKETS];

	struct mailbox queue; /* of commands; also woken for due leases and items of the ledger */

	/* guarded by reload_lock */
	struct lock reload_lock;
	struct registry_options reload; /* the writer takes them */
	_Atomic bool is_reloaded;       /* changed under the lock; read without it as a hint */

	/* writer only */
	struct registry_options options;
	struct batch batch;       /* of commands and due leases, decided here */
	struct batch applied;     /* committed by another replica; its events are borrowed */
	struct ledger_item *item; /* NULL, or the next item, which could not be applied yet */
	int64_t reserve_tried_ms; /* clock_ms() */
	unsigned locked_tries;    /* consecutive tries that found the database locked by another
	                             process */
	int64_t locked_since_ms;  /* clock_ms() of the first of them */
	struct hold *holds;
	size_t hold_count;
	size_t hold_size;
	struct progress progress;
	pthread_t writer;
	bool started;

	struct leases *leases;
	struct reader *reader;
	struct intents *intents;
};

/* registry.c */
/** Wakes the writer: there are due leases, or an item of the ledger. Any thread. */
void registry_wake(struct registry *registry);

/*
 * decide.c. Deciding changes only the draft, the entry and the batch: after a commit that failed
 * because the disk is full, the batch is decided again.
 */
/** Renews the leases of the instances that sent the commands. Once for each batch, before it is
 * decided: a command proves that its sender is alive even if the batch fails. */
void renew_senders(struct registry *registry, const struct batch *batch);
/** Decides what the command of @p entry does to the draft; sets the results in @p entry and, when
 * something changes, adds events to the batch. */
void decide_command(struct registry *registry, struct batch *batch, struct batch_entry *entry);
/** Adds an event of @p kind about @p instance, as it is after the event, to the batch, and applies
 * it to the draft. @return 0 or -ENOMEM */
int decide_event(struct batch *batch, struct batch_entry *entry, enum event_kind kind,
                 const struct instance *instance, struct tenure *tenure) MUST_USE;
/** The same with an event about the entry @p content. */
int decide_entry_event(struct batch *batch, struct batch_entry *entry, enum event_kind kind,
                       const struct entry *content) MUST_USE;
/** For the second event of a batch entry: if adding it failed (@p r below 0), fails the whole
 * batch, because the first event must not be committed alone. @return @p r */
int decide_also(struct batch *batch, int r) MUST_USE;
/**
 * Derives the status from the other fields and sets its reason, author and time. While an operator
 * drains the instance, these three stay the operator's.
 * @param reason, by  used for a healthy instance; every other status has its own
 */
void set_status(struct instance *instance, struct str reason, struct str by, int64_t now_real_ms);

/* intents.c */
/**
 * Drains a new instance if its id has an intent; otherwise clears the fields of a drain.
 * @param memory  holds the strings that the function sets in @p instance
 * @return does the id have an intent?
 */
bool intent_apply(const struct batch *batch, struct instance *instance,
                  struct drain_intent *memory) MUST_USE;
/** For an instance that the draft no longer has: sets the start of the absence in its intent, if
 * there is one. @return 0 or -ENOMEM, which fails the batch */
int intent_begin_absence(struct batch *batch, struct batch_entry *entry,
                         const struct instance *gone) MUST_USE;
/** Removes the intent of @p named, if there is one. @return 0 or -ENOMEM */
int intent_end(struct batch *batch, struct batch_entry *entry,
               const struct instance *named) MUST_USE;
/** Decides a COMMAND_STATUS. @param member  NULL: not registered. @return 0, -ENOENT, -ENOMEM */
int decide_status(struct batch *batch, struct batch_entry *entry,
                  const struct member *member) MUST_USE;
/** Decides a COMMAND_TEND. @param member  NULL: not registered. @return 0 or -ENOMEM */
int decide_tend(const struct registry *registry, struct batch *batch, struct batch_entry *entry,
                const struct member *member) MUST_USE;
/** Finds intents that have ended and drained instances that lack an intent, and submits a
 * COMMAND_TEND for each. Bounded: one pass examines a part of the entries. */
void intents_pass(struct registry *registry);
/** After publishing: updates the time of the next scan from @p event, which is about an entry. */
void intents_note(struct registry *registry, const struct event *event);
/** Schedules a scan, because options.intent_ttl_ms has changed. */
void intents_rescan(struct registry *registry);
/** After the first snapshot is published. @param any_drained  does it have a drained instance?
 * @return 0 or -ENOMEM */
int intents_open(struct registry *registry, bool any_drained) MUST_USE;
/** After a failed intents_open() too. */
void intents_close(struct registry *registry);

/* expiry.c */
/** Decides what becomes of a due lease, like decide_command(). */
void decide_due(const struct registry *registry, struct batch *batch, struct batch_entry *entry);
/** After the commit, before publishing: copies the batch's counts of expired leases to the services
 * and begins the holds. */
void silences_commit(struct registry *registry, struct batch *batch);
/** Logs the holds that the batch began. */
void silences_log(const struct batch *batch);
/** Forgets holds that are over and publishes the number of the others. */
void holds_update(struct registry *registry);

/* publish.c */
/** Publishes the snapshot of a committed batch, settles its leases, wakes watchers. The caller has
 * called rcu_enter(), which keeps what the snapshot replaces readable. */
void publish_batch(struct registry *registry, struct batch *batch);
/** For an entry that changed nothing: its receipt counts the watchers that have not yet been sent
 * the instance's revision. */
void publish_again(struct registry *registry, const struct batch_entry *entry);
/** Logs the events of a committed batch. */
void publish_log(const struct batch *batch);

/* writer.c */
/** Decides the entries of @p batch and proposes the events; completes the entries unless the
 * ledger's verdict comes later. */
void batch_commit(struct registry *registry, struct batch *batch);
/** After the events are stored and have their revisions: publishes them, completes the entries. */
void batch_finish(struct registry *registry, struct batch *batch);
/** Freezes the draft and builds the indexes that picks read. @return 0 or -ENOMEM */
int batch_freeze(struct batch *batch) MUST_USE;
/** Discards the draft and the events; the entries stay, to be decided again or failed. */
void batch_undo(struct batch *batch);
/** Completes all entries with @p error; due leases are examined again later. */
void batch_fail(struct registry *registry, struct batch *batch, int error);
/** Refuses all changes from now on, logs the failure and calls options.failed(). */
void writer_journal_failed(struct registry *registry);
/** The disk is full: refuses registrations and releases the reserve for other changes.
 * @return false: the reserve was released before */
bool writer_make_room(struct registry *registry);
/** One pass: waits for commands or a wake-up until @p until_ms of clock_ms(), runs one batch, and
 * does the regular work. */
void writer_pass(struct registry *registry, int64_t until_ms);
/** Is the writer stopping, with nothing left to do? */
bool writer_has_ended(struct registry *registry);
/** The writer thread. @param arg  the registry */
void writer_main(void *arg);

/* items.c */
/**
 * Applies the items that the ledger has decided, in order of commitment.
 * @return 0: all of them; otherwise the next item cannot be applied yet, so no batch may be
 * decided: -EBUSY, -ENOSPC, -ENOMEM; -EIO: the journal has failed
 */
int items_take(struct registry *registry) MUST_USE;

/* locked.c */
/** Calls @p write; retries for up to 2 s while it returns -EBUSY because another process has the
 * database locked. Writer only. @return the last result of @p write */
int locked_write(struct registry *registry, struct batch *batch,
                 int (*write)(struct registry *registry, struct batch *batch)) MUST_USE;
/** Checks whether such a lock has ended, for when no change is waiting. Writer only. */
void locked_probe(struct registry *registry);

/* rebuild.c */
/** Answers an ARCHIVE_STATE. Archive thread. @return 0, -ENOMEM, or as past_read() */
int rebuild_store(struct past *past, struct archive_query *query) MUST_USE;
/** Answers an ARCHIVE_DIFF. Archive thread. @return 0, -ENOMEM, -EMSGSIZE, or as past_read() */
int rebuild_diff(struct past *past, struct archive_query *query) MUST_USE;
