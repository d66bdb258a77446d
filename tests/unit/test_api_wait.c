/* SPDX-License-Identifier: MIT */
/*
 * Requests that park and resume several times before they are answered: nothing of an earlier
 * attempt may be left in the answer, and no memory may grow with the attempts. The registry is
 * real, the clock virtual (api_fixture.h); the test resumes the request itself.
 */
#include "api_fixture.h"

#include "api/problem.h"
#include "base/check.h"
#include "fault.h"

#include <semaphore.h>

#define RESUMES 10 /* more than the headers that fit into a response */

static struct api_request waiting;
static struct request_fields waiting_fields;
static struct api_response answer;
static sem_t waiting_woken;

/* CHECK(), because Check's assertions allocate, and allocations may fail here. */
static void wake_waiting(struct api_request *which)
{
	CHECK(which == &waiting);
	CHECK(sem_post(&waiting_woken) == 0);
}

static void setup(void)
{
	api_fixture_setup();
	ck_ok(sem_init(&waiting_woken, 0, 0));
	api_response_init(&answer);
}

static void teardown(void)
{
	api_response_fini(&answer);
	api_fixture_teardown();
}

/** Resumes the request once it has been woken. */
static enum api_result resume(void)
{
	while (sem_wait(&waiting_woken) != 0)
		CHECK(errno == EINTR);
	return api_finish(api, &waiting, &answer);
}

/** Makes a request and resumes it until it waits for a change, and not for a thread. */
static void ask(const char *target, const char *accept)
{
	waiting = (struct api_request){.method = API_GET,
	                               .target = str_of(target),
	                               .peer = STR("192.0.2.8:1"),
	                               .wake = wake_waiting};
	add_field(&waiting, &waiting_fields, STR("Accept"), str_of(accept));
	ck_assert_int_eq(api_handle(api, &waiting, &answer), API_PARKED);
}

/** Releases the request, as after its answer was sent. */
static void end_waiting(void)
{
	api_sent(&waiting, true);
	api_release(api, &waiting);
}

/** Ends the wait. */
static void expire_waiting(void)
{
	ck_assert(api_expire(api, &waiting));
	enum api_result result = api_finish(api, &waiting, &answer);
	while (result == API_PARKED) /* for the history thread */
		result = resume();
	ck_assert_ptr_nonnull(waiting.sending);
	end_waiting();
}

static void check_answer(const char *content)
{
	ck_assert_uint_eq(answer.status, 200);
	ck_assert_str_eq(answer.content_type, "text/plain; charset=utf-8");
	ck_assert(answer.varies);
	ck_assert_msg(str_equal((struct str){answer.body.data, answer.body.len}, str_of(content)),
	              "%.*s", (int)answer.body.len, answer.body.data);
}

START_TEST(a_listing_is_resumed_only_by_changes_that_it_shows)
{
	put("web", "a", NULL);
	ask("/v1/services?prefix=zzz&revision=1&wait_ms=20000", "text/plain");
	for (int i = 0; i < RESUMES; i++) {
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		ck_assert_int_lt(sem_trywait(&waiting_woken), 0);
	}
	put("zzz", "a", NULL);
	ck_assert_int_eq(resume(), API_DONE);
	check_answer("SERVICE  HEALTHY  UNHEALTHY  DRAINING\nzzz      1        0          0\n");
	end_waiting();
}
END_TEST

START_TEST(a_lookup_woken_by_a_filtered_change_is_answered_once)
{
	put("web", "a", NULL);
	ask("/v1/services/web?meta.zone=z&revision=1&wait_ms=20000", "text/plain");
	for (int i = 0; i < RESUMES; i++) {
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		ck_assert_int_eq(resume(), API_PARKED);
	}
	expire_waiting();
	check_answer("ID  ADDRESS  STATUS  SINCE  REASON  BY  WEIGHT  METADATA\n");
}
END_TEST

START_TEST(events_that_the_filter_leaves_out_leave_nothing_in_the_answer)
{
	put("web", "a", NULL);
	ask("/v1/events?since=1&kind=removed&wait_ms=20000", "text/plain");
	ck_assert_int_eq(resume(), API_PARKED);
	for (int i = 0; i < RESUMES; i++) {
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		ck_assert_int_eq(resume(), API_PARKED); /* woken: it waits for the history thread */
		ck_assert_int_eq(resume(), API_PARKED);
	}
	expire_waiting();
	check_answer("REVISION  TIME  KIND  SERVICE  ID  STATUS  BY  REASON\n");
}
END_TEST

