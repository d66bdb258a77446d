/* SPDX-License-Identifier: MIT */
/*
 * Requests and answers over real sockets, with the fake API in place of api/ (http_fixture.h).
 * Deadlines, limits, heads and streams have tests of their own (test_http_*.c).
 */
#include "http_fixture.h"
#include "suite.h"

#include "base/progress.h"
#include "metrics/metrics.h"

#include <sys/resource.h>

START_TEST(an_answer_has_type_etag_revision_and_body)
{
	serve();
	int fd = dial();

	get(fd, "/blob");
	struct answer *answer = read_answer(fd);
	ck_assert_int_eq(answer->status, 200);
	ck_assert_ptr_nonnull(strstr(answer->head, "Content-Type: text/plain\r\n"));
	ck_assert_ptr_nonnull(strstr(answer->head, "ETag: \"17\"\r\n"));
	ck_assert_ptr_nonnull(strstr(answer->head, "X-Rollcall-Revision: 17\r\n"));
	ck_assert_ptr_nonnull(strstr(answer->head, "X-Rollcall-History: " FAKE_HISTORY "\r\n"));
	ck_assert_str_eq(answer->body, "{\"shared\":true}");

	for (int i = 0; i < 2; i++) { /* the second time the response is a prepared one */
		get(fd, "/lent");
		ck_assert_str_eq(read_answer(fd)->body, "{\"lent\":true}");
	}

	get(fd, "/created");
	answer = read_answer(fd);
	ck_assert_int_eq(answer->status, 201);
	ck_assert_ptr_nonnull(strstr(answer->head, "Location: /v1/made\r\n"));
	ck_assert_ptr_nonnull(strstr(answer->head, "Retry-After: 3\r\n"));
	ck_assert_str_eq(answer->body, "made");
	close(fd);
}
END_TEST

START_TEST(a_prepared_answer_is_not_sent_once_it_is_old)
{
	serve();
	int fd = dial();

	for (unsigned i = 0; i < 100; i++) {
		char want[16];

		/* The exchange, the length and the memory are the same, the bytes are not. */
		get(fd, "/count");
		snprintf(want, sizeof(want), "%08u", i * 2);
		ck_assert_str_eq(read_answer(fd)->body, want);

		atomic_store(&fake.revision, 100 + i / 2);
		get(fd, "/blob");
		snprintf(want, sizeof(want), ": %u\r\n", 100 + i / 2);
		ck_assert_ptr_nonnull(strstr(read_answer(fd)->head, want));
	}

	/* The body, its memory and the revision are the same, the headers are not. */
	for (unsigned i = 0; i < 8; i++) {
		static const char *const paths[] = {"/etag-a", "/created", "/made", "/created"};

		get(fd, paths[i % 4]);
		struct answer *answer = read_answer(fd);
		ck_assert_int_eq(strstr(answer->head, "ETag: etag-a\r\n") != NULL, i % 4 == 0);
		ck_assert_int_eq(strstr(answer->head, "Location: ") != NULL, i % 2 == 1);
	}
	for (unsigned i = 0; i < 8; i++) {
		static const char *const paths[] = {"/kept", "/kept-varies", "/never", "/made"};

		get(fd, paths[i % 4]);
		struct answer *answer = read_answer(fd);
		ck_assert_int_eq(strstr(answer->head, "Vary: Accept\r\n") != NULL, i % 4 == 1);
		ck_assert_int_eq(strstr(answer->head, "Cache-Control: no-cache\r\n") != NULL,
		                 i % 4 < 2);
		ck_assert_int_eq(strstr(answer->head, "Cache-Control: no-store\r\n") != NULL,
		                 i % 4 == 2);
	}
	get(fd, "/etag-a");
	ck_assert_ptr_nonnull(strstr(read_answer(fd)->head, "ETag: etag-a\r\n"));
	get(fd, "/etag-b");
	ck_assert_ptr_nonnull(strstr(read_answer(fd)->head, "ETag: etag-b\r\n"));
	close(fd);
}
END_TEST

START_TEST(head_204_and_304_have_no_body)
{
	serve();
	int fd = dial();
	static struct answer answer;

	send_text(fd, "HEAD /blob HTTP/1.1\r\n" HOST "\r\n");
	ck_assert(try_read_answer(fd, &answer, true));
	ck_assert_ptr_nonnull(strstr(answer.head, "Content-Length: 15\r\n"));
	get(fd, "/204");
	ck_assert_int_eq(read_answer(fd)->status, 204);
	get(fd, "/304");
	ck_assert(try_read_answer(fd, &answer, true));
	ck_assert_int_eq(answer.status, 304);
	get(fd, "/count"); /* no byte of the previous answers is left */
	ck_assert_str_eq(read_answer(fd)->body, "00000003");
	close(fd);
}
END_TEST

