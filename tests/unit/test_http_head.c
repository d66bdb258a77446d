/* SPDX-License-Identifier: MIT */
/*
 * Request heads over real sockets: what libmicrohttpd would join, drop or forget must be refused,
 * and what common clients send must be accepted. The API is the fake one (http_fixture.h).
 */
#include "fault.h"
#include "http_time.h"
#include "suite.h"

#include "http/head.h"
#include "http/internal.h"
#include "metrics/metrics.h"

#include <semaphore.h>

#define GET      "GET /echo HTTP/1.1\r\n"
#define PUT      "PUT /echo HTTP/1.1\r\n" HOST
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

struct raw {
	const char *data;
	size_t len;
};

#define RAW(literal)                         \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/* Reads until the server closes the connection, which it need not do after other statuses. */
static const char *read_until_closed(int fd, int status)
{
	static char text[70000];
	size_t len = 0;
	ssize_t n;
	int got;

	while ((n = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0) {
		len += (size_t)n;
		text[len] = '\0';
		ck_assert_msg(len < strlen("HTTP/1.1 200") ||
		                      (sscanf(text, "HTTP/1.1 %3d", &got) == 1 && got == status),
		              "%s", text);
	}
	ck_assert_msg(n == 0 || errno == ECONNRESET, "%s", strerror(errno));
	ck_assert_uint_gt(len, strlen("HTTP/1.1 200"));
	return text;
}

static unsigned count(const char *text, const char *word)
{
	unsigned found = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		found++;
	}
	return found;
}

/* Expects one problem response and then the end of the connection. */
static void expect_problem(int fd, int status, const char *code)
{
	const char *text = read_until_closed(fd, status);

	ck_assert_uint_eq(count(text, "HTTP/1.1"), 1);
	ck_assert_ptr_nonnull(strstr(text, "Content-Type: application/problem+json\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "Connection: close\r\n"));
	ck_assert_ptr_nonnull(strstr(text, code));
	const char *body = strstr(text, "\r\n\r\n") + 4;
	ck_assert_uint_eq(strlen(body), strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10));
}

static const struct raw broken[] = {
	/* NUL */
	RAW(GET HOST "X: a\0b\r\n\r\n"),
	RAW(GET HOST "X: a\0\r\n\r\n"),
	RAW(GET HOST "X: \0a\r\n\r\n"),
	RAW(GET HOST "X:\0\r\n\r\n"),
	RAW(GET HOST "X: a\0\0\0\r\nY: b\r\n\r\n"),
	RAW(GET HOST "X: a\0\r\nContent-Length: 4\r\n\r\n"),
	RAW(GET "X: a\0b\r\n" HOST "\r\n"),
	RAW(GET "Host: x\0y\r\n\r\n"),
	RAW(GET HOST "\0\r\nX: a\r\n\r\n"),
	RAW(GET HOST "\0X: a\r\n\r\n"),
	RAW(GET "\0X: a\r\n" HOST "\r\n"),
	RAW(GET HOST "X: a\r\n\0\r\n"),
	RAW("GET\0X /echo HTTP/1.1\r\n" HOST "\r\n"),
	/* bare LF */
	RAW("GET /echo HTTP/1.1\n" HOST "\r\n"),
	RAW(GET "Host: x\n\r\n"),
	RAW(GET HOST "\n"),
	RAW("GET /echo HTTP/1.1\nHost: x\n\n"),
	RAW(GET HOST "X: a\nY: b\r\n\r\n"),
	RAW(GET HOST "X: a\r\nY: b\n\r\n"),
	RAW(GET "X: a\n" HOST "\r\n"),
	RAW(GET HOST "X:\n\r\n"),
	RAW(PUT "Content-Length: 4\n\r\nabcd"),
	RAW(PUT "X: a\nContent-Length: 4\r\n\r\nabcd"),
	/* no name */
	RAW(GET HOST ": a\r\n\r\n"),
	RAW(GET HOST ":\r\n\r\n"),
	RAW(GET ": a\r\n" HOST "\r\n"),
	RAW(GET HOST ": a\r\nX: b\r\n\r\n"),
	RAW(GET HOST "X: a\r\n:\r\nY: b\r\n\r\n"),
	RAW(PUT ": a\r\nContent-Length: 4\r\n\r\nabcd"),
	RAW(PUT "Content-Length: 4\r\n: a\r\n\r\nabcd"),
	/* other lines that libmicrohttpd joins or skips */
	RAW(GET HOST "X: a\r\n b\r\n\r\n"),
	RAW(GET HOST "X: a\r\n\tb\r\nY: c\r\n\r\n"),
	RAW(GET HOST "X:\r\n a\r\n\r\n"),
	RAW(GET " X: a\r\n" HOST "\r\n"),
	RAW(GET HOST "X: a\r\r\n\r\n"),
	RAW("GET  /echo HTTP/1.1\r\n" HOST "\r\n"),
};

START_TEST(what_libmicrohttpd_joins_or_drops_is_refused)
{
	serve();
	int fd = dial();

	send_bytes(fd, broken[_i].data, broken[_i].len);
	(void)!send(fd, SMUGGLED, strlen(SMUGGLED), MSG_NOSIGNAL);
	expect_problem(fd, 400, "-header");
	ck_assert_uint_eq(fake.handled, 0);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 1);
	close(fd);
}
END_TEST

