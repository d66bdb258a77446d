/* SPDX-License-Identifier: MIT */
/*
 * Heartbeats while the ledger accepts no renewals: none is acknowledged, by any of the requests
 * that renew. The ledger is the embedded one; the test sets whether it accepts them.
 */
#include "api_fixture.h"

#include "ledger/engine.h"

#define WEB_A "/v1/services/web/instances/a"

static struct ledger *ledger; /* the embedded one */

static int open_noted(const struct ledger_options *ledger_options, struct journal *journal,
                      struct ledger **ret_ledger, struct journal_error *ret_error)
{
	int r = ledger_local.open(ledger_options, journal, ret_ledger, ret_error);

	ledger = *ret_ledger;
	return r;
}

static void setup(void)
{
	static struct ledger_engine noted;

	api_fixture_setup();
	api_fixture_close();
	noted = ledger_local;
	noted.open = open_noted;
	options.ledger.engine = &noted;
	api_fixture_open();
	put("web", "a", NULL);
}

START_TEST(no_heartbeat_is_acknowledged_while_the_ledger_takes_none)
{
	static const struct {
		const char *method;
		const char *target;
		const char *body;
	} beats[] = {
		{"POST", WEB_A "/heartbeat", NULL},
		{"PUT", WEB_A, "{\"host\":\"10.0.0.1\",\"port\":8080}"},
		{"POST", "/v1/heartbeats", "{\"instances\":[{\"service\":\"web\",\"id\":\"a\"}]}"},
	};

	call("PUT", WEB_A, beats[1].body);
	for (int takes = 1; takes >= 0; takes--) {
		atomic_store(&ledger->takes_heartbeats, takes == 1);
		for (size_t i = 0; i < ARRAY_LEN(beats); i++) {
			call(beats[i].method, beats[i].target, beats[i].body);
			ck_assert_uint_eq(times_parked, 0);
			ck_status(takes == 1 ? 200 : 503);
		}
	}
}
END_TEST

START_TEST(the_lease_is_renewed_all_the_same)
{
	atomic_store(&ledger->takes_heartbeats, false);
	clock_virtual_advance(1000);
	call("POST", WEB_A "/heartbeat", NULL);
	ck_status(503);
	call("GET", WEB_A, NULL);
	ck_assert_int_eq(number("heartbeat_age_ms"), 0);
}
END_TEST

SUITE("api_renew", setup, api_fixture_teardown,
      no_heartbeat_is_acknowledged_while_the_ledger_takes_none, the_lease_is_renewed_all_the_same)
