/* SPDX-License-Identifier: MIT */
/*
 * Reading endpoints: lookups, the list of services, picks, events, their formats, filters, ETags
 * and refusals. The registry is real, the clock virtual (api_fixture.h).
 */
#include "api_fixture.h"

#include "balance/balance.h"
#include "terminal_cases.h"
#include "v1/internal.h"

#include <stdatomic.h>

static bool body_has(const char *want)
{
	return sent().len > 0 && memmem(sent().data, sent().len, want, strlen(want)) != NULL;
}

/** The ids of the instances in the last answer, in order: "a b". */
static const char *ids(void)
{
	static char list[512];
	size_t i;
	const json_t *instance;

	list[0] = '\0';
	json_array_foreach(at("instances"), i, instance)
	{
		size_t len = strlen(list);
		(void)snprintf(list + len, sizeof(list) - len, "%s%s", i > 0 ? " " : "",
		               json_string_value(json_object_get(instance, "id")));
	}
	return list;
}

START_TEST(a_lookup_shares_one_rendered_answer)
{
	put("web", "a", NULL);
	put("web", "b", NULL);
	call("GET", "/v1/services/web", NULL);
	ck_status(200);
	ck_assert_ptr_nonnull(response.blob);
	ck_assert_str_eq(response.content_type, "application/json");
	ck_assert_str_eq(text("service"), "web");
	ck_assert_str_eq(ids(), "a b");
	ck_assert_ptr_null(at("instances.0.last_heartbeat"));
	const struct blob *first = response.blob;
	call("HEAD", "/v1/services/web", NULL);
	ck_assert_ptr_eq(response.blob, first);
	put("web", "c", NULL);
	call("GET", "/v1/services/web", NULL);
	ck_assert_ptr_ne(response.blob, first);
	ck_assert_str_eq(ids(), "a b c");
}
END_TEST

START_TEST(an_etag_changes_with_the_result_only)
{
	char etag[48];

	put("web", "a", "\"ttl_ms\":86400000");
	put("web", "b", "\"ttl_ms\":1000");
	call("GET", "/v1/services/web", NULL);
	strcpy(etag, response.etag);
	ck_assert_str_eq(etag, with_token("\"%s\"", 2));
	put("api", "x", NULL);
	call("GET", "/v1/services/web", NULL);
	ck_assert_str_eq(response.etag, etag);
	ck_assert_uint_eq(response.revision, 3);
	expire("web", "b");
	call("GET", "/v1/services/web", NULL);
	ck_assert_str_ne(response.etag, etag);
	ck_assert_str_eq(ids(), "a");
	call("GET", "/v1/services/web?status=draining", NULL);
	ck_status(200);
	ck_assert_str_eq(ids(), "");
}
END_TEST