START_TEST(nothing_of_an_earlier_attempt_is_in_the_answer)
{
	put("web", "a", NULL);
	ask("/v1/services/web?revision=1&wait_ms=20000", "");
	answer.status = 500;
	answer.location = strdup("/v1/other");
	answer.revision = 999;
	strcpy(answer.etag, "\"999\"");
	buf_put(&answer.body, "half of another answer");
	response_header(&answer, HEADER_EXPIRY_HELD, "17");
	call("DELETE", "/v1/services/web/instances/a", NULL);
	ck_assert_int_eq(resume(), API_DONE);
	ck_assert_uint_eq(answer.status, 404);
	ck_assert_ptr_null(answer.location);
	ck_assert_str_eq(answer.etag, "");
	ck_assert_uint_eq(answer.revision, 2);
	ck_assert_int_eq(answer.body.data[0], '{');
	ck_assert_ptr_null(answer.header[HEADER_EXPIRY_HELD].name);
	end_waiting();

	/* An answer in shared memory has no body of its own. */
	api_response_renew(&answer);
	put("web", "a", NULL);
	ask("/v1/services/web?revision=3&wait_ms=20000", "");
	response_header(&answer, HEADER_EXPIRY_HELD, "17");
	put("web", "b", NULL);
	ck_assert_int_eq(resume(), API_DONE);
	ck_assert_ptr_nonnull(answer.blob);
	ck_assert_ptr_null(answer.header[HEADER_EXPIRY_HELD].name);
	end_waiting();
}
END_TEST

/** Registers until retention has removed the events up to @p revision. */
static void forget_events(uint64_t revision)
{
	char target[64];

	(void)snprintf(target, sizeof(target), "/v1/events?since=%llu",
	               (unsigned long long)revision);
	for (int i = 0; i < 500; i++) {
		clock_virtual_advance(2000); /* retention runs at intervals */
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		call("GET", target, NULL);
		if (response.status == 410)
			return;
	}
	ck_abort_msg("the event of revision %llu is still there", (unsigned long long)revision);
}

START_TEST(events_that_retention_overtakes_are_begun_anew_after_each_wait)
{
	api_fixture_close();
	options.journal.events_max_count = 5;
	api_fixture_open();
	put("web", "a", NULL);
	ask("/v1/events?kind=removed&wait_ms=600000", "text/plain");
	ck_assert_int_eq(resume(), API_PARKED); /* no event yet: it waits */
	for (int i = 0; i < 5; i++) {
		call("GET", "/v1/status", NULL);
		forget_events(response.revision);
		ck_assert_int_eq(resume(), API_PARKED); /* woken: it reads on */
		ck_assert_int_eq(resume(), API_PARKED); /* from the oldest event that is left */
		ck_assert_int_eq(resume(), API_PARKED); /* and waits */
	}
	expire_waiting();
	check_answer("REVISION  TIME  KIND  SERVICE  ID  STATUS  BY  REASON\n");
}
END_TEST

START_TEST(parameters_decoded_before_the_wait_take_no_room_after_it)
{
	char target[7000] = "/v1/events?since=1&wait_ms=20000&service=web&id=";
	size_t len = strlen(target);

	while (len + 3 < sizeof(target)) /* twice this does not fit the scratch */
		len += (size_t)snprintf(target + len, sizeof(target) - len, "%%61");
	put("web", "a", NULL);
	ask(target, "text/plain");
	for (int i = 0; i < RESUMES; i++) {
		/* More events follow between the reading of the history thread and the handler. */
		while (sem_wait(&waiting_woken) != 0)
			ck_assert_int_eq(errno, EINTR);
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		ck_assert_int_eq(api_finish(api, &waiting, &answer), API_PARKED);
	}
	ck_assert_int_eq(resume(), API_PARKED);
	expire_waiting();
	check_answer("REVISION  TIME  KIND  SERVICE  ID  STATUS  BY  REASON\n");
}
END_TEST

/** Makes the request once for each allocation that fails: the answer is then 503 or @p want, its
 * status with memory, and valid JSON. */