START_TEST(the_api_sees_the_request_as_it_was_sent)
{
	char want[256];
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	serve();
	int fd = dial();
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	send_text(fd,
	          "PUT /a%2Fb//c?x=%41&y=a+b HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
	          "ACCEPT: text/html\r\nUser-Agent: me\r\nContent-Length: 5\r\n\r\nhello");
	snprintf(want, sizeof(want),
	         "method=%d target=/a%%2Fb//c?x=%%41&y=a+b peer=127.0.0.1:%u type=application/json "
	         "accept=text/html agent=me body=hello",
	         API_PUT, ntohs(in.sin_port));
	ck_assert_str_eq(read_answer(fd)->body, want);
	send_text(fd, "POST http://some.host:80/x?y HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(read_answer(fd)->body, "target=/x?y "));
	send_text(fd, "PATCH /x HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_ptr_nonnull(strstr(read_answer(fd)->body, "method=5 "));
	close(fd);
}
END_TEST

START_TEST(a_body_arrives_whole_in_whatever_pieces)
{
	static char body[60001];
	char text[256];

	serve();
	memset(body, 'b', 60000);
	int fd = dial();
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
	send_text(fd, text);
	for (unsigned i = 0; i < 60; i++)
		send_bytes(fd, body, 1000);
	ck_assert_str_eq(strstr(read_answer(fd)->body, "body=") + 5, body);

	send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	              "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n");
	ck_assert_str_eq(strstr(read_answer(fd)->body, "body=") + 5, "abcde");
	wait_closed(fd); /* a connection ends after a chunked body, see exchange_answer() */
	close(fd);
	fd = dial();
	send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "\r\n"); /* no body is an empty body */
	ck_assert_str_eq(strstr(read_answer(fd)->body, "body=") + 5, "");
	close(fd);
}
END_TEST

