/* SPDX-License-Identifier: MIT */
/**
 * The registry's parts and who may touch what.
 *
 * registry.c  life and queue                     writer.c   one batch: decide, commit, complete
 * items.c     what was committed elsewhere
 * decide.c    command -> event                   publish.c  after the commit
 * expiry.c    due lease -> event, mass expiry    leases.h   lease clock, timers, sweeper
 * intents.c   operators' intents, also for ids that are not registered
 * locked.c    commits while another process has the database locked
 * reader.h    threads that read the past         history.c  events from the log
 * archive.c   keyframes, past states             rebuild.c  their answers
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

/** When a due lease is looked at again whose event could not be committed. */
#define EXPIRY_RETRY_MS 1000

/* Services that are gone are remembered by these alone: two that share one only make answers come
 * early. */
#define REMOVED_BUCKETS 1024

/** Events that one batch entry makes at most: one about the instance, one about its intent. */
#define ENTRY_EVENTS 2

/** Due leases that one batch takes beside its commands. */
#define BATCH_DUE 64

/** One command or due lease in a batch, and what was decided about it. */
struct batch_entry {
	struct command *command;     /* NULL: a due lease */
	struct due_lease due;        /* then */
	struct tenure *tenure;       /* of the event's instance */
	const struct member *member; /* after the event; what the event removed */
	struct event *event;         /* NULL: nothing changed. About the instance if that changed,
	                                else about its intent */
	int64_t renewed_ms;          /* of an expiring lease: what the decision read */
	bool is_postponed;           /* a due lease: to be looked at again at again_ms */
	int64_t again_ms;
	enum command_outcome outcome;
	int error;
};

/** What follows from an event once it is committed, besides the snapshot. */
struct change {
	const struct member *member; /* after the event; what the event removed */
	struct tenure *tenure;       /* of its instance; begun by EVENT_REGISTERED */
	bool is_alive;               /* the owner caused it: a sign of life */
	int64_t decided_on_ms;       /* as leases_settle() takes it */
};

/**
 * How many leases of a service have run out, as far as the batch has decided. Becomes the service's
 * own count after the commit, so that deciding once more after a failed commit starts from the same
 * numbers. See expiry.c.
 */
struct silence {
	struct service_life *life;
	uint32_t decided; /* leases that life->due still counts, but that were decided */
	struct expiry_window window;
	int64_t held_until_ms; /* 0: the batch begins no hold */
	uint32_t silent;       /* when the hold began */
};

struct batch {
	struct snapshot_draft *draft;
	struct batch_entry *entries;
	size_t entry_count;
	struct event *events;
	struct change *changes; /* of each event */
	size_t event_count;
	size_t size; /* room for events, changes and names */
	struct silence silences[BATCH_DUE];
	size_t silence_count;
	struct str *recounted; /* services whose counts by status change; may name one twice */
	size_t recounted_count;
	int64_t now_real_ms;
	int64_t now_journal_ms;
	int64_t now_lease_ms;
	bool is_torn; /* a batch entry that needs two events has only the first: nothing may be
	                 committed */
	int64_t proposed_us; /* clock_us() */
	bool is_open;        /* proposed; the ledger's verdict is still to come */
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
	/* latest removal of an instance: of all, and by hash of its service's name */
	_Atomic uint64_t removed_any;
	_Atomic uint64_t removed[REMOVED_BUCKETS];
	_Atomic uint64_t intended[REMOVED_BUCKETS]; /* latest event about an entry, in the same way
	                                             */

	struct mailbox queue; /* of commands; woken when there are due leases */

	/* guarded by reload_lock */
	struct lock reload_lock;
	struct registry_options reload; /* taken by the writer */
	_Atomic bool is_reloaded;       /* changed under the lock; read without it as a hint */

	/* writer only */
	struct registry_options options;
	struct batch batch;       /* what is decided here */
	struct batch applied;     /* what was committed elsewhere; its events are borrowed */
	struct ledger_item *item; /* to be taken next: it could not be taken yet */
	int64_t reserve_tried_ms;
	unsigned locked_tries;   /* in a row that found the database locked by another process */
	int64_t locked_since_ms; /* clock_ms() of the first of them */
	struct hold *holds;
	size_t hold_count;
	size_t hold_size;
	struct progress progress;
	pthread_t writer;
	bool started;

	struct leases *leases;
	struct reader *reader; /* of the past */
	struct intents *intents;
};

/* registry.c */
/** There are due leases: the writer is to take them. Any thread. */
void registry_wake(struct registry *registry);

/*
 * decide.c. Deciding changes the draft, the entry and the batch, and nothing else: after a commit
 * that failed for lack of room the batch is decided once more.
 */
/** Renews the leases of those whose commands prove that they are alive. Once for each batch, before
 * it is decided: the proof holds whatever becomes of the batch. */
void renew_senders(struct registry *registry, const struct batch *batch);
/** Decides what @p command does to the draft; fills @p entry and, when something changes, the
 * batch's next event. */
void decide_command(struct registry *registry, struct batch *batch, struct batch_entry *entry);
/** Adds the event that makes @p instance of @p kind to the draft. @return 0 or -ENOMEM */
int decide_event(struct batch *batch, struct batch_entry *entry, enum event_kind kind,
                 const struct instance *instance, struct tenure *tenure) MUST_USE;
