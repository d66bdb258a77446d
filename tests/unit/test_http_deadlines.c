/* SPDX-License-Identifier: MIT */
/** When connections are closed, in virtual time. */
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

/* Each as the first request of a connection and as a later one. */
START_TEST(a_request_that_never_ends_is_shut_down_though_it_drips)
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
	send_text(fd, "1"); /* idle time would start again */
	sync_with_loop();
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 1);
	close(fd);
}
END_TEST

/* How far a connection has come when its client says the last of it. */
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

/* The bytes and the end of them at once; what is answered can still be read. */
static void say_last(int fd, const char *data, size_t len)
{
	ck_assert_int_eq(send(fd, data, len, MSG_MORE), (ssize_t)len);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
}

static void hear_last(int fd)
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

	say_last(fd, text, strlen(text));
	hear_last(fd);
}
END_TEST

/* More than libmicrohttpd reads at a time. */
START_TEST(a_client_that_leaves_amid_a_long_body_is_noticed_at_once)
{
	static char text[50000] = "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n";
	int fd = dial_since((enum since)_i);

	say_last(fd, text, sizeof(text));
	hear_last(fd);
}
END_TEST

START_TEST(a_client_that_leaves_a_slow_request_is_noticed_at_once)
{
	int fd = dial_since((enum since)_i);

	send_text(fd, "GET /x HTTP/1.1\r\n");
	sync_with_loop();
	pass_time(2 * SETTLE_MS);
	ck_assert(is_open(fd));
	say_last(fd, "Host", 4);
	hear_last(fd);
}
END_TEST

START_TEST(a_client_that_sends_no_more_is_answered_and_not_kept)
{
	static const char text[] = "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345";
	int fd = dial_since((enum since)_i);

	say_last(fd, text, strlen(text));
	ck_assert_int_eq(read_answer(fd)->status, 200);
	hear_last(fd);
}
END_TEST

START_TEST(what_a_client_asked_for_goes_its_way_though_it_sends_no_more)
{
	static const char text[] = "DELETE /park HTTP/1.1\r\n" HOST "\r\n";
	int fd = dial_since((enum since)_i);

	say_last(fd, text, strlen(text));
	fake_wait_parked(&fake, 1);
	sync_with_loop();
	fake_wake(&fake, 1);
	hear_last(fd);
	ck_assert_uint_eq(fake.finished + fake.abandoned, 1);
}
END_TEST

/* More requests than libmicrohttpd has memory for: it cannot come to the end before it is woken. */
START_TEST(an_end_behind_a_parked_request_is_waited_for_quietly)
{
	static const char first[] = "DELETE /park HTTP/1.1\r\n" HOST "\r\n";
	static const char next[] = "GET /x HTTP/1.1\r\n" HOST "\r\n";
	static const unsigned count = 1000;
	int fd = dial_since((enum since)_i);

	send_text(fd, first);
	for (unsigned i = 1; i < count; i++)
		send_text(fd, next);
	say_last(fd, next, strlen(next));
	fake_wait_parked(&fake, 1);
	sync_with_loop();
	uint64_t before = atomic_load(&server->loop[0].progress.passes);
	(void)poll(NULL, 0, 200); /* nothing may happen */
	ck_assert_uint_lt(atomic_load(&server->loop[0].progress.passes), before + 50);
	fake_wake(&fake, 1);
	for (unsigned i = 0; i <= count; i++)
		ck_assert_int_eq(read_answer(fd)->status, 200);
	sync_with_loop();
	pass_time(SETTLE_MS);
	hear_last(fd);
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
	say_last(fd, text + begin, strlen(text + begin));
	sync_with_loop();
	unsigned handled = atomic_load(&fake.handled);
	while (atomic_load(&fake.handled) == handled)
		(void)recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	sync_with_loop();
	pass_time(SETTLE_MS);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	hear_last(fd);
}
END_TEST

START_TEST(a_slow_request_is_answered_though_its_client_sends_no_more)
{
	int fd = dial_since((enum since)_i);

	send_text(fd, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n123");
	sync_with_loop();
	pass_time(2 * SETTLE_MS);
	say_last(fd, "45", 2);
	ck_assert_int_eq(read_answer(fd)->status, 200);
	hear_last(fd);
}
END_TEST

START_TEST(a_first_line_that_is_slow_gets_no_more_time_once_it_is_here)
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

/* libmicrohttpd says nothing before the first line is complete. */
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
	for (unsigned i = 0; i < 3; i++) { /* watched again after each answer */
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
	get(late, "/x"); /* the connection goes on */
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

START_TEST(a_reader_who_does_not_read_is_shut_down)
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

START_TEST(what_was_sent_is_not_kept)
{
	static char sink[1 << 20];
	size_t left;
	int fd = dial();

	get(fd, "/blob");
	read_answer(fd);
	sync_with_loop();
	ck_assert_uint_eq(fake.blob->refs, 1); /* though its headers are, for the next one */

	get(fd, "/large");
	for (left = fake.large->len; left > 0;) {
		ssize_t n = recv(fd, sink, left < sizeof(sink) ? left : sizeof(sink), 0);

		ck_assert_int_gt(n, 0);
		left -= (size_t)n;
	}
	close(fd); /* the head is left */
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
	ck_assert_uint_eq(fake.large->refs, 1);
}
END_TEST

/* A full send buffer, unread: closing would reset the connection and lose the answer. */
START_TEST(who_is_refused_hears_why_though_still_sending)
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
	while (metrics_gauge(METRIC_CONNECTIONS) > 1) /* not for ever */
		sync_with_loop();
	close(fd);

	fd = dial();
	send_text(fd, "GET /%00 HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(read_answer(fd)->status, 400);
	close(fd);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1) /* until the peer closes at most */
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
	tcase_add_loop_test(tcase, a_request_that_never_ends_is_shut_down_though_it_drips, 0,
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
	tcase_add_loop_test(tcase, what_a_client_asked_for_goes_its_way_though_it_sends_no_more, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, an_end_behind_a_parked_request_is_waited_for_quietly, 0,
	                    SINCE_COUNT);
	tcase_add_loop_test(tcase, an_end_behind_a_long_answer_is_noticed_after_it, 0, SINCE_COUNT);
	tcase_add_loop_test(tcase, a_slow_request_is_answered_though_its_client_sends_no_more, 0,
	                    SINCE_COUNT);
	tcase_add_test(tcase, a_first_line_that_is_slow_gets_no_more_time_once_it_is_here);
	tcase_add_test(tcase, the_first_byte_after_a_silence_starts_the_time_of_a_request);
	tcase_add_test(tcase, a_parked_request_has_a_deadline_and_still_belongs_to_the_writer);
	tcase_add_test(tcase, a_request_that_waits_for_a_change_is_answered_when_its_time_is_over);
	tcase_add_test(tcase, a_request_that_waits_for_a_change_ends_when_its_client_leaves);
	tcase_add_test(tcase, a_reader_who_does_not_read_is_shut_down);
	tcase_add_test(tcase, what_was_sent_is_not_kept);
	tcase_add_test(tcase, who_is_refused_hears_why_though_still_sending);
	tcase_add_test(tcase, a_reload_changes_the_deadlines_of_open_connections);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
