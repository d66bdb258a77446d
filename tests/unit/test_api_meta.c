/* SPDX-License-Identifier: MIT */
/*
 * The endpoints about the daemon itself (status, readiness, metrics, problem pages, the OpenAPI
 * document), and what all endpoints share: cache headers and the rule which of them take a body.
 * The registry is real, the clock virtual (api_fixture.h).
 */
#include "api_fixture.h"

#include "api/problem.h"
#include "api/scan.h"
#include "base/version.h"
#include "v1/internal.h"

static bool body_has(const char *want)
{
	return sent().len > 0 && memmem(sent().data, sent().len, want, strlen(want)) != NULL;
}

START_TEST(the_status_has_counts_and_limits)
{
	put("web", "a", NULL);
	put("web", "b", "\"status\":\"draining\"");
	clock_virtual_advance(1234);
	call("GET", "/v1/status", NULL);
	ck_status(200);
	ck_assert_str_eq(text("version"), rollcall_version);
	ck_assert_int_eq(number("uptime_ms"), 1234);
	ck_assert_int_eq(number("revision"), 2);
	ck_assert_int_eq(number("services"), 1);
	ck_assert_int_eq(number("instances.healthy"), 1);
	ck_assert_int_eq(number("instances.unhealthy"), 0);
	ck_assert_int_eq(number("instances.draining"), 1);
	ck_assert_int_eq(number("expiry_held_services"), 0);
	ck_assert(json_is_false(at("storage.failed")));
	ck_assert(json_is_false(at("storage.full")));
	ck_assert(json_is_false(at("storage.locked")));
	ck_assert_int_eq(number("limits.instances"), 1000);
	ck_assert_int_eq(number("limits.metadata_entries"), 64);
}
END_TEST

START_TEST(readiness_ends_with_the_stop)
{
	call("GET", "/healthz", NULL);
	ck_status(200);
	ck_assert(str_equal(sent(), STR("ok\n")));
	call("GET", "/readyz", NULL);
	ck_status(200);
	api_stopping(api);
	call("GET", "/readyz", NULL);
	ck_problem(503, "shutting-down");
	call("GET", "/healthz", NULL);
	ck_status(200);
}
END_TEST

START_TEST(metrics_are_of_the_present)
{
	put("web", "a", NULL);
	call("GET", "/v1/services/web/pick", NULL);
	call("GET", "/metrics", NULL);
	ck_status(200);
	ck_assert_str_eq(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
	ck_assert(body_has("\nrollcall_instances{status=\"healthy\"} 1\n"));
	ck_assert(body_has("\nrollcall_services 1\n"));
	ck_assert(body_has("\nrollcall_revision 1\n"));
	ck_assert(body_has("\nrollcall_picks_total 1\n"));
}
END_TEST

START_TEST(a_reload_changes_the_defaults)
{
	config.default_ttl_ms = 5000;
	config.default_remove_after_ms = 0;
	api_fixture_reload();
	put("web", "a", NULL);
	ck_assert_int_eq(number("ttl_ms"), 5000);
	ck_assert_int_eq(number("remove_after_ms"), 0);
}
END_TEST

START_TEST(the_root_lists_the_endpoints)
{
	call("GET", "/", NULL);
	ck_status(200);
	for (size_t i = 0; i < v1_route_count; i++)
		ck_assert(body_has(v1_routes[i].pattern));
}
END_TEST

START_TEST(each_problem_has_a_page)
{
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		char target[100];

		(void)snprintf(target, sizeof(target), "/problems/%s", problem_codes[i].slug);
		call("GET", target, NULL);
		ck_status(200);
		ck_assert(body_has(problem_codes[i].advice));
		ck_assert_ptr_eq(sent().data, problem_codes[i].page.data);
	}
}
END_TEST

