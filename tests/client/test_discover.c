/* SPDX-License-Identifier: MIT */
/* Discovery and its cache in virtual time. */
#include "lib/service/service.h"
#include "sim.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct sim sim;
static rollcall_endpoint endpoint;

static void setup(void)
{
	sim_open(&sim, 5);
	(void)sim_add(&sim, "a");
	(void)sim_add(&sim, "b");
	rollcall_endpoint_init(&endpoint);
}

static void teardown(void)
{
	sim_close(&sim);
}

static int discover(void)
{
	return rollcall_discover(sim.client, "web", NULL, &endpoint);
}

static size_t count(void)
{
	rollcall_instances *list;

	ck_ok(rollcall_get_instances(sim.client, "web", &list));
	size_t n = rollcall_instances_count(list);
	rollcall_instances_free(list);
	return n;
}

START_TEST(the_first_lookup_asks_and_later_ones_do_not)
{
	ck_ok(discover());
	ck_assert_str_eq(endpoint.host, endpoint.id[0] == 'a' ? "10.0.0.1" : "10.0.0.2");
	ck_assert_int_eq(endpoint.port, 80);
	ck_assert_uint_eq(endpoint.weight, 100);
	ck_assert_int_eq(endpoint.stale, 0);
	for (int i = 0; i < 1000; i++)
		ck_ok(discover());
	ck_assert_uint_eq(sim.lookups - sim.poll_requests, 1);
}
END_TEST

START_TEST(without_blocking_the_first_is_awaited_elsewhere)
{
	ck_fails(rollcall_discover_now(sim.client, "web", NULL, &endpoint), EAGAIN);
	sim_run_ms(&sim, 10);
	ck_ok(rollcall_discover_now(sim.client, "web", NULL, &endpoint));
}
END_TEST

START_TEST(a_change_is_known_at_once_through_a_long_poll)
{
	ck_ok(discover());
	sim_run_ms(&sim, 100);
	(void)sim_add(&sim, "c");
	sim_run_ms(&sim, 60);
	ck_assert_uint_eq(count(), 3);
	ck_assert_uint_ge(sim.poll_requests, 1);
}
END_TEST

START_TEST(quiet_long_polls_come_one_a_ttl)
{
	ck_ok(discover());
	sim_run_ms(&sim, 300000);
	ck_assert_uint_ge(sim.lookups, 10);
	ck_assert_uint_le(sim.lookups, 12);
}
END_TEST

START_TEST(without_long_polls_it_asks_each_ttl)
{
	sim.polls = false;
	ck_ok(discover());
	sim_run_ms(&sim, 100);
	unsigned before = sim.lookups;
	sim_run_ms(&sim, 290000);
	ck_assert_uint_ge(sim.lookups - before, 8);
	ck_assert_uint_le(sim.lookups - before, 12);
	(void)sim_add(&sim, "c");
	sim_run_ms(&sim, 33000);
	ck_assert_uint_eq(count(), 3);
}
END_TEST

START_TEST(long_polls_are_found_again_after_an_upgrade)
{
	sim.polls = false;
	ck_ok(discover());
	sim_run_ms(&sim, 30000);
	sim.polls = true;
	sim_run_ms(&sim, 400000);
	(void)sim_add(&sim, "c");
	sim_run_ms(&sim, 60);
	ck_assert_uint_eq(count(), 3);
}
END_TEST

START_TEST(with_the_registry_down_the_last_answer_serves_and_says_its_age)
{
	ck_ok(discover());
	sim_run_ms(&sim, 1000);
	sim.down = true;
	sim_run_ms(&sim, 600000);
	ck_ok(discover());
	ck_assert_int_ge(endpoint.age_ms, 600000);
	ck_assert_int_eq(endpoint.stale, 1);
	sim.down = false;
	sim_run_ms(&sim, 16000);
	ck_ok(discover());
	ck_assert_int_eq(endpoint.stale, 0);
	ck_assert_int_lt(endpoint.age_ms, 16000);
}
END_TEST

START_TEST(a_registry_that_comes_back_is_not_stormed)
{
	ck_ok(discover());
	sim.down = true;
	unsigned before = sim.asked[0];
	sim_run_ms(&sim, 600000);
	ck_assert_uint_le(sim.asked[0] - before, 100);
}
END_TEST

static void restart_the_registry_empty(void)
{
	sim_run_ms(&sim, 100);
	sim.down = true;
	sim_run_ms(&sim, 1000);
	sim.down = false;
	sim.revision = 2; /* a new, empty database */
	sim.knows_web = false;
	sim_run_ms(&sim, 20000);
}

