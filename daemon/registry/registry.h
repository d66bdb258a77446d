/* SPDX-License-Identifier: MIT */
/**
 * The registry: the current set of services, instances and operators' intents, and the only code
 * that changes it. Other threads read snapshots (registry_store()) and submit commands.
 *
 * The writer thread takes all waiting commands, decides what each changes, commits the resulting
 * events as one batch, publishes one snapshot, and then completes the commands by callback. The
 * sweeper thread finds leases that have expired. The reader threads answer queries about the past.
 *
 *	registry_open(&options, &registry, &error);   // replays the journal
 *	registry_start(registry);                     // starts the threads
 *	...
 *	registry_stop(registry);                      // completes the submitted commands
 *	registry_close(registry);
 */
#pragma once

#include "base/attr.h"
#include "base/mailbox.h"
#include "journal/journal.h"
#include "journal/past.h"
#include "ledger/ledger.h"
#include "model/event.h"
#include "snapshot/snapshot.h"
#include "watch/watch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registry;

struct registry_options {
	struct journal_options journal;
	struct ledger_options ledger; /* zeros: the journal alone determines the order */
	uint32_t queue_max;           /* waiting commands; more get -EAGAIN */
	uint32_t batch_max;           /* commands in one transaction */
	uint64_t instances_max;       /* more get -EDQUOT */
	uint64_t bytes_max;           /* of all instances; more get -EOVERFLOW; 0: no limit */
	int64_t intent_ttl_ms;        /* how long an intent outlives its instance; 0: no limit */
	bool hold_expiry;             /* hold back mass expiry ... */
	uint32_t hold_min_instances;  /* ... of a service with at least this many leases ... */
	uint32_t hold_percent;        /* ... when more than this share expires within a TTL */
	bool sweep_by_hand;           /* for tests: no sweeper thread; registry_sweep() instead */
	bool write_by_hand;           /* for tests: no writer thread; registry_step() instead */
	uint32_t history_turn;        /* events that a query of the log reads before the next query
	                                 has its turn; 0: HISTORY_TURN */
	/** Called once, on the writer thread, when the journal has failed permanently: the process
	 * should stop. Must not block. */
	void (*failed)(void *arg);
	void *failed_arg;
};

/**
 * Opens the journal and the ledger and publishes the first snapshot. Main thread.
 * @return 0; errors of journal_open() and ledger_open(), with a text; -ENOMEM, perhaps without one
 */
int registry_open(const struct registry_options *options, struct registry **ret_registry,
                  struct journal_error *ret_error) MUST_USE;
/**
 * Starts the threads; after a failure none is left running. Main thread.
 * @return 0; -ENOMEM, -EAGAIN: a thread could not be created; errors of journal_reader_open(),
 * past_open(), past_newest_keyframe() and ledger_start()
 */
int registry_start(struct registry *registry) MUST_USE;
/** From now on commands get -ESHUTDOWN; those submitted before are completed. Returns when all
 * threads have ended. Main thread. */
void registry_stop(struct registry *registry);
/** Frees a registry that was stopped, or never started. Takes NULL. */
void registry_close(struct registry *registry);

/** The snapshots that this registry publishes. Borrowed. Any thread. */
struct snapshot_store *registry_store(const struct registry *registry);
/** As journal_history_id(). Any thread. */
uint64_t registry_history_id(const struct registry *registry);
/**
 * The watchers of changes. A topic is a service; its aspects are the statuses, then its entries.
 * The writer notifies after publishing, so a watcher that is added before its thread reads the
 * snapshot misses no change. Borrowed. Any thread.
 */
struct watch_hub *registry_watch(const struct registry *registry);
/**
 * For a service without instances: an upper bound on the revision of its last removal. Any thread,
 * inside a visit.
 * @param service  empty: any service
 */
uint64_t registry_removed_revision(const struct registry *registry, struct str service);
/** An upper bound on the revision of the latest event about an entry of @p service. Any thread,
 * inside a visit. */
uint64_t registry_intended_revision(const struct registry *registry, struct str service);
/**
 * An upper bound on the revision of the latest change of any service's counts by status: a listing
 * that was made at this revision or later is still current. Any thread, inside a visit.
 */
uint64_t registry_recounted_revision(const struct registry *registry);
/** Which damage registry_open() found in the journal and how it repaired it, or why the journal has
 * failed; otherwise "". Any thread. */
const char *registry_trouble(const struct registry *registry);
/** What registry_open() found that is no damage but worth a line of the log; otherwise "". */
const char *registry_note(const struct registry *registry);
/** Replaces the options that may change at run time: limits, retention, the hold and intent_ttl_ms.
 * Any thread; takes effect with the next batch. */
void registry_reload(struct registry *registry, const struct registry_options *options);