/** Each path and method of the OpenAPI document is a route, and the reverse. */
START_TEST(the_contract_names_the_routes_and_no_others)
{
	static const char *const methods[] = {"get", NULL, "put", "post", "delete"};
	const char *path;
	json_t *operations;
	size_t known = 0;

	call("GET", "/openapi.json", NULL);
	ck_status(200);
	json_t *paths = at("paths");
	json_object_foreach(paths, path, operations)
	{
		size_t i = 0;

		while (i < v1_route_count && strcmp(v1_routes[i].pattern, path) != 0)
			i++;
		ck_assert_msg(i < v1_route_count, "%s is no route", path);
		for (size_t m = 0; m < ARRAY_LEN(methods); m++)
			if (methods[m] != NULL)
				ck_assert_msg((json_object_get(operations, methods[m]) != NULL) ==
				                      (v1_routes[i].on[m].handle != NULL),
				              "%s %s", methods[m], path);
		known++;
	}
	ck_assert_uint_eq(known, v1_route_count);
}
END_TEST

START_TEST(the_limits_in_problem_pages_are_those_in_force)
{
	char range[32];

	(void)snprintf(range, sizeof(range), "Use 1-%d of ", SERVICE_NAME_MAX);
	ck_assert_ptr_nonnull(strstr(problem_codes[PROBLEM_INVALID_SERVICE].page.data, range));
	(void)snprintf(range, sizeof(range), "Use 1-%d printable", INSTANCE_ID_MAX);
	ck_assert_ptr_nonnull(strstr(problem_codes[PROBLEM_INVALID_ID].page.data, range));
	(void)snprintf(range, sizeof(range), "at most %d deep", JSON_DEPTH_MAX);
	ck_assert_ptr_nonnull(strstr(problem_codes[PROBLEM_MALFORMED_JSON].page.data, range));
}
END_TEST

START_TEST(the_contract_names_the_problems_and_no_others)
{
	size_t i;
	const json_t *code;

	call("GET", "/openapi.json", NULL);
	json_t *codes = at("components.schemas.Problem.properties.code.enum");
	ck_assert_uint_eq(json_array_size(codes), PROBLEM_COUNT);
	json_array_foreach(codes, i, code)
		ck_assert_msg(problem_find(str_of(json_string_value(code))) != NULL, "%s",
	                      json_string_value(code));
}
END_TEST

/** Cache-Control and Vary: what an intermediate cache may keep. */
START_TEST(each_answer_has_its_cache_directives)
{
	static const struct {
		const char *method, *target, *if_none_match;
		unsigned status;
		const char *cache, *vary;
	} cases[] = {
		/* a cache revalidates these each time by their ETag */
		{"GET", "/v1/services", "", 200, "no-cache", "Accept"},
		{"GET", "/v1/services", "*", 304, "no-cache", "Accept"},
		{"GET", "/v1/services?format=text", "", 200, "no-cache", "Accept"},
		{"GET", "/v1/services?at=1", "", 200, "no-cache", "Accept"},
		{"GET", "/v1/services/web", "", 200, "no-cache", "Accept"},
		{"HEAD", "/v1/services/web", "", 200, "no-cache", "Accept"},
		{"GET", "/v1/services/web", "*", 304, "no-cache", "Accept"},
		{"GET", "/v1/services/web?status=any", "", 200, "no-cache", "Accept"},
		{"GET", "/v1/services/web?at=1", "", 200, "no-cache", "Accept"},
		{"GET", "/v1/services/web/instances/a?at=1", "", 200, "no-cache", "Accept"},
		/* a cache never keeps these */
		{"GET", "/v1/services/web/instances/a", "", 200, "no-store", "Accept"},
		{"HEAD", "/v1/services/web/instances/a", "", 200, "no-store", "Accept"},
		{"GET", "/v1/services/web/pick", "", 200, "no-store", "Accept"},
		{"GET", "/v1/services/web/pick?strategy=consistent_hash", "", 200, "no-store",
	         "Accept"},
		{"GET", "/v1/services/web/pick?at=1&key=x", "", 200, "no-store", "Accept"},
		{"GET", "/v1/services/web/instances/a/history", "", 200, "no-store", "(none)"},
		{"GET", "/v1/events", "", 200, "no-store", "Accept"},
		{"GET", "/v1/diff?from=0", "", 200, "no-store", "(none)"},
		{"GET", "/v1/status", "", 200, "no-store", "(none)"},
		{"GET", "/healthz", "", 200, "no-store", "(none)"},
		{"GET", "/readyz", "", 200, "no-store", "(none)"},
		{"GET", "/metrics", "", 200, "no-store", "(none)"},
		{"GET", "/openapi.json", "", 200, "no-store", "(none)"},
		{"GET", "/problems/not-found", "", 200, "no-store", "(none)"},
		{"GET", "/", "", 200, "no-store", "(none)"},
		/* refusals, which some caches keep without a directive */
		{"GET", "/nothing", "", 404, "no-store", "(none)"},
		{"POST", "/v1/services", "", 405, "no-store", "(none)"},
		{"GET", "/v1/services/none", "", 404, "no-store", "Accept"},
		{"GET", "/v1/services/none/pick", "", 404, "no-store", "Accept"},
		{"GET", "/v1/services?x=1", "", 400, "no-store", "Accept"},
		{"GET", "/v1/services?after=x&after=y", "", 400, "no-store", "Accept"},
		{"GET", "/v1/services/web?after=x", "", 410, "no-store", "Accept"},
		{"GET", "/v1/events?since=99", "", 410, "no-store", "Accept"},
		{"DELETE", "/v1/services/web/instances/%20", "", 400, "no-store", "(none)"},
		/* answers to changes, which no cache keeps without an explicit lifetime */
		{"POST", "/v1/services/web/instances/a/heartbeat", "", 200, "(none)", "(none)"},
		{"DELETE", "/v1/services/web/instances/a", "", 204, "(none)", "(none)"},
	};

	put("web", "a", NULL);
	ck_assert_str_eq(header("Cache-Control"), "(none)");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		set_header("If-None-Match", cases[i].if_none_match);
		call(cases[i].method, cases[i].target, NULL);
		ck_status(cases[i].status);
		ck_assert_msg(strcmp(header("Cache-Control"), cases[i].cache) == 0, "%s: %s",
		              cases[i].target, header("Cache-Control"));
		ck_assert_msg(strcmp(header("Vary"), cases[i].vary) == 0, "%s: %s", cases[i].target,
		              header("Vary"));
	}
}
END_TEST

