/* SPDX-License-Identifier: MIT */
/* Calls in virtual time. A test that exists because of an issue in another project names it. */
#include "sim.h"
#include "suite.h"

#include <errno.h>

static struct sim sim;
static rollcall_response response;
static rollcall_policy policy;

static void setup(void)
{
	sim_open(&sim, 42);
	rollcall_response_init(&response);
	rollcall_policy_default(&policy);
}

static void teardown(void)
{
	rollcall_response_clear(&response);
	sim_close(&sim);
}

/* --- answers -------------------------------------------------------------------------------- */

static int statuses[64];
static int status_count;

static void answer_in_turn(struct sim *s, const struct sim_request *request,
                           struct sim_reply *reply)
{
	(void)s;
	reply->status = statuses[request->nth % status_count];
	if (reply->status == 0)
		reply->reset = true;
	if (reply->status < 0)
		reply->refuse = true;
}

#define ANSWER(...)                                                     \
	do {                                                            \
		const int list_[] = {__VA_ARGS__};                      \
		status_count = (int)(sizeof(list_) / sizeof(list_[0])); \
		memcpy(statuses, list_, sizeof(list_));                 \
		sim.serve = answer_in_turn;                             \
	} while (0)

static void never_answer(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)s;
	(void)request;
	reply->hang = true;
}

static int post(const char *key)
{
	rollcall_request request;

	rollcall_request_init(&request);
	request.method = "POST";
	request.body = "x";
	request.body_len = 1;
	request.key = key;
	return rollcall_call(sim.client, "web", &request, &response);
}

static void three_instances(void)
{
	(void)sim_add(&sim, "a");
	(void)sim_add(&sim, "b");
	(void)sim_add(&sim, "c");
}

/* --- plain ---------------------------------------------------------------------------------- */

START_TEST(a_call_reaches_an_instance_and_brings_its_answer)
{
	(void)sim_add(&sim, "a");
	ck_ok(sim_call(&sim, "/x?y=1", &response));
	ck_assert_int_eq(response.status, 200);
	ck_assert_int_eq(response.outcome, ROLLCALL_OK);
	ck_assert_str_eq(response.instance, "a");
	ck_assert_uint_eq(response.attempts, 1);
	ck_assert_str_eq(sim.last_url, "http://10.0.0.1:80/x?y=1");
	ck_assert_uint_eq(sim_stats(&sim).calls[ROLLCALL_OK], 1);
}
END_TEST

START_TEST(an_unknown_service_is_an_error_of_its_own)
{
	sim.knows_web = false;
	ck_fails(sim_call(&sim, "/", &response), ENOENT);
	ck_assert_int_eq(response.outcome, ROLLCALL_NO_INSTANCE);
}
END_TEST

START_TEST(a_service_without_instances_is_another)
{
	ck_fails(sim_call(&sim, "/", &response), EHOSTUNREACH);
}
END_TEST

START_TEST(an_unreachable_registry_is_a_third_and_is_waited_for_no_longer_than_said)
{
	int64_t began = sim.now_us;

	sim.down = true;
	ck_fails(sim_call(&sim, "/", &response), ENOTCONN);
	ck_assert_int_ge(sim.now_us - began, 3000 * SIM_MS);
	ck_assert_int_le(sim.now_us - began, 3020 * SIM_MS);
}
END_TEST

START_TEST(bad_requests_are_refused_before_anything_happens)
{
	rollcall_request request;
	const rollcall_pair evil = {"X-A", "b\r\nX-Evil: 1"};

	(void)sim_add(&sim, "a");
	rollcall_request_init(&request);
	request.headers = &evil;
	request.header_count = 1;
	ck_fails(rollcall_call(sim.client, "web", &request, &response), EINVAL);
	rollcall_request_init(&request);
	request.path = "/a b";
	ck_fails(rollcall_call(sim.client, "web", &request, &response), EINVAL);
	request.path = "no-slash";
	ck_fails(rollcall_call(sim.client, "web", &request, &response), EINVAL);
	rollcall_request_init(&request);
	ck_fails(rollcall_call(sim.client, "no such/name", &request, &response), EINVAL);
	ck_assert_int_eq(sim.sent, 0);
}
END_TEST

static void answer_at_length(struct sim *s, const struct sim_request *request,
                             struct sim_reply *reply)
{
	(void)s;
	(void)request;
	(void)snprintf(reply->body, sizeof(reply->body), "hello world");
}

START_TEST(an_answer_larger_than_allowed_is_an_error_and_nobodys_fault)
{
	rollcall_request request;

	(void)sim_add(&sim, "a");
	sim.serve = answer_at_length;
	rollcall_request_init(&request);
	request.max_response = 10;
	for (int i = 0; i < 20; i++)
		ck_fails(rollcall_call(sim.client, "web", &request, &response), EMSGSIZE);
	ck_assert_int_eq(sim.sent, 20);
	ck_assert_int_eq(sim_stats(&sim).breaker, ROLLCALL_BREAKER_CLOSED);
	request.max_response = 11;
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_str_eq(response.body, "hello world");
}
END_TEST

/* --- retries -------------------------------------------------------------------------------- */

START_TEST(a_get_is_retried_on_another_instance)
{
	(void)sim_add(&sim, "a");
	(void)sim_add(&sim, "b");
	ANSWER(500, 200);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 200);
	ck_assert_uint_eq(response.attempts, 2);
	ck_assert_uint_eq(sim.instances[0].sent, 1);
	ck_assert_uint_eq(sim.instances[1].sent, 1);
}
END_TEST

