/* SPDX-License-Identifier: MIT */
/*
 * Limits of connections: in all, for each address, of descriptors and of memory; and stopping the
 * server with requests in flight. Real sockets with the fake API (http_fixture.h).
 */
#include "http_fixture.h"
#include "suite.h"

#include "fault.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

static void expect_served(int fd)
{
	get(fd, "/blob");
	ck_assert_int_eq(read_answer(fd)->status, 200);
}

/* Sends the begin of a request; finish() sends the rest and reads the answer. */
static void begin(int fd)
{
	send_text(fd, "GET /blob HTTP/1.1\r\n");
}

static void finish(int fd)
{
	send_text(fd, HOST "\r\n");
	ck_assert_int_eq(read_answer(fd)->status, 200);
}

/* Connects until the server has noticed that another connection was closed. */
static int dial_until_served(void)
{
	for (;;) {
		static struct answer answer;
		int fd = dial();
		const char *text = "GET /x HTTP/1.1\r\n" HOST "\r\n";

		if (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 &&
		    try_read_answer(fd, &answer, false))
			return fd;
		close(fd);
	}
}

START_TEST(a_connection_above_the_limit_is_closed_at_once)
{
	options.connections_max = 2;
	serve();
	int a = dial();
	int b = dial();
	expect_served(a);
	expect_served(b);
	begin(a);
	begin(b);
	int c = dial();
	wait_closed(c);
	close(c);
	ck_assert_uint_ge(metrics_counter(METRIC_CONNECTIONS_REFUSED), 1);
	finish(a); /* the other connections are not affected */
	close(b);
	b = dial_until_served();
	options.connections_max = 3;
	http_reload(server, &options);
	c = dial();
	expect_served(c);
	close(a);
	close(b);
	close(c);
}
END_TEST

static int dial_from(uint32_t source)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	set_timeout(fd);
	return fd;
}

START_TEST(each_address_has_a_limit_of_its_own)
{
	options.connections_per_peer_max = 2;
	options.threads = 2;
	serve();
	int a = dial();
	int b = dial();
	expect_served(a);
	expect_served(b);
	begin(a);
	begin(b);
	int c = dial();
	wait_closed(c);
	close(c);
	int other = dial_from(INADDR_LOOPBACK + 1);
	expect_served(other);
	close(b);
	b = dial_until_served();
	close(a);
	close(b);
	close(other);
}
END_TEST

/* Silent connections give way to new ones, on whichever thread they are. */
static void expect_room_beside_a_crowd(unsigned most)
{
	enum { CROWD = 400 };
	static int fds[CROWD];
	unsigned ended = 0;

	options.threads = 4;
	serve();
	for (unsigned i = 0; i < CROWD; i++)
		fds[i] = dial();
	int own = dial();
	int other = dial_from(INADDR_LOOPBACK + 1);
	expect_served(own);
	expect_served(other);
	ck_assert_uint_eq(metrics_counter(METRIC_CONNECTIONS_REFUSED), 0);
	/* Another thread may still be accepting the last connection. */
	while (metrics_counter(METRIC_CONNECTIONS_SHED) < CROWD + 1 - most)
		sched_yield();
	for (unsigned i = 0; i < CROWD; i++) {
		ended += !is_open(fds[i]);
		close(fds[i]);
	}
	ck_assert_uint_eq(ended, metrics_counter(METRIC_CONNECTIONS_SHED));
	close(own);
	close(other);
}

START_TEST(silent_connections_of_one_address_exclude_no_other)
{
	options.connections_per_peer_max = 40;
	expect_room_beside_a_crowd(40);
}
END_TEST

START_TEST(silent_connections_exclude_no_other)
{
	options.connections_max = 40;
	expect_room_beside_a_crowd(40);
}
END_TEST

START_TEST(the_server_accepts_again_after_it_was_out_of_descriptors)
{
	struct rlimit limit;
	struct rlimit none;

	serve();
	int first = dial();
	expect_served(first);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in in = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int top = dup(fd); /* the lowest free descriptor: all below it are in use */
	close(top);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)top;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	set_timeout(fd);
	while (metrics_counter(METRIC_CONNECTIONS_REFUSED) == 0)
		expect_served(first); /* accepted connections are not affected */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	expect_served(fd);
	close(fd);
	close(first);
}
END_TEST

