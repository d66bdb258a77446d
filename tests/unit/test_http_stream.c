/* SPDX-License-Identifier: MIT */
/*
 * How http/ sends streams, in virtual time (http_time.h). The fake API opens one stream at a time,
 * which sends a word each time that it is woken or its time is over.
 */
#include "http_time.h"
#include "suite.h"

#include "base/check.h"

#include <stdatomic.h>

#define KEEP_MS 15000

/* One stream at a time: sends a word each time that it is woken or its time is over. */
static struct api_stream stream;
static struct api_request *waiting;
static atomic_uint reads;
static atomic_uint expired;
static atomic_uint closed;
static atomic_bool endless; /* the stream always has more to send */
static atomic_bool cannot_expire;
static atomic_bool is_whole;
static atomic_bool breaks;
static uint64_t length;
static const char *_Atomic word; /* the next word; NULL: none */

static long stream_read(struct api_stream *which, char *to, size_t most)
{
	const char *say_now = atomic_exchange(&word, NULL);

	CHECK(which == &stream);
	if (atomic_load(&endless)) {
		memset(to, 'x', most);
		atomic_fetch_add(&reads, 1);
		return (long)most;
	}
	if (say_now != NULL) {
		memcpy(to, say_now, strlen(say_now));
		atomic_fetch_add(&reads, 1);
		return (long)strlen(say_now);
	}
	if (atomic_load(&breaks))
		return API_STREAM_BROKEN;
	if (stream.ending)
		return API_STREAM_END;
	waiting->park_until_ms = atomic_load(&cannot_expire) ? 0 : clock_ms() + KEEP_MS;
	atomic_fetch_add(&reads, 1);
	return 0;
}

static bool stream_expire(struct api_stream *which)
{
	CHECK(which == &stream);
	atomic_store(&word, "tick");
	atomic_fetch_add(&expired, 1);
	return true;
}

static void stream_close(struct api_stream *which)
{
	CHECK(which == &stream);
	atomic_fetch_add(&closed, 1);
}

static struct api_stream *open_stream(struct api_request *request)
{
	waiting = request;
	stream = (struct api_stream){
		.read = stream_read,
		.expire = stream_expire,
		.close = stream_close,
		.is_whole = is_whole,
		.length = length,
	};
	return &stream;
}

static void set_up(void)
{
	http_setup();
	fake.stream = open_stream;
	reads = expired = closed = 0;
	endless = cannot_expire = is_whole = breaks = false;
	length = 0;
	word = NULL;
	serve_in_virtual_time();
}

static void tear_down(void)
{
	end_virtual_time();
	ck_assert_uint_eq(closed, 1);
}

static void expect_text(int fd, const char *want)
{
	char text[64] = "";
	ssize_t n = recv(fd, text, strlen(want), MSG_WAITALL);

	ck_assert_int_eq(n, (ssize_t)strlen(want));
	ck_assert_str_eq(text, want);
}

/* Opens the stream, whose first word is "first". */
static int ask(void)
{
	int fd = dial();

	word = "first";
	get(fd, "/stream");
	ck_assert(strstr(read_answer(fd)->head, "Transfer-Encoding: chunked") != NULL);
	expect_text(fd, "5\r\nfirst\r\n");
	sync_with_loop();
	return fd;
}

static void wake_with(const char *text)
{
	word = text;
	waiting->wake(waiting);
}

START_TEST(a_stream_is_sent_as_it_comes)
{
	int fd = ask();

	wake_with("second");
	expect_text(fd, "6\r\nsecond\r\n");
	sync_with_loop();
	wake_with("third");
	expect_text(fd, "5\r\nthird\r\n");
	close(fd);
}
END_TEST

START_TEST(a_healthy_stream_outlives_all_deadlines)
{
	int fd = ask();

	for (unsigned i = 1; i <= 12; i++) {
		clock_virtual_advance(KEEP_MS);
		expect_text(fd, "4\r\ntick\r\n");
		sync_with_loop();
		ck_assert_uint_eq(expired, i);
	}
	close(fd);
}
END_TEST