static const char *const sound[] = {
	GET HOST "\r\n",
	"GET /echo HTTP/1.0\r\n\r\n",
	"\r\n\r\n" GET HOST "\r\n",
	GET "Host:x\r\n\r\n",
	GET "Host: x \r\n\r\n",
	GET "Host:\t x\t \r\n\r\n",
	GET "Host:\r\n\r\n",
	GET HOST "X:\r\nY: \r\nZ:\t\r\n\r\n",
	GET HOST "X: : a:b \t c\r\n\r\n",
	GET HOST "Expect: 100-continue \r\n\r\n",
	GET HOST "Cookie: a=1; b=\"2; c\"; d\r\ncookie: e\r\n\r\n",
	GET HOST "X: \x80\xff\r\n\r\n",
	PUT "Content-Length:0\r\n\r\n",
	PUT "Content-Length: \t 2\r\n\r\nab",
	PUT "Content-Length: 2\r\nContent-Type: a/b \r\n\r\nab",
	/* curl 7.88 */
	"PUT /echo HTTP/1.1\r\nHost: 127.0.0.1:7655\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
	"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	/* Python's http.client, urllib3 */
	"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:7655\r\nAccept-Encoding: identity\r\n"
	"Content-Length: 2\r\nUser-Agent: python-urllib3/1.26.12\r\n\r\nab",
	/* nginx as a proxy */
	"GET /echo?a=1 HTTP/1.0\r\nHost: registry\r\nConnection: close\r\n"
	"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\naccept: text/html\r\n\r\n",
	/* Go's net/http */
	"GET /echo HTTP/1.1\r\nHost: localhost:7655\r\nUser-Agent: Go-http-client/1.1\r\n"
	"Accept-Encoding: gzip\r\n\r\n",
};

/* Each request is sent as a whole, and byte by byte. */
START_TEST(requests_of_common_clients_are_accepted)
{
	serve();
	for (unsigned pieces = 0; pieces < 2; pieces++) {
		static struct answer answer;
		const char *text = sound[_i];
		int fd = dial();

		if (pieces == 0)
			send_text(fd, text);
		for (size_t i = 0; pieces == 1 && i < strlen(text); i++)
			send_bytes(fd, text + i, 1);
		do /* skip 100 Continue */
			ck_assert_msg(try_read_answer(fd, &answer, false), "%s", text);
		while (answer.status == 100);
		ck_assert_msg(answer.status == 200, "%s%s", text, answer.body);
		close(fd);
	}
	ck_assert_uint_eq(fake.handled, 2);
}
END_TEST

START_TEST(a_field_comes_without_the_blanks_around_it)
{
	serve();
	int fd = dial();

	send_text(fd, "PUT /echo HTTP/1.1\r\nHost: x\t \r\nContent-Type:\tapplication/json \t\r\n"
	              "Accept: a \r\nUser-Agent: some agent  \r\nContent-Length: 2\r\n\r\n{}");
	ck_assert_ptr_nonnull(strstr(read_answer(fd)->body,
	                             "type=application/json accept=a agent=some agent body={}"));
	close(fd);
}
END_TEST

START_TEST(every_field_is_handed_over)
{
	static char text[API_HEAD_MAX];
	int len = snprintf(text, sizeof(text), "GET /echo HTTP/1.1\r\nHost: x\r\n");

	for (unsigned i = 0; i < 100; i++) /* nearly the limit of a head */
		len += snprintf(text + len, sizeof(text) - (size_t)len, "X-%u: a\r\n", i);
	snprintf(text + len, sizeof(text) - (size_t)len,
	         "Accept: first\r\nACCEPT: second\r\nUser-Agent: last\r\n\r\n");
	serve();
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		send_text(fd, text);
		ck_assert_ptr_nonnull(
			strstr(read_answer(fd)->body, "accept=first agent=last body="));
		get(fd, "/echo"); /* the next request has no field of the previous one */
		ck_assert_ptr_nonnull(strstr(read_answer(fd)->body, "type= accept= agent= body="));
	}
	close(fd);
}
END_TEST

