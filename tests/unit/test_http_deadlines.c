/* SPDX-License-Identifier: MIT */
/** In virtual time: nothing here waits for a deadline, and no machine is too slow for it. */
#include "http_fixture.h"
#include "suite.h"

#include "http/connection.h"
#include "metrics/metrics.h"

#define REQUEST_MS 10000
#define IDLE_MS    75000
#define PARKED_MS  60000

static int other; /* a connection that shows what the loop has seen */

static void set_up(void)
{
	http_setup();
	clock_virtual_set(1000000);
	options.request_ms = REQUEST_MS;
	options.idle_ms = IDLE_MS;
	options.parked_ms = PARKED_MS;
	serve();
	other = dial();
}

static void tear_down(void)
{
	close(other);
	http_teardown();
	clock_virtual_off();
}

/* When it returns the loop has taken all that was sent before, and checked the deadlines. */
static void let_it_see(void)
{
	for (unsigned i = 0; i < 3; i++) {
		get(other, "/other");
		ck_assert_int_eq(hear(other)->status, 200);
	}
}

static void pass_time(int64_t ms)
{
	clock_virtual_advance(ms);
	let_it_see();
}

START_TEST(a_connection_without_a_request_is_closed_when_idle_time_is_over)
{
	int fd = dial();
	int used = dial();

	get(used, "/x");
	hear(used);
	let_it_see();
	pass_time(SETTLE_MS);
	pass_time(IDLE_MS - SETTLE_MS - 1);
	ck_assert(is_open(fd));
	ck_assert(is_open(used));
	pass_time(1);
	hear_end(fd);
	hear_end(used);
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
		ck_assert_int_eq(hear(fd)->status, 200);
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
		hear(fd);
	}
	say(fd, beginnings[_i / 2]);
	let_it_see();
	pass_time(REQUEST_MS - 1);
	ck_assert(is_open(fd));
	say(fd, "1"); /* idle time would start again */
	let_it_see();
	ck_assert(is_open(fd));
	pass_time(1);
	hear_end(fd);
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
		hear(fd);
	}
	say(fd, "G");
	let_it_see();
	pass_time(SETTLE_MS);
	pass_time(REQUEST_MS - 1);
	ck_assert(is_open(fd));
	pass_time(1);
	hear_end(fd);
	close(fd);
}
END_TEST

START_TEST(the_first_byte_after_a_silence_starts_the_time_of_a_request)
{
	int fd = dial();

	get(fd, "/x");
	hear(fd);
	let_it_see();
	for (unsigned i = 0; i < 3; i++) { /* watched again after each answer */
		pass_time(SETTLE_MS);
		pass_time(IDLE_MS / 2);
		get(fd, "/x");
		ck_assert_int_eq(hear(fd)->status, 200);
		let_it_see();
	}
	pass_time(SETTLE_MS);
	pass_time(IDLE_MS / 2);
	say(fd, "G");
	let_it_see();
	pass_time(REQUEST_MS - 1);
	ck_assert(is_open(fd));
	say(fd, "E");
	let_it_see();
	ck_assert(is_open(fd));
	pass_time(1);
	hear_end(fd);
	close(fd);
}
END_TEST

START_TEST(a_body_with_chunks_leaves_no_doubt_about_the_next_request)
{
	int fd = dial();

	for (unsigned i = 0; i < 3; i++) {
		say(fd, "PUT /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		        "3\r\nabc\r\n0\r\n\r\n");
		ck_assert_int_eq(hear(fd)->status, 200);
		let_it_see();
		pass_time(SETTLE_MS);
		pass_time(IDLE_MS - SETTLE_MS - 1); /* not taken for one that has begun */
		ck_assert(is_open(fd));
	}
	close(fd);
}
END_TEST

START_TEST(a_parked_request_has_a_deadline_and_still_belongs_to_the_writer)
{
	int fd = dial();

	get(fd, "/park");
	fake_wait_parked(&fake, 1);
	let_it_see();
	pass_time(PARKED_MS - 1);
	ck_assert(is_open(fd));
	pass_time(1);
	hear_end(fd);
	let_it_see();
	ck_assert_uint_eq(fake.finished + fake.abandoned, 0);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 1);
	fake_wake(&fake, 1);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		let_it_see();
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
	get(late, "/watch");
	fake_wait_parked(&fake, 2);
	let_it_see();
	pass_time(FAKE_WATCH_MS - 1);
	ck_assert(is_open(early));
	fake_wake(&fake, 1);
	ck_assert_str_eq(hear(early)->body, "parked");
	ck_assert(is_open(late));
	pass_time(1);
	ck_assert_str_eq(hear(late)->body, "parked");
	ck_assert_uint_eq(fake.finished, 2);
	get(late, "/x"); /* the connection goes on */
	ck_assert_int_eq(hear(late)->status, 200);
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
		let_it_see();
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
	let_it_see();
	pass_time(IDLE_MS - 1);
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 2);
	clock_virtual_advance(1);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		let_it_see();
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
	hear(fd);
	let_it_see();
	pass_time(2000);
	ck_assert(is_open(fd));
	options.idle_ms = 2000;
	http_reload(server, &options);
	let_it_see();
	hear_end(fd);
	close(fd);
}
END_TEST