START_TEST(without_memory_at_most_the_connection_ends)
{
	static struct answer answer;
	bool hit = true;
	unsigned failed = 0;

	serve();
	for (int nth = 0; hit; nth++) {
		const char *text = "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc";
		int fd = dial();

		fault_arm(nth);
		(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
		char c;
		(void)!recv(fd, &c, 1,
		            MSG_PEEK); /* no assertion before fault_hit(): they allocate */
		hit = fault_hit();
		bool answered = try_read_answer(fd, &answer, false);
		failed += !answered || answer.status != 200;
		close(fd);
		fd = dial();
		expect_served(fd);
		close(fd);
	}
	ck_assert_uint_ge(failed, 1); /* not all allocations of a connection fail it */
}
END_TEST

static void *stop(void *arg)
{
	http_stop(server, *(int64_t *)arg);
	return NULL;
}

static void expect_refused(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int r;

	do {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		r = connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ? errno : 0;
		close(fd);
	} while (r == 0);
	ck_assert(r == ECONNREFUSED || r == ECONNRESET);
}

START_TEST(stopping_closes_what_is_idle_and_finishes_what_is_in_flight)
{
	int64_t grace_ms = 60000;
	pthread_t thread;

	options.threads = 2;
	serve();
	int idle = dial();
	int fresh = dial();
	int reading = dial();
	int parked = dial();
	int watching = dial();
	expect_served(idle);
	get(watching, "/watch");
	fake_wait_parked(&fake, 1);
	send_text(reading, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n12");
	get(parked, "/park");
	fake_wait_parked(&fake, 2);
	expect_served(idle); /* if this loop also has `reading`, it has read from it */

	int64_t began = clock_ms();
	pthread_create(&thread, NULL, stop, &grace_ms);
	wait_closed(idle);
	wait_closed(fresh);
	expect_refused();
	ck_assert_str_eq(read_answer(watching)->body, "parked"); /* the stop ends its wait */
	wait_closed(watching);
	send_text(reading, "34");
	struct answer *answer = read_answer(reading);
	ck_assert_int_eq(answer->status, 200);
	ck_assert_ptr_nonnull(strstr(answer->head, "Connection: close\r\n"));
	wait_closed(reading);
	fake_wake(&fake, 1);
	answer = read_answer(parked);
	ck_assert_str_eq(answer->body, "parked");
	ck_assert_ptr_nonnull(strstr(answer->head, "Connection: close\r\n"));
	wait_closed(parked);
	pthread_join(thread, NULL);
	ck_assert_int_lt(clock_ms() - began, grace_ms / 2);
	close(idle);
	close(fresh);
	close(reading);
	close(parked);
	close(watching);
}
END_TEST

START_TEST(stopping_gives_up_after_the_grace_but_keeps_what_the_writer_has)
{
	serve();
	int parked = dial();
	int reading = dial();

	get(parked, "/park");
	fake_wait_parked(&fake, 1);
	send_text(reading, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n12");
	http_stop(server, 50);
	wait_closed(reading);
	wait_closed(parked);
	ck_assert_uint_eq(fake.finished + fake.abandoned, 0);
	fake_wake(&fake, 1); /* the registry stops after the server and wakes it then */
	http_free(server);
	server = NULL;
	ck_assert_uint_eq(fake.abandoned, 1);
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 0);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 0);
	close(parked);
	close(reading);
}
END_TEST

SUITE("http_limits", http_setup, http_teardown, a_connection_above_the_limit_is_closed_at_once,
      each_address_has_a_limit_of_its_own, silent_connections_of_one_address_exclude_no_other,
      silent_connections_exclude_no_other, the_server_accepts_again_after_it_was_out_of_descriptors,
      without_memory_at_most_the_connection_ends,
      stopping_closes_what_is_idle_and_finishes_what_is_in_flight,
      stopping_gives_up_after_the_grace_but_keeps_what_the_writer_has)
