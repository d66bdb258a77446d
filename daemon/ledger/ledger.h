/* SPDX-License-Identifier: MIT */
/**
 * The order of changes: every batch of events gets its place, and its revisions, from the ledger.
 *
 * The writer proposes what it has decided. The embedded ledger is the journal itself, which commits
 *at once. Another engine may commit elsewhere: then the verdict comes later, and so do batches that
 *others proposed, all in one order of commitment.
 *
 *	r = ledger_propose(ledger, events, count);   // 0: committed and stored; -EINPROGRESS: wait
 *	while ((item = ledger_next(ledger)) != NULL) {
 *		... store, publish, settle ...
 *		ledger_done(ledger, item);
 *	}
 *
 * Writer's thread where nothing else is said. Only open, close and, with the embedded ledger,
 *propose wait for the disk.
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
	LEDGER_EVENTS, /* a whole batch that was committed elsewhere. A proposal that is open now
	                  has lost: its LEDGER_LOST follows */
	LEDGER_WON,    /* the open proposal is committed, but not stored */
	LEDGER_LOST    /* the open proposal is not committed, but for -ETIMEDOUT */
};

/** Borrowed from ledger_next() until ledger_done(). */
struct ledger_item {
	enum ledger_kind kind;
	struct event *events; /* LEDGER_EVENTS: with their numbers, in order, without gaps */
	size_t count;
	uint64_t revision; /* LEDGER_WON: of the first event; the others follow it */
	/* LEDGER_LOST: -ESTALE: the items before this one came first, decide anew; -ETIMEDOUT: not
	 * known, may come as LEDGER_EVENTS; -ESHUTDOWN */
	int error;
};

/**
 * Opens it, and brings the journal up to date. @return 0 or an error, with a text
 * @param journal  borrowed until ledger_close()
 */
int ledger_open(const struct ledger_options *options, struct journal *journal,
                struct ledger **ret_ledger, struct journal_error *ret_error) MUST_USE;
/** @param wake  there is an item; called on any thread, which holds no lock */
int ledger_start(struct ledger *ledger, void (*wake)(void *arg), void *arg) MUST_USE;
/**
 * Proposes @p count events, one or more, to follow what was taken from ledger_next() before. One
 * proposal at a time; it copies what it needs.
 * @return 0: committed and stored in the journal, and each event has its numbers; -EINPROGRESS:
 * LEDGER_WON or LEDGER_LOST follows; -ESHUTDOWN: it was stopped; or as journal_append()
 */
int ledger_propose(struct ledger *ledger, struct event *events, size_t count) MUST_USE;
/** @return the next item in order of commitment; NULL: none now */
struct ledger_item *ledger_next(struct ledger *ledger) MUST_USE;
/** @p item is stored and published. */
void ledger_done(struct ledger *ledger, struct ledger_item *item);

/** May heartbeats be acknowledged? Not while nobody else could learn of them. Any thread; one load.
 */
bool ledger_takes_heartbeats(const struct ledger *ledger);
/** No lease may run out whose end is after this time of the lease clock; INT64_MAX: no limit. Any
 * thread. */
int64_t ledger_horizon_ms(const struct ledger *ledger);
/** For how long the journal may have been behind the ledger; 0: it is current. Any thread. */
int64_t ledger_stale_ms(const struct ledger *ledger);

/** An open proposal gets its verdict soon, at the latest -ESHUTDOWN. Does not block. Any thread;
 * twice is fine. */
void ledger_stop(struct ledger *ledger);
/** Takes NULL. */
void ledger_close(struct ledger *ledger);
