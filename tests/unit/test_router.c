/* SPDX-License-Identifier: MIT */
/*
 * The router of the native API's table and of a second table with tails: matching, decoding into a
 * bounded scratch, methods.
 */
#include "v1/internal.h"

#include "suite.h"

#include <errno.h>

static struct scratch scratch;

static int find(const char *target, struct route_match *match)
{
	scratch.used = 0;
	const struct route_table table = {.routes = v1_routes, .count = v1_route_count};
	const struct route_table *tables[] = {&table};

	return router_find(tables, ARRAY_LEN(tables), str_of(target), &scratch, match);
}

START_TEST(finds_the_route_of_each_target)
{
	static const struct {
		const char *target, *pattern, *first, *second, *query;
	} cases[] = {
		{"/", "/", "", "", ""},
		{"/?pretty", "/", "", "", "pretty"},
		{"/healthz", "/healthz", "", "", ""},
		{"/v1/services", "/v1/services", "", "", ""},
		{"/v1/services?prefix=a/b", "/v1/services", "", "", "prefix=a/b"},
		{"/v1/services/web", "/v1/services/{service}", "web", "", ""},
		{"/v1/services/w%65b", "/v1/services/{service}", "web", "", ""},
		{"/v1/%73ervices/web", "/v1/services/{service}", "web", "", ""},
		{"/v1/services/web/pick?x=1?y", "/v1/services/{service}/pick", "web", "", "x=1?y"},
		{"/v1/services/pick/pick", "/v1/services/{service}/pick", "pick", "", ""},
		{"/v1/services/instances/instances/status/status",
	         "/v1/services/{service}/instances/{id}/status", "instances", "status", ""},
		{"/v1/services/web/instances/a%2Fb%2fc", "/v1/services/{service}/instances/{id}",
	         "web", "a/b/c", ""},
		{"/v1/services/web/instances/10.0.0.1:80", "/v1/services/{service}/instances/{id}",
	         "web", "10.0.0.1:80", ""},
		{"/v1/services/web/instances/a+b%3Fc", "/v1/services/{service}/instances/{id}",
	         "web", "a+b?c", ""},
		{"/v1/services/../instances/..", "/v1/services/{service}/instances/{id}", "..",
	         "..", ""},
		{"/v1/services/web/instances/%2e%2E/heartbeat",
	         "/v1/services/{service}/instances/{id}/heartbeat", "web", "..", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct route_match match;

		ck_ok(find(cases[i].target, &match));
		ck_assert_str_eq(match.route->pattern, cases[i].pattern);
		ck_assert(str_equal(match.param[0], str_of(cases[i].first)));
		ck_assert(str_equal(match.param[1], str_of(cases[i].second)));
		ck_assert(str_equal(match.query, str_of(cases[i].query)));
	}
}
END_TEST

START_TEST(refuses_what_is_no_path_or_leads_nowhere)
{
	static const struct {
		const char *target;
		int error;
	} cases[] = {
		{"", EINVAL},
		{"*", EINVAL},
		{"v1/services", EINVAL},
		{"?a=b", EINVAL},
		{"http://example.test/", EINVAL},
		{"/v1/services/a%", EINVAL},
		{"/v1/services/a%2", EINVAL},
		{"/v1/services/a%zz", EINVAL},
		{"/v1/services/a%00b", EINVAL},
		{"//", ENOENT},
		{"/v1", ENOENT},
		{"/v1/", ENOENT},
		{"/v2/services", ENOENT},
		{"/V1/services", ENOENT},
		{"//v1/services", ENOENT},
		{"/v1//services", ENOENT},
		{"/v1/services/", ENOENT},
		{"/v1/services/web/", ENOENT},
		{"/v1/services//pick", ENOENT},
		{"/v1/services/web/picks", ENOENT},
		{"/v1/services/web/instances/", ENOENT},
		{"/v1/services/web/instances/a/", ENOENT},
		{"/v1/services/web/instances/a/b/c", ENOENT},
		{"/v1%2Fservices", ENOENT},
		{"/v1/services/web/instances/a/b/c/d/e/f/g/h/i/j", ENOENT},
		{"/healthz/", ENOENT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct route_match match;

		ck_assert_msg(find(cases[i].target, &match) == -cases[i].error, "%s: %d",
		              cases[i].target, find(cases[i].target, &match));
	}
}
END_TEST

START_TEST(refuses_what_does_not_fit_the_scratch)
{
	static char target[4 * SCRATCH_SIZE];
	struct route_match match;
	size_t len = (size_t)snprintf(target, sizeof(target), "/v1/services/%%41");

	memset(target + len, 'a', SCRATCH_SIZE);
	ck_fails(find(target, &match), EMSGSIZE);
	target[len + 100] = '\0';
	ck_ok(find(target, &match));
}
END_TEST

static enum api_result unused(struct call *call)
{
	(void)call;
	return API_DONE;
}

#define ANY                                                                   \
	{                                                                     \
		[API_GET] = { unused, {VERB_PUBLIC, SERVICE_NONE}, 0, false } \
	}
static const struct route first_routes[] = {
	{"/ui", 1, ANY},
	{"/ui/{path...}", 2 | ROUTE_TAIL, ANY},
	{"/{node}/kv/{key...}", 3 | ROUTE_TAIL, ANY},
};
static const struct route second_routes[] = {
	{"/ui/known", 2, ANY},
	{"/other", 1, ANY},
	{"/other/{all...}", 2 | ROUTE_TAIL, ANY},
};

static int find_in_two(struct str target, struct route_match *match)
{
	static const struct route_table first = {.routes = first_routes,
	                                         .count = ARRAY_LEN(first_routes)};
	static const struct route_table second = {.routes = second_routes,
	                                          .count = ARRAY_LEN(second_routes)};
	static const struct route_table *const tables[] = {&first, &second};

	scratch.used = 0;
	int r = router_find(tables, ARRAY_LEN(tables), target, &scratch, match);
	if (r == 0)
		ck_assert_ptr_eq(match->table->routes,
		                 match->route >= second_routes && match->route < second_routes + 3
		                         ? second_routes
		                         : first_routes);
	return r;
}

START_TEST(a_tail_is_all_that_is_left_of_the_path)
{
	static const struct {
		const char *target, *pattern, *first, *second, *query;
	} cases[] = {
		{"/ui", "/ui", "", "", ""},
		{"/ui/", "/ui/{path...}", "", "", ""},
		{"/ui/index.html?a=b/c", "/ui/{path...}", "index.html", "", "a=b/c"},
		{"/ui/known", "/ui/{path...}", "known", "", ""},
		{"/ui/a/b/c/d/e/f/g/h/i/j/k/l", "/ui/{path...}", "a/b/c/d/e/f/g/h/i/j/k/l", "", ""},
		{"/%75i/a%2Fb/%63//d/", "/ui/{path...}", "a/b/c//d/", "", ""},
		{"/ui/../%2e%2e/x", "/ui/{path...}", "../../x", "", ""},
		{"/n%20/kv/a/b%3Fc", "/{node}/kv/{key...}", "n ", "a/b?c", ""},
		{"/other", "/other", "", "", ""},
		{"/other/a", "/other/{all...}", "a", "", ""},
	};
	struct route_match match;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_msg(find_in_two(str_of(cases[i].target), &match) == 0, "%s",
		              cases[i].target);
		ck_assert_str_eq(match.route->pattern, cases[i].pattern);
		ck_assert_msg(str_equal(match.param[0], str_of(cases[i].first)), "%s: %.*s",
		              cases[i].target, (int)match.param[0].len, match.param[0].data);
		ck_assert(str_equal(match.param[1], str_of(cases[i].second)));
		ck_assert(str_equal(match.query, str_of(cases[i].query)));
	}
	ck_fails(find_in_two(STR("/"), &match), ENOENT);
	ck_fails(find_in_two(STR("/uix/a"), &match), ENOENT);
	ck_fails(find_in_two(STR("/n/kv"), &match), ENOENT);
	ck_fails(find_in_two(STR("//kv/a"), &match), ENOENT); /* a parameter is not empty */
	ck_fails(find_in_two(STR("//ui/a"), &match), ENOENT);
	ck_fails(find_in_two(STR("/ui/a%2"), &match), EINVAL);
	ck_fails(find_in_two(STR("/ui/1/2/3/4/5/6/7/8/9/%00"), &match), EINVAL);
}
END_TEST

/** The tail is decoded as a whole instead of by segments, so it uses the scratch once. */
START_TEST(a_tail_is_bounded_by_the_scratch)
{
	static char target[2 * SCRATCH_SIZE];
	struct route_match match;
	size_t len = (size_t)snprintf(target, sizeof(target), "/ui/%%41");

	memset(target + len, 'a', SCRATCH_SIZE);
	ck_fails(find_in_two(str_of(target), &match), EMSGSIZE);
	target[len + SCRATCH_SIZE - 3] = '\0';
	ck_ok(find_in_two(str_of(target), &match));
	ck_assert_uint_eq(match.param[0].len, SCRATCH_SIZE - 2);
}
END_TEST

START_TEST(lists_the_methods_of_a_route)
{
	struct route_match match;
	char allow[64];

	ck_ok(find("/v1/services/web/instances/a", &match));
	route_allow(match.route, allow, sizeof(allow));
	ck_assert_str_eq(allow, "GET, HEAD, PUT, DELETE");
	ck_assert(route_allows(match.route, API_HEAD));
	ck_assert(!route_allows(match.route, API_POST));
	ck_assert(!route_allows(match.route, API_OTHER));

	ck_ok(find("/v1/heartbeats", &match));
	route_allow(match.route, allow, sizeof(allow));
	ck_assert_str_eq(allow, "POST");
	ck_assert(!route_allows(match.route, API_HEAD));
}
END_TEST

START_TEST(every_pattern_is_as_deep_as_it_says)
{
	for (size_t i = 0; i < v1_route_count; i++) {
		unsigned slashes = 0;

		for (const char *c = v1_routes[i].pattern; *c != '\0'; c++)
			slashes += *c == '/';
		ck_assert_uint_eq(v1_routes[i].depth & ~ROUTE_TAIL, slashes);
		ck_assert_int_eq((v1_routes[i].depth & ROUTE_TAIL) != 0,
		                 strstr(v1_routes[i].pattern, "...}") != NULL);
	}
}
END_TEST

START_TEST(every_route_has_its_required_right)
{
	for (size_t i = 0; i < v1_route_count; i++) {
		const struct route *route = &v1_routes[i];
		bool names = strncmp(route->pattern, "/v1/services/{service}", 22) == 0;

		for (unsigned m = 0; m < API_METHOD_COUNT; m++) {
			const struct right *right = &route->on[m].right;

			if (route->on[m].handle == NULL)
				continue;
			ck_assert_msg(right->verb != VERB_NONE, "%s", route->pattern);
			ck_assert_msg((right->service == SERVICE_IN_PATH) == names, "%s",
			              route->pattern);
		}
	}
}
END_TEST

SUITE("router", NULL, NULL, finds_the_route_of_each_target,
      refuses_what_is_no_path_or_leads_nowhere, a_tail_is_all_that_is_left_of_the_path,
      a_tail_is_bounded_by_the_scratch, refuses_what_does_not_fit_the_scratch,
      lists_the_methods_of_a_route, every_pattern_is_as_deep_as_it_says,
      every_route_has_its_required_right)