START_TEST(what_nobody_asks_for_any_more_is_not_kept)
{
	static char sink[1 << 20];
	size_t left;
	int fd = dial();

	get(fd, "/blob");
	hear(fd);
	let_it_see();
	ck_assert_uint_eq(fake.blob->refs, 2); /* for the next one who asks */
	atomic_store(&fake.revision, 18);
	pass_time(1000);
	pass_time(1000);
	ck_assert_uint_eq(fake.blob->refs, 1);

	get(fd, "/large");
	for (left = fake.large->len; left > 0;) {
		ssize_t n = recv(fd, sink, left < sizeof(sink) ? left : sizeof(sink), 0);

		ck_assert_int_gt(n, 0);
		left -= (size_t)n;
	}
	close(fd); /* the head is left */
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		let_it_see();
	ck_assert_uint_eq(fake.large->refs, 1); /* too large to remember */
}
END_TEST

/* A full send buffer, unread: closing would reset the connection and lose the answer. */
START_TEST(who_is_refused_hears_why_though_still_sending)
{
	static char body[1 << 20];
	int fd = dial();

	say(fd, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n");
	for (unsigned i = 0; i < 8; i++)
		say_bytes(fd, body, sizeof(body));
	ck_assert_int_eq(hear(fd)->status, 413);
	char c;
	ck_assert_msg(recv(fd, &c, 1, 0) == 0, "%s", strerror(errno)); /* not a reset */
	say_bytes(fd, body, 1000);
	let_it_see();
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 2);
	clock_virtual_advance(2000);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1) /* not for ever */
		let_it_see();
	close(fd);

	fd = dial();
	say(fd, "GET /%00 HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(hear(fd)->status, 400);
	close(fd);
	while (metrics_gauge(METRIC_CONNECTIONS) > 1) /* until the peer closes at most */
		let_it_see();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_deadlines");
	TCase *tcase = tcase_create("http_deadlines");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_connection_without_a_request_is_closed_when_idle_time_is_over);
	tcase_add_test(tcase, a_connection_in_use_is_not_closed);
	tcase_add_loop_test(tcase, a_request_that_never_ends_is_shut_down_though_it_drips, 0,
	                    2 * (int)(sizeof(beginnings) / sizeof(beginnings[0])));
	tcase_add_loop_test(tcase, a_first_line_that_never_ends_is_found_too, 0, 2);
	tcase_add_test(tcase, the_first_byte_after_a_silence_starts_the_time_of_a_request);
	tcase_add_test(tcase, a_body_with_chunks_leaves_no_doubt_about_the_next_request);
	tcase_add_test(tcase, a_parked_request_has_a_deadline_and_still_belongs_to_the_writer);
	tcase_add_test(tcase, a_request_that_waits_for_a_change_is_answered_when_its_time_is_over);
	tcase_add_test(tcase, a_request_that_waits_for_a_change_ends_when_its_client_leaves);
	tcase_add_test(tcase, a_reader_who_does_not_read_is_shut_down);
	tcase_add_test(tcase, what_nobody_asks_for_any_more_is_not_kept);
	tcase_add_test(tcase, who_is_refused_hears_why_though_still_sending);
	tcase_add_test(tcase, a_reload_changes_the_deadlines_of_open_connections);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