static void with_failing_memory(const char *method, const char *target, const char *content,
                                unsigned want)
{
	bool hit = true;

	for (int nth = 0; hit; nth++) {
		waiting = (struct api_request){.method = method_of(method),
		                               .target = str_of(target),
		                               .body = str_of(content),
		                               .peer = STR("192.0.2.8:1"),
		                               .wake = wake_waiting};
		add_field(&waiting, &waiting_fields, STR("Content-Type"), STR("application/json"));
		fault_arm(nth);
		enum api_result result = api_handle(api, &waiting, &answer);
		while (result == API_PARKED)
			result = resume();
		hit = fault_hit();
		ck_assert_msg(answer.status / 100 == want || (hit && answer.status == 503),
		              "allocation %d of %s: %u: %.*s", nth, target, answer.status,
		              (int)answer.body.len, answer.body.data);
		if (answer.content_type != NULL) {
			json_t *root = json_loadb(answer.body.data, answer.body.len, 0, NULL);
			const char *code = json_string_value(json_object_get(root, "code"));

			ck_assert_ptr_nonnull(root);
			ck_assert(answer.status != 503 || strcmp(code, "out-of-memory") == 0);
			json_decref(root);
		}
		api_release(api, &waiting);
		api_response_renew(&answer);
	}
}

START_TEST(without_memory_a_body_is_refused_with_503)
{
	with_failing_memory("PUT", "/v1/services/web/instances/a",
	                    "{\"host\":\"10.0.0.1\",\"port\":80,\"metadata\":{\"zone\":\"a\"}}", 2);
	with_failing_memory("POST", "/v1/services/web/instances",
	                    "{\"host\":\"10.0.0.1\",\"port\":80}", 2);
	with_failing_memory("POST", "/v1/services/web/instances/a/heartbeat", "{\"load\":0.5}", 2);
	with_failing_memory("POST", "/v1/heartbeats",
	                    "{\"instances\":[{\"service\":\"web\",\"id\":\"a\"},"
	                    "{\"service\":\"web\",\"id\":\"none\"}]}",
	                    2);
	with_failing_memory("PUT", "/v1/services/web/instances/a/status",
	                    "{\"status\":\"draining\",\"reason\":\"why\"}", 2);
	with_failing_memory("PUT", "/v1/services/web/instances/a",
	                    "{\"host\":\"a b\",\"port\":{\"a\":[]},\"x\":1,\"y\":2}", 4);
	with_failing_memory("POST", "/v1/heartbeats", "{\"instances\":[{}]}", 4);
	with_failing_memory("PUT", "/v1/services/w%65b/instances/%61/status",
	                    "{\"status\":\"draining\"}", 2);
}
END_TEST