/* finagle#585, envoy#2259, envoy#36736 */
START_TEST(a_retry_never_picks_the_same_bad_host_while_another_is_left)
{
	three_instances();
	ANSWER(500, 500, 200);
	for (int i = 0; i < 50; i++) {
		for (int j = 0; j < 3; j++)
			sim.instances[j].sent = 0;
		sim.sent = 0;
		policy.breaker.mode = ROLLCALL_B_OFF;
		policy.outlier.consec_5xx = 0;
		policy.retry.budget_ratio = -1;
		sim_policy(&sim, &policy);
		ck_ok(sim_call(&sim, "/", &response));
		for (int j = 0; j < 3; j++)
			ck_assert_uint_eq(sim.instances[j].sent, 1);
	}
}
END_TEST

START_TEST(with_all_instances_tried_it_turns_to_any_again)
{
	(void)sim_add(&sim, "a");
	ANSWER(500, 200);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 200);
	ck_assert_uint_eq(sim.instances[0].sent, 2);
}
END_TEST

/* spring-cloud-netflix#467, #1063, #1283 */
START_TEST(a_post_without_key_that_may_have_arrived_is_sent_exactly_once)
{
	three_instances();
	ANSWER(0, 200);
	ck_fails(post(NULL), ECONNRESET);
	ck_assert_int_eq(response.outcome, ROLLCALL_UNKNOWN);
	ck_assert_int_eq(sim.sent, 1);
	ANSWER(500, 200);
	sim.sent = 0;
	ck_ok(post(NULL));
	ck_assert_int_eq(response.status, 500);
	ck_assert_int_eq(response.refused, ROLLCALL_OK);
	ck_assert_int_eq(sim.sent, 1);
}
END_TEST

START_TEST(a_post_with_a_key_is_retried_with_the_same_key)
{
	three_instances();
	ANSWER(0, 200);
	ck_ok(post("k1"));
	ck_assert_int_eq(sim.sent, 2);
	ck_assert_str_eq(sim_header(&sim, "Idempotency-Key"), "k1");
	ck_assert_str_eq(sim_header(&sim, "X-Retry-Attempt"), "1");
}
END_TEST

START_TEST(what_was_certainly_not_sent_is_always_retried)
{
	three_instances();
	ANSWER(-1, 200);
	ck_ok(post(NULL));
	ck_assert_int_eq(response.status, 200);
	ck_assert_uint_eq(response.attempts, 2);
}
END_TEST

START_TEST(client_errors_are_not_retried_but_429_is_when_the_server_says)
{
	three_instances();
	ANSWER(404, 200);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 404);
	ck_assert_int_eq(response.outcome, ROLLCALL_CLIENT_ERR);
	ANSWER(429, 200);
	sim.sent = 0;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 200);
}
END_TEST

static const char *pause_head;

static void ask_for_a_pause(struct sim *s, const struct sim_request *request,
                            struct sim_reply *reply)
{
	(void)s;
	if (request->nth > 0)
		return;
	reply->status = 503;
	(void)snprintf(reply->head, sizeof(reply->head), "%s", pause_head);
}

START_TEST(retry_after_replaces_the_pause)
{
	three_instances();
	pause_head = "Retry-After: 4\r\n";
	sim.serve = ask_for_a_pause;
	int64_t began = sim.now_us;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 200);
	ck_assert_int_ge(sim.now_us - began, 4 * SIM_S);
	ck_assert_int_le(sim.now_us - began, 4 * SIM_S + 10 * SIM_MS);
}
END_TEST

START_TEST(a_pause_longer_than_the_time_left_ends_the_call_at_once)
{
	three_instances();
	pause_head = "Retry-After: 11\r\n";
	sim.serve = ask_for_a_pause;
	int64_t began = sim.now_us;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 503);
	ck_assert_int_le(sim.now_us - began, 100 * SIM_MS);
	ck_assert_uint_eq(sim_stats(&sim).retry_denied_deadline, 1);
}
END_TEST

START_TEST(without_a_limit_of_time_a_pause_longer_than_the_longest_ends_it_too)
{
	three_instances();
	rollcall_policy_classic(&policy);
	sim_policy(&sim, &policy);
	pause_head = "Retry-After: 61\r\n";
	sim.serve = ask_for_a_pause;
	int64_t began = sim.now_us;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 503);
	ck_assert_int_le(sim.now_us - began, 100 * SIM_MS);
	ck_assert_uint_eq(sim_stats(&sim).retry_denied_deadline, 1);
	pause_head = "Retry-After: 60\r\n";
	sim.sent = 0;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 200);
}
END_TEST

START_TEST(x_no_retry_stops)
{
	three_instances();
	pause_head = "X-No-Retry: 1\r\n";
	sim.serve = ask_for_a_pause;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 503);
	ck_assert_uint_eq(response.attempts, 1);
}
END_TEST

static const char *inbound(const char *name, void *arg)
{
	const char *const *headers = arg;

	for (; headers[0] != NULL; headers += 2)
		if (strcmp(headers[0], name) == 0)
			return headers[1];
	return NULL;
}

/* spring-cloud-netflix#467: stacked retries multiply */
START_TEST(inside_a_retry_there_is_no_retry)
{
	const char *headers[] = {"X-Retry-Attempt", "1", "Request-Timeout-Ms", "700", NULL};
	rollcall_request request;

	three_instances();
	ANSWER(500);
	rollcall_request_init(&request);
	ck_ok(rollcall_request_inherit(&request, inbound, headers));
	ck_assert_uint_eq(request.timeout_ms, 700);
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_int_eq(response.status, 500);
	ck_assert_int_eq(sim.sent, 1);
	ck_assert_str_eq(sim_header(&sim, "X-Retry-Attempt"), "1");
	ck_assert_int_le(atol(sim_header(&sim, "Request-Timeout-Ms")), 700);
	ck_assert_int_ge(atol(sim_header(&sim, "Request-Timeout-Ms")), 690);
	headers[3] = "0";
	ck_fails(rollcall_request_inherit(&request, inbound, headers), ETIMEDOUT);
	static const char *const malformed[] = {"", "soon", "-1", "0x10", "5s", " 5"};
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		rollcall_request_init(&request);
		headers[3] = malformed[i];
		ck_ok(rollcall_request_inherit(&request, inbound, headers));
		ck_assert_uint_eq(request.timeout_ms, 0); /* a malformed value is ignored */
	}
}
END_TEST