START_TEST(a_known_etag_gets_304)
{
	static const char *const match[] = {"\"%s\"", "W/\"%s\"", "*", "\"x\", \"%s\"",
	                                    " W/\"9\" ,W/\"%s\""};
	static const char *const differ[] = {"%s",    "\"%s-text\"", "\"1%s\"", "\"%s0\"", "\"%s",
	                                     "\"1\"", "\"1.\"",      "1",       ""};

	put("web", "a", NULL);
	for (size_t i = 0; i < ARRAY_LEN(match); i++) {
		set_header("If-None-Match", with_token(match[i], 1));
		call("GET", "/v1/services/web", NULL);
		ck_status(304);
		ck_assert_ptr_null(response.content_type);
		ck_assert_ptr_null(response.blob);
		ck_assert_str_eq(response.etag, with_token("\"%s\"", 1));
		ck_assert_uint_eq(response.revision, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(differ); i++) {
		set_header("If-None-Match", with_token(differ[i], 1));
		call("GET", "/v1/services/web", NULL);
		ck_status(200);
	}
	set_header("If-None-Match", with_token("\"%s\"", 2));
	call("GET", "/v1/services/web", NULL);
	ck_status(200);
	set_header("If-None-Match", with_token("\"%s\"", 1));
	call("GET", "/v1/services/web?status=any&limit=1", NULL);
	ck_status(304);
	set_header("If-None-Match", with_token("\"%s\"", 1));
	call("GET", "/v1/services", NULL);
	ck_status(304);
	set_header("If-None-Match", "*");
	call("GET", "/v1/services/nobody", NULL);
	ck_status(404);
	ck_assert_str_eq(response.etag, "");
}
END_TEST

START_TEST(a_lookup_filters_by_status_and_metadata)
{
	put("web", "a", "\"metadata\":{\"zone\":\"a\",\"v\":\"1\"}");
	put("web", "b", "\"metadata\":{\"zone\":\"b\",\"v\":\"1\"},\"status\":\"draining\"");
	put("web", "c", "\"metadata\":{\"zone\":\"a b\",\"v\":\"2\"}");
	put("web", "d", "\"ttl_ms\":1000");
	expire("web", "d");
	static const struct {
		const char *query, *ids;
	} cases[] = {
		{"", "a c"},
		{"?status=healthy", "a c"},
		{"?status=draining", "b"},
		{"?status=unhealthy", "d"},
		{"?status=draining,healthy", "a b c"},
		{"?status=any", "a b c d"},
		{"?meta.v=1", "a"},
		{"?meta.v=1&status=any", "a b"},
		{"?meta.v=1&meta.zone=b&status=any", "b"},
		{"?meta.zone=a+b", "c"},
		{"?meta.zone=a%20b", "c"},
		{"?meta.z%6Fne=a%20b", "c"},
		{"?meta.none=", ""},
		{"?limit=1", "a"},
		{"?limit=1&after=a", "c"},
		{"?limit=2&status=any&after=b", "c d"},
		{"?after=d&status=any", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char target[200];

		(void)snprintf(target, sizeof(target), "/v1/services/web%s", cases[i].query);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert_msg(strcmp(ids(), cases[i].ids) == 0, "%s: %s", target, ids());
	}
	call("GET", "/v1/services/web?limit=1", NULL);
	ck_assert_str_eq(text("next"), "a");
	call("GET", "/v1/services/web?limit=2", NULL);
	ck_assert_str_eq(text("next"), "(none)");
	call("GET", "/v1/services/web?after=gone", NULL);
	ck_problem(410, "unknown-cursor");
}
END_TEST

START_TEST(services_are_listed_by_name)
{
	put("web", "a", NULL);
	put("web", "b", "\"status\":\"draining\"");
	put("api.v1", "a", NULL);
	put("api.v2", "a", NULL);
	put("Zed", "a", NULL);
	call("GET", "/v1/services", NULL);
	ck_status(200);
	ck_assert_uint_eq(json_array_size(at("services")), 4);
	ck_assert_str_eq(text("services.0.service"), "Zed");
	ck_assert_str_eq(text("services.3.service"), "web");
	ck_assert_int_eq(number("services.3.healthy"), 1);
	ck_assert_int_eq(number("services.3.unhealthy"), 0);
	ck_assert_int_eq(number("services.3.draining"), 1);
	ck_assert_str_eq(response.etag, with_token("\"%s\"", 5));

	call("GET", "/v1/services?prefix=api.", NULL);
	ck_assert_uint_eq(json_array_size(at("services")), 2);
	ck_assert_ptr_null(at("next"));
	call("GET", "/v1/services?prefix=api.&limit=1", NULL);
	ck_assert_uint_eq(json_array_size(at("services")), 1);
	ck_assert_str_eq(text("next"), "api.v1");
	call("GET", "/v1/services?prefix=api.&limit=1&after=api.v1", NULL);
	ck_assert_str_eq(text("services.0.service"), "api.v2");
	ck_assert_ptr_null(at("next"));
	call("GET", "/v1/services?after=web", NULL);
	ck_assert_uint_eq(json_array_size(at("services")), 0);
	call("GET", "/v1/services?prefix=x", NULL);
	ck_assert_uint_eq(json_array_size(at("services")), 0);
}
END_TEST

START_TEST(text_is_sent_to_clients_that_prefer_it)
{
	static const struct {
		const char *accept;
		bool text;
	} cases[] = {
		{"", false},
		{"*/*", false},
		{"text/plain", true},
		{"TEXT/PLAIN; q=0.9", true},
		{"text/plain, */*;q=0.1", true},
		{"text/plain, */*", true},
		{"text/plain;q=0.5, */*", false},
		{"text/plain;q=0", false},
		{"application/json, text/plain, */*", false},
		{"application/json;q=0.5, text/plain", true},
		{"text/html,application/xhtml+xml,*/*;q=0.8", false},
	};

	put("web", "a", "\"metadata\":{\"zone\":\"a\",\"v\":\"1\\u001b[2J\"}");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		set_header("Accept", cases[i].accept);
		call("GET", "/v1/services/web", NULL);
		ck_assert_msg((strncmp(response.content_type, "text/plain", 10) == 0) ==
		                      cases[i].text,
		              "%s", cases[i].accept);
		ck_assert_str_eq(header("Vary"), "Accept");
		ck_assert_str_eq(response.etag,
		                 with_token(cases[i].text ? "\"%s-text\"" : "\"%s\"", 1));
	}
	call("GET", "/v1/services/web?format=text", NULL);
	ck_assert(body_has(
		"ID  ADDRESS      STATUS   SINCE                     REASON      BY        "
		"WEIGHT  METADATA\n"
		"a   10.0.0.1:80  healthy  2023-11-14T22:13:20.000Z  registered  instance  "
		"100     v=1?[2J,zone=a\n"));
	call("GET", "/v1/services/web/instances/a?format=text", NULL);
	ck_assert(body_has("\na   10.0.0.1:80  healthy"));
	call("GET", "/v1/services?format=text", NULL);
	ck_assert(body_has(
		"SERVICE  HEALTHY  UNHEALTHY  DRAINING\nweb      1        0          0\n"));
	call("GET", "/v1/services/web/pick?format=text&count=3", NULL);
	ck_assert(str_equal(sent(), STR("10.0.0.1:80\n")));
	call("GET", "/v1/events?format=text", NULL);
	ck_assert(body_has(
		"REVISION  TIME                      KIND        SERVICE  ID  STATUS   BY"));
	ck_assert(
		body_has("\n1         2023-11-14T22:13:20.000Z  registered  web      a   healthy  "
	                 "instance  -\n"));
	set_header("Accept", "text/plain");
	call("GET", "/v1/services/web?format=json", NULL);
	ck_assert_str_eq(response.content_type, "application/json");
}
END_TEST

START_TEST(text_and_pretty_json_hold_nothing_that_a_terminal_obeys)
{
	static const char *const targets[] = {"/v1/services/web?status=any&",
	                                      "/v1/services/web/instances/a?", "/v1/events?",
	                                      "/v1/services/web?at=3&status=any&"};

	put("web", "a", "\"metadata\":{\"z\\u009b31m\":\"\\u202eabc\\u0007\"}");
	call("PUT", "/v1/services/web/instances/a/status",
	     "{\"status\":\"draining\",\"reason\":\"31m\\u202e\\u2028b\"}");
	ck_status(200);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		char target[100];

		(void)snprintf(target, sizeof(target), "%sformat=text", targets[i]);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert(body_has("31m"));
		ck_assert_msg(terminal_is_clean(sent()), "%s", target);
		(void)snprintf(target, sizeof(target), "%spretty", targets[i]);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert(body_has("31m\\u202e\\u2028b"));
		ck_assert(body_has("z\\u009b31m"));
		ck_assert_msg(terminal_is_clean(sent()), "%s", target);
	}
}
END_TEST

