/* SPDX-License-Identifier: MIT */
/** The embedded ledger: the journal alone. */
#include "ledger/ledger.h"

#include "statedir.h"
#include "suite.h"

static struct journal *journal;
static struct ledger *ledger;

static void setup(void)
{
	struct ledger_options options = {.engine = NULL};
	struct journal_error error = {""};

	statedir_make();
	journal = statedir_open();
	ck_ok(ledger_open(&options, journal, &ledger, &error));
	ck_ok(ledger_start(ledger, NULL, NULL));
}

static void teardown(void)
{
	ledger_stop(ledger);
	ledger_stop(ledger);
	ledger_close(ledger);
	ledger_close(NULL);
	journal_close(journal);
	statedir_remove();
}

START_TEST(what_is_proposed_is_appended_at_once)
{
	struct event events[] = {
		statedir_event(EVENT_REGISTERED, "web", "a"),
		statedir_event(EVENT_REGISTERED, "web", "b"),
	};

	ck_ok(ledger_propose(ledger, events, 2));
	ck_assert_uint_eq(events[1].revision, 2);
	ck_assert_uint_eq(events[1].instance.incarnation, 2);
	ck_assert_uint_eq(journal_revision(journal), 2);
	ck_assert_ptr_null(ledger_next(ledger));
}
END_TEST

START_TEST(the_embedded_ledger_is_always_current)
{
	ck_assert(ledger_takes_heartbeats(ledger));
	ck_assert_int_eq(ledger_horizon_ms(ledger), INT64_MAX);
	ck_assert_int_eq(ledger_stale_ms(ledger), 0);
}
END_TEST

SUITE("ledger", setup, teardown, what_is_proposed_is_appended_at_once,
      the_embedded_ledger_is_always_current)