/** Percent-encoded parameters are decoded once and read each time that the request resumes. */
START_TEST(decoded_parameters_stay_while_a_request_is_parked)
{
	static const char record[] = "{\"host\":\"10.0.0.1\",\"port\":80,"
				     "\"metadata\":{\"a b\":\"c/d\"}}";
	static const struct {
		const char *method, *target, *content;
		unsigned status;
		const char *shows;
	} cases[] = {
		{"PUT", "/v1/services/w%65b/instances/%61%2F1", record, 201, "\"a/1\""},
		{"PUT", "/v1/services/w%65b/instances/%61%2F1", record, 200, "\"a/1\""},
		{"POST", "/v1/services/w%65b/instances", record, 201, "\"web\""},
		{"PUT", "/v1/services/web/instances/%61%2F1/status", "{\"status\":\"draining\"}",
	         200, "\"a/1\""},
		{"POST", "/v1/services/web/instances/%61%2F1/heartbeat?incarnation=%31",
	         "{\"status\":\"draining\"}", 200, "\"draining\""},
		{"PUT", "/v1/services/web/instances/%6Eone/status", "{\"status\":\"draining\"}",
	         404, "'none' of service 'web'"},
		{"GET", "/v1/services/w%65b?at=1&meta.a%20b=c%2Fd&status=an%79", NULL, 200,
	         "\"a/1\""},
		{"GET", "/v1/services/w%65b?at=1&after=a%2F1", NULL, 200, "\"instances\":[]"},
		{"GET", "/v1/services/w%65b/instances/%61%2F1?at=1", NULL, 200, "\"a/1\""},
		{"GET", "/v1/services/w%65b/instances/%6Eone?at=1", NULL, 404, "not registered"},
		{"GET", "/v1/services?at=1&prefix=%77e", NULL, 200, "\"web\""},
		{"GET", "/v1/services/w%65b/pick?strategy=consistent_hash&key=%6B&meta.a%20b=c%2Fd",
	         NULL, 200, "\"web\""},
		{"GET", "/v1/services/w%65b/pick?at=1&key=%6B&exclude=%78,%79&meta.a%20b=c%2Fd",
	         NULL, 200, "\"a/1\""},
		{"GET", "/v1/services/w%65b/pick?at=1&key=%6B&exclude=a%2F1", NULL, 503,
	         "of 'web' matches"},
		{"GET", "/v1/diff?from=0&service=w%65b&limit=1", NULL, 200, "-web\""},
		{"GET", "/v1/services/w%65b/instances/%61%2F1/history", NULL, 200,
	         "\"id\":\"a/1\""},
		{"GET", "/v1/events?service=w%65b&id=%61%2F1&kind=r%65gistered", NULL, 200,
	         "\"a/1\""},
		{"DELETE", "/v1/services/w%65b/instances/%61%2F1", NULL, 204, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		call(cases[i].method, cases[i].target, cases[i].content);
		ck_assert_msg(response.status == cases[i].status, "%s: %u: %.*s", cases[i].target,
		              response.status, (int)sent().len, sent().data);
		ck_assert_msg(cases[i].shows[0] == '\0' ||
		                      memmem(sent().data, sent().len, cases[i].shows,
		                             strlen(cases[i].shows)) != NULL,
		              "%s: %.*s", cases[i].target, (int)sent().len, sent().data);
	}
}
END_TEST

START_TEST(decoded_parameters_stay_while_a_request_waits_for_a_change)
{
	static const char *const targets[] = {
		"/v1/services/w%65b?meta.zo%6Ee=%7A&wait_ms=20000&revision=",
		"/v1/services?prefix=%77e&after=%76&wait_ms=20000&revision=",
		"/v1/events?service=w%65b&id=%62&wait_ms=20000&since=",
	};
	char target[200];

	put("web", "a", NULL);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		enum api_result result;

		call("DELETE", "/v1/services/web/instances/b", NULL);
		call("GET", "/v1/status", NULL);
		(void)snprintf(target, sizeof(target), "%s%llu", targets[i],
		               (unsigned long long)response.revision);
		ask(target, "text/plain");
		if (i == 2) /* the history thread has found no event */
			ck_assert_int_eq(resume(), API_PARKED);
		put("web", "b", "\"metadata\":{\"zone\":\"z\"}");
		do
			result = resume();
		while (result == API_PARKED);
		ck_assert_uint_eq(answer.status, 200);
		ck_assert_ptr_nonnull(memmem(answer.body.data, answer.body.len,
		                             i == 1 ? "web" : "b ", i == 1 ? 3 : 2));
		end_waiting();
		api_response_renew(&answer);
	}
}
END_TEST

START_TEST(a_drain_waits_for_watchers_once)
{
	static const char untold[] = "\"watchers_told\":0,\"watchers_untold\":1";
	enum api_result result;

	put("web", "a", NULL);
	ask("/v1/services/web?revision=1&wait_ms=20000", "");
	request_reset();
	request.method = API_PUT;
	request.target = STR("/v1/services/web/instances/a/status");
	request.body = STR("{\"status\":\"draining\",\"wait_ms\":1000}");
	set_header("Content-Type", "application/json");
	ck_assert_int_eq(api_handle(api, &request, &response), API_PARKED);
	wait_woken(); /* the change is made; the watcher is woken, but not answered yet */
	ck_assert_int_eq(api_finish(api, &request, &response), API_PARKED);
	ck_assert_int_eq(request.park_until_ms, clock_ms() + 1000);
	ck_assert(api_expire(api, &request));
	ck_assert_int_eq(api_finish(api, &request, &response), API_DONE);
	ck_assert_ptr_nonnull(memmem(sent().data, sent().len, untold, strlen(untold)));
	api_release(api, &request);
	do
		result = resume();
	while (result == API_PARKED);
	end_waiting();
}
END_TEST

SUITE("api_wait", setup, teardown, a_listing_is_resumed_only_by_changes_that_it_shows,
      a_lookup_woken_by_a_filtered_change_is_answered_once,
      events_that_the_filter_leaves_out_leave_nothing_in_the_answer,
      nothing_of_an_earlier_attempt_is_in_the_answer,
      events_that_retention_overtakes_are_begun_anew_after_each_wait,
      without_memory_a_body_is_refused_with_503,
      parameters_decoded_before_the_wait_take_no_room_after_it,
      decoded_parameters_stay_while_a_request_is_parked,
      decoded_parameters_stay_while_a_request_waits_for_a_change, a_drain_waits_for_watchers_once)
