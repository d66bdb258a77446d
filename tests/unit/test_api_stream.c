/* SPDX-License-Identifier: MIT */
/*
 * Streams of events and of instances, read as http/ reads them, on a real registry with a virtual
 * clock (api_fixture.h). `stream` is the open stream, `got` what the last read returned;
 * read_pages() also waits for the history thread.
 */
#include "api_fixture.h"

#include "base/check.h"
#include "fault.h"
#include "metrics/metrics.h"

#include <semaphore.h>

static struct api_request asking;
static struct request_fields asking_fields;
static struct api_response streamed;
static struct api_stream *stream;
static sem_t stream_woken;
static char got[65536];
static size_t got_len;

/* CHECK(), because Check's assertions allocate, and allocations may fail here. */
static void wake_stream(struct api_request *which)
{
	CHECK(which == &asking);
	CHECK(sem_post(&stream_woken) == 0);
}

static void wait_stream(void)
{
	while (sem_wait(&stream_woken) != 0)
		CHECK(errno == EINTR);
}

static void setup(void)
{
	api_fixture_setup();
	ck_ok(sem_init(&stream_woken, 0, 0));
	api_response_init(&streamed);
}

static void teardown(void)
{
	api_response_fini(&streamed);
	api_fixture_teardown();
}

/** Makes the request of a stream. @return the status of the answer */
static unsigned ask(const char *target, const char *accept, const char *last_id)
{
	asking = (struct api_request){.method = API_GET,
	                              .target = str_of(target),
	                              .peer = STR("192.0.2.8:1"),
	                              .wake = wake_stream};
	add_field(&asking, &asking_fields, STR("accept"), str_of(accept));
	add_field(&asking, &asking_fields, STR("LAST-event-id"), str_of(last_id));
	enum api_result result = api_handle(api, &asking, &streamed);
	while (result == API_PARKED) {
		wait_stream();
		result = api_finish(api, &asking, &streamed);
	}
	stream = streamed.stream;
	return streamed.status;
}

/** Reads what the stream has into `got`. @return the result of the last read: 0 or -1 */
static long read_all(void)
{
	got_len = 0;
	for (;;) {
		long n = stream->read(stream, got + got_len, 7);

		CHECK(n <= 7);
		if (n <= 0) {
			got[got_len] = '\0';
			return n;
		}
		got_len += (size_t)n;
		CHECK(got_len < sizeof(got) - 8);
	}
}

static unsigned count(const char *what)
{
	unsigned found = 0;

	for (const char *at = strstr(got, what); at != NULL; at = strstr(at + 1, what))
		found++;
	return found;
}

/** Like read_all(), but waits for each page of the log, until the stream waits for a change. */
static long read_pages(void)
{
	static char all[sizeof(got)];
	size_t len = 0;
	long r;

	do {
		r = read_all();
		memcpy(all + len, got, got_len);
		len += got_len;
		if (r == 0 && asking.park_until_ms == 0)
			wait_stream();
	} while (r == 0 && asking.park_until_ms == 0);
	memcpy(got, all, len);
	got_len = len;
	got[len] = '\0';
	return r;
}

START_TEST(a_silent_stream_sends_a_comment_each_15_s)
{
	put("web", "a", NULL);
	for (int watch = 0; watch < 2; watch++) {
		ck_assert_uint_eq(ask(watch ? "/v1/services/web/watch" : "/v1/events",
		                      "text/event-stream", ""),
		                  200);
		ck_assert_int_eq(read_pages(), 0);
		ck_assert_uint_eq(count("\nevent: "), 1);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(asking.park_until_ms, clock_ms() + 15000);
			clock_virtual_advance(15000);
			ck_assert(stream->expire(stream));
			ck_assert_int_eq(read_pages(), 0);
			ck_assert_str_eq(got, ": nothing new\n\n");
		}
		ck_assert(stream->expire(stream));
		api_response_fini(&streamed);
		api_response_init(&streamed);
	}
}
END_TEST

START_TEST(json_lines_end_after_wait_ms_of_silence_and_not_before)
{
	put("web", "a", NULL);
	ck_assert_uint_eq(ask("/v1/events?wait_ms=1500", "application/jsonl", ""), 200);
	ck_assert_int_eq(read_pages(), 0);
	ck_assert_uint_eq(count("\n"), 1);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(asking.park_until_ms, clock_ms() + 1500);
		clock_virtual_advance(1400);
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3");
		wait_stream();
		ck_assert_int_eq(read_pages(), 0);
		ck_assert_uint_eq(count("\n"), 1);
	}
	clock_virtual_advance(1500);
	ck_assert(stream->expire(stream));
	ck_assert_int_eq(read_pages(), -1);
}
END_TEST

