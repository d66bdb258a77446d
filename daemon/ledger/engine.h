/* SPDX-License-Identifier: MIT */
/** An engine behind a ledger: each function implements that of ledger.h with its name. */
#pragma once

#include "ledger/ledger.h"

#include <stdatomic.h>

/** The first member of an engine's own struct. */
struct ledger {
	const struct ledger_engine *engine;

	/* atomic; changed by the engine */
	_Atomic bool takes_heartbeats;
	_Atomic int64_t horizon_ms;
	_Atomic int64_t stale_since_ms; /* clock_ms(); 0: current */
};

/** For open() of an engine: sets the ledger to current, taking heartbeats, without a horizon. */
void ledger_init(struct ledger *ledger, const struct ledger_engine *engine);

struct ledger_engine {
	int (*open)(const struct ledger_options *options, struct journal *journal,
	            struct ledger **ret_ledger, struct journal_error *ret_error);
	int (*start)(struct ledger *ledger, void (*wake)(void *arg), void *arg);
	int (*propose)(struct ledger *ledger, struct event *events, size_t count);
	struct ledger_item *(*next)(struct ledger *ledger);
	void (*done)(struct ledger *ledger, struct ledger_item *item);
	void (*stop)(struct ledger *ledger);
	void (*close)(struct ledger *ledger);
};

/** The embedded engine: a proposal is appended to the journal. */
extern const struct ledger_engine ledger_local;