START_TEST(pretty_indents_any_json)
{
	put("web", "a", NULL);
	call("GET", "/v1/services/web?pretty", NULL);
	ck_assert(body_has("{\n  \"service\": \"web\",\n  \"revision\": 1,\n"));
	ck_assert_str_eq(ids(), "a");
	call("GET", "/v1/events?pretty=true", NULL);
	ck_assert(body_has("{\n  \"events\": [\n"));
	call("GET", "/v1/services/nobody?pretty", NULL);
	ck_assert(body_has("{\n  \"type\": \"/problems/unknown-service\",\n"));
	call("GET", "/v1/services/web?pretty=0", NULL);
	ck_assert(!body_has("\n "));
}
END_TEST

START_TEST(picks_take_turns)
{
	put("web", "a", NULL);
	put("web", "b", NULL);
	put("web", "c", "\"status\":\"draining\"");
	static const char *const order[] = {"a", "b", "a", "b"};
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		call("GET", "/v1/services/web/pick", NULL);
		ck_status(200);
		ck_assert_str_eq(text("id"), order[i]);
		ck_assert_str_eq(text("address"), "10.0.0.1:80");
		ck_assert_str_eq(response.etag, "");
	}
	call("GET", "/v1/services/web/pick?count=5", NULL);
	ck_assert_uint_eq(json_array_size(at("instances")), 2);
	call("GET", "/v1/services/web/pick?exclude=a", NULL);
	ck_assert_str_eq(text("id"), "b");
	call("GET", "/v1/services/web/pick?exclude=x,a&exclude=b", NULL);
	ck_problem(503, "no-healthy-instance");
	ck_assert_str_eq(header("Retry-After"), "1");
	call("GET", "/v1/services/nobody/pick", NULL);
	ck_problem(404, "unknown-service");
}
END_TEST

