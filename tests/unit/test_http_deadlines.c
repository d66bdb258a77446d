/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of connections and requests, over real sockets with the fake API. The clock of the http
 * loop is virtual (http_time.h): pass_time() moves it, and sync_with_loop() waits until the loop
 * has handled what was sent.
 */
#include "http_time.h"
#include "suite.h"

#include "http/internal.h"
#include "metrics/metrics.h"

static void set_up(void)
{
	http_setup();
	serve_in_virtual_time();
}

START_TEST(a_connection_without_a_request_is_closed_when_idle_time_is_over)
{
	int fd = dial();
	int used = dial();

	get(used, "/x");
	read_answer(used);
	sync_with_loop();
	pass_time(SETTLE_MS);
	pass_time(IDLE_MS - SETTLE_MS - 1);
	ck_assert(is_open(fd));
	ck_assert(is_open(used));
	pass_time(1);
	wait_closed(fd);
	wait_closed(used);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 0);
	close(fd);
	close(used);
}
END_TEST

START_TEST(a_connection_in_use_is_not_closed)
{
	int fd = dial();

	for (unsigned i = 0; i < 20; i++) {
		get(fd, "/x");
		ck_assert_int_eq(read_answer(fd)->status, 200);
		pass_time(IDLE_MS / 2);
	}
	close(fd);
}
END_TEST

static const char *const beginnings[] = {
	"GET /x HTTP/1.1\r\n",
	"GET /x HTTP/1.1\r\nHost: x\r\nX",
	"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
	"PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12",
};

/* Both as the first request of a connection and as a later one. */
START_TEST(a_request_that_never_ends_is_shut_down_although_bytes_arrive)
{
	int fd = dial();

	if (_i % 2 == 1) {
		get(fd, "/x");
		read_answer(fd);
	}
	send_text(fd, beginnings[_i / 2]);
	sync_with_loop();
	pass_time(REQUEST_MS - 1);
	ck_assert(is_open(fd));
	send_text(fd, "1"); /* this byte would restart the idle time */
	sync_with_loop();
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 1);
	close(fd);
}
END_TEST

/* The state of a connection when its client sends its last bytes. */
enum since { NEW, USED, SILENT, SINCE_COUNT };

static int dial_since(enum since since)
{
	int fd = dial();

	if (since == NEW)
		return fd;
	get(fd, "/x");
	ck_assert_int_eq(read_answer(fd)->status, 200);
	sync_with_loop();
	if (since == SILENT)
		pass_time(SETTLE_MS);
	return fd;
}

/* Sends the bytes and the end of the stream at once; the client can still read the answer. */
static void send_last(int fd, const char *data, size_t len)
{
	ck_assert_int_eq(send(fd, data, len, MSG_MORE), (ssize_t)len);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
}

static void read_last(int fd)
{
	wait_closed(fd);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
	close(fd);
}

START_TEST(a_client_that_leaves_amid_a_request_is_noticed_at_once)
{
	int fd = dial_since((enum since)_i % SINCE_COUNT);
	const char *text = beginnings[_i / SINCE_COUNT];

	send_last(fd, text, strlen(text));
	read_last(fd);
}
END_TEST

/* The body is more than libmicrohttpd reads at a time. */
START_TEST(a_client_that_leaves_amid_a_long_body_is_noticed_at_once)
{
	static char text[50000] = "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n";
	int fd = dial_since((enum since)_i);

	send_last(fd, text, sizeof(text));
	read_last(fd);
}
END_TEST

START_TEST(a_client_that_leaves_a_slow_request_is_noticed_at_once)
{
	int fd = dial_since((enum since)_i);

	send_text(fd, "GET /x HTTP/1.1\r\n");
	sync_with_loop();
	pass_time(2 * SETTLE_MS);
	ck_assert(is_open(fd));
	send_last(fd, "Host", 4);
	read_last(fd);
}
END_TEST

START_TEST(a_client_that_sends_no_more_is_answered_and_not_kept)
{
	static const char text[] = "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345";
	int fd = dial_since((enum since)_i);

	send_last(fd, text, strlen(text));
	ck_assert_int_eq(read_answer(fd)->status, 200);
	read_last(fd);
}
END_TEST

START_TEST(a_request_completes_although_its_client_sends_no_more)
{
	static const char text[] = "DELETE /park HTTP/1.1\r\n" HOST "\r\n";
	int fd = dial_since((enum since)_i);

	send_last(fd, text, strlen(text));
	fake_wait_parked(&fake, 1);
	sync_with_loop();
	fake_wake(&fake, 1);
	read_last(fd);
	ck_assert_uint_eq(fake.finished + fake.abandoned, 1);
}
END_TEST

/* The requests are more than libmicrohttpd has memory for, so it cannot read the end of the stream
 * before the parked request is woken. */