/* --- budget --------------------------------------------------------------------------------- */

static int ended;

static void count_ended(rollcall_client *client, int error, rollcall_response *r, void *arg)
{
	(void)client;
	(void)error;
	(void)r;
	(void)arg;
	ended++;
}

static void load(int per_ms, int ms)
{
	rollcall_request request;

	rollcall_request_init(&request);
	for (int t = 0; t < ms; t++) {
		for (int i = 0; i < per_ms; i++)
			ck_ok(rollcall_call_start(sim.client, "web", &request, count_ended, NULL,
			                          NULL));
		sim_run_ms(&sim, 1);
	}
}

/* envoy#30205, opendal#7376, tower-resilience#171, failsafe-go#106 */
START_TEST(in_a_total_outage_retries_stay_within_the_budget)
{
	three_instances();
	ANSWER(500);
	policy.breaker.mode = ROLLCALL_B_OFF;
	policy.bulkhead.max_inflight = 0;
	sim_policy(&sim, &policy);
	ended = 0;
	load(1, 10000);
	sim_run_ms(&sim, 5000);
	ck_assert_int_eq(ended, 10000);
	ck_assert_int_le(sim.sent, 12000 + 30 + 30);
	ck_assert_int_ge(sim.sent, 11900);
}
END_TEST

/* failsafe-go#141 */
START_TEST(a_spent_budget_leaves_attempts_in_flight_alone)
{
	three_instances();
	ANSWER(500);
	policy.breaker.mode = ROLLCALL_B_OFF;
	policy.retry.budget_ratio = 0;
	policy.retry.budget_min_per_s = 0;
	sim_policy(&sim, &policy);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.status, 500); /* the last result, not an error of the client */
	ck_assert_uint_eq(response.attempts, 1);
	ck_assert_uint_eq(sim_stats(&sim).retry_denied_budget, 1);
}
END_TEST

/* --- deadline ------------------------------------------------------------------------------- */

START_TEST(attempts_together_never_pass_the_total)
{
	three_instances();
	sim.serve = never_answer;
	policy.time.total_ms = 5000;
	policy.retry.max_retries = 10;
	policy.breaker.mode = ROLLCALL_B_OFF;
	sim_policy(&sim, &policy);
	int64_t began = sim.now_us;
	ck_fails(sim_call(&sim, "/", &response), ETIMEDOUT);
	ck_assert_int_eq(response.outcome, ROLLCALL_UNKNOWN);
	ck_assert_int_le(sim.now_us - began, 5020 * SIM_MS);
	ck_assert_uint_eq(response.attempts, 2); /* 3 s, and the rest of the deadline */
}
END_TEST

/* envoy#13196, envoy#7358 */
START_TEST(each_attempt_says_the_time_that_is_left_for_it)
{
	rollcall_request request;

	three_instances();
	sim.serve = never_answer;
	rollcall_request_init(&request);
	request.timeout_ms = 4000;
	ck_fails(rollcall_call(sim.client, "web", &request, &response), ETIMEDOUT);
	ck_assert_uint_eq(response.attempts, 2);
	ck_assert_int_le(atol(sim_header(&sim, "Request-Timeout-Ms")), 1000);
	ck_assert_int_ge(atol(sim_header(&sim, "Request-Timeout-Ms")), 900);
}
END_TEST

START_TEST(the_trace_is_passed_on_with_a_span_of_its_own)
{
	static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	rollcall_request request;

	(void)sim_add(&sim, "a");
	rollcall_request_init(&request);
	request.traceparent = parent;
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	const char *sent = sim_header(&sim, "traceparent");
	ck_assert_uint_eq(strlen(sent), 55);
	ck_assert_int_eq(strncmp(sent, parent, 36), 0);
	ck_assert_int_ne(strncmp(sent + 36, parent + 36, 16), 0);
	ck_assert_str_eq(sent + 52, "-01");
	request.traceparent = "nonsense";
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_uint_eq(strlen(sim_header(&sim, "traceparent")), 55);
	ck_assert_int_eq(strncmp(sim_header(&sim, "traceparent"), "00-", 3), 0);
}
END_TEST

/* --- breaker -------------------------------------------------------------------------------- */

static void open_the_breaker(void)
{
	policy.retry.max_retries = 0;
	policy.breaker.open_jitter = 0;
	policy.outlier.consec_5xx = 0;
	sim_policy(&sim, &policy);
	ANSWER(500);
	for (int i = 0; i < 5; i++)
		ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(sim_stats(&sim).breaker, ROLLCALL_BREAKER_OPEN);
}

START_TEST(the_fifth_failure_in_a_row_opens_the_breaker)
{
	three_instances();
	open_the_breaker();
	sim.sent = 0;
	ck_fails(sim_call(&sim, "/", &response), EBUSY);
	ck_assert_int_eq(response.outcome, ROLLCALL_REJECT_OPEN);
	ck_assert_int_eq(sim.sent, 0);
}
END_TEST

START_TEST(after_thirty_seconds_a_probe_closes_it)
{
	three_instances();
	open_the_breaker();
	ANSWER(200);
	sim_pass_ms(&sim, 29990);
	ck_fails(sim_call(&sim, "/", &response), EBUSY);
	sim_pass_ms(&sim, 10);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(sim_stats(&sim).breaker, ROLLCALL_BREAKER_CLOSED);
}
END_TEST