START_TEST(a_pick_filters_and_excludes_what_is_encoded)
{
	put("web", "a%2Cb", "\"metadata\":{\"zone\":\"1\"}");
	put("web", "c", "\"metadata\":{\"zone\":\"2\"}");
	for (int i = 0; i < 3; i++) {
		call("GET", "/v1/services/web/pick?exclude=a%2Cb", NULL);
		ck_assert_str_eq(text("id"), "c");
		call("GET", "/v1/services/web/pick?meta.zone=1", NULL);
		ck_assert_str_eq(text("id"), "a,b");
	}
}
END_TEST

START_TEST(a_pick_that_needs_an_index_waits_for_it_once)
{
	static const char *const strategies[] = {"weighted_round_robin", "consistent_hash"};

	put("web", "a", NULL);
	put("web", "b", "\"weight\":50");
	for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
		char target[100];

		(void)snprintf(target, sizeof(target), "/v1/services/web/pick?strategy=%s",
		               strategies[i]);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert_uint_eq(times_parked, 1);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert_uint_eq(times_parked, 0);
	}
	put("web", "c", NULL);
	call("GET", "/v1/services/web/pick?strategy=consistent_hash", NULL);
	ck_assert_uint_eq(times_parked, 0); /* the writer built the index with the change */
}
END_TEST

START_TEST(a_key_is_sticky)
{
	char first[32];

	for (char id[] = "a"; id[0] <= 'e'; id[0]++)
		put("web", id, NULL);
	call("GET", "/v1/services/web/pick?key=user-1", NULL);
	(void)snprintf(first, sizeof(first), "%s", text("id"));
	for (int i = 0; i < 5; i++) {
		call("GET", "/v1/services/web/pick?strategy=consistent_hash&key=user-1", NULL);
		ck_assert_str_eq(text("id"), first);
	}
	call("GET", "/v1/services/web/pick?key=", NULL);
	(void)snprintf(first, sizeof(first), "%s", text("id"));
	for (int i = 0; i < 5; i++) {
		call("GET", "/v1/services/web/pick?key=", NULL);
		ck_assert_str_eq(text("id"), first);
	}
}
END_TEST

START_TEST(the_other_strategies_pick_too)
{
	put("web", "a", NULL);
	call("GET", "/v1/services/web/pick?strategy=random", NULL);
	ck_assert_str_eq(text("id"), "a");
	call("GET", "/v1/services/web/pick?strategy=least_loaded", NULL);
	ck_assert_str_eq(text("id"), "a");
	call("GET", "/v1/services/web/pick?strategy=round_robin", NULL);
	ck_assert_str_eq(text("id"), "a");
}
END_TEST