START_TEST(a_registry_that_lost_its_memory_is_not_believed_for_a_ttl)
{
	for (int round = 0; round < 2; round++) {
		sim.revision = 100;
		sim.knows_web = true;
		sim_run_ms(&sim, 2000);
		ck_ok(discover());
		restart_the_registry_empty();
		ck_ok(discover());
		ck_assert_int_eq(endpoint.stale, 1);
		sim_run_ms(&sim, 40000);
		ck_fails(discover(), ENOENT);
	}
}
END_TEST

START_TEST(a_registry_that_began_anew_is_believed_after_that_ttl)
{
	sim.revision = 100;
	ck_ok(discover());
	sim.revision = 2; /* a new database, in which all instances have registered again */
	sim_run_ms(&sim, 125000);
	ck_ok(discover());
	ck_assert_int_eq(endpoint.stale, 0);
	sim_remove(&sim, 0);
	sim_remove(&sim, 1);
	sim_run_ms(&sim, 100);
	ck_fails(discover(), EHOSTUNREACH);
}
END_TEST

START_TEST(an_unknown_service_is_found_soon_after_it_appears)
{
	sim.knows_web = false;
	ck_fails(discover(), ENOENT);
	ck_fails(discover(), ENOENT); /* without another request */
	ck_assert_uint_eq(sim.lookups, 1);
	sim.knows_web = true;
	sim_run_ms(&sim, 1100);
	ck_ok(discover());
}
END_TEST