/* resilience4j#1657, #515, #920 */
START_TEST(local_rejections_never_count_as_failures)
{
	three_instances();
	policy.rate.rate = 0.001;
	policy.rate.burst = 1;
	sim_policy(&sim, &policy);
	ck_ok(sim_call(&sim, "/", &response));
	for (int i = 0; i < 100; i++) {
		ck_fails(sim_call(&sim, "/", &response), EBUSY);
		ck_assert_int_eq(response.outcome, ROLLCALL_REJECT_RATE);
	}
	ck_assert_int_eq(sim_stats(&sim).breaker, ROLLCALL_BREAKER_CLOSED);
	ck_assert_uint_eq(sim_stats(&sim).ejections, 0);
	ck_assert_uint_eq(sim_stats(&sim).retries, 0);
}
END_TEST

/* resilience4j#903, Polly#311 */
START_TEST(a_probe_that_is_rejected_further_in_gives_its_lease_back)
{
	three_instances();
	open_the_breaker();
	sim_pass_ms(&sim, 30000);
	policy.bulkhead.max_inflight = 1;
	policy.bulkhead.max_queue = 0;
	sim_policy(&sim, &policy);
	ANSWER(200);
	sim_remove(&sim, 0);
	sim_remove(&sim, 1);
	sim_remove(&sim, 2);
	sim_run_ms(&sim, 1000); /* the cache learns that no instance is left */
	ck_fails(sim_call(&sim, "/", &response), EHOSTUNREACH);
	(void)sim_add(&sim, "d");
	sim_run_ms(&sim, 1000);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(sim_stats(&sim).breaker, ROLLCALL_BREAKER_CLOSED);
}
END_TEST

static rollcall_class seen_why;

static int stand_in(rollcall_class why, const rollcall_request *request, rollcall_response *r,
                    void *user)
{
	(void)request;
	seen_why = why;
	return user != NULL ? -EIO : rollcall_response_set(r, 203, "cached", 6);
}

/* --- refused between retries ---------------------------------------------------------------- */

static void expect_failure_then(int error, int status, rollcall_class outcome,
                                rollcall_class refused)
{
	ck_assert_int_eq(sim_call(&sim, "/", &response), error);
	ck_assert_int_eq(response.error, error);
	ck_assert_int_eq(response.status, status);
	ck_assert_int_eq(response.outcome, outcome);
	ck_assert_int_eq(response.refused, refused);
	ck_assert_uint_eq(response.attempts, 1);
	ck_assert_str_ne(response.instance, "");
}

static void say_why(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)s;
	(void)request;
	reply->status = 503;
	(void)snprintf(reply->head, sizeof(reply->head), "X-Reason: disk\r\n");
	(void)snprintf(reply->body, sizeof(reply->body), "disk full");
}

START_TEST(a_breaker_that_opens_between_retries_does_not_hide_the_failure)
{
	char reason[16];

	three_instances();
	policy.breaker.failure_threshold = 1;
	sim_policy(&sim, &policy);
	sim.serve = say_why;
	expect_failure_then(0, 503, ROLLCALL_SERVER_ERR, ROLLCALL_REJECT_OPEN);
	ck_assert_str_eq(response.body, "disk full");
	ck_ok(rollcall_response_header(&response, "X-Reason", reason, sizeof(reason)));
	ck_assert_str_eq(reason, "disk");
	ck_assert_uint_eq(sim_stats(&sim).calls[ROLLCALL_SERVER_ERR], 1);
	ck_assert_uint_eq(sim_stats(&sim).attempts[ROLLCALL_REJECT_OPEN], 1);

	/* Without an attempt before it, the refusal is the result. */
	ck_fails(sim_call(&sim, "/", &response), EBUSY);
	ck_assert_int_eq(response.outcome, ROLLCALL_REJECT_OPEN);
	ck_assert_int_eq(response.refused, ROLLCALL_REJECT_OPEN);
	ck_assert_int_eq(response.status, 0);
	ck_assert_ptr_null(response.body);

	sim_pass_ms(&sim, 40000);
	sim.serve = NULL;
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.refused, ROLLCALL_OK); /* the same structure, used again */
}
END_TEST

START_TEST(nor_does_it_hide_an_attempt_without_an_answer)
{
	three_instances();
	policy.breaker.failure_threshold = 1;
	sim_policy(&sim, &policy);
	ANSWER(0);
	expect_failure_then(-ECONNRESET, 0, ROLLCALL_UNKNOWN, ROLLCALL_REJECT_OPEN);
	sim_pass_ms(&sim, 40000);
	ANSWER(-1);
	expect_failure_then(-ECONNREFUSED, 0, ROLLCALL_NOT_SENT, ROLLCALL_REJECT_OPEN);
	sim_pass_ms(&sim, 80000);
	sim.serve = never_answer;
	expect_failure_then(-ETIMEDOUT, 0, ROLLCALL_UNKNOWN, ROLLCALL_REJECT_OPEN);
}
END_TEST

START_TEST(no_other_refusal_of_a_retry_hides_the_failure)
{
	three_instances();
	policy.retry.jitter = ROLLCALL_J_NONE;
	policy.rate.rate = 0.001;
	policy.rate.burst = 1;
	sim_policy(&sim, &policy);
	ANSWER(500);
	expect_failure_then(0, 500, ROLLCALL_SERVER_ERR, ROLLCALL_REJECT_RATE);
}
END_TEST

static void leave_all(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)request;
	for (int i = 0; i < 3; i++)
		sim_remove(s, i);
	reply->status = 500;
}

static int seen_done;

static void expect_no_instance_left(rollcall_client *client, int error, rollcall_response *r,
                                    void *arg)
{
	(void)client;
	(void)arg;
	ck_ok(error);
	ck_assert_int_eq(r->status, 500);
	ck_assert_int_eq(r->outcome, ROLLCALL_SERVER_ERR);
	ck_assert_int_eq(r->refused, ROLLCALL_NO_INSTANCE);
	seen_done++;
}