/* Each attempt has a new server, because a server keeps what its first request has allocated. */
START_TEST(without_memory_no_field_is_lost)
{
	static const char text[] = GET HOST "User-Agent: me\r\n\r\n";
	static struct answer answer;
	unsigned refused = 0;
	bool hit = true;

	for (int nth = 0; hit; nth++) {
		char c;

		serve();
		int fd = dial();
		fault_arm(nth);
		(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
		(void)!recv(fd, &c, 1,
		            MSG_PEEK); /* no assertion before fault_hit(): they allocate */
		hit = fault_hit();
		bool answered = try_read_answer(fd, &answer, false);
		refused += answered && answer.status == 503;
		const char *agent = answered ? strstr(answer.body, "agent=") : NULL;
		ck_assert(agent == NULL || strncmp(agent, "agent=me ", 9) == 0);
		close(fd);
		http_stop(server, 0);
		http_free(server);
		server = NULL;
	}
	ck_assert_uint_ge(refused, 1);
}
END_TEST

static const struct {
	const char *field;
	int status;
} lengths[] = {
	{"Content-Length: 2x", 400},
	{"Content-Length: x", 400},
	{"Content-Length:", 400},
	{"Content-Length: -2", 400},
	{"Content-Length: +2", 400},
	{"Content-Length: 0x2", 400},
	{"Content-Length: 2, 2", 400},
	{"Content-Length: 2 2", 400},
	{"Content-Length: 2 ", 400},
	{"Content-Length: 2\t", 400},
	{"Content-Length: 1234567890123456789", 413},
	{"Content-Length: 12345678901234567890123456789", 413},
	{"Content-Length: 2x\r\nCookie: a", 400},
	{"Content-Length: 2x\r\nTransfer-Encoding: chunked", 400},
	{"Transfer-Encoding: chunked ", 501},
};

static void let_it_see_this(int fd)
{
	for (unsigned i = 0; i < 2; i++) {
		get(fd, "/seen");
		ck_assert_int_eq(read_answer(fd)->status, 200);
	}
}

/* Other connections, which have sent a part of a request, are not affected. */
START_TEST(a_wrong_length_gets_one_answer)
{
	char text[256];

	serve();
	int fd = dial();
	int headless = dial();
	int bodiless = dial();
	int probe = dial();
	get(fd, "/first");
	ck_assert_int_eq(read_answer(fd)->status, 200);
	snprintf(text, sizeof(text), PUT "%s\r\n", lengths[_i].field);
	send_text(fd, text);
	let_it_see_this(probe);
	send_text(headless, PUT "Content-Length: ");
	send_text(bodiless, PUT "Content-Length: 2\r\n\r\n");
	let_it_see_this(probe);
	unsigned handled = fake.handled;
	send_text(fd, "\r\nab" SMUGGLED);
	expect_problem(fd, lengths[_i].status, "\"code\":");
	ck_assert_uint_eq(fake.handled, handled);
	ck_assert_uint_eq(metrics_counter(METRIC_REQUESTS_REFUSED), 1);
	send_text(headless, "2\r\n\r\nab");
	ck_assert_int_eq(read_answer(headless)->status, 200);
	send_text(bodiless, "ab");
	ck_assert_int_eq(read_answer(bodiless)->status, 200);
	close(fd);
	close(headless);
	close(bodiless);
	close(probe);
}
END_TEST

static char large[40000];

/* @return the length of the head */
static size_t write_many(const char *before, const char *each, unsigned times, const char *after)
{
	char *end = stpcpy(large, before);

	for (unsigned i = 0; i < times; i++)
		end = stpcpy(end, each);
	end = stpcpy(end, after);
	ck_assert_uint_lt((size_t)(end - large), sizeof(large));
	return (size_t)(end - large);
}

static int ask_many(const char *before, const char *each, unsigned times, const char *after)
{
	int fd = dial();

	send_bytes(fd, large, write_many(before, each, times, after));
	int status = read_answer(fd)->status;
	close(fd);
	return status;
}

START_TEST(neither_parameters_nor_cookies_cost_memory_of_their_own)
{
	serve();
	for (unsigned times = 1; times < 1700; times = times * 2 + 1) {
		ck_assert_int_eq(ask_many("GET /echo?", "a&", times, " HTTP/1.1\r\n" HOST "\r\n"),
		                 200);
		ck_assert_int_eq(ask_many("GET /echo?", "a=b&", times, " HTTP/1.1\r\n" HOST "\r\n"),
		                 200);
		ck_assert_int_eq(ask_many(GET HOST "Cookie: ", "a;", times, "\r\n\r\n"), 200);
	}
}
END_TEST

/* Sizes around each limit, ours and those of libmicrohttpd. */
START_TEST(a_head_of_any_size_gets_an_answer)
{
	char fill[2] = "x";

	serve();
	for (unsigned size = API_HEAD_MAX - 250; size < HEAD_MEMORY + 300; size += 7) {
		int status = ask_many(GET HOST "X: ", fill, size, "\r\n\r\n");
		ck_assert_msg(status == 200 || status == 431, "value of %u: %d", size, status);
		status = ask_many("GET /", fill, size, " HTTP/1.1\r\n" HOST "\r\n");
		ck_assert_msg(status == 200 || status == 414 || status == 431, "target of %u: %d",
		              size, status);
		status = ask_many(PUT "Content-Length: 3\r\nX: ", fill, size, "\r\n\r\nabc");
		ck_assert_msg(status == 200 || status == 431, "with a body, %u: %d", size, status);
	}
	for (unsigned fields = 1; fields < 400; fields += 3) {
		int status = ask_many(GET HOST, "a: b\r\n", fields, "\r\n");
		ck_assert_msg(status == 200 || status == 431, "%u fields: %d", fields, status);
		status = ask_many(GET HOST, "a:\r\n", fields, "Content-Length: x\r\n\r\n");
		ck_assert_msg(status == 400 || status == 431, "%u fields: %d", fields, status);
	}
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 0);
}
END_TEST