START_TEST(silence_begins_when_the_last_byte_was_sent)
{
	static const struct {
		const char *target, *accept;
		int64_t ms;
	} cases[] = {{"/v1/events?wait_ms=1500", "application/jsonl", 1500},
	             {"/v1/events", "text/event-stream", 15000},
	             {"/v1/services/web/watch", "", 15000}};

	put("web", "a", NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_uint_eq(ask(cases[i].target, cases[i].accept, ""), 200);
		for (int page = 0; page < 3; page++) {
			/* A slow reader, which takes longer than wait_ms. */
			long n = stream->read(stream, got, 7);
			if (n == 0) { /* the history thread is reading */
				wait_stream();
				n = stream->read(stream, got, 7);
			}
			ck_assert_int_eq(n, 7);
			clock_virtual_advance(20000);
			ck_assert_int_eq(read_pages(), 0);
			ck_assert_int_eq(asking.park_until_ms, clock_ms() + cases[i].ms);
			put("web", "a", (i + page) % 2 ? "\"weight\":2" : "\"weight\":3");
			wait_stream();
		}
		ck_assert_int_eq(read_pages(), 0);
		ck_assert(stream->expire(stream));
		api_response_fini(&streamed);
		api_response_init(&streamed);
	}
}
END_TEST

START_TEST(the_comment_of_a_filtered_stream_has_the_id_to_resume_from)
{
	ck_assert_uint_eq(ask("/v1/events?service=web&since=0", "text/event-stream", ""), 200);
	ck_assert_int_eq(read_pages(), 0);
	put("api", "a", NULL);
	put("api", "b", NULL);
	ck_assert(stream->expire(stream));
	ck_assert_int_eq(read_pages(), 0);
	ck_assert_str_eq(got, with_token(": nothing new\nid: %s\n\n", 2));
	ck_assert(stream->expire(stream));
	ck_assert_int_eq(read_pages(), 0);
	ck_assert_str_eq(got, ": nothing new\n\n");
	put("web", "c", NULL);
	wait_stream();
	ck_assert_int_eq(read_pages(), 0);
	ck_assert_str_eq(strtok(got, "\n"), with_token("id: %s", 3));
	ck_assert(stream->expire(stream));
}
END_TEST

START_TEST(filtered_events_do_not_delay_the_comment)
{
	put("web", "a", NULL);
	ck_assert_uint_eq(ask("/v1/events?kind=registered", "text/event-stream", ""), 200);
	ck_assert_int_eq(read_pages(), 0);
	int64_t due = clock_ms() + 15000;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(asking.park_until_ms, due);
		clock_virtual_advance(4000);
		put("web", "a", i % 2 ? "\"weight\":2" : "\"weight\":3"); /* an update */
		wait_stream();
		ck_assert_int_eq(read_pages(), 0);
		ck_assert_uint_eq(got_len, 0);
	}
	ck_assert_int_eq(asking.park_until_ms, due);
	ck_assert(stream->expire(stream));
}
END_TEST

START_TEST(a_stream_that_resumes_after_a_change_is_not_waited_for)
{
	static const char draining[] = "{\"status\":\"draining\",\"wait_ms\":60000}";

	put("web", "a", NULL);
	call("PUT", "/v1/services/web/instances/a/status", draining);
	ck_status(200);
	ck_assert_uint_eq(ask("/v1/events?service=web&since=3", "text/event-stream", ""), 200);
	call("PUT", "/v1/services/web/instances/a/status", draining);
	ck_assert_uint_eq(times_parked, 1); /* for the writer, not for a watcher */
	ck_assert_int_eq(number("watchers_told"), 0);
	ck_assert_int_eq(number("watchers_untold"), 0);
	ck_assert_int_eq(read_pages(), 0);
	ck_assert(stream->expire(stream));
}
END_TEST