START_TEST(instances_that_leave_between_retries_do_not_hide_the_failure)
{
	rollcall_request request;

	three_instances();
	policy.retry.jitter = ROLLCALL_J_NONE;
	policy.retry.base_ms = 1000; /* time for the cache to learn of it */
	sim_policy(&sim, &policy);
	sim.serve = leave_all;
	seen_done = 0;
	rollcall_request_init(&request);
	ck_ok(rollcall_call_start(sim.client, "web", &request, expect_no_instance_left, NULL,
	                          NULL));
	sim_run_ms(&sim, 5000);
	ck_assert_int_eq(seen_done, 1);
}
END_TEST

START_TEST(a_hedge_that_is_refused_does_not_end_the_retries)
{
	three_instances();
	policy.hedge.on = 1;
	policy.hedge.max_extra = 1;
	policy.rate.rate = 0.001;
	policy.rate.burst = 1;
	sim_policy(&sim, &policy);
	ANSWER(500);
	expect_failure_then(0, 500, ROLLCALL_SERVER_ERR, ROLLCALL_REJECT_RATE);
	ck_assert_uint_eq(sim_stats(&sim).hedges, 1);
	ck_assert_uint_eq(sim_stats(&sim).retries, 1);
}
END_TEST

START_TEST(the_fallback_sees_the_failure_too)
{
	three_instances();
	policy.breaker.failure_threshold = 1;
	policy.fallback = stand_in;
	sim_policy(&sim, &policy);
	ANSWER(500);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(seen_why, ROLLCALL_SERVER_ERR);
	ck_assert_int_eq(response.refused, ROLLCALL_REJECT_OPEN);
	ck_assert_int_eq(response.from_fallback, 1);
}
END_TEST

/* For a program built with a header whose structure ended with the instance. */
START_TEST(a_response_without_the_field_is_left_alone_behind_its_end)
{
	const size_t before = offsetof(rollcall_response, refused);
	rollcall_response old;

	three_instances();
	policy.breaker.failure_threshold = 1;
	sim_policy(&sim, &policy);
	ANSWER(500);
	memset(&old, 0x55, sizeof(old));
	rollcall_response_init_sized(&old, before);
	ck_ok(sim_call(&sim, "/", &old));
	ck_assert_int_eq(old.status, 500);
	for (size_t i = before; i < sizeof(old); i++)
		ck_assert_int_eq(((const unsigned char *)&old)[i], 0x55);
	rollcall_response_clear(&old);
	rollcall_response_init_sized(&old, before - 1);
	ck_fails(sim_call(&sim, "/", &old), EINVAL);
}
END_TEST

START_TEST(one_bad_instance_of_ten_does_not_open_the_service)
{
	char id[8];

	for (int i = 0; i < 10; i++) {
		(void)snprintf(id, sizeof(id), "i%d", i);
		(void)sim_add(&sim, id);
	}
	ck_ok(rollcall_breaker_force(sim.client, "web", ROLLCALL_FORCE_AUTO));
	ANSWER(500, 200, 200, 200, 200, 200, 200, 200, 200, 200);
	for (int i = 0; i < 500; i++)
		ck_ok(sim_call(&sim, "/", &response));
	ck_assert_uint_eq(sim_stats(&sim).breaker_opened, 0);
}
END_TEST

START_TEST(a_breaker_can_be_held_open_and_closed)
{
	three_instances();
	ck_ok(rollcall_breaker_force(sim.client, "web", ROLLCALL_FORCE_OPEN));
	ck_fails(sim_call(&sim, "/", &response), EBUSY);
	ck_ok(rollcall_breaker_force(sim.client, "web", ROLLCALL_FORCE_CLOSED));
	ANSWER(500);
	for (int i = 0; i < 20; i++)
		ck_ok(sim_call(&sim, "/", &response));
	ck_ok(rollcall_breaker_force(sim.client, "web", ROLLCALL_FORCE_AUTO));
	ck_assert_int_eq(sim_stats(&sim).breaker, ROLLCALL_BREAKER_CLOSED);
}
END_TEST

/* --- bulkhead ------------------------------------------------------------------------------- */

static int outcomes[ROLLCALL_CLASS_COUNT];

static void count_outcome(rollcall_client *client, int error, rollcall_response *r, void *arg)
{
	(void)client;
	(void)error;
	(void)arg;
	outcomes[r->outcome]++;
}

static void slow_answer(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)s;
	(void)request;
	reply->latency_us = 60 * SIM_MS;
}

START_TEST(the_bulkhead_queues_a_few_for_a_while_and_rejects_the_others)
{
	rollcall_request request;

	three_instances();
	sim.serve = slow_answer;
	policy.bulkhead.max_inflight = 2;
	policy.bulkhead.max_queue = 4;
	policy.bulkhead.max_wait_ms = 100;
	sim_policy(&sim, &policy);
	ck_ok(sim_call(&sim, "/", &response)); /* warms the cache */
	memset(outcomes, 0, sizeof(outcomes));
	rollcall_request_init(&request);
	for (int i = 0; i < 10; i++)
		ck_ok(rollcall_call_start(sim.client, "web", &request, count_outcome, NULL, NULL));
	sim_run_ms(&sim, 10);
	ck_assert_uint_eq(sim_stats(&sim).inflight, 2);
	ck_assert_uint_eq(sim_stats(&sim).queued, 4);
	ck_assert_int_eq(outcomes[ROLLCALL_REJECT_BULKHEAD], 4);
	sim_run_ms(&sim, 1000);
	/* Two run at once, two more after 60 ms; the last two give up at 100 ms, before 120 ms. */
	ck_assert_int_eq(outcomes[ROLLCALL_OK], 4);
	ck_assert_int_eq(outcomes[ROLLCALL_REJECT_BULKHEAD], 6);
	ck_assert_uint_eq(sim_stats(&sim).inflight, 0);
	ck_assert_uint_eq(sim_stats(&sim).queued, 0);
}
END_TEST