START_TEST(events_are_listed_in_order)
{
	put("web", "a", NULL);
	put("api", "b", NULL);
	call("PUT", "/v1/services/web/instances/a/status",
	     "{\"status\":\"draining\",\"reason\":\"why\"}");
	call("DELETE", "/v1/services/web/instances/a", NULL);
	call("GET", "/v1/events", NULL);
	ck_status(200);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_uint_eq(json_array_size(at("events")), 6);
	ck_assert_str_eq(text("events.0.kind"), "registered");
	ck_assert_str_eq(text("events.0.instance.id"), "a");
	ck_assert_str_eq(text("events.0.author"), "instance");
	ck_assert_str_eq(text("events.0.peer"), "192.0.2.7");
	ck_assert_str_eq(text("events.0.agent"), "tester/1");
	ck_assert_str_eq(text("events.2.kind"), "entry-put");
	ck_assert_str_eq(text("events.2.author"), "operator:192.0.2.7");
	ck_assert_str_eq(text("events.3.kind"), "drained");
	ck_assert_str_eq(text("events.3.reason"), "why");
	ck_assert_str_eq(text("events.3.author"), "operator:192.0.2.7");
	ck_assert_str_eq(text("events.4.kind"), "deregistered");
	ck_assert_int_eq(number("events.4.revision"), 5);
	ck_assert_str_eq(text("events.5.kind"), "entry-put");
	ck_assert_str_eq(text("events.5.author"), "instance");
	ck_assert_int_eq(number("revision"), 6);
	ck_assert_ptr_null(at("next"));

	call("GET", "/v1/events?limit=3", NULL);
	ck_assert_int_eq(number("next"), 3);
	call("GET", "/v1/events?since=5", NULL);
	ck_assert_uint_eq(json_array_size(at("events")), 1);
	call("GET", "/v1/events?since=6", NULL);
	ck_assert_uint_eq(json_array_size(at("events")), 0);
	ck_assert_int_eq(number("revision"), 6);
	call("GET", "/v1/events?service=api", NULL);
	ck_assert_uint_eq(json_array_size(at("events")), 1);
	call("GET", "/v1/events?id=a", NULL);
	ck_assert_uint_eq(json_array_size(at("events")), 5);
	call("GET", "/v1/events?kind=drained,deregistered", NULL);
	ck_assert_uint_eq(json_array_size(at("events")), 2);
	call("GET", "/v1/events?kind=expired", NULL);
	ck_assert_uint_eq(json_array_size(at("events")), 0);
}
END_TEST

static atomic_uint parsed; /* allocations of jansson on this thread */
static pthread_t reader;

static void *counted_malloc(size_t size)
{
	if (pthread_equal(pthread_self(), reader))
		atomic_fetch_add(&parsed, 1);
	return malloc(size);
}

START_TEST(a_table_of_events_is_made_where_the_log_is_read)
{
	put("web", "a", NULL);
	reader = pthread_self();
	json_set_alloc_funcs(counted_malloc, free);
	request = (struct api_request){.method = API_GET,
	                               .target = STR("/v1/events?format=text"),
	                               .peer = STR("192.0.2.7:1"),
	                               .wake = wake};
	ck_assert_int_eq(api_handle(api, &request, &response), API_PARKED);
	wait_woken();
	ck_assert_int_eq(api_finish(api, &request, &response), API_DONE);
	json_set_alloc_funcs(malloc, free);
	ck_assert_uint_eq(parsed, 0);
	ck_status(200);
	ck_assert(body_has("registered  web      a"));
}
END_TEST

START_TEST(a_page_of_events_is_bounded_in_bytes)
{
	static char record[24000];
	char target[100];
	size_t found = 0;
	long long since = 0;

	size_t len = (size_t)snprintf(record, sizeof(record),
	                              "{\"host\":\"10.0.0.1\",\"port\":80,\"metadata\":{\"m\":\"");
	memset(record + len, 'x', 16000);
	strcpy(record + len + 16000, "\"}}");
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(target, sizeof(target), "/v1/services/web/instances/i%u", i);
		call("PUT", target, record);
		ck_status(201);
	}
	while (since >= 0) {
		(void)snprintf(target, sizeof(target), "/v1/events?limit=1000&since=%lld", since);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert_uint_lt(sent().len, PAST_PAGE_BYTES + 20000);
		found += json_array_size(at("events"));
		since = at("next") != NULL ? number("next") : -1;
	}
	ck_assert_uint_eq(found, 300);
}
END_TEST

START_TEST(events_are_refused_when_too_much_is_unsent)
{
	for (unsigned i = 0; i < 20; i++)
		put("web", "a", i % 2 ? "\"weight\":1" : "\"weight\":2");
	config.max_unsent_bytes = 5000;
	api_fixture_reload();
	call("GET", "/v1/events?limit=5", NULL);
	ck_status(200);
	call("GET", "/v1/events", NULL);
	ck_problem(503, "too-much-unsent");
	call("GET", "/v1/events?format=text", NULL);
	ck_status(200);
	ck_assert_uint_eq(api_held_bytes(api), 0);
	config.max_unsent_bytes = 1 << 20;
	api_fixture_reload();
	call("GET", "/v1/events", NULL);
	ck_status(200);
}
END_TEST