START_TEST(a_service_without_instances_is_known)
{
	sim_remove(&sim, 0);
	sim_remove(&sim, 1);
	ck_fails(discover(), EHOSTUNREACH);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(names_that_cannot_be_are_refused)
{
	char name[200];

	memset(name, 'a', sizeof(name));
	name[129] = '\0';
	ck_fails(rollcall_discover(sim.client, name, NULL, &endpoint), EINVAL);
	ck_fails(rollcall_discover(sim.client, "", NULL, &endpoint), EINVAL);
	ck_fails(rollcall_discover(sim.client, "a/b", NULL, &endpoint), EINVAL);
	ck_fails(rollcall_discover(sim.client, NULL, NULL, &endpoint), EINVAL);
	endpoint.size = 8;
	ck_fails(discover(), EINVAL);
}
END_TEST

START_TEST(services_are_bounded)
{
	char name[16];

	sim_close(&sim);
	sim_init(&sim, 1);
	sim.options.max_services = 10;
	sim_start(&sim);
	for (int i = 0; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		ck_fails(rollcall_discover_now(sim.client, name, NULL, &endpoint), EAGAIN);
	}
	ck_fails(rollcall_discover_now(sim.client, "s10", NULL, &endpoint), ENOSPC);
}
END_TEST

static int changes;

static void on_change(rollcall_client *client, const char *service, void *arg)
{
	ck_assert_ptr_eq(client, sim.client);
	ck_assert_str_eq(service, "web");
	ck_assert_ptr_eq(arg, &changes);
	changes++;
}

START_TEST(a_watch_hears_of_changes_and_of_nothing_else)
{
	rollcall_watch *watch;

	changes = 0;
	ck_ok(rollcall_watch_start(sim.client, "web", on_change, &changes, &watch));
	sim_run_ms(&sim, 100);
	ck_assert_int_eq(changes, 1);
	sim_run_ms(&sim, 120000);
	ck_assert_int_eq(changes, 1);
	sim_remove(&sim, 0);
	sim_run_ms(&sim, 100);
	ck_assert_int_eq(changes, 2);
	sim.revision++; /* a new revision with the same instances */
	sim_run_ms(&sim, 100);
	ck_assert_int_eq(changes, 2);
	rollcall_watch_stop(watch);
	sim_remove(&sim, 1);
	sim_run_ms(&sim, 1000);
	ck_assert_int_eq(changes, 2);
}
END_TEST

START_TEST(a_sticky_key_stays_with_its_instance)
{
	char first[ROLLCALL_ID_MAX + 1];

	ck_ok(rollcall_set_strategy(sim.client, "web", rollcall_strategy_named("consistent_hash")));
	ck_ok(rollcall_discover(sim.client, "web", "user-1", &endpoint));
	memcpy(first, endpoint.id, sizeof(first));
	for (int i = 0; i < 100; i++) {
		ck_ok(rollcall_discover(sim.client, "web", "user-1", &endpoint));
		ck_assert_str_eq(endpoint.id, first);
	}
}
END_TEST

START_TEST(a_list_outlives_what_follows_it)
{
	rollcall_instances *list;

	ck_ok(rollcall_get_instances(sim.client, "web", &list));
	sim_remove(&sim, 0);
	sim_run_ms(&sim, 200);
	ck_assert_uint_eq(count(), 1);
	ck_assert_uint_eq(rollcall_instances_count(list), 2);
	const rollcall_instance *one = rollcall_instances_at(list, 0);
	ck_assert_str_eq(one->id, "a");
	ck_assert_uint_eq(one->metadata_count, 1);
	ck_assert_str_eq(one->metadata[0].name, "zone");
	ck_assert_str_eq(one->metadata[0].value, "a");
	ck_assert_ptr_null(rollcall_instances_at(list, 2));
	rollcall_instances_free(list);
}
END_TEST

START_TEST(reports_eject_for_those_who_call_by_themselves)
{
	ck_ok(discover());
	for (int i = 0; i < 5; i++)
		ck_ok(rollcall_report(sim.client, "web", "a", ROLLCALL_UNKNOWN, 1000));
	for (int i = 0; i < 50; i++) {
		ck_ok(discover());
		ck_assert_str_eq(endpoint.id, "b");
	}
	ck_fails(rollcall_report(sim.client, "web", "zz", ROLLCALL_OK, 1), ENOENT);
	ck_fails(rollcall_report(sim.client, "web", "a", (rollcall_class)99, 1), EINVAL);
}
END_TEST

START_TEST(what_was_learnt_survives_a_change_of_the_set)
{
	ck_ok(discover());
	for (int i = 0; i < 5; i++)
		ck_ok(rollcall_report(sim.client, "web", "a", ROLLCALL_UNKNOWN, 1000));
	sim.instances[0].weight = 7; /* a new record of the same instance */
	(void)sim_add(&sim, "c");
	sim_run_ms(&sim, 200);
	ck_assert_uint_eq(count(), 3);
	ck_assert_uint_eq(sim_stats(&sim).ejected, 1);
	for (int i = 0; i < 100; i++) {
		ck_ok(discover());
		ck_assert_str_ne(endpoint.id, "a");
	}
}
END_TEST

static size_t always_last(void *state, const rollcall_choice *choice)
{
	(void)state;
	return choice->count - 1;
}

START_TEST(a_caller_may_bring_a_strategy)
{
	rollcall_strategy mine = *rollcall_strategy_named("random");

	mine.name = "mine";
	mine.pick = always_last;
	ck_ok(rollcall_set_strategy(sim.client, "web", &mine));
	for (int i = 0; i < 20; i++) {
		ck_ok(discover());
		ck_assert_str_eq(endpoint.id, "b");
	}
	mine.pick = NULL;
	ck_fails(rollcall_set_strategy(sim.client, "web", &mine), EINVAL);
	ck_ok(rollcall_set_strategy(sim.client, "web", rollcall_strategy_named("random")));
}
END_TEST

START_TEST(answers_are_read_without_trust)
{
	static const char *const bad[] = {
		"", "{", "[]", "{\"instances\":{}}", "{\"revision\":1}", "null",
	};
	static const char half[] =
		"{\"revision\":4,\"instances\":[{\"id\":\"ok\",\"host\":\"h\",\"port\":1},"
		"{\"id\":\"\",\"host\":\"h\",\"port\":1},{\"id\":\"x\",\"host\":\"h/"
		"evil\",\"port\":1},"
		"{\"id\":\"y\",\"host\":\"h\",\"port\":70000},{\"id\":\"ok\",\"host\":\"h\","
		"\"port\":2},"
		"{\"id\":\"z\",\"host\":\"h\"},7]}";
	rollcall_instances *set;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_fails(set_parse(bad[i], strlen(bad[i]), NULL, &set), EPROTO);
	ck_ok(set_parse(half, strlen(half), NULL, &set));
	ck_assert_uint_eq(set->count, 1);
	ck_assert_uint_eq(rollcall_instances_revision(set), 4);
	set_unref(set);
}
END_TEST

SUITE("client discovery", setup, teardown, the_first_lookup_asks_and_later_ones_do_not,
      without_blocking_the_first_is_awaited_elsewhere,
      a_change_is_known_at_once_through_a_long_poll, quiet_long_polls_come_one_a_ttl,
      without_long_polls_it_asks_each_ttl, long_polls_are_found_again_after_an_upgrade,
      with_the_registry_down_the_last_answer_serves_and_says_its_age,
      a_registry_that_comes_back_is_not_stormed,
      a_registry_that_lost_its_memory_is_not_believed_for_a_ttl,
      a_registry_that_began_anew_is_believed_after_that_ttl,
      an_unknown_service_is_found_soon_after_it_appears, a_service_without_instances_is_known,
      names_that_cannot_be_are_refused, services_are_bounded,
      a_watch_hears_of_changes_and_of_nothing_else, a_sticky_key_stays_with_its_instance,
      a_list_outlives_what_follows_it, reports_eject_for_those_who_call_by_themselves,
      what_was_learnt_survives_a_change_of_the_set, a_caller_may_bring_a_strategy,
      answers_are_read_without_trust)
