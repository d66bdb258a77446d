/* SPDX-License-Identifier: MIT */
/* The reasons that a program can read for a failing registration. */
#include "sim.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

static struct sim sim;
static rollcall_registration_options options;
static rollcall_registration *registration;
static char why[4096];

static void setup(void)
{
	sim_open(&sim, 12);
	rollcall_registration_options_init(&options);
	options.service = "web";
	options.id = "w1";
	options.host = "10.1.1.1";
	options.port = 8080;
	registration = NULL;
	memset(why, 0, sizeof(why));
}

static void teardown(void)
{
	sim_close(&sim);
}

static void begin(void)
{
	ck_ok(rollcall_register(sim.client, &options, &registration));
	ck_fails(rollcall_registration_failure(registration, why, sizeof(why)), ENOENT);
	sim_run_ms(&sim, 100);
}

static const char *failure(void)
{
	ck_ok(rollcall_registration_failure(registration, why, sizeof(why)));
	return why;
}

START_TEST(no_connection_is_a_failure_until_the_registry_answers)
{
	sim.down = true;
	begin();
	ck_assert_str_eq(failure(), "http://registry1:7655: no connection");
	sim.down = false;
	sim_run_ms(&sim, 20000);
	ck_fails(rollcall_registration_failure(registration, why, sizeof(why)), ENOENT);
}
END_TEST

START_TEST(the_registry_s_reason_is_kept_with_each_field)
{
	sim.registry_status = 422;
	(void)snprintf(sim.registry_body, sizeof(sim.registry_body),
	               "{\"detail\":\"2 fields are wrong\",\"errors\":[{\"pointer\":\"/host\","
	               "\"detail\":\"is empty\"},{\"pointer\":\"/port\",\"detail\":\"is 0\"}]}");
	begin();
	ck_assert_str_eq(failure(),
	                 "http://registry1:7655: 2 fields are wrong (status 422); /host: is empty; "
	                 "/port: is 0");
	ck_ok(rollcall_registration_failure(registration, why, 9));
	ck_assert_str_eq(why, "http://r");
	ck_fails(rollcall_registration_failure(registration, why, 0), EINVAL);
	sim.registry_status = 0;
	sim_run_ms(&sim, 20000);
	ck_fails(rollcall_registration_failure(registration, why, sizeof(why)), ENOENT);
}
END_TEST

START_TEST(a_failing_heartbeat_is_a_failure)
{
	begin();
	sim.registry_status = 503;
	(void)snprintf(sim.registry_body, sizeof(sim.registry_body), "no JSON");
	sim_run_ms(&sim, 12000);
	ck_assert_int_eq(rollcall_registration_state(registration), ROLLCALL_REGISTERED);
	ck_assert_str_eq(failure(), "http://registry1:7655: status 503");
}
END_TEST

static void forgotten(rollcall_registration *r, rollcall_state state, void *arg)
{
	unsigned *pending = arg;

	*pending += state == ROLLCALL_PENDING;
	ck_fails(rollcall_registration_failure(r, why, sizeof(why)), ENOENT);
}

START_TEST(a_registry_that_forgot_it_is_none)
{
	unsigned pending = 0;

	options.on_state = forgotten;
	options.arg = &pending;
	begin();
	sim.records[0].here = false;
	sim_run_ms(&sim, 15000);
	ck_assert_uint_eq(sim.records[0].puts, 2);
	ck_assert_uint_eq(pending, 1);
}
END_TEST

START_TEST(a_long_reason_is_cut)
{
	size_t len;

	sim.registry_status = 403;
	(void)snprintf(sim.registry_body, sizeof(sim.registry_body), "{\"detail\":\"%01000d\"}", 0);
	begin();
	len = strlen(failure());
	ck_assert_uint_eq(len, strlen("http://registry1:7655: ") + 500 + strlen(" (status 403)"));
}
END_TEST

SUITE("client failure", setup, teardown, no_connection_is_a_failure_until_the_registry_answers,
      the_registry_s_reason_is_kept_with_each_field, a_failing_heartbeat_is_a_failure,
      a_registry_that_forgot_it_is_none, a_long_reason_is_cut)