enum command_kind {
	COMMAND_REGISTER,   /* instance: the record. Registers, updates, recovers or only renews the
	                     instance, depending on its state */
	COMMAND_DEREGISTER, /* instance.service, .id */
	COMMAND_HEARTBEAT,  /* instance.service, .id; with set_status also .wants_drain and
	                       .reports_unhealthy (at most one is true): recovers the instance, or
	                       changes the status that its owner reports */
	COMMAND_STATUS, /* an operator starts or ends a drain: drained, reason, for_ms. An id that
	                   is not registered must have an intent, else -ENOENT */
	COMMAND_TEND,   /* submitted by the registry itself: creates the intent of an instance that
	                   is drained without one, removes an intent that has ended */
	COMMAND_INDEX   /* instance.service: builds the pick indexes that are wanted; no event */
};

enum command_outcome {
	OUTCOME_NONE,
	OUTCOME_CREATED,
	OUTCOME_CHANGED,
	OUTCOME_RENEWED,
	OUTCOME_REMOVED
};

/** Owned by the caller, which keeps the command and all it points to until done() is called. */
struct command {
	enum command_kind kind;
	/*
	 * In: the service and the id; for COMMAND_REGISTER the whole record.
	 * Out, for COMMAND_REGISTER: the whole instance after the command. Its strings are those
	 * that the caller passed, or are in the two buffers below. After other commands, read the
	 * snapshot, whose revision is at least `revision`.
	 */
	struct instance instance;
	struct str author; /* "instance" or "operator:ADDRESS"; at most STATUS_BY_MAX bytes */
	struct str peer;   /* address of the client; at most AUTHOR_MAX bytes */
	struct str agent;  /* at most AUTHOR_MAX bytes */
	struct str reason; /* COMMAND_STATUS: at most REASON_MAX bytes */
	int64_t for_ms;    /* COMMAND_STATUS with drained: how long, 0: until resumed */
	bool drained;      /* COMMAND_STATUS: start a drain, or end it */
	/** COMMAND_STATUS: NULL, or counts the watchers that have not yet been sent the change.
	 * Borrowed. */
	struct watch_receipt *receipt;
	bool must_exist;         /* -ESTALE when the instance is not registered */
	uint64_t revision_is;    /* unless 0: -ESTALE when the instance's revision differs */
	uint64_t incarnation_is; /* unless 0: -EEXIST when the instance's incarnation differs */
	bool set_status;         /* COMMAND_HEARTBEAT: the heartbeat has a status */
	/** Called on the writer thread once the outcome is durable and published; must not block or
	 * fail. */
	void (*done)(struct command *command);

	/* out */
	/*
	 * 0; -ENOENT; -ESTALE and -EEXIST as above; -EDQUOT; -EOVERFLOW; -ENOSPC; -EBUSY: another
	 * process keeps the database locked; -EIO; -ETXTBSY; -ENOTRECOVERABLE: the outcome of the
	 * commit is unknown, so the change may have been made; -ENOMEM; -ESHUTDOWN
	 */
	int error;
	enum command_outcome outcome;
	uint64_t revision; /* of the event, or of the instance when nothing changed; 0: there is no
	                      instance */
	char status_reason[REASON_MAX];
	char status_by[STATUS_BY_MAX];

	struct mail mail; /* the registry's until done() */
};

/**
 * Submits @p command to the writer. Any thread; never blocks on the disk.
 * @return 0: done() will be called, perhaps before this function returns; otherwise done() is not
 * called: -EAGAIN: the queue is full; -ESHUTDOWN: stopping; -EIO: the journal has failed
 */
int registry_submit(struct registry *registry, struct command *command) MUST_USE;
/** Has the journal failed? Then no change is accepted; reads and heartbeats go on. Any thread. */
bool registry_has_failed(const struct registry *registry);
/** The error of the failure, as journal_failure() returns it. Any thread. */
int registry_failure(const struct registry *registry);
/** Does another process keep the database locked, so that changes wait or are refused? Any thread.
 */
bool registry_is_locked(const struct registry *registry);
/** Is the disk full, so that only deregistrations are accepted? Any thread. */
bool registry_is_full(const struct registry *registry);

/**
 * A heartbeat: renews the lease of @p member. Any thread, inside a visit; wait-free. An unhealthy
 * instance needs a COMMAND_HEARTBEAT as well to become healthy.
 * @return 0; -EAGAIN: the lease is renewed, but the heartbeat must not be acknowledged, because the
 * ledger accepts none now
 */
int registry_renew(struct registry *registry, const struct member *member) MUST_USE;