static uint64_t body_max(enum api_method method, const char *target)
{
	struct api_request asked = {.method = method, .target = str_of(target)};

	return api_body_max(api, &asked);
}

START_TEST(only_requests_that_take_a_body_may_have_one)
{
	ck_assert_uint_eq(body_max(API_GET, "/v1/services/web"), 0);
	ck_assert_uint_eq(body_max(API_HEAD, "/v1/services/web"), 0);
	ck_assert_uint_eq(body_max(API_DELETE, "/v1/services/web/instances/a"), 0);
	ck_assert_uint_eq(body_max(API_PUT, "/v1/services/web/instances/a"), API_BODY_MAX);
	ck_assert_uint_eq(body_max(API_POST, "/v1/heartbeats?x"), V1_BATCH_BODY_MAX);
	/* these fail for another reason, so that the body is not the fault */
	ck_assert_uint_eq(body_max(API_POST, "/nothing"), API_BODY_MAX);
	ck_assert_uint_eq(body_max(API_POST, "/v1/services"), API_BODY_MAX);
}
END_TEST

START_TEST(a_route_match_with_decoded_names_is_not_kept)
{
	struct api_request asked = {.target = STR("/v1/services/w%65b/instances/a")};

	(void)api_body_max(api, &asked);
	ck_assert_ptr_null(asked.match.route); /* the decoded names were on the stack */
	asked.target = STR("/v1/services/web/instances/a?%65");
	(void)api_body_max(api, &asked);
	ck_assert_ptr_nonnull(asked.match.route);
	ck_assert(asked.match.param[1].data ==
	          asked.target.data + strlen("/v1/services/web/instances/"));
}
END_TEST

SUITE("api_meta", api_fixture_setup, api_fixture_teardown, each_answer_has_its_cache_directives,
      a_route_match_with_decoded_names_is_not_kept, the_status_has_counts_and_limits,
      readiness_ends_with_the_stop, metrics_are_of_the_present, a_reload_changes_the_defaults,
      the_root_lists_the_endpoints, each_problem_has_a_page,
      the_contract_names_the_routes_and_no_others, the_limits_in_problem_pages_are_those_in_force,
      the_contract_names_the_problems_and_no_others, only_requests_that_take_a_body_may_have_one)