START_TEST(the_largest_head_is_the_published_one)
{
	static const char before[] = GET HOST "X: ";
	static const char after[] = "\r\n\r\n";
	unsigned room =
		API_HEAD_MAX - 2 * HEAD_FIELD_BYTES - (sizeof(before) - 1) - (sizeof(after) - 1);

	serve();
	ck_assert_int_eq(ask_many(before, "x", room, after), 200);
	int fd = dial();
	send_bytes(fd, large, write_many(before, "x", room + 1, after));
	expect_problem(fd, 431, "\"head-too-large\"");
	close(fd);
	fd = dial();
	send_bytes(fd, large, write_many("HEAD /echo HTTP/1.1\r\n" HOST "X: ", "x", room, after));
	const char *text = read_until_closed(fd, 431);
	ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	close(fd);
}
END_TEST

/* libmicrohttpd itself answers these, and closes with unread input. */
START_TEST(a_head_beyond_all_memory_is_answered_and_not_reset)
{
	static const char *const befores[] = {GET HOST "X: ", "GET /"};
	static const int statuses[] = {431, 414};
	int error;
	socklen_t size = sizeof(error);

	serve();
	int probe = dial();
	for (unsigned i = 0; i < 2; i++) {
		int fd = dial();

		send_bytes(fd, large, write_many(befores[i], "x", 35000, ""));
		ck_assert_int_eq(read_answer(fd)->status, statuses[i]);
		let_it_see_this(probe);
		ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
		ck_assert_int_eq(error, 0);
		wait_closed(fd);
		close(fd);
	}
	close(probe);
}
END_TEST

/*
 * A NUL hides the query from our code, but not from libmicrohttpd. Depending on the memory that it
 * has left, libmicrohttpd does nothing, or closes the connection without reporting the end of the
 * request.
 */
START_TEST(a_request_that_libmicrohttpd_forgets_is_refused)
{
	static const char before[] = "GET /a\0?";
	static const char *const after[][2] = {{" HTTP/1.1\r\n" HOST "\r\n", ""},
	                                       {" HTTP/1.1\r\n", HOST "\r\n"}};

	for (unsigned i = 0; i < 32; i++) {
		size_t len = write_many("        ", "a&", 300 + i / 2, after[i % 2][0]);
		int fd = dial();

		memcpy(large, before, sizeof(before) - 1);
		send_bytes(fd, large, len);
		sync_with_loop();
		(void)!send(fd, after[i % 2][1], strlen(after[i % 2][1]), MSG_NOSIGNAL);
		sync_with_loop();
		pass_time(1000);
		expect_problem(fd, 431, "\"head-too-large\"");
		close(fd);
	}
}
END_TEST

