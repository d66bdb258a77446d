/* SPDX-License-Identifier: MIT */
/**
 * The registry: the one writer, the leases and the sweeper.
 *
 * Everyone else reads the snapshot and sends commands. The writer thread takes what has gathered,
 *decides, commits one batch of events, publishes one snapshot, then completes the commands by
 *callback.
 *
 *	registry_open(&options, &registry, &error);   // replays the journal
 *	registry_start(registry);                     // writer and sweeper threads
 *	...
 *	registry_stop(registry);                      // completes what was submitted
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
	struct ledger_options ledger; /* zeros: the journal alone gives the order */
	uint32_t queue_max;           /* commands waiting; more get -EAGAIN */
	uint32_t batch_max;           /* commands in one transaction */
	uint64_t instances_max;       /* more get -EDQUOT */
	uint64_t bytes_max;           /* of all instances; more get -EOVERFLOW; 0: no limit */
	int64_t intent_ttl_ms;        /* how long an intent outlives its instance; 0: for ever */
	bool hold_expiry;             /* hold back mass expiry */
	uint32_t hold_min_instances;  /* ... of services with at least so many */
	uint32_t hold_percent;        /* ... when more than this share expires within a TTL */
	bool sweep_by_hand;           /* for tests: no sweeper thread; registry_sweep() instead */
	bool write_by_hand;           /* for tests: no writer thread; registry_step() instead */
	uint32_t history_turn;        /* events that a query of the log looks at before the next one
	                                 has its turn; 0: HISTORY_TURN */
	/** Called once, on the writer thread, when the journal has failed for good: the process
	 * should stop. */
	void (*failed)(void *arg);
	void *failed_arg;
};

int registry_open(const struct registry_options *options, struct registry **ret_registry,
                  struct journal_error *ret_error) MUST_USE;
int registry_start(struct registry *registry) MUST_USE;
/** From now on commands get -ESHUTDOWN; those submitted before are completed. Returns when both
 * threads have ended. */
void registry_stop(struct registry *registry);
void registry_close(struct registry *registry);

struct snapshot_store *registry_store(const struct registry *registry);
/** As journal_history_id(). Any thread. */
uint64_t registry_history_id(const struct registry *registry);
/**
 * Who waits for changes of services (topics; aspects are statuses). The writer notifies after
 * publishing, so a watcher that is added before it reads the snapshot misses nothing.
 */
struct watch_hub *registry_watch(const struct registry *registry);
/**
 * When a service that is not there may have been there last. Any thread, inside a visit.
 * @param service  empty: any service
 * @return a revision after which it has not been removed
 */
uint64_t registry_removed_revision(const struct registry *registry, struct str service);
/** An upper bound on the revision of the latest event about an entry of @p service. Any thread,
 * inside a visit. */
uint64_t registry_intended_revision(const struct registry *registry, struct str service);
/**
 * The revision up to which the counts by status of all services are known to have changed last: a
 * listing that was made at it or later still holds. Any thread, inside a visit.
 */
uint64_t registry_recounted_revision(const struct registry *registry);
/** What registry_open() found wrong with the journal and did about it, or why the journal has
 * failed;
 * "" when neither. Any thread. */
const char *registry_trouble(const struct registry *registry);
/** What the start found that is no damage but worth a line of the log; or "". */
const char *registry_note(const struct registry *registry);
/** What may change while it runs: retention and the hold. Any thread; takes effect with the next
 * batch. */
void registry_reload(struct registry *registry, const struct registry_options *options);

enum command_kind {
	COMMAND_REGISTER, /* instance: the record. Registers, updates, renews or recovers, whichever
	                     it takes */
	COMMAND_DEREGISTER, /* instance.service, .id */
	COMMAND_HEARTBEAT,  /* instance.service, .id; with set_status also .wants_drain and
	                       .reports_unhealthy (at most one is true): recovers the instance, or
	                       changes the status that its owner reports */
	COMMAND_STATUS, /* an operator's drain or its end: drained, reason, for_ms. An id that is
	                   not registered must have an intent, else -ENOENT */
	COMMAND_TEND,   /* from the registry itself: makes the intent of an instance that is
	                   drained without one, removes an intent that has ended */
	COMMAND_INDEX   /* instance.service: build the pick indexes that are wanted; no event */
};

