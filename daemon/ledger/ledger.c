/* SPDX-License-Identifier: MIT */
#include "base/check.h"
#include "base/clock.h"
#include "ledger/engine.h"

void ledger_init(struct ledger *ledger, const struct ledger_engine *engine)
{
	ledger->engine = engine;
	atomic_init(&ledger->takes_heartbeats, true);
	atomic_init(&ledger->horizon_ms, INT64_MAX);
	atomic_init(&ledger->stale_since_ms, 0);
}

int ledger_open(const struct ledger_options *options, struct journal *journal,
                struct ledger **ret_ledger, struct journal_error *ret_error)
{
	const struct ledger_engine *engine =
		options->engine != NULL ? options->engine : &ledger_local;

	return engine->open(options, journal, ret_ledger, ret_error);
}

int ledger_start(struct ledger *ledger, void (*wake)(void *arg), void *arg)
{
	return ledger->engine->start(ledger, wake, arg);
}

int ledger_propose(struct ledger *ledger, struct event *events, size_t count)
{
	CHECK(count > 0);
	return ledger->engine->propose(ledger, events, count);
}

struct ledger_item *ledger_next(struct ledger *ledger)
{
	return ledger->engine->next(ledger);
}

void ledger_done(struct ledger *ledger, struct ledger_item *item)
{
	ledger->engine->done(ledger, item);
}

bool ledger_takes_heartbeats(const struct ledger *ledger)
{
	return atomic_load_explicit(&ledger->takes_heartbeats, memory_order_relaxed);
}

int64_t ledger_horizon_ms(const struct ledger *ledger)
{
	return atomic_load_explicit(&ledger->horizon_ms, memory_order_acquire);
}

int64_t ledger_stale_ms(const struct ledger *ledger)
{
	int64_t since_ms = atomic_load_explicit(&ledger->stale_since_ms, memory_order_relaxed);

	return since_ms == 0 ? 0 : clock_ms() - since_ms;
}

void ledger_stop(struct ledger *ledger)
{
	ledger->engine->stop(ledger);
}

void ledger_close(struct ledger *ledger)
{
	if (ledger != NULL)
		ledger->engine->close(ledger);
}