START_TEST(a_client_that_leaves_ends_the_stream)
{
	int fd = ask();

	close(fd);
	while (closed == 0)
		sync_with_loop();
	ck_assert_uint_eq(expired, 1);
}
END_TEST

START_TEST(a_client_that_reads_nothing_for_too_long_is_disconnected)
{
	int fd = dial();
	unsigned before;

	endless = true;
	get(fd, "/stream");
	do { /* until the buffers of the sockets are full */
		before = reads;
		sync_with_loop();
	} while (reads != before || before == 0);
	clock_virtual_advance(IDLE_MS - 1);
	sync_with_loop();
	ck_assert_uint_eq(closed, 0);
	clock_virtual_advance(1);
	while (closed == 0)
		sync_with_loop();
	close(fd);
}
END_TEST

START_TEST(a_client_that_reads_slowly_is_not_disconnected)
{
	static char sink[1 << 20];
	int fd = dial();

	endless = true;
	get(fd, "/stream");
	for (unsigned i = 0; i < 6; i++) {
		unsigned before;

		do {
			before = reads;
			sync_with_loop();
		} while (reads != before || before == 0);
		clock_virtual_advance(IDLE_MS / 2);
		while (reads == before) { /* until the server can send more */
			ck_assert_int_gt(recv(fd, sink, sizeof(sink), 0), 0);
			sync_with_loop();
		}
	}
	ck_assert_uint_eq(closed, 0);
	close(fd);
}
END_TEST

START_TEST(a_stream_that_never_waits_has_the_deadline_of_one_answer)
{
	static char sink[1 << 20];
	int fd = dial();

	endless = is_whole = true;
	get(fd, "/stream");
	for (unsigned i = 0; i < 2; i++) {
		unsigned before;

		do {
			before = reads;
			sync_with_loop();
		} while (reads != before || before == 0);
		clock_virtual_advance(IDLE_MS / 2 + i);
		while (i == 0 && reads == before) {
			ck_assert_int_gt(recv(fd, sink, sizeof(sink), 0), 0);
			sync_with_loop();
		}
	}
	while (closed == 0)
		sync_with_loop();
	close(fd);
}
END_TEST

START_TEST(a_stream_of_known_length_is_sent_without_chunks)
{
	int fd = dial();

	word = "first";
	length = 5;
	is_whole = true;
	get(fd, "/stream");
	const struct answer *answer = read_answer(fd);
	ck_assert_ptr_nonnull(strstr(answer->head, "Content-Length: 5\r\n"));
	ck_assert_ptr_null(strstr(answer->head, "Transfer-Encoding"));
	ck_assert_str_eq(answer->body, "first");
	sync_with_loop();
	close(fd);
}
END_TEST

START_TEST(a_broken_stream_has_no_last_chunk)
{
	int fd = ask();

	breaks = true;
	wake_with(NULL);
	wait_closed(fd); /* without a last chunk before */
	close(fd);
}
END_TEST

START_TEST(stopping_ends_a_stream_with_its_last_chunk)
{
	int fd = ask();

	http_stop(server, 10000);
	expect_text(fd, "4\r\ntick\r\n0\r\n\r\n");
	wait_closed(fd);
	close(fd);
}
END_TEST

START_TEST(a_stream_that_is_being_woken_is_closed_afterwards)
{
	int fd;

	cannot_expire = true;
	fd = ask();
	http_stop(server, 0);
	ck_assert_uint_eq(closed, 0);
	waiting->wake(waiting);
	http_free(server);
	server = NULL;
	ck_assert_uint_eq(closed, 1);
	close(fd);
}
END_TEST

SUITE("http_stream", set_up, tear_down, a_stream_is_sent_as_it_comes,
      a_healthy_stream_outlives_all_deadlines, a_client_that_leaves_ends_the_stream,
      a_client_that_reads_nothing_for_too_long_is_disconnected,
      a_client_that_reads_slowly_is_not_disconnected,
      a_stream_that_never_waits_has_the_deadline_of_one_answer,
      a_stream_of_known_length_is_sent_without_chunks, a_broken_stream_has_no_last_chunk,
      stopping_ends_a_stream_with_its_last_chunk, a_stream_that_is_being_woken_is_closed_afterwards)