START_TEST(an_end_behind_a_parked_request_is_waited_for_quietly)
{
	static const char first[] = "DELETE /park HTTP/1.1\r\n" HOST "\r\n";
	static const char next[] = "GET /x HTTP/1.1\r\n" HOST "\r\n";
	static const unsigned count = 1000;
	int fd = dial_since((enum since)_i);

	send_text(fd, first);
	for (unsigned i = 1; i < count; i++)
		send_text(fd, next);
	send_last(fd, next, strlen(next));
	fake_wait_parked(&fake, 1);
	sync_with_loop();
	uint64_t before = atomic_load(&server->loop[0].progress.passes);
	(void)poll(NULL, 0, 200); /* the loop must not spin meanwhile */
	ck_assert_uint_lt(atomic_load(&server->loop[0].progress.passes), before + 50);
	fake_wake(&fake, 1);
	for (unsigned i = 0; i <= count; i++)
		ck_assert_int_eq(read_answer(fd)->status, 200);
	sync_with_loop();
	pass_time(SETTLE_MS);
	read_last(fd);
}
END_TEST

START_TEST(an_end_behind_a_long_answer_is_noticed_after_it)
{
	static const char text[] =
		"GET /large HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n";
	static char sink[1 << 20];
	size_t begin = strstr(text, "GET /x") - text;
	int fd = dial_since((enum since)_i);

	send_bytes(fd, text, begin);
	sync_with_loop();
	send_last(fd, text + begin, strlen(text + begin));
	sync_with_loop();
	unsigned handled = atomic_load(&fake.handled);
	while (atomic_load(&fake.handled) == handled)
		(void)recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	sync_with_loop();
	pass_time(SETTLE_MS);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	read_last(fd);
}
END_TEST

START_TEST(a_slow_request_is_answered_though_its_client_sends_no_more)
{
	int fd = dial_since((enum since)_i);

	send_text(fd, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n123");
	sync_with_loop();
	pass_time(2 * SETTLE_MS);
	send_last(fd, "45", 2);
	ck_assert_int_eq(read_answer(fd)->status, 200);
	read_last(fd);
}
END_TEST

START_TEST(a_slow_first_line_extends_no_deadline)
{
	int fd = dial();

	send_text(fd, "GET /x");
	sync_with_loop();
	pass_time(SETTLE_MS);
	pass_time(REQUEST_MS - 1);
	send_text(fd, " HTTP/1.1\r\n");
	sync_with_loop();
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 1);
	close(fd);
}
END_TEST

/* libmicrohttpd calls no callback before the first line is complete. */
START_TEST(a_first_line_that_never_ends_is_found_too)
{
	int fd = dial();

	if (_i == 1) {
		get(fd, "/x");
		read_answer(fd);
	}
	send_text(fd, "G");
	sync_with_loop();
	pass_time(SETTLE_MS);
	pass_time(REQUEST_MS - 1);
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	close(fd);
}
END_TEST

START_TEST(the_first_byte_after_a_silence_starts_the_time_of_a_request)
{
	int fd = dial();

	get(fd, "/x");
	read_answer(fd);
	sync_with_loop();
	for (unsigned i = 0; i < 3; i++) { /* the same after each answer */
		pass_time(SETTLE_MS);
		pass_time(IDLE_MS / 2);
		get(fd, "/x");
		ck_assert_int_eq(read_answer(fd)->status, 200);
		sync_with_loop();
	}
	pass_time(SETTLE_MS);
	pass_time(IDLE_MS / 2);
	send_text(fd, "G");
	sync_with_loop();
	pass_time(REQUEST_MS - 1);
	ck_assert(is_open(fd));
	send_text(fd, "E");
	sync_with_loop();
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	close(fd);
}
END_TEST

START_TEST(a_parked_request_has_a_deadline_and_still_belongs_to_the_writer)
{
	int fd = dial();

	get(fd, "/park");
	fake_wait_parked(&fake, 1);
	sync_with_loop();
	pass_time(PARKED_MS - 1);
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	sync_with_loop();
	ck_assert_uint_eq(fake.finished + fake.abandoned, 0);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 1);
	fake_wake(&fake, 1);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
	ck_assert_uint_eq(fake.finished + fake.abandoned, 1);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 0);
	close(fd);
}
END_TEST

START_TEST(a_request_that_waits_for_a_change_is_answered_when_its_time_is_over)
{
	int early = dial();
	int late = dial();

	get(early, "/watch");
	fake_wait_parked(&fake, 1);
	get(late, "/watch");
	fake_wait_parked(&fake, 2);
	sync_with_loop();
	pass_time(FAKE_WATCH_MS - 1);
	ck_assert(is_open(early));
	fake_wake(&fake, 1);
	ck_assert_str_eq(read_answer(early)->body, "parked");
	ck_assert(is_open(late));
	pass_time(1);
	ck_assert_str_eq(read_answer(late)->body, "parked");
	ck_assert_uint_eq(fake.finished, 2);
	get(late, "/x"); /* the connection stays open */
	ck_assert_int_eq(read_answer(late)->status, 200);
	close(early);
	close(late);
}
END_TEST