/** The number of services whose expiry is held back now. Any thread. */
uint32_t registry_held_services(const struct registry *registry);
/** One pass of the writer on the calling thread, without waiting. With write_by_hand only. */
void registry_step(struct registry *registry);
/** One pass of the sweeper on the calling thread. With sweep_by_hand only. */
void registry_sweep(struct registry *registry);

/** The lease clock in ms: clock_ms() less the time in which the daemon could not receive
 * heartbeats. Any thread. */
int64_t registry_lease_ms(const struct registry *registry);
/** For how many more ms the expiry of this service's instances is held back; 0: it is not held
 * back. Any thread, inside a visit. */
int64_t registry_held_ms(const struct registry *registry, const struct service *service);

#define HISTORY_TURN 10000
/**
 * A query of the event log, which the registry's history thread runs. Owned by the caller, which
 * keeps it and all it points to until done(). Waiting queries take turns, so a query that matches
 * few events of a long log does not delay the others.
 */
struct history {
	struct journal_query query;
	struct buf *out; /* receives the events, as put() appends them */
	/** Appends one event to `out`, on the history thread. NULL: JSON objects with commas
	 * between them. */
	void (*put)(struct history *history, const struct event *event);
	const void *arg; /* the caller's, for put() */
	/** Called once after the last put(), on the history thread, unless there was an error. May
	 * be NULL. */
	void (*end)(struct history *history);
	/** May the query keep @p bytes of result? On the history thread. NULL: yes. */
	bool (*admit)(struct history *history, size_t bytes);
	size_t bytes_max; /* stop once `out` has this length; 0: no limit */
	bool is_counted;  /* the caller limits the number of such queries: no -EAGAIN */
	void (*done)(struct history *history); /* on the history thread; must not block */

	/* out */
	int error;     /* as journal_reader_events(); -ENOBUFS: not admitted; -ESHUTDOWN */
	uint64_t last; /* as journal_reader_events(), as the next */
	uint64_t oldest;
	int64_t oldest_ms; /* with -ESTALE: as journal_reader_oldest() */
	uint32_t count;    /* of events in `out` */
	bool more;         /* stopped at query.limit or bytes_max: there may be more after `last` */

	/* the history thread's */
	struct mail mail;
	struct mail *same; /* equal queries, which get a copy of this query's result */
	bool has_begun;
	size_t start; /* length of `out` before the first event */
};
/** Submits @p history. Any thread. @return 0; -EAGAIN: too many queries wait; -ESHUTDOWN */
int registry_read_history(struct registry *registry, struct history *history) MUST_USE;

enum archive_kind {
	ARCHIVE_STATE, /* what was registered at `at`, in a store of its own */
	ARCHIVE_DIFF,  /* the differences between `at` and `to`, as JSON in `out` */
	ARCHIVE_LIFE,  /* the events of one instance, as JSON in `out` */
	ARCHIVE_DROP   /* set by registry_drop_past(): frees a store */
};

/** A query about the past, which the registry's archive thread runs. Owned by the caller, which
 * keeps it and all it points to until done(). */
struct archive_query {
	enum archive_kind kind;
	struct past_query at;
	struct past_query to;      /* ARCHIVE_DIFF; at.service applies to both */
	uint64_t skip;             /* ARCHIVE_DIFF: differences on earlier pages */
	uint32_t limit;            /* ARCHIVE_DIFF: differences on this page at most */
	struct journal_query life; /* ARCHIVE_LIFE */
	uint32_t indexes;          /* ARCHIVE_STATE: a bit for each index that a pick will read */
	struct buf *out;           /* ARCHIVE_DIFF, ARCHIVE_LIFE */
	size_t bytes_max;          /* the page ends once its result has this length */
	void (*done)(struct archive_query *query); /* on the archive thread; must not block */

	/* out */
	int error;                    /* as past_read(), journal_reader_events(); -EMSGSIZE */
	struct past_bounds bounds;    /* with -ESTALE and -ERANGE too */
	uint64_t to_revision;         /* ARCHIVE_DIFF */
	struct snapshot_store *store; /* ARCHIVE_STATE: owned by the caller, which passes it to
	                                 registry_drop_past() */
	uint64_t last;                /* ARCHIVE_LIFE: as journal_reader_events() */
	uint32_t count;               /* of differences or events in `out` */
	bool more;                    /* the page is full: there may be more after it */

	struct mail mail; /* the archive thread's */
};
/** Submits @p query. Any thread. @return 0; -EAGAIN: too many queries wait; -ESHUTDOWN */
int registry_read_past(struct registry *registry, struct archive_query *query) MUST_USE;
/**
 * Frees the store of a completed ARCHIVE_STATE query on the archive thread, because it may be
 * large; then calls done(), on that thread, or on the calling one when that thread has ended. Any
 * thread.
 */
void registry_drop_past(struct registry *registry, struct archive_query *query);
