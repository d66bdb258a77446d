/* SPDX-License-Identifier: MIT */
/*
 * How the server accepts connections and assigns them to the side of short requests or of waiting
 * ones (SIDE_SHORT, SIDE_LONG), and which silent connections it closes at a limit. Real sockets,
 * the fake API, a virtual clock (http_time.h).
 */
#include "http_time.h"
#include "suite.h"

#include "http/internal.h"
#include "metrics/metrics.h"

#define WAITING "GET /stream HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n"
#define LINES   "GET /stream HTTP/1.1\r\n" HOST "Accept: application/jsonl\r\n\r\n"
#define ASKING  "GET /stream HTTP/1.1\r\n" HOST "\r\n"

static atomic_long side; /* of the connection of the latest request for /stream */

/* Runs on the thread of the loop. */
static struct api_stream *note_side(struct api_request *request)
{
	struct exchange *exchange = container_of(request, struct exchange, request);

	atomic_store(&side, exchange->connection->side - exchange->loop->side);
	return NULL;
}

static void set_up(void)
{
	http_setup();
	fake.stream = note_side;
	serve_in_virtual_time();
}

static void wait_alone(void)
{
	while (metrics_gauge(METRIC_CONNECTIONS) > 1)
		sync_with_loop();
}

static long side_of(int fd, const char *text)
{
	send_text(fd, text);
	ck_assert_int_eq(read_answer(fd)->status, 200);
	return atomic_load(&side);
}

/* The first bytes come at once, after a moment, or after a silence. */
START_TEST(the_first_bytes_decide_the_side_of_a_connection)
{
	int asker = dial();
	int waiter = dial();
	int poller = dial();
	int follower = dial();
	int watcher = dial();

	if (_i > 0)
		sync_with_loop();
	if (_i > 1)
		pass_time(SETTLE_MS);
	ck_assert_int_eq(side_of(waiter, WAITING), SIDE_LONG);
	ck_assert_int_eq(side_of(asker, ASKING), SIDE_SHORT);
	ck_assert_int_eq(side_of(follower, LINES), SIDE_LONG);
	get(poller, "/x?revision=5&wait_ms=1000");
	ck_assert_int_eq(read_answer(poller)->status, 200);
	get(watcher, "/x/watch");
	ck_assert_int_eq(read_answer(watcher)->status, 200);
	/* The side does not change afterwards. */
	ck_assert_int_eq(side_of(asker, WAITING), SIDE_SHORT);
	ck_assert_int_eq(side_of(waiter, ASKING), SIDE_LONG);
	ck_assert_int_eq(side_of(poller, ASKING), SIDE_LONG);
	ck_assert_int_eq(side_of(watcher, ASKING), SIDE_LONG);
	close(watcher);
	close(follower);
	close(asker);
	close(waiter);
	close(poller);
}
END_TEST

static void dial_both(int fd[SIDES])
{
	static const char *const first[SIDES] = {[SIDE_SHORT] = ASKING, [SIDE_LONG] = WAITING};

	for (unsigned i = 0; i < SIDES; i++) {
		fd[i] = dial();
		ck_assert_int_eq(side_of(fd[i], first[i]), (long)i);
	}
}

START_TEST(each_side_serves_short_and_waiting_requests)
{
	int fd[SIDES];

	dial_both(fd);
	for (unsigned i = 0; i < 4; i++) {
		int watcher = fd[i % 2];
		int writer = fd[1 - i % 2];

		get(watcher, "/watch");
		fake_wait_parked(&fake, 1);
		sync_with_loop();
		get(writer, "/park");
		fake_wait_parked(&fake, 2);
		sync_with_loop();
		fake_wake(&fake, 2);
		ck_assert_str_eq(read_answer(watcher)->body, "parked");
		ck_assert_str_eq(read_answer(writer)->body, "parked");
		get(watcher, "/x");
		ck_assert_int_eq(read_answer(watcher)->status, 200);
		if (i == 1)
			pass_time(SETTLE_MS);
	}
	for (unsigned i = 0; i < SIDES; i++) { /* each side notices clients that leave */
		get(fd[i], "/watch");
		fake_wait_parked(&fake, 1);
		close(fd[i]);
		while (atomic_load(&fake.abandoned) == i)
			sync_with_loop();
	}
	wait_alone();
}
END_TEST

START_TEST(a_first_request_may_come_byte_by_byte)
{
	const char *text = _i == 0 ? ASKING : WAITING;
	int fd = dial();

	for (const char *c = text; *c != '\0'; c++) {
		send_bytes(fd, c, 1);
		sync_with_loop();
	}
	ck_assert_int_eq(read_answer(fd)->status, 200);
	close(fd);
}
END_TEST

START_TEST(the_deadline_of_a_first_request_runs_from_its_first_byte)
{
	int fd = dial();

	sync_with_loop();
	pass_time(SETTLE_MS);
	send_text(fd, "G");
	sync_with_loop();
	pass_time(REQUEST_MS - 1);
	send_text(fd, "E");
	sync_with_loop();
	ck_assert(is_open(fd));
	pass_time(1);
	wait_closed(fd);
	close(fd);
}
END_TEST

/* The client closes with a FIN or a RST, before or after a silence. */
START_TEST(a_connection_closed_without_a_request_is_forgotten)
{
	struct linger at_once = {.l_onoff = 1};
	int fd = dial();

	sync_with_loop();
	if (_i / 2 == 1)
		pass_time(SETTLE_MS);
	if (_i % 2 == 1)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
		                 0);
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 2);
	close(fd);
	wait_alone();
	ck_assert_uint_eq(metrics_counter(METRIC_CONNECTIONS_REFUSED), 0);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 0);
}
END_TEST