/** The same with an event of @p kind about the entry that @p content names. */
int decide_entry_event(struct batch *batch, struct batch_entry *entry, enum event_kind kind,
                       const struct entry *content) MUST_USE;
/** For the second event of a batch entry: when making it failed (@p r below 0), the whole batch
 * fails, as the first must not be committed alone. @return @p r */
int decide_also(struct batch *batch, int r) MUST_USE;
/**
 * Sets the status that the other fields amount to, with its reason, author and time. While an
 * operator drains the instance these three stay the operator's.
 * @param reason, by  for a healthy instance; every other status has its own
 */
void set_status(struct instance *instance, struct str reason, struct str by, int64_t now_real_ms);

/* intents.c */
/**
 * Drains a new instance if its id has an intent; otherwise clears the fields of a drain.
 * @param memory  holds the strings that @p instance gets
 * @return does the id have an intent?
 */
bool intent_apply(const struct batch *batch, struct instance *instance,
                  struct drain_intent *memory) MUST_USE;
/** The draft no longer has the instance @p gone: its intent, if there is one, notes that the id is
 * absent from now on. */
int intent_begin_absence(struct batch *batch, struct batch_entry *entry,
                         const struct instance *gone) MUST_USE;
/** Removes the intent of @p named, if there is one. */
int intent_end(struct batch *batch, struct batch_entry *entry,
               const struct instance *named) MUST_USE;
int decide_status(struct batch *batch, struct batch_entry *entry,
                  const struct member *member) MUST_USE;
int decide_tend(const struct registry *registry, struct batch *batch, struct batch_entry *entry,
                const struct member *member) MUST_USE;
/** Finds intents that have ended and instances that lack one, and submits a COMMAND_TEND for each.
 * One bounded step. */
void intents_pass(struct registry *registry);
/** Takes note of @p event, which is about an entry and has been published. */
void intents_note(struct registry *registry, const struct event *event);
/** options.intent_ttl_ms has changed: the earliest end is unknown. */
void intents_rescan(struct registry *registry);
/** After the first snapshot is published. @param any_drained  does it hold a drained instance? */
int intents_open(struct registry *registry, bool any_drained) MUST_USE;
/** After a failed intents_open() too. */
void intents_close(struct registry *registry);

/* expiry.c */
void decide_due(const struct registry *registry, struct batch *batch, struct batch_entry *entry);
/** The decisions about due leases are durable: counts what ran out, begins holds. Before
 * publishing. */
void silences_commit(struct registry *registry, struct batch *batch);
/** Logs the holds that the batch began. */
void silences_log(const struct batch *batch);
/** Forgets the holds that are over, publishes how many there are. */
void holds_update(struct registry *registry);

/* publish.c */
/** Publishes the snapshot of a committed batch, settles its leases, wakes watchers. In a visit that
 * began before. */
void publish_batch(struct registry *registry, struct batch *batch);
/** @p entry changed nothing, but its receipt counts the watchers that have not yet been sent the
 * revision that made it so. */
void publish_again(struct registry *registry, const struct batch_entry *entry);
/** Logs the events of a committed batch. */
void publish_log(const struct batch *batch);

/* writer.c */
/** Decides the entries of @p batch and proposes what follows; completes them unless the verdict is
 * still to come. */
void batch_commit(struct registry *registry, struct batch *batch);
/** The events are stored, with their numbers: publishes them and completes the entries. */
void batch_finish(struct registry *registry, struct batch *batch);
/** Frozen, with the indexes that picks read. @return 0 or -ENOMEM */
int batch_freeze(struct batch *batch) MUST_USE;
/** As if nothing had been decided. */
void batch_undo(struct batch *batch);
/** Completes all entries with @p error. */
void batch_fail(struct registry *registry, struct batch *batch, int error);
/** No change is accepted any more; the process is to stop. */
void writer_journal_failed(struct registry *registry);
/** Gives back the room that was kept for this. @return false: there is none left */
bool writer_make_room(struct registry *registry);
/** Waits for something to do until @p until_ms of clock_ms(), and does it. */
void writer_pass(struct registry *registry, int64_t until_ms);
/** Stopping, and nothing is left to do. */
bool writer_has_ended(struct registry *registry);
void writer_main(void *arg);

/* items.c */
/**
 * Takes what the ledger has decided, in order of commitment.
 * @return 0: all of it; or why the next item cannot be taken yet, so that nothing may be decided:
 * -EBUSY, -ENOSPC, -ENOMEM; -EIO: the journal has failed
 */
int items_take(struct registry *registry) MUST_USE;

/* locked.c */
/** @p write, tried for up to 2 s while another process has the database locked (-EBUSY). Writer
 * only.
 */
int locked_write(struct registry *registry, struct batch *batch,
                 int (*write)(struct registry *registry, struct batch *batch)) MUST_USE;
/** Notices the end of such a lock though no change has come since. Writer only. */
void locked_probe(struct registry *registry);

/* rebuild.c */
/** A store with one state of the past. */
int rebuild_store(struct past *past, struct archive_query *query) MUST_USE;
/** The difference of two states as JSON. */
int rebuild_diff(struct past *past, struct archive_query *query) MUST_USE;