/** Registers until retention has removed the first events. */
static void forget_events(void)
{
	api_fixture_close();
	options.journal.events_max_count = 5;
	api_fixture_open();
	for (int i = 0; i < 500; i++) {
		clock_virtual_advance(2000); /* retention runs at intervals */
		put("web", i % 2 == 0 ? "a" : "b", i % 4 < 2 ? "\"weight\":1" : "\"weight\":2");
		call("GET", "/v1/events?since=0", NULL);
		if (response.status == 410)
			break;
	}
	api_fixture_close();
	options.journal.events_max_count = 0; /* end retention */
	api_fixture_open();
	call("GET", "/v1/events?since=0", NULL);
}

START_TEST(removed_events_are_refused_with_where_to_go_on)
{
	forget_events();
	ck_problem(410, "compacted");
	const char *since = strstr(text("detail"), "since=");
	ck_assert_ptr_nonnull(since);
	char target[64];
	(void)snprintf(target, sizeof(target), "/v1/events?%s", since);
	call("GET", target, NULL);
	ck_status(200);
	size_t left = json_array_size(at("events"));
	ck_assert_uint_gt(left, 0);

	call("GET", "/v1/events", NULL); /* from the oldest event on */
	ck_status(200);
	ck_assert_uint_eq(times_parked, 2);
	ck_assert_uint_eq(json_array_size(at("events")), left);
}
END_TEST

START_TEST(wrong_queries_are_refused_by_name)
{
	static const struct {
		const char *target, *code, *detail;
	} cases[] = {
		{"/v1/services?x=1", "unknown-parameter", "'x'"},
		{"/v1/services?limit=0", "invalid-parameter", "limit must be"},
		{"/v1/services?limit=10001", "invalid-parameter", "limit must be"},
		{"/v1/services?limit=1&limit=2", "invalid-parameter", "'limit'"},
		{"/v1/services?limit=%31%zz", "invalid-parameter", "percent-encoded"},
		{"/v1/services?format=xml", "invalid-parameter", "'xml'"},
		{"/v1/services/web?status=up", "invalid-parameter", "'up'"},
		{"/v1/services/web?status=", "invalid-parameter", "status must be"},
		{"/v1/services/web?status=healthy,", "invalid-parameter", "status must be"},
		{"/v1/services/web?wait=1", "unknown-parameter", "'wait'"},
		{"/v1/services/web?wait_ms=1", "invalid-parameter", "wait_ms needs revision"},
		{"/v1/services/web?meta=1", "unknown-parameter", "'meta'"},
		{"/v1/services/web/pick?why=1", "unknown-parameter", "'why'"},
		{"/v1/services/web/pick?strategy=best", "invalid-parameter", "'best'"},
		{"/v1/services/web/pick?count=0", "invalid-parameter", "count must be"},
		{"/v1/services/web/pick?count=65", "invalid-parameter", "count must be"},
		{"/v1/services/web/pick?count=-1", "invalid-parameter", "'-1'"},
		{"/v1/services/web/pick?count=1e1", "invalid-parameter", "'1e1'"},
		{"/v1/services/web/pick?key=a&strategy=random", "invalid-parameter",
	         "consistent_hash"},
		{"/v1/events?since=-1", "invalid-parameter", "since must be"},
		{"/v1/events?since=9223372036854775808", "invalid-parameter", "since must be"},
		{"/v1/events?limit=1001", "invalid-parameter", "limit must be"},
		{"/v1/events?kind=born", "invalid-parameter", "'born'"},
		{"/v1/events?kind=", "invalid-parameter", "kind must be"},
		{"/v1/status?x", "unknown-parameter", "'x'"},
		{"/healthz?x", "unknown-parameter", "'x'"},
		{"/metrics?x", "unknown-parameter", "'x'"},
		{"/v1/services/-web", "invalid-service", "128"},
		{"/v1/services/-web/pick", "invalid-service", "128"},
		{"/v1/services/web/instances/%20", "invalid-id", "256"},
		{"/v1/services/web/instances/a%20b", "invalid-id", "not 'a b'"},
		{"/v1/services/-web", "invalid-service", "not '-web'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		call("GET", cases[i].target, NULL);
		ck_assert_msg(response.status == 400 && strcmp(text("code"), cases[i].code) == 0 &&
		                      strstr(text("detail"), cases[i].detail) != NULL,
		              "%s: %.*s", cases[i].target, (int)sent().len, sent().data);
	}
}
END_TEST

START_TEST(lists_in_queries_have_limits)
{
	char target[4096];
	size_t len = (size_t)snprintf(target, sizeof(target), "/v1/services/web/pick?exclude=0");

	put("web", "a", NULL);
	for (int i = 1; i < PICK_EXCLUDE_MAX; i++)
		len += (size_t)snprintf(target + len, sizeof(target) - len, ",%d", i);
	call("GET", target, NULL);
	ck_status(200);
	strcpy(target + len, ",more");
	call("GET", target, NULL);
	ck_problem(400, "invalid-parameter");

	len = (size_t)snprintf(target, sizeof(target), "/v1/services/web?limit=1");
	for (int i = 0; i < PICK_FILTER_MAX; i++)
		len += (size_t)snprintf(target + len, sizeof(target) - len, "&meta.k%d=v", i);
	call("GET", target, NULL);
	ck_status(200);
	strcpy(target + len, "&meta.x=y");
	call("GET", target, NULL);
	ck_problem(400, "invalid-parameter");
}
END_TEST

START_TEST(a_held_expiry_is_reported)
{
	static const char *const targets[] = {"/v1/services/web", "/v1/services/web?status=any",
	                                      "/v1/services/web/instances/a",
	                                      "/v1/services/web/pick"};

	put("web", "a", NULL);
	for (int held = 0; held < 2; held++) {
		for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
			call("GET", targets[i], NULL);
			ck_status(200);
			ck_assert_str_eq(header("X-Rollcall-Expiry-Held"), held ? "500" : "(none)");
		}
		const struct snapshot *now = snapshot_enter(registry_store(registry));
		atomic_store(&snapshot_service(now, STR("web"))->life->held_until_ms,
		             registry_lease_ms(registry) + 500);
		snapshot_leave(registry_store(registry));
	}
}
END_TEST