START_TEST(a_stream_that_must_end_completes_its_event)
{
	put("web", "a", NULL);
	ck_assert_uint_eq(ask("/v1/events", "text/event-stream", ""), 200);
	stream->ending = true;
	ck_assert_int_eq(read_all(), -1);
	ck_assert_uint_eq(count("event: registered"), 1);
	ck_assert_str_eq(got + got_len - 2, "\n\n");
	ck_assert_int_eq(read_all(), -1);
	api_response_fini(&streamed);
	api_response_init(&streamed);
	ck_assert_uint_eq(ask("/v1/services/web/watch", "", ""), 200);
	ck_assert_str_eq(streamed.cache, "no-store");
	ck_assert_str_eq(streamed.header[HEADER_ACCEL_BUFFERING].value, "no");
	stream->ending = true;
	ck_assert_int_eq(read_all(), -1);
	ck_assert_uint_eq(count("event: snapshot"), 1);
}
END_TEST

START_TEST(a_stream_ends_when_the_log_cannot_be_read)
{
	put("web", "a", NULL);
	ck_assert_uint_eq(ask("/v1/events?limit=2", "text/event-stream", ""), 200);
	ck_assert_int_eq(read_pages(), 0);
	put("web", "b", NULL);
	wait_stream();
	api_fixture_stop();
	ck_assert_int_eq(read_all(), -1);
	ck_assert_uint_eq(got_len, 0);
}
END_TEST

START_TEST(accept_decides_the_format_of_the_log)
{
	static const struct {
		const char *accept;
		const char *type;
	} cases[] = {
		{"text/event-stream", "text/event-stream"},
		{"Text/Event-Stream;q=0.5, application/json;q=0.4", "text/event-stream"},
		{"text/event-stream;q=0.3, application/json", "application/json"},
		{"application/jsonl", "application/jsonl"},
		{"*/*", "application/json"},
		{"", "application/json"},
		{"text/event-stream;q=0", "application/json"},
	};

	put("web", "a", NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_uint_eq(ask("/v1/events", cases[i].accept, ""), 200);
		ck_assert_str_eq(streamed.content_type, cases[i].type);
		bool streams = streamed.stream != NULL;
		ck_assert_int_eq(streams, i < 2 || i == 3);
		ck_assert_str_eq(streamed.cache, "no-store");
		ck_assert(streamed.varies);
		ck_assert_int_eq(streamed.header[HEADER_ACCEL_BUFFERING].name != NULL, streams);
		if (streams)
			ck_assert_str_eq(streamed.header[HEADER_ACCEL_BUFFERING].value, "no");
		api_response_fini(&streamed);
		api_response_init(&streamed);
	}
	ck_assert_uint_eq(ask("/v1/events?format=json", "text/event-stream", ""), 200);
	ck_assert_str_eq(streamed.content_type, "application/json");
}
END_TEST

START_TEST(only_event_streams_use_the_last_event_id)
{
	put("web", "a", NULL);
	put("web", "b", NULL);
	ck_assert_uint_eq(ask("/v1/events?since=0", "application/jsonl", "1"), 200);
	ck_assert_int_eq(read_pages(), -1);
	ck_assert_uint_eq(count("\"kind\""), 2);
	api_response_fini(&streamed);
	api_response_init(&streamed);
	ck_assert_uint_eq(ask("/v1/events?since=0", "text/event-stream", "-1"), 400);
}
END_TEST

START_TEST(streams_and_long_polls_are_counted_together)
{
	config.max_watchers = 1;
	api_fixture_reload();
	put("web", "a", NULL);
	ck_assert_uint_eq(ask("/v1/events", "text/event-stream", ""), 200);
	ck_assert_int_eq(metrics_gauge(METRIC_EVENT_STREAMS), 1);
	call("GET", "/v1/services/web/watch", NULL);
	ck_problem(503, "too-many-watchers");
	call("GET", "/v1/services/web?revision=1&wait_ms=5", NULL);
	ck_problem(503, "too-many-watchers");
	api_response_fini(&streamed);
	api_response_init(&streamed);
	ck_assert_int_eq(metrics_gauge(METRIC_EVENT_STREAMS), 0);
	ck_assert_uint_eq(ask("/v1/services/web/watch", "", ""), 200);
	ck_assert_int_eq(metrics_gauge(METRIC_WATCH_STREAMS), 1);
}
END_TEST

START_TEST(the_lag_of_the_slowest_reader_is_measured)
{
	put("web", "a", NULL);
	ck_assert_uint_eq(ask("/v1/events?since=1", "text/event-stream", ""), 200);
	put("web", "b", NULL);
	put("web", "c", NULL);
	call("GET", "/metrics", NULL);
	ck_assert_int_eq(metrics_gauge(METRIC_STREAM_LAG), 2);
	ck_assert_int_eq(read_pages(), 0);
	call("GET", "/metrics", NULL);
	ck_assert_int_eq(metrics_gauge(METRIC_STREAM_LAG), 0);
	ck_assert(stream->expire(stream));
}
END_TEST

