/* SPDX-License-Identifier: MIT */
/** Requests that are parked and resumed several times before they are answered. */
#include "api_fixture.h"

#include <semaphore.h>

#define RESUMES 10 /* more than a response has headers */

static struct api_request waiting;
static struct api_response answer;
static sem_t waiting_woken;

static void wake_waiting(struct api_request *which)
{
	ck_assert_ptr_eq(which, &waiting);
	ck_ok(sem_post(&waiting_woken));
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

/** Resumes once, after it was woken. */
static enum api_result resume(void)
{
	while (sem_wait(&waiting_woken) != 0)
		ck_assert_int_eq(errno, EINTR);
	return api_finish(api, &waiting, &answer);
}

/** Asks until the request waits for a change, and not for a thread. */
static void ask(const char *target, const char *accept)
{
	waiting = (struct api_request){.method = API_GET,
	                               .target = str_of(target),
	                               .accept = str_of(accept),
	                               .peer = STR("192.0.2.8:1"),
	                               .wake = wake_waiting};
	ck_assert_int_eq(api_handle(api, &waiting, &answer), API_PARKED);
}

/** Ends the wait. */
static void expire_waiting(void)
{
	ck_assert(api_expire(api, &waiting));
	enum api_result result = api_finish(api, &waiting, &answer);
	while (result == API_PARKED) /* by the history thread */
		result = resume();
	ck_assert_ptr_nonnull(waiting.sending);
	api_sent(&waiting, true);
}

static void check_answer(const char *content)
{
	ck_assert_uint_eq(answer.status, 200);
	ck_assert_str_eq(answer.content_type, "text/plain; charset=utf-8");
	ck_assert(answer.varies);
	ck_assert_msg(str_equal((struct str){answer.body.data, answer.body.len}, str_of(content)),
	              "%.*s", (int)answer.body.len, answer.body.data);
}

START_TEST(a_listing_that_others_wake_is_answered_as_if_it_had_been_asked_for_last)
{
	put("web", "a", NULL);
	ask("/v1/services?prefix=zzz&revision=1&wait_ms=20000", "text/plain");
	for (int i = 0; i < RESUMES; i++) {
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		ck_assert_int_eq(resume(), API_PARKED);
	}
	put("zzz", "a", NULL);
	ck_assert_int_eq(resume(), API_DONE);
	check_answer("SERVICE  HEALTHY  UNHEALTHY  DRAINING\nzzz      1        0          0\n");
	api_sent(&waiting, true);
}
END_TEST

START_TEST(a_lookup_whose_filter_leaves_out_what_woke_it_is_answered_once)
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
		ck_assert_int_eq(resume(), API_PARKED); /* woken: it asks the history thread */
		ck_assert_int_eq(resume(), API_PARKED);
	}
	expire_waiting();
	check_answer("REVISION  TIME  KIND  SERVICE  ID  STATUS  BY  REASON\n");
}
END_TEST

START_TEST(what_was_decoded_before_the_wait_takes_no_room_after_it)
{
	char target[7000] = "/v1/events?since=1&wait_ms=20000&service=web&id=";
	size_t len = strlen(target);

	while (len + 3 < sizeof(target)) /* twice this does not fit the scratch */
		len += (size_t)snprintf(target + len, sizeof(target) - len, "%%61");
	put("web", "a", NULL);
	ask(target, "text/plain");
	for (int i = 0; i < RESUMES; i++) {
		/* The history thread has read; before the handler looks, more happens. */
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

SUITE("api_wait", setup, teardown,
      a_listing_that_others_wake_is_answered_as_if_it_had_been_asked_for_last,
      a_lookup_whose_filter_leaves_out_what_woke_it_is_answered_once,
      events_that_the_filter_leaves_out_leave_nothing_in_the_answer,
      what_was_decoded_before_the_wait_takes_no_room_after_it)