/* At its deadline, or when the server stops without or with a grace period. */
START_TEST(a_silent_connection_is_closed_in_the_end)
{
	int fd[700];

	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = dial();
	sync_with_loop();
	if (_i == 0) {
		pass_time(SETTLE_MS);
		pass_time(IDLE_MS - SETTLE_MS - 1);
		ck_assert(is_open(fd[0]));
		ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 1 + (int)ARRAY_LEN(fd));
		pass_time(1);
		wait_alone();
	} else {
		http_stop(server, _i == 1 ? 0 : 600000);
	}
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		wait_closed(fd[i]);
		close(fd[i]);
	}
}
END_TEST

/* @return whether the connection was accepted and served */
static bool is_served(int fd)
{
	static struct answer answer;
	const char *text = "GET /blob HTTP/1.1\r\n" HOST "\r\n";

	return send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 &&
	       try_read_answer(fd, &answer, false) && answer.status == 200;
}

/* Connections that have sent nothing are closed first, then those without a request; no others. */
START_TEST(silent_connections_give_way_at_a_limit)
{
	enum { IDLE, PARKED, BEGUN, SILENT, SILENT_TOO, COUNT };
	int fd[COUNT];
	int newcomer[3];
	int late;

	fd[IDLE] = dial();
	ck_assert(is_served(fd[IDLE]));
	pass_time(SETTLE_MS);
	for (unsigned i = PARKED; i < COUNT; i++)
		fd[i] = dial();
	get(fd[PARKED], "/park");
	fake_wait_parked(&fake, 1);
	send_text(fd[BEGUN], "G");
	sync_with_loop();
	if (_i % 2 == 0)
		options.connections_max = COUNT + 1;
	else
		options.connections_per_peer_max = COUNT + 1;
	http_reload(server, &options);
	if (_i / 2 == 1)
		pass_time(SETTLE_MS); /* each connection has a side */

	for (unsigned i = 0; i < ARRAY_LEN(newcomer); i++) {
		static const unsigned order[] = {SILENT, SILENT_TOO, IDLE};

		ck_assert(is_open(fd[order[i]]));
		newcomer[i] = dial();
		ck_assert(is_served(newcomer[i]));
		wait_closed(fd[order[i]]);
	}
	late = dial();
	wait_closed(late);
	ck_assert_uint_eq(metrics_counter(METRIC_CONNECTIONS_SHED), 3);
	ck_assert_uint_eq(metrics_counter(METRIC_CONNECTIONS_REFUSED), 1);
	while (metrics_gauge(METRIC_CONNECTIONS) > COUNT + 1)
		sync_with_loop();
	send_text(fd[BEGUN], "ET /blob HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(read_answer(fd[BEGUN])->status, 200);
	fake_wake(&fake, 1);
	ck_assert_int_eq(read_answer(fd[PARKED])->status, 200);
	for (unsigned i = 0; i < COUNT; i++)
		close(fd[i]);
	for (unsigned i = 0; i < ARRAY_LEN(newcomer); i++)
		close(newcomer[i]);
	close(late);
}
END_TEST

START_TEST(a_connection_that_speaks_again_is_not_silent)
{
	int idle = dial();
	int silent = dial();

	ck_assert(is_served(idle));
	pass_time(SETTLE_MS);
	ck_assert(is_served(idle));
	send_text(silent, "G");
	sync_with_loop();
	options.connections_max = 3;
	http_reload(server, &options);
	int late = dial();
	wait_closed(late);
	ck_assert(is_served(idle));
	ck_assert(is_open(silent));
	ck_assert_uint_eq(metrics_counter(METRIC_CONNECTIONS_SHED), 0);
	close(idle);
	close(silent);
	close(late);
}
END_TEST

START_TEST(waiting_requests_of_both_sides_are_answered_at_the_stop)
{
	int fd[SIDES];

	dial_both(fd);
	for (unsigned i = 0; i < SIDES; i++)
		get(fd[i], "/watch");
	fake_wait_parked(&fake, SIDES);
	http_stop(server, 600000);
	for (unsigned i = 0; i < SIDES; i++) {
		ck_assert_str_eq(read_answer(fd[i])->body, "parked");
		wait_closed(fd[i]);
		close(fd[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_intake");
	TCase *tcase = tcase_create("http_intake");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, set_up, end_virtual_time);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, the_first_bytes_decide_the_side_of_a_connection, 0, 3);
	tcase_add_test(tcase, each_side_serves_short_and_waiting_requests);
	tcase_add_loop_test(tcase, a_first_request_may_come_byte_by_byte, 0, 2);
	tcase_add_test(tcase, the_deadline_of_a_first_request_runs_from_its_first_byte);
	tcase_add_loop_test(tcase, a_connection_closed_without_a_request_is_forgotten, 0, 4);
	tcase_add_loop_test(tcase, a_silent_connection_is_closed_in_the_end, 0, 3);
	tcase_add_loop_test(tcase, silent_connections_give_way_at_a_limit, 0, 4);
	tcase_add_test(tcase, a_connection_that_speaks_again_is_not_silent);
	tcase_add_test(tcase, waiting_requests_of_both_sides_are_answered_at_the_stop);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