START_TEST(expect_100_continue_is_answered_before_the_body)
{
	static struct answer answer;

	serve();
	int fd = dial();
	send_text(fd, "PUT /echo HTTP/1.1\r\n" HOST
	              "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	ck_assert(try_read_answer(fd, &answer, true));
	ck_assert_int_eq(answer.status, 100);
	send_text(fd, "hi");
	ck_assert_str_eq(strstr(read_answer(fd)->body, "body=") + 5, "hi");

	send_text(fd, "PUT /echo HTTP/1.1\r\n" HOST
	              "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n");
	ck_assert_int_eq(read_answer(fd)->status, 413);
	wait_closed(fd);
	close(fd);
}
END_TEST

START_TEST(a_body_that_is_too_long_or_unwanted_is_refused)
{
	static char chunk[4096];

	serve();
	int fd = dial();
	send_text(fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n");
	struct answer *answer = read_answer(fd);
	ck_assert_int_eq(answer->status, 413);
	ck_assert_ptr_nonnull(strstr(answer->head, "Connection: close\r\n"));
	ck_assert_ptr_nonnull(strstr(answer->head, "application/problem+json"));
	wait_closed(fd);
	close(fd);

	fd = dial();
	memset(chunk, 'c', sizeof(chunk));
	send_text(fd, "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	for (unsigned i = 0; i < 17; i++) {
		send_text(fd, "1000\r\n");
		send_bytes(fd, chunk, sizeof(chunk));
		send_text(fd, "\r\n");
	}
	send_text(fd, "0\r\n\r\n");
	ck_assert_int_eq(read_answer(fd)->status, 413);
	wait_closed(fd);
	close(fd);

	fd = dial(); /* the limit of the next request counts, not the buffer of the previous one */
	send_text(fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 200\r\n\r\n");
	send_bytes(fd, chunk, 200);
	ck_assert_int_eq(read_answer(fd)->status, 200);
	send_text(fd, "PUT /tight HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	              "32\r\n");
	send_bytes(fd, chunk, 0x32);
	send_text(fd, "\r\n33\r\n");
	send_bytes(fd, chunk, 0x33);
	send_text(fd, "\r\n0\r\n\r\n");
	ck_assert_int_eq(read_answer(fd)->status, 413);
	wait_closed(fd);
	close(fd);

	fd = dial();
	send_text(fd, "GET /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
	ck_assert_int_eq(read_answer(fd)->status, 400);
	wait_closed(fd);
	close(fd);
	ck_assert_uint_eq(fake.handled, 1);
}
END_TEST

#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

static const struct {
	const char *request;
	int status;
} ambiguous[] = {
	{"POST /a HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\n" SMUGGLED,
         400},
	{"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
         "0\r\n\r\n" SMUGGLED,
         400},
	{"POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde" SMUGGLED,
         400},
	{"POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" SMUGGLED,
         400},
	{"POST /a HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc" SMUGGLED, 400},
	{"POST /a HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n" SMUGGLED, 400},
	{"POST /a HTTP/1.1\r\n" HOST "Content-Le: 3\r\n ngth\r\n\r\nabc" SMUGGLED, 400},
	{"POST /a HTTP/1.1\r\n" HOST "X:\r\n Content-Length: 3\r\n\r\nabc" SMUGGLED, 400},
	{"POST /a HTTP/1.1\r\n Content-Length: 3\r\n" HOST "\r\nabc" SMUGGLED, 400},
	{"POST /a HTTP/1.1\r\n" HOST "Content_Length: 3\r\n\r\nabc" SMUGGLED, 400},
	{"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n" SMUGGLED, 501},
	{"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n" SMUGGLED, 501},
	{"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, 400},
	{"GET /a HTTP/1.1\r\n\r\n" SMUGGLED, 400},
	{"GET /a HTTP/1.1\r\n" HOST HOST "\r\n" SMUGGLED, 400},
	{"GET /a b HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400},
	{"GET /a  HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400},
	{"GET /%00 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400},
	{"GET /a\x01 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400},
	{"GET * HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400},
	{"GET /a HTTP/1.1\r\n" HOST "X\x01: a\r\n\r\n" SMUGGLED, 400},
	{"GET /a HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n" SMUGGLED, 400},
	{"GET /a HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n" SMUGGLED, 417},
};

START_TEST(an_ambiguous_request_is_refused_and_nothing_after_it_is_read)
{
	serve();
	int fd = dial();

	send_text(fd, ambiguous[_i].request);
	struct answer *answer = read_answer(fd);
	ck_assert_int_eq(answer->status, ambiguous[_i].status);
	ck_assert_ptr_nonnull(strstr(answer->head, "application/problem+json"));
	ck_assert_ptr_nonnull(strstr(answer->head, "Connection: close\r\n"));
	wait_closed(fd);
	ck_assert_uint_eq(fake.handled, 0);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 1);
	close(fd);
}
END_TEST

START_TEST(a_nul_in_the_target_is_refused)
{
	static const char request[] = "GET /a\0b HTTP/1.1\r\n" HOST "\r\n";

	serve();
	int fd = dial();
	send_bytes(fd, request, sizeof(request) - 1);
	ck_assert_int_eq(read_answer(fd)->status, 400);
	wait_closed(fd);
	ck_assert_uint_eq(fake.handled, 0);
	close(fd);
}
END_TEST

START_TEST(a_head_is_refused_only_beyond_the_limit)
{
	static char text[20000];

	serve();
	int fd = dial();
	int len = snprintf(text, sizeof(text), "GET /echo HTTP/1.1\r\n" HOST "X: ");
	memset(text + len, 'x', 7000);
	memcpy(text + len + 7000, "\r\n\r\n", 5);
	send_text(fd, text);
	ck_assert_int_eq(read_answer(fd)->status, 200);
	memset(text + len, 'x', 12000);
	memcpy(text + len + 12000, "\r\n\r\n", 5);
	send_text(fd, text);
	ck_assert_int_eq(read_answer(fd)->status, 431);
	wait_closed(fd);
	close(fd);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	enum { COUNT = 200 };
	static char text[COUNT * 64];

	serve();
	int fd = dial();
	for (unsigned i = 0; i < COUNT; i++)
		strcat(text, "GET /count HTTP/1.1\r\n" HOST "\r\n");
	send_text(fd, text);
	for (unsigned i = 0; i < COUNT; i++) {
		char want[16];

		snprintf(want, sizeof(want), "%08u", i);
		ck_assert_str_eq(read_answer(fd)->body, want);
	}
	close(fd);
}
END_TEST

START_TEST(parked_requests_resume_in_a_batch)
{
	enum { COUNT = 300 };
	static int fds[COUNT];

	serve();
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < COUNT; i++) {
			if (round == 0)
				fds[i] = dial();
			get(fds[i], "/park");
		}
		fake_wake(&fake, COUNT);
		for (unsigned i = 0; i < COUNT; i++)
			ck_assert_str_eq(read_answer(fds[i])->body, "parked");
	}
	for (unsigned i = 0; i < COUNT; i++)
		close(fds[i]);
	ck_assert_uint_eq(fake.finished, COUNT * 10);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 0);
}
END_TEST

START_TEST(a_request_may_be_woken_before_it_parks_and_may_park_again)
{
	serve();
	int fd = dial();

	get(fd, "/park-woken");
	get(fd, "/park-twice"); /* pipelined behind a parked request */
	ck_assert_str_eq(read_answer(fd)->body, "parked");
	fake_wake(&fake, 1);
	fake_wake(&fake, 1);
	ck_assert_str_eq(read_answer(fd)->body, "twice parked");
	get(fd, "/count");
	ck_assert_int_eq(read_answer(fd)->status, 200);
	close(fd);
}
END_TEST

START_TEST(a_parked_request_outlives_its_client)
{
	serve();
	for (unsigned i = 0; i < 50; i++) {
		int fd = dial();
		struct linger reset = {.l_onoff = 1};

		get(fd, "/park");
		fake_wait_parked(&fake, 1);
		if (i % 2 == 0) /* closes with a RST, else with a FIN */
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		fake_wake(&fake, 1);
	}
	/* Each request was either finished or abandoned; a sanitizer reports a leak otherwise. */
	http_stop(server, 1000);
	http_free(server);
	server = NULL;
	ck_assert_uint_eq(fake.finished + fake.abandoned, 50);
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 0);
}
END_TEST

/* All connections send at the same instant; libmicrohttpd's own loop hangs with exactly 128. */
START_TEST(connections_in_lockstep_are_all_answered)
{
	static const unsigned counts[] = {127, 128, 129, 256, 384, 512};
	unsigned count = counts[_i];
	static int fds[512];

	serve();
	for (unsigned i = 0; i < count; i++)
		fds[i] = dial();
	for (unsigned round = 0; round < 50; round++) {
		const char *path = round % 5 == 4 ? "/park" : "/blob";

		for (unsigned i = 0; i < count; i++)
			get(fds[i], path);
		if (round % 5 == 4)
			fake_wake(&fake, count);
		for (unsigned i = 0; i < count; i++)
			ck_assert_int_eq(read_answer(fds[i])->status, 200);
	}
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}
END_TEST

START_TEST(several_threads_share_the_listener)
{
	enum { COUNT = 64 };
	static int fds[COUNT];

	options.threads = 4;
	serve();
	for (unsigned i = 0; i < COUNT; i++)
		fds[i] = dial();
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < COUNT; i++)
			get(fds[i], round % 2 == 0 ? "/park" : "/blob");
		if (round % 2 == 0)
			fake_wake(&fake, COUNT);
		for (unsigned i = 0; i < COUNT; i++)
			ck_assert_int_eq(read_answer(fds[i])->status, 200);
	}
	for (unsigned i = 0; i < COUNT; i++)
		close(fds[i]);
}
END_TEST

START_TEST(an_idle_loop_still_makes_progress)
{
	const char *name;

	serve();
	int64_t since = clock_ms();
	while (!progress_ingress_passed(since))
		usleep(1000);
	ck_assert_int_lt(clock_ms() - since, 20 * PROGRESS_IDLE_MS);
	(void)progress_oldest_ms(PROGRESS_INGRESS, &name);
	ck_assert_str_eq(name, "http-0");
}
END_TEST

static void many(TCase *tcase)
{
	tcase_add_loop_test(tcase, an_ambiguous_request_is_refused_and_nothing_after_it_is_read, 0,
	                    sizeof(ambiguous) / sizeof(ambiguous[0]));
	tcase_add_loop_test(tcase, connections_in_lockstep_are_all_answered, 0, 6);
}

int main(void)
{
	const TTest *cases[] = {
		an_answer_has_type_etag_revision_and_body,
		a_prepared_answer_is_not_sent_once_it_is_old,
		head_204_and_304_have_no_body,
		the_api_sees_the_request_as_it_was_sent,
		a_body_arrives_whole_in_whatever_pieces,
		expect_100_continue_is_answered_before_the_body,
		a_body_that_is_too_long_or_unwanted_is_refused,
		a_nul_in_the_target_is_refused,
		a_head_is_refused_only_beyond_the_limit,
		pipelined_requests_are_answered_in_order,
		parked_requests_resume_in_a_batch,
		a_request_may_be_woken_before_it_parks_and_may_park_again,
		a_parked_request_outlives_its_client,
		several_threads_share_the_listener,
		an_idle_loop_still_makes_progress,
	};
	Suite *suite = suite_create("http");
	TCase *tcase = tcase_create("http");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, http_setup, http_teardown);
	tcase_set_timeout(tcase, 60);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tcase_add_test(tcase, cases[i]);
	many(tcase);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
