/* SPDX-License-Identifier: MIT */
/**
 * The ledger decides the order of changes: every batch of events gets its place and its revisions
 * from it.
 *
 * The writer proposes a batch. The embedded ledger is the journal itself, which commits at once.
 * Another engine may commit elsewhere: then the verdict comes later, and so do batches that other
 * daemons have proposed, all in the order of their commits.
 *
 *	r = ledger_propose(ledger, events, count);   // 0: committed and stored; -EINPROGRESS: wait
 *	while ((item = ledger_next(ledger)) != NULL) {
 *		... store, publish, settle ...
 *		ledger_done(ledger, item);
 *	}
 *
 * Writer's thread unless stated otherwise. Only open, close and, with the embedded ledger, propose
 * wait for the disk.
 */
#pragma once

#include "base/attr.h"
#include "journal/journal.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger;
struct ledger_engine;

struct ledger_options {
	const struct ledger_engine *engine; /* ledger/engine.h; NULL: the journal alone */
	void *engine_arg;
};

enum ledger_kind {
	LEDGER_EVENTS, /* a whole batch that was committed elsewhere. An open proposal has lost: its
	                  LEDGER_LOST follows */
	LEDGER_WON,    /* the open proposal is committed, but not stored in the journal yet */
	LEDGER_LOST    /* the open proposal is not committed; with -ETIMEDOUT that is unknown */
};

/** Borrowed from ledger_next() until ledger_done(). */
struct ledger_item {
	enum ledger_kind kind;
	struct event *events; /* LEDGER_EVENTS: with their revisions, in order, without gaps */
	size_t count;
	uint64_t revision; /* LEDGER_WON: of the first event; the others count up from it */
	/* LEDGER_LOST: -ESTALE: the items before this one came first, decide anew; -ETIMEDOUT: not
	 * known, the batch may still arrive as LEDGER_EVENTS; -ESHUTDOWN */
	int error;
};

/**
 * Opens the ledger and brings the journal up to date.
 * @param journal  borrowed until ledger_close()
 * @return 0, or an error, which @p ret_error describes
 */
int ledger_open(const struct ledger_options *options, struct journal *journal,
                struct ledger **ret_ledger, struct journal_error *ret_error) MUST_USE;
/** @param wake  called when there is an item, on any thread, which holds no lock */
int ledger_start(struct ledger *ledger, void (*wake)(void *arg), void *arg) MUST_USE;
/**
 * Proposes @p count events, one or more, as the successors of all items taken from ledger_next() so
 * far. One proposal at a time; the ledger copies what it needs.
 * @return 0: committed and stored in the journal, and each event has its revision; -EINPROGRESS:
 *         LEDGER_WON or LEDGER_LOST follows; -ESHUTDOWN: stopped; or as journal_append()
 */
int ledger_propose(struct ledger *ledger, struct event *events, size_t count) MUST_USE;
/** @return the next item in the order of commits; NULL: none now */
struct ledger_item *ledger_next(struct ledger *ledger) MUST_USE;
/** Gives @p item back, which has been stored and published. */
void ledger_done(struct ledger *ledger, struct ledger_item *item);

/** May heartbeats be acknowledged? No while the engine cannot pass them on. Any thread; one
 * load. */
bool ledger_takes_heartbeats(const struct ledger *ledger);
/** Leases that end after this time of the lease clock must not expire yet; INT64_MAX: no limit. Any
 * thread. */
int64_t ledger_horizon_ms(const struct ledger *ledger);
/** How long the journal may have been behind the ledger; 0: it is current. Any thread. */
int64_t ledger_stale_ms(const struct ledger *ledger);

/** Stops the ledger: an open proposal soon gets its verdict, at the latest -ESHUTDOWN. Does not
 * block. Any thread; may be called twice. */
void ledger_stop(struct ledger *ledger);
/** Takes NULL. */
void ledger_close(struct ledger *ledger);
