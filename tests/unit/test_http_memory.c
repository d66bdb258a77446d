/* SPDX-License-Identifier: MIT */
/*
 * Calls of libmicrohttpd that fail as they do without memory. This program defines some of its
 * functions itself, so that the test can make the nth call fail.
 */
#include "http_fixture.h"
#include "suite.h"

#include "metrics/metrics.h"

#include <dlfcn.h>
#include <microhttpd.h>

/* Calls until the one that fails; below 0: no call fails. */
static atomic_int countdown = -1;

static bool fails(void)
{
	return atomic_load(&countdown) >= 0 && atomic_fetch_sub(&countdown, 1) == 0;
}

/* The linker takes these before the library's functions, which RTLD_NEXT finds. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *data,
                                                     enum MHD_ResponseMemoryMode mode)
{
	return fails() ? NULL : REAL(MHD_create_response_from_buffer)(size, data, mode);
}

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block,
                                                       MHD_ContentReaderCallback read, void *cls,
                                                       MHD_ContentReaderFreeCallback end)
{
	return fails() ? NULL
	               : REAL(MHD_create_response_from_callback)(size, block, read, cls, end);
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *name,
                                        const char *value)
{
	return fails() ? MHD_NO : REAL(MHD_add_response_header)(response, name, value);
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned status,
                                   struct MHD_Response *response)
{
	return fails() ? MHD_NO : REAL(MHD_queue_response)(connection, status, response);
}

static long stream_read(struct api_stream *stream, char *to, size_t most)
{
	(void)stream, (void)to, (void)most;
	return -1;
}

static void stream_close(struct api_stream *stream)
{
	free(stream);
}

static struct api_stream *stream_open(struct api_request *request)
{
	struct api_stream *stream = calloc(1, sizeof(*stream));

	(void)request;
	stream->read = stream_read;
	stream->close = stream_close;
	return stream;
}

/* @return did a call fail? */
static bool ask(const char *path, int nth, bool parks)
{
	static struct answer answer;
	int fd = dial();

	if (parks) {
		get(fd, path);
		fake_wait_parked(&fake, 1);
	}
	atomic_store(&countdown, nth);
	if (parks)
		fake_wake(&fake, 1);
	else
		get(fd, path);
	bool answered = try_read_answer(fd, &answer, false);
	bool failed = atomic_exchange(&countdown, -1) < 0;
	ck_assert_int_eq(answered, !failed);
	close(fd);
	return failed;
}

/* Each call of one answer fails in turn: only the connection of that client may end. */
static void fail_each(const char *path, bool parks)
{
	int nth = 0;

	while (ask(path, nth, parks))
		nth++;
	ck_assert_int_ge(nth, 3); /* create, add a header, queue */
}

START_TEST(an_answer_that_cannot_be_queued_costs_its_connection)
{
	fake.stream = stream_open;
	serve();
	fail_each("/created", false);
	fail_each("/stream", false);
	ck_assert_uint_eq(fake.abandoned, 0);
}
END_TEST

START_TEST(a_parked_request_whose_answer_cannot_be_queued_is_not_abandoned_as_well)
{
	serve();
	fail_each("/park", true);
	ck_assert_uint_gt(fake.finished, 3);
	ck_assert_uint_eq(fake.abandoned, 0);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), 0);
}
END_TEST

SUITE("http_memory", http_setup, http_teardown,
      an_answer_that_cannot_be_queued_costs_its_connection,
      a_parked_request_whose_answer_cannot_be_queued_is_not_abandoned_as_well)