START_TEST(unknown_names_get_404)
{
	call("GET", "/v1/services/web", NULL);
	ck_problem(404, "unknown-service");
	call("GET", "/v1/services/web/instances/a%2F1", NULL);
	ck_problem(404, "not-registered");
	ck_assert_str_eq(text("detail"),
	                 "'a/1' of service 'web' is not registered: register it again");
	call("POST", "/v1/services/web/instances/b/heartbeat", NULL);
	ck_problem(404, "not-registered");
	ck_assert_ptr_nonnull(strstr(text("detail"), "'b' of service 'web'"));
	call("PUT", "/v1/services/web/instances/c/status", "{\"status\":\"draining\"}");
	ck_problem(404, "not-registered");
	ck_assert_ptr_nonnull(strstr(text("detail"), "'c' of service 'web'"));
	call("GET", "/v1/nothing?at=all", NULL);
	ck_problem(404, "not-found");
	ck_assert_ptr_nonnull(strstr(text("detail"), "at '/v1/nothing';"));
	call("GET", "/problems/nothing", NULL);
	ck_problem(404, "not-found");
	call("GET", "/v1/services/a%zz", NULL);
	ck_problem(400, "malformed-target");
}
END_TEST

SUITE("api_read", api_fixture_setup, api_fixture_teardown, a_lookup_shares_one_rendered_answer,
      an_etag_changes_with_the_result_only, a_known_etag_gets_304,
      a_lookup_filters_by_status_and_metadata, services_are_listed_by_name,
      text_is_sent_to_clients_that_prefer_it,
      text_and_pretty_json_hold_nothing_that_a_terminal_obeys, pretty_indents_any_json,
      picks_take_turns, a_pick_filters_and_excludes_what_is_encoded,
      a_pick_that_needs_an_index_waits_for_it_once, a_key_is_sticky, the_other_strategies_pick_too,
      a_table_of_events_is_made_where_the_log_is_read, events_are_refused_when_too_much_is_unsent,
      a_page_of_events_is_bounded_in_bytes, events_are_listed_in_order,
      removed_events_are_refused_with_where_to_go_on, wrong_queries_are_refused_by_name,
      lists_in_queries_have_limits, a_held_expiry_is_reported, unknown_names_get_404)