START_TEST(calls_begin_in_the_order_they_came)
{
	rollcall_request requests[5];
	static const char *const paths[] = {"/0", "/1", "/2", "/3", "/4"};

	three_instances();
	policy.bulkhead.max_inflight = 1;
	sim_policy(&sim, &policy);
	ended = 0;
	for (int i = 0; i < 5; i++) {
		rollcall_request_init(&requests[i]);
		requests[i].path = paths[i];
		ck_ok(rollcall_call_start(sim.client, "web", &requests[i], count_ended, NULL,
		                          NULL));
	}
	for (int i = 0; i < 5; i++) {
		while (sim.sent == i)
			sim_run_ms(&sim, 1);
		ck_assert_str_eq(strrchr(sim.last_url, '/'), paths[i]);
	}
}
END_TEST

START_TEST(cancelling_gives_everything_back)
{
	rollcall_request request;
	uint64_t ids[4];

	three_instances();
	sim.serve = never_answer;
	policy.bulkhead.max_inflight = 2;
	sim_policy(&sim, &policy);
	rollcall_request_init(&request);
	ended = 0;
	for (int round = 0; round < 2; round++) { /* queue from its end, then running */
		for (int i = 0; i < 4; i++)
			ck_ok(rollcall_call_start(sim.client, "web", &request, count_ended, NULL,
			                          &ids[i]));
		sim_run_ms(&sim, 20);
		ck_assert_uint_eq(sim_stats(&sim).inflight, 2);
		ck_assert_uint_eq(sim_stats(&sim).queued, 2);
		for (int i = 0; i < 4; i++)
			ck_ok(rollcall_call_cancel(sim.client, ids[round == 0 ? 3 - i : i]));
		ck_fails(rollcall_call_cancel(sim.client, ids[0]), ENOENT);
		sim_run_ms(&sim, 20);
		ck_assert_uint_eq(sim_stats(&sim).inflight, 0);
		ck_assert_uint_eq(sim_stats(&sim).queued, 0);
	}
	ck_assert_int_eq(ended, 0);
}
END_TEST

START_TEST(routes_have_pools_of_their_own)
{
	three_instances();
	rollcall_policy_classic(&policy);
	policy.retry.max_retries = 0;
	policy.bulkhead.max_inflight = ROLLCALL_CLASSIC_POOL_2;
	ck_ok(rollcall_set_policy(sim.client, "web", "/pay", &policy));
	ANSWER(500);
	for (int i = 0; i < 5; i++)
		ck_ok(sim_call(&sim, "/pay/1", &response));
	ck_fails(sim_call(&sim, "/pay/2", &response), EBUSY);
	ANSWER(200);
	ck_ok(sim_call(&sim, "/other", &response));
}
END_TEST

/* --- ejection, balancing -------------------------------------------------------------------- */

static int bad_instance;

static void one_is_bad(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)s;
	if (request->instance == bad_instance)
		reply->status = 500;
}

static void ten_instances(void)
{
	char id[8];

	for (int i = 0; i < 10; i++) {
		(void)snprintf(id, sizeof(id), "i%d", i);
		(void)sim_add(&sim, id);
	}
}

START_TEST(one_bad_of_ten_is_ejected_within_five_of_its_calls)
{
	ten_instances();
	bad_instance = 3;
	sim.serve = one_is_bad;
	ck_ok(rollcall_set_strategy(sim.client, "web", rollcall_strategy_named("round_robin")));
	policy.bulkhead.max_inflight = 0;
	sim_policy(&sim, &policy);
	load(1, 2000);
	ck_assert_uint_le(sim.instances[3].sent, 5 + 3); /* attempts that were already under way */
	ck_assert_uint_lt(sim.instances[3].sent * 100, 2000);
	ck_assert_uint_eq(sim_stats(&sim).ejected, 1);
}
END_TEST

/* envoy#2671, istio#20135, envoy#28304 */
START_TEST(when_all_are_bad_they_are_still_served)
{
	three_instances();
	ANSWER(500);
	policy.breaker.mode = ROLLCALL_B_OFF;
	sim_policy(&sim, &policy);
	for (int i = 0; i < 100; i++)
		ck_ok(sim_call(&sim, "/", &response));
	ck_assert_uint_le(sim_stats(&sim).ejected, 1);
}
END_TEST

START_TEST(the_last_instance_is_never_ejected)
{
	(void)sim_add(&sim, "a");
	ANSWER(500);
	policy.breaker.mode = ROLLCALL_B_OFF;
	sim_policy(&sim, &policy);
	for (int i = 0; i < 50; i++)
		ck_ok(sim_call(&sim, "/", &response));
	ck_assert_uint_eq(sim_stats(&sim).ejections, 0);
}
END_TEST

static void one_is_slow(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)s;
	reply->latency_us = request->instance == bad_instance ? 50 * SIM_MS : 5 * SIM_MS;
}

START_TEST(p2c_spares_a_slow_instance)
{
	ten_instances();
	bad_instance = 4;
	sim.serve = one_is_slow;
	policy.bulkhead.max_inflight = 0;
	sim_policy(&sim, &policy);
	load(1, 5000);
	ck_assert_uint_lt(sim.instances[4].sent * 100, 2 * 5000);
}
END_TEST

static void one_fails_fast(struct sim *s, const struct sim_request *request,
                           struct sim_reply *reply)
{
	(void)s;
	reply->latency_us = request->instance == bad_instance ? 100 : 20 * SIM_MS;
	reply->reset = request->instance == bad_instance;
}

START_TEST(an_instance_that_fails_fast_gets_less_than_its_share)
{
	ten_instances();
	bad_instance = 7;
	sim.serve = one_fails_fast;
	policy.bulkhead.max_inflight = 0;
	policy.outlier.consec_local = 0;
	policy.outlier.stdev_factor = 0;
	policy.breaker.mode = ROLLCALL_B_OFF;
	sim_policy(&sim, &policy);
	load(1, 5000);
	ck_assert_uint_lt(sim.instances[7].sent, 500);
}
END_TEST