enum command_outcome {
	OUTCOME_NONE,
	OUTCOME_CREATED,
	OUTCOME_CHANGED,
	OUTCOME_RENEWED,
	OUTCOME_REMOVED
};

/** Owned by the caller, who keeps it and all it points to until done() has been called. */
struct command {
	enum command_kind kind;
	/*
	 * In: which instance; for COMMAND_REGISTER its whole record.
	 * Out, for COMMAND_REGISTER: the whole instance as it now is, its strings the caller's own
	 * or in the two buffers below. After the other commands read the snapshot, which is at
	 * least at `revision`.
	 */
	struct instance instance;
	struct str author; /* "instance" or "operator:ADDRESS"; at most STATUS_BY_MAX bytes */
	struct str peer;   /* address of the client; at most AUTHOR_MAX bytes */
	struct str agent;  /* at most AUTHOR_MAX bytes */
	struct str reason; /* COMMAND_STATUS: at most REASON_MAX bytes */
	int64_t for_ms;    /* COMMAND_STATUS with drained: how long, 0 = until resumed */
	bool drained;      /* COMMAND_STATUS */
	/** COMMAND_STATUS: NULL, or told of the watchers who have not been sent it yet. Borrowed.
	 */
	struct watch_receipt *receipt;
	bool must_exist;         /* fails with -ESTALE when the instance is not there */
	uint64_t revision_is;    /* unless 0: fails with -ESTALE when its revision is another */
	uint64_t incarnation_is; /* unless 0: fails with -EEXIST when this is another life of the id
	                          */
	bool set_status;         /* COMMAND_HEARTBEAT: the heartbeat has a status */
	/** Called on the writer thread once the outcome is durable and published; must not block or
	 * fail. */
	void (*done)(struct command *command);

	/* out */
	/* 0; -ENOENT; -ESTALE and -EEXIST as above; -EDQUOT; -EOVERFLOW; -ENOSPC; -EBUSY: another
	 * process keeps the database locked; -EIO; -ETXTBSY; -ENOTRECOVERABLE: the disk failed
	 * while it was committed, so it may have been made; -ENOMEM; -ESHUTDOWN */
	int error;
	enum command_outcome outcome;
	uint64_t revision; /* of the event, or of the instance when nothing changed; 0 when there is
	                      none */
	char status_reason[REASON_MAX];
	char status_by[STATUS_BY_MAX];

	struct mail mail; /* the registry's while submitted */
};

/**
 * Hands @p command to the writer. Any thread; never blocks on the disk.
 * @return 0: done() will be called, perhaps before this returns; -EAGAIN: the queue is full;
 * -ESHUTDOWN: stopping; -EIO: the journal has failed. Without 0 done() is not called.
 */
int registry_submit(struct registry *registry, struct command *command) MUST_USE;
/** Has the journal failed? Then no change is accepted; reads and heartbeats go on. Any thread. */
bool registry_has_failed(const struct registry *registry);
/** Why: as journal_failure(). Any thread. */
int registry_failure(const struct registry *registry);
/** Does another process keep the database locked, so that changes wait or are refused? Any thread.
 */
bool registry_is_locked(const struct registry *registry);
/** Is the disk full, so that only deregistrations are accepted? Any thread. */
bool registry_is_full(const struct registry *registry);

/**
 * A heartbeat: renews the lease of @p member. Any thread, inside a visit; wait-free, one store in
 * effect. An instance that is unhealthy needs a COMMAND_HEARTBEAT besides, to become healthy.
 * @return 0; -EAGAIN: it counts here, but must not be acknowledged, as the ledger takes none now
 */
int registry_renew(struct registry *registry, const struct member *member) MUST_USE;

/** How many services have their expiries held back now. Any thread. */
uint32_t registry_held_services(const struct registry *registry);
/** One pass of the writer on this thread, without waiting. With write_by_hand only. */
void registry_step(struct registry *registry);
/** One tick of the sweeper; what falls due is handed to the writer. With sweep_by_hand only. */
void registry_sweep(struct registry *registry);