START_TEST(without_memory_a_stream_is_refused_or_ends_between_two_events)
{
	static const char *const targets[] = {"/v1/events?limit=2", "/v1/services/web/watch"};

	put("web", "a", NULL);
	for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
		int failures = 0;

		for (int nth = 0;; nth++) {
			fault_arm(nth);
			unsigned status = ask(targets[t], "text/event-stream", "");
			long r = status == 200 ? read_pages() : -1;
			bool hit = fault_hit();
			if (r == 0)
				ck_assert(stream->expire(stream));
			ck_assert_msg(status == 200 || status == 503 || status == 500, "%u",
			              status);
			if (status == 200 && got_len > 0)
				ck_assert_str_eq(got + got_len - 2, "\n\n");
			api_response_fini(&streamed);
			api_response_init(&streamed);
			ck_assert_int_eq(metrics_gauge(METRIC_EVENT_STREAMS), 0);
			ck_assert_int_eq(metrics_gauge(METRIC_WATCH_STREAMS), 0);
			if (!hit)
				break;
			failures++;
		}
		ck_assert_int_gt(failures, 3);
	}
	config.max_watchers = 1; /* no failed stream counts any more */
	api_fixture_reload();
	ck_assert_uint_eq(ask("/v1/services/web/watch", "", ""), 200);
}
END_TEST

START_TEST(without_memory_for_a_later_page_nothing_of_an_event_is_sent)
{
	bool hit = true;

	put("web", "a", NULL);
	for (int nth = 0; hit; nth++) {
		ck_assert_uint_eq(ask("/v1/events", "text/event-stream", ""), 200);
		ck_assert_int_eq(read_pages(), 0);
		put("web", "a", nth % 2 ? "\"weight\":2" : "\"weight\":3");
		wait_stream();
		fault_arm(nth);
		long r = read_pages();
		hit = fault_hit();
		ck_assert(got_len == 0 || strcmp(got + got_len - 2, "\n\n") == 0);
		ck_assert_uint_le(count("\ndata: "), 1);
		if (r == 0)
			ck_assert(stream->expire(stream));
		else
			ck_assert(hit);
		api_response_fini(&streamed);
		api_response_init(&streamed);
	}
}
END_TEST

START_TEST(another_incarnation_is_another_instance_of_a_watch)
{
	put("web", "a", NULL);
	put("web", "b", NULL);
	ck_assert_uint_eq(ask("/v1/services/web/watch", "", ""), 200);
	ck_assert_int_eq(read_pages(), 0);
	ck_assert_uint_eq(count("event: snapshot"), 1);
	call("DELETE", "/v1/services/web/instances/a", NULL);
	wait_stream();
	put("web", "a", NULL); /* before the stream is read */
	put("web", "b", "\"weight\":3");
	ck_assert_int_eq(read_pages(), 0);
	ck_assert_uint_eq(count("event: "), 3);
	ck_assert_uint_eq(
		count(with_token(
			"id: %s\nevent: removed\ndata: {\"revision\":5,\"remaining\":2,"
			"\"instance\":{\"service\":\"web\",\"id\":\"a\",\"incarnation\":1}}",
			5)),
		1);
	ck_assert_uint_eq(count("event: updated\ndata: {\"revision\":5,\"remaining\":1,"), 1);
	ck_assert_uint_eq(count("event: added\ndata: {\"revision\":5,\"remaining\":0,"), 1);
	ck_assert(stream->expire(stream));
}
END_TEST

SUITE("api_stream", setup, teardown, json_lines_end_after_wait_ms_of_silence_and_not_before,
      silence_begins_when_the_last_byte_was_sent,
      without_memory_for_a_later_page_nothing_of_an_event_is_sent,
      a_silent_stream_sends_a_comment_each_15_s,
      the_comment_of_a_filtered_stream_has_the_id_to_resume_from,
      filtered_events_do_not_delay_the_comment,
      a_stream_that_resumes_after_a_change_is_not_waited_for,
      a_stream_that_must_end_completes_its_event, a_stream_ends_when_the_log_cannot_be_read,
      accept_decides_the_format_of_the_log, only_event_streams_use_the_last_event_id,
      streams_and_long_polls_are_counted_together, the_lag_of_the_slowest_reader_is_measured,
      without_memory_a_stream_is_refused_or_ends_between_two_events,
      another_incarnation_is_another_instance_of_a_watch)