/* --- fallback, fault, hedge, throttle, classify --------------------------------------------- */

/* Hystrix#796, #1357, #2019 */
START_TEST(the_fallback_answers_and_sees_the_cause)
{
	three_instances();
	policy.fallback = stand_in;
	sim_policy(&sim, &policy);
	ck_ok(rollcall_breaker_force(sim.client, "web", ROLLCALL_FORCE_OPEN));
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(seen_why, ROLLCALL_REJECT_OPEN);
	ck_assert_int_eq(response.status, 203);
	ck_assert_str_eq(response.body, "cached");
	ck_assert_int_eq(response.from_fallback, 1);
	policy.user = &policy;
	sim_policy(&sim, &policy);
	ck_fails(sim_call(&sim, "/", &response), EIO);
	ck_assert_uint_eq(sim_stats(&sim).fallbacks, 2);
}
END_TEST

static int look_elsewhere(rollcall_class why, const rollcall_request *request, rollcall_response *r,
                          void *user)
{
	rollcall_instances *list;

	(void)why;
	(void)request;
	(void)r;
	(void)user;
	ck_ok(rollcall_get_instances(sim.client, "web", &list));
	rollcall_instances_free(list);
	ck_fails(rollcall_discover_now(sim.client, "other", NULL,
	                               &(rollcall_endpoint){.size = sizeof(rollcall_endpoint)}),
	         EAGAIN);
	return rollcall_response_set(r, 203, "cached", 6);
}

static void expect_cached(rollcall_client *client, int error, rollcall_response *r, void *arg)
{
	(void)client;
	ck_ok(error);
	ck_assert_int_eq(r->status, 203);
	ck_assert_int_eq(r->from_fallback, 1);
	*(bool *)arg = true;
}

START_TEST(the_fallback_of_an_asynchronous_call_may_use_the_client)
{
	rollcall_request request;
	bool done = false;

	three_instances();
	policy.fallback = look_elsewhere;
	sim_policy(&sim, &policy);
	ck_ok(rollcall_breaker_force(sim.client, "web", ROLLCALL_FORCE_OPEN));
	rollcall_request_init(&request);
	ck_ok(rollcall_call_start(sim.client, "web", &request, expect_cached, &done, NULL));
	sim_run_ms(&sim, 100);
	ck_assert(done);
	ck_assert_uint_eq(sim_stats(&sim).fallbacks, 1);
}
END_TEST

START_TEST(faults_on_purpose_repeat_for_a_seed)
{
	int first[50];

	three_instances();
	policy.fault.armed = 1;
	policy.fault.abort_p = 0.5;
	policy.fault.abort_status = 503;
	policy.retry.max_retries = 0;
	policy.breaker.mode = ROLLCALL_B_OFF;
	for (int round = 0; round < 2; round++) {
		policy.fault.seed = 99;
		ck_ok(rollcall_set_policy(sim.client, "web", round == 0 ? "/a" : "/b", &policy));
		for (int i = 0; i < 50; i++) {
			ck_ok(sim_call(&sim, round == 0 ? "/a" : "/b", &response));
			if (round == 0)
				first[i] = response.status;
			else
				ck_assert_int_eq(response.status, first[i]);
		}
	}
	ck_assert_int_gt(sim.sent, 20);
	ck_assert_int_lt(sim.sent, 80);
}
END_TEST

static void mostly_fast(struct sim *s, const struct sim_request *request, struct sim_reply *reply)
{
	(void)s;
	reply->latency_us = request->nth % 50 == 49 ? 2000 * SIM_MS : 10 * SIM_MS;
}

START_TEST(a_hedge_cuts_the_tail_within_five_percent_extra)
{
	ten_instances();
	sim.serve = mostly_fast;
	policy.hedge.on = 1;
	policy.bulkhead.max_inflight = 0;
	sim_policy(&sim, &policy);
	load(1, 5000);
	sim_run_ms(&sim, 3000);
	rollcall_stats_view view = sim_stats(&sim);
	ck_assert_uint_gt(view.hedges, 50);
	ck_assert_uint_gt(view.hedges_won, 40);
	ck_assert_uint_le(view.hedges, 5000 * 5 / 100 + 1);
	ck_assert_uint_eq(view.calls[ROLLCALL_OK], 5000);
	ck_assert_uint_eq(view.inflight, 0);
	/* the attempt that loses is not a failure */
	ck_assert_uint_eq(view.attempts[ROLLCALL_UNKNOWN], 0);
	ck_assert_uint_eq(view.ejections, 0);
}
END_TEST

START_TEST(nothing_that_may_not_be_repeated_is_hedged)
{
	three_instances();
	policy.hedge.on = 1;
	sim_policy(&sim, &policy);
	for (int i = 0; i < 100; i++)
		ck_ok(sim_call(&sim, "/", &response));
	sim.sent = 0;
	sim.serve = never_answer;
	ck_fails(post(NULL), ETIMEDOUT);
	ck_assert_int_eq(sim.sent, 1);
}
END_TEST

/* go-zero#5011 */
START_TEST(the_throttle_counts_at_send_so_a_hanging_service_is_noticed)
{
	rollcall_request request;

	three_instances();
	policy.throttle.k = 2;
	policy.bulkhead.max_inflight = 0;
	policy.breaker.mode = ROLLCALL_B_OFF;
	sim_policy(&sim, &policy);
	ck_ok(sim_call(&sim, "/", &response));
	sim.serve = never_answer;
	memset(outcomes, 0, sizeof(outcomes));
	rollcall_request_init(&request);
	for (int i = 0; i < 100; i++) {
		ck_ok(rollcall_call_start(sim.client, "web", &request, count_outcome, NULL, NULL));
		sim_run_ms(&sim, 1);
	}
	ck_assert_int_gt(outcomes[ROLLCALL_REJECT_THROTTLE], 50); /* before any call has ended */
	ck_assert_int_lt(sim.sent, 50);
}
END_TEST