/** The lease clock: clock_ms() less the time in which the daemon could not take heartbeats. Any
 * thread. */
int64_t registry_lease_ms(const struct registry *registry);
/** Is the expiry of this service's instances held back now? @return ms left, 0 when not. Any
 * thread, inside a visit. */
int64_t registry_held_ms(const struct registry *registry, const struct service *service);

#define HISTORY_TURN 10000
/**
 * Events from the log, read on the registry's history thread. Owned by the caller until done().
 * Those that wait take turns, so one that finds little in a long log holds nobody up.
 */
struct history {
	struct journal_query query;
	struct buf *out; /* gets the events, as put() puts them */
	/** Appends one event to out, on the history thread. NULL: as JSON objects between commas.
	 */
	void (*put)(struct history *history, const struct event *event);
	const void *arg; /* the caller's, for put() */
	/** Finishes what put() has put, on the history thread, once. NULL: nothing is to be done.
	 */
	void (*end)(struct history *history);
	/** May it keep @p bytes that were read for it? On the history thread. NULL: it may. */
	bool (*admit)(struct history *history, size_t bytes);
	size_t bytes_max; /* stop once out is so long; 0: never */
	bool is_counted;  /* how many may ask is limited elsewhere: never refused as one too many */
	void (*done)(struct history *history); /* on the history thread; must not block */
	int error; /* as journal_reader_events(); -ENOBUFS: not admitted */
	uint64_t last;
	uint64_t oldest;
	int64_t oldest_ms; /* with -ESTALE: as journal_reader_oldest() */
	uint32_t count;
	bool more; /* stopped at query.limit or bytes_max: there may be more after `last` */

	/* the history thread's */
	struct mail mail;
	struct mail *same; /* those that get what it finds */
	bool has_begun;
	size_t start; /* of what it has put into out */
};
/** @return 0, -EAGAIN (too many wait), -ESHUTDOWN */
int registry_read_history(struct registry *registry, struct history *history) MUST_USE;

enum archive_kind {
	ARCHIVE_STATE, /* what was registered at `at`: a store of its own */
	ARCHIVE_DIFF,  /* what changed from `at` to `to`: JSON in out */
	ARCHIVE_LIFE,  /* the events of one instance: JSON in out */
	ARCHIVE_DROP   /* not a question: registry_drop_past() */
};

/** A question about the past, answered on the registry's archive thread. Owned by the caller until
 * done(). */
struct archive_query {
	enum archive_kind kind;
	struct past_query at;
	struct past_query to;      /* ARCHIVE_DIFF; at.service stands for both */
	uint64_t skip;             /* ARCHIVE_DIFF: differences that were told before */
	uint32_t limit;            /* ... and how many to tell at most */
	struct journal_query life; /* ARCHIVE_LIFE */
	uint32_t indexes;          /* ARCHIVE_STATE: bit per index that picks from it will read */
	struct buf *out;           /* ARCHIVE_DIFF, ARCHIVE_LIFE */
	size_t bytes_max;          /* what fills `out` so far ends the page */
	void (*done)(struct archive_query *query); /* on the archive thread; must not block */

	/* out */
	int error;                    /* as past_read(), journal_reader_events(); -EMSGSIZE */
	struct past_bounds bounds;    /* with -ESTALE and -ERANGE too */
	uint64_t to_revision;         /* ARCHIVE_DIFF */
	struct snapshot_store *store; /* ARCHIVE_STATE: the caller's, for registry_drop_past() */
	uint64_t last;                /* ARCHIVE_LIFE: as journal_reader_events() */
	uint32_t count;               /* in `out` */
	bool more;                    /* the page was full: there may be more after it */

	struct mail mail; /* the archive thread's */
};
/** @return 0, -EAGAIN (too many wait), -ESHUTDOWN */
int registry_read_past(struct registry *registry, struct archive_query *query) MUST_USE;
/**
 * Frees the store of an answered @p query, which may be large, on the archive thread that made it;
 * then calls done(), there, or here when that thread has ended.
 */
void registry_drop_past(struct registry *registry, struct archive_query *query);