START_TEST(a_chunk_whose_size_line_is_too_long_is_refused)
{
	int fd = dial();
	int slow = dial();

	send_text(fd, PUT "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2;");
	send_bytes(fd, large, write_many("", "x", 30000, "\r\n"));
	send_text(slow, PUT "Transfer-Encoding: chunked\r\n\r\n2;");
	sync_with_loop();
	for (unsigned i = 0; i < 3; i++)
		pass_time(1000);
	expect_problem(fd, 400, "\"malformed-length\"");
	close(fd);
	send_text(slow, "x\r\nab\r\n0\r\n\r\n");
	ck_assert_int_eq(read_answer(slow)->status, 200);
	close(slow);
}
END_TEST

static sem_t entered;
static sem_t release;

/* Runs on the thread of the loop. */
static struct api_stream *hold_the_loop(struct api_request *request)
{
	(void)request;
	sem_post(&entered);
	sem_wait(&release);
	return NULL;
}

/* Each time that the loop checks, there is unread input, and some was read since the last check. */
START_TEST(a_chunked_body_that_keeps_coming_is_taken)
{
	enum { SIZE = 0x4000 };
	int fd = dial();
	int holding = dial();

	sem_init(&entered, 0, 0);
	sem_init(&release, 0, 0);
	fake.stream = hold_the_loop;
	send_text(fd, PUT "Transfer-Encoding: chunked\r\n\r\n");
	sync_with_loop();
	for (unsigned i = 0; i < 3; i++) {
		get(holding, "/stream");
		sem_wait(&entered);
		send_bytes(fd, large, write_many("4000\r\n", "x", SIZE, "\r\n"));
		clock_virtual_advance(1000);
		sem_post(&release);
		ck_assert_int_eq(read_answer(holding)->status, 200);
		sync_with_loop();
	}
	send_text(fd, "0\r\n\r\n");
	struct answer *answer = read_answer(fd);
	ck_assert_int_eq(answer->status, 200);
	ck_assert_uint_eq(strlen(strstr(answer->body, "body=") + 5), 3 * SIZE);
	close(fd);
	close(holding);
	sem_destroy(&entered);
	sem_destroy(&release);
}
END_TEST

/* libmicrohttpd also takes a field without a name for the end of a trailer. */
START_TEST(bytes_after_a_chunked_body_are_no_request)
{
	serve();
	int fd = dial();

	send_text(fd,
	          PUT "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: a\r\n: b\r\n" SMUGGLED);
	struct answer *answer = read_answer(fd);
	ck_assert_int_eq(answer->status, 200);
	ck_assert_ptr_nonnull(strstr(answer->head, "Connection: close\r\n"));
	wait_closed(fd);
	ck_assert_uint_eq(fake.handled, 1);
	close(fd);
}
END_TEST

static void set_up_in_virtual_time(void)
{
	http_setup();
	serve_in_virtual_time();
}

int main(void)
{
	const TTest *cases[] = {
		a_field_comes_without_the_blanks_around_it,
		every_field_is_handed_over,
		without_memory_no_field_is_lost,
		neither_parameters_nor_cookies_cost_memory_of_their_own,
		a_head_of_any_size_gets_an_answer,
		the_largest_head_is_the_published_one,
		a_head_beyond_all_memory_is_answered_and_not_reset,
		bytes_after_a_chunked_body_are_no_request,
	};
	Suite *suite = suite_create("http_head");
	TCase *tcase = tcase_create("http_head");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, http_setup, http_teardown);
	tcase_set_timeout(tcase, 60);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tcase_add_test(tcase, cases[i]);
	tcase_add_loop_test(tcase, what_libmicrohttpd_joins_or_drops_is_refused, 0,
	                    sizeof(broken) / sizeof(broken[0]));
	tcase_add_loop_test(tcase, requests_of_common_clients_are_accepted, 0,
	                    sizeof(sound) / sizeof(sound[0]));
	tcase_add_loop_test(tcase, a_wrong_length_gets_one_answer, 0,
	                    sizeof(lengths) / sizeof(lengths[0]));
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("http_head in virtual time");
	tcase_add_checked_fixture(tcase, set_up_in_virtual_time, end_virtual_time);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_request_that_libmicrohttpd_forgets_is_refused);
	tcase_add_test(tcase, a_chunk_whose_size_line_is_too_long_is_refused);
	tcase_add_test(tcase, a_chunked_body_that_keeps_coming_is_taken);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