START_TEST(a_request_that_waits_for_a_change_ends_when_its_client_leaves)
{
	int fd = dial();

	get(fd, "/watch");
	fake_wait_parked(&fake, 1);
	close(fd);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
	ck_assert_uint_eq(fake.abandoned, 1);
	ck_assert_uint_eq(fake.parked_count, 0);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 0);
}
END_TEST

START_TEST(a_client_that_does_not_read_is_shut_down)
{
	static char sink[1 << 20];
	int fd = dial();
	size_t got = 0;
	ssize_t n;

	get(fd, "/large");
	sync_with_loop();
	pass_time(IDLE_MS - 1);
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 2);
	clock_virtual_advance(1);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
	while ((n = recv(fd, sink, sizeof(sink), 0)) > 0)
		got += (size_t)n;
	ck_assert_uint_lt(got, 16u << 20);
	close(fd);
}
END_TEST

START_TEST(a_reload_changes_the_deadlines_of_open_connections)
{
	int fd = dial();

	get(fd, "/x");
	read_answer(fd);
	sync_with_loop();
	pass_time(2000);
	ck_assert(is_open(fd));
	options.idle_ms = 2000;
	http_reload(server, &options);
	sync_with_loop();
	wait_closed(fd);
	close(fd);
}
END_TEST

START_TEST(the_memory_of_a_sent_body_is_released)
{
	static char sink[1 << 20];
	size_t left;
	int fd = dial();

	get(fd, "/blob");
	read_answer(fd);
	sync_with_loop();
	ck_assert_uint_eq(fake.blob->refs, 1); /* the prepared response keeps only the headers */

	get(fd, "/large");
	for (left = fake.large->len; left > 0;) {
		ssize_t n = recv(fd, sink, left < sizeof(sink) ? left : sizeof(sink), 0);

		ck_assert_int_gt(n, 0);
		left -= (size_t)n;
	}
	close(fd); /* the head is unread */
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
	ck_assert_uint_eq(fake.large->refs, 1);
}
END_TEST

/* The server has unread input: closing would reset the connection and lose the answer. */
START_TEST(a_refused_client_gets_the_reason_while_it_sends)
{
	static char body[1 << 20];
	int fd = dial();

	send_text(fd, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n");
	for (unsigned i = 0; i < 8; i++)
		send_bytes(fd, body, sizeof(body));
	ck_assert_int_eq(read_answer(fd)->status, 413);
	char c;
	ck_assert_msg(recv(fd, &c, 1, 0) == 0, "%s", strerror(errno)); /* not a reset */
	send_bytes(fd, body, 1000);
	sync_with_loop();
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 2);
	clock_virtual_advance(2000);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1) /* the server closes in the end */
		sync_with_loop();
	close(fd);

	fd = dial();
	send_text(fd, "GET /%00 HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(read_answer(fd)->status, 400);
	close(fd);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1) /* the server closes when the peer does */
		sync_with_loop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_deadlines");
	TCase *tcase = tcase_create("http_deadlines");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, set_up, end_virtual_time);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_connection_without_a_request_is_closed_when_idle_time_is_over);
	tcase_add_test(tcase, a_connection_in_use_is_not_closed);
	tcase_add_loop_test(tcase, a_request_that_never_ends_is_shut_down_although_bytes_arrive, 0,
	                    2 * (int)(sizeof(beginnings) / sizeof(beginnings[0])));
	tcase_add_loop_test(tcase, a_first_line_that_never_ends_is_found_too, 0, 2);
	tcase_add_loop_test(tcase, a_client_that_leaves_amid_a_request_is_noticed_at_once, 0,
	                    SINCE_COUNT * (int)ARRAY_LEN(beginnings));
	tcase_add_loop_test(tcase, a_client_that_leaves_amid_a_long_body_is_noticed_at_once, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, a_client_that_leaves_a_slow_request_is_noticed_at_once, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, a_client_that_sends_no_more_is_answered_and_not_kept, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, a_request_completes_although_its_client_sends_no_more, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, an_end_behind_a_parked_request_is_waited_for_quietly, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, an_end_behind_a_long_answer_is_noticed_after_it, 0, SINCE_COUNT);
	tcase_add_loop_test(tcase, a_slow_request_is_answered_though_its_client_sends_no_more, 0,
	                    SINCE_COUNT);
	tcase_add_test(tcase, a_slow_first_line_extends_no_deadline);
	tcase_add_test(tcase, the_first_byte_after_a_silence_starts_the_time_of_a_request);
	tcase_add_test(tcase, a_parked_request_has_a_deadline_and_still_belongs_to_the_writer);
	tcase_add_test(tcase, a_request_that_waits_for_a_change_is_answered_when_its_time_is_over);
	tcase_add_test(tcase, a_request_that_waits_for_a_change_ends_when_its_client_leaves);
	tcase_add_test(tcase, a_client_that_does_not_read_is_shut_down);
	tcase_add_test(tcase, the_memory_of_a_sent_body_is_released);
	tcase_add_test(tcase, a_refused_client_gets_the_reason_while_it_sends);
	tcase_add_test(tcase, a_reload_changes_the_deadlines_of_open_connections);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