static rollcall_class all_is_well(const rollcall_response *r, void *user)
{
	(void)user;
	return r->status == 500 ? ROLLCALL_OK : ROLLCALL_SERVER_ERR;
}

START_TEST(a_caller_may_overrule_the_class_of_an_answer)
{
	three_instances();
	ANSWER(500);
	policy.classify = all_is_well;
	sim_policy(&sim, &policy);
	ck_ok(sim_call(&sim, "/", &response));
	ck_assert_int_eq(response.outcome, ROLLCALL_OK);
	ck_assert_uint_eq(response.attempts, 1);
}
END_TEST

START_TEST(the_classic_policy_pauses_as_published)
{
	three_instances();
	rollcall_policy_classic(&policy);
	policy.breaker.mode = ROLLCALL_B_OFF;
	sim_policy(&sim, &policy);
	ANSWER(500);
	for (int i = 0; i < 50; i++) {
		int64_t began = sim.now_us;

		ck_ok(sim_call(&sim, "/", &response));
		ck_assert_uint_eq(response.attempts, 4);
		ck_assert_int_ge(sim.now_us - began, 3500 * SIM_MS);
		ck_assert_int_le(sim.now_us - began, 10510 * SIM_MS);
	}
}
END_TEST

START_TEST(the_policies_hold_their_published_numbers)
{
	rollcall_policy_classic(&policy);
	ck_assert_uint_eq(policy.breaker.failure_threshold, 5);
	ck_assert_uint_eq(policy.breaker.recovery_ms, 30000);
	ck_assert_int_eq(policy.breaker.mode, ROLLCALL_B_CONSEC);
	ck_assert_uint_eq(policy.retry.max_retries, 3);
	ck_assert_uint_eq(policy.retry.base_ms, 1000);
	ck_assert_uint_eq(policy.retry.max_ms, 60000);
	ck_assert_int_eq(policy.retry.jitter, ROLLCALL_J_CLASSIC);
	ck_assert_uint_eq(policy.bulkhead.max_inflight, 30);
	ck_assert_int_eq(
		ROLLCALL_CLASSIC_POOL_1 + ROLLCALL_CLASSIC_POOL_2 + ROLLCALL_CLASSIC_POOL_3, 100);
	rollcall_policy_default(&policy);
	ck_assert_uint_eq(policy.time.total_ms, 10000);
	ck_assert_uint_eq(policy.retry.max_retries, 2);
	ck_assert_int_eq(policy.retry.jitter, ROLLCALL_J_FULL);
	policy.retry.max_ms = 1;
	ck_fails(rollcall_set_policy(sim.client, "web", NULL, &policy), EINVAL);
}
END_TEST

SUITE("client calls", setup, teardown, a_call_reaches_an_instance_and_brings_its_answer,
      an_unknown_service_is_an_error_of_its_own, a_service_without_instances_is_another,
      an_unreachable_registry_is_a_third_and_is_waited_for_no_longer_than_said,
      bad_requests_are_refused_before_anything_happens,
      an_answer_larger_than_allowed_is_an_error_and_nobodys_fault,
      a_get_is_retried_on_another_instance,
      a_retry_never_picks_the_same_bad_host_while_another_is_left,
      with_all_instances_tried_it_turns_to_any_again,
      a_post_without_key_that_may_have_arrived_is_sent_exactly_once,
      a_post_with_a_key_is_retried_with_the_same_key, what_was_certainly_not_sent_is_always_retried,
      client_errors_are_not_retried_but_429_is_when_the_server_says, retry_after_replaces_the_pause,
      a_pause_longer_than_the_time_left_ends_the_call_at_once,
      without_a_limit_of_time_a_pause_longer_than_the_longest_ends_it_too, x_no_retry_stops,
      inside_a_retry_there_is_no_retry, in_a_total_outage_retries_stay_within_the_budget,
      a_spent_budget_leaves_attempts_in_flight_alone, attempts_together_never_pass_the_total,
      each_attempt_says_the_time_that_is_left_for_it, the_trace_is_passed_on_with_a_span_of_its_own,
      the_fifth_failure_in_a_row_opens_the_breaker, after_thirty_seconds_a_probe_closes_it,
      local_rejections_never_count_as_failures,
      a_probe_that_is_rejected_further_in_gives_its_lease_back,
      a_breaker_that_opens_between_retries_does_not_hide_the_failure,
      nor_does_it_hide_an_attempt_without_an_answer, no_other_refusal_of_a_retry_hides_the_failure,
      instances_that_leave_between_retries_do_not_hide_the_failure,
      a_hedge_that_is_refused_does_not_end_the_retries, the_fallback_sees_the_failure_too,
      a_response_without_the_field_is_left_alone_behind_its_end,
      one_bad_instance_of_ten_does_not_open_the_service, a_breaker_can_be_held_open_and_closed,
      the_bulkhead_queues_a_few_for_a_while_and_rejects_the_others,
      calls_begin_in_the_order_they_came, cancelling_gives_everything_back,
      routes_have_pools_of_their_own, one_bad_of_ten_is_ejected_within_five_of_its_calls,
      when_all_are_bad_they_are_still_served, the_last_instance_is_never_ejected,
      p2c_spares_a_slow_instance, an_instance_that_fails_fast_gets_less_than_its_share,
      the_fallback_answers_and_sees_the_cause,
      the_fallback_of_an_asynchronous_call_may_use_the_client, faults_on_purpose_repeat_for_a_seed,
      a_hedge_cuts_the_tail_within_five_percent_extra, nothing_that_may_not_be_repeated_is_hedged,
      the_throttle_counts_at_send_so_a_hanging_service_is_noticed,
      a_caller_may_overrule_the_class_of_an_answer, the_classic_policy_pauses_as_published,
      the_policies_hold_their_published_numbers)
