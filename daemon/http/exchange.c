/* SPDX-License-Identifier: MIT */
/*
 * One request, as a state machine that libmicrohttpd's callbacks drive (enum exchange_state).
 * Loop's thread only, but for exchange_wake(), which the writer and other threads call.
 *
 * Invariant: while an exchange is EXCHANGE_PARKED it belongs to the thread that will wake it; it is
 * neither freed nor answered before exchange_resume() or exchange_expire(). Resuming from the other
 * thread directly (MHD_resume_connection() is documented as safe) loses wake-ups in external epoll
 * mode: hence the loop's queue `done`.
 */
#include "http/exchange.h"

#include "base/clock.h"
#include "http/direct.h"
#include "http/head.h"
#include "http/internal.h"
#include "metrics/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_MAX  256   /* exchanges kept for the next requests */
#define KEPT_BYTES 16384 /* of each of their buffers */
#define TARGET_MAX 65536 /* never reached: libmicrohttpd's connection memory is smaller */

/* Any thread. The writer does nothing else to an exchange. */
static void exchange_wake(struct api_request *request)
{
	struct exchange *exchange = container_of(request, struct exchange, request);

	CHECK_MAGIC(exchange, exchange);
	struct loop *loop = exchange->loop;
	exchange->next = NULL;

	lock_take(&loop->done_lock);
	bool first = loop->done == NULL;
	*loop->done_tail = exchange;
	loop->done_tail = &exchange->next;
	lock_release(&loop->done_lock);

	/* From here on the loop may have finished and freed the exchange. */
	if (first)
		loop_wake(loop);
}

static struct exchange *spare_take(struct loop *loop)
{
	struct exchange *exchange = loop->spare;

	if (exchange != NULL) {
		loop->spare = exchange->next;
		loop->spare_count--;
		return exchange;
	}
	exchange = calloc(1, sizeof(*exchange));
	if (exchange == NULL)
		return NULL;
	exchange->magic = MAGIC_INIT(exchange);
	exchange->loop = loop;
	buf_init(&exchange->target, TARGET_MAX);
	buf_init(&exchange->fields, API_FIELDS_MAX * sizeof(struct api_field));
	buf_init(&exchange->body, 0);
	api_response_init(&exchange->response);
	return exchange;
}

void exchange_free(struct exchange *exchange)
{
	api_response_fini(&exchange->response);
	buf_fini(&exchange->target);
	buf_fini(&exchange->fields);
	buf_fini(&exchange->body);
	free(exchange);
}

static void spare_give(struct exchange *exchange)
{
	struct loop *loop = exchange->loop;

	if (loop->spare_count >= SPARE_MAX) {
		exchange_free(exchange);
		return;
	}
	api_response_renew(&exchange->response);
	if (exchange->response.body.size > KEPT_BYTES) {
		buf_fini(&exchange->response.body);
		api_response_init(&exchange->response);
	}
	if (exchange->target.size > KEPT_BYTES) {
		buf_fini(&exchange->target);
		buf_init(&exchange->target, TARGET_MAX);
	}
	if (exchange->body.size > KEPT_BYTES)
		buf_fini(&exchange->body);
	exchange->next = loop->spare;
	loop->spare = exchange;
	loop->spare_count++;
}

static void exchange_move(struct exchange *exchange, enum lane lane)
{
	struct connection *connection = exchange->connection;

	if (connection->lane != LANE_CLOSING && connection->lane != lane)
		lanes_move(&exchange->loop->lanes, connection, lane, exchange->loop->now_ms);
}

void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct loop *loop = cls;

	CHECK_MAGIC(loop, loop);
	struct exchange *exchange = spare_take(loop);
	if (exchange == NULL)
		return NULL;
	exchange->connection =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	CHECK_MAGIC(exchange->connection, connection);
	exchange->mhd = mhd;
	exchange->state = EXCHANGE_BEGUN;
	exchange->request = (struct api_request){.wake = exchange_wake};
	exchange->gone = false;
	exchange->guard = (struct guard){0};
	exchange->began_us = loop->now_us;
	exchange->raw_target = target;
	buf_reset(&exchange->target);
	if (target != NULL) {
		buf_put(&exchange->target, target);
		head_begin(exchange);
	}
	exchange->connection->exchange = exchange;
	connection_silence(exchange->connection, NOT_SILENT);
	exchange_move(exchange, LANE_REQUEST);
	return exchange;
}

/* Queues the answer. @return for libmicrohttpd: MHD_NO closes the connection */
static enum MHD_Result exchange_answer(struct exchange *exchange)
{
	struct api_response *response = &exchange->response;
	int64_t spent_us = clock_us() - exchange->began_us;

	/*
	 * libmicrohttpd accepts chunk framing and trailers that the standard forbids, and does not
	 * show them. So close the connection: what follows the chunks is never read as a request.
	 */
	if (exchange->loop->stopping || exchange->guard.chunked)
		response->close = true;
	if (reply_queue(exchange, exchange_read) < 0)
		return MHD_NO;
	exchange->state = EXCHANGE_ANSWERED;
	exchange_move(exchange, LANE_REPLY);
	metrics_request(response->status);
	metrics_observe(METRIC_REQUEST_SECONDS, spent_us > 0 ? (uint64_t)spent_us : 0);
	return MHD_YES;
}

static void make_refusal(struct exchange *exchange, enum problem problem, const char *detail)
{
	api_problem(&exchange->request, &exchange->response, problem, "%s", detail);
	exchange->response.close = true;
	exchange->connection->refused = true;
	if (exchange->response.revision == 0)
		exchange->response.revision = exchange->loop->replies.revision;
	metrics_count(METRIC_REQUESTS_REFUSED, 1);
}

static enum MHD_Result exchange_refuse(struct exchange *exchange, enum problem problem,
                                       const char *detail)
{
	make_refusal(exchange, problem, detail);
	return exchange_answer(exchange);
}

void exchange_refuse_directly(struct exchange *exchange, enum guard_verdict verdict)
{
	const struct guard_refusal *refusal = guard_refusal(verdict);

	make_refusal(exchange, refusal->problem, refusal->detail);
	metrics_request(exchange->response.status);
	exchange->state = EXCHANGE_ANSWERED;
	direct_send(exchange);
}

/* Has libmicrohttpd read the whole head without calling exchange_handle()? */
static bool is_failing(const struct exchange *exchange)
{
	return exchange->state == EXCHANGE_BEGUN &&
	       MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) !=
	               NULL;
}

static struct exchange *find_failing(const struct loop *loop)
{
	struct connection *connection = loop->lanes.lane[LANE_REQUEST].last;

	for (; connection != NULL; connection = connection->previous)
		if (connection->exchange != NULL && is_failing(connection->exchange))
			return connection->exchange;
	return NULL;
}

void exchange_take_log(void *cls, const char *format, va_list args)
{
	static const struct str error = STR("Error processing request (HTTP response code is %u ");
	struct loop *loop = cls;

	if (strncmp(format, error.data, error.len) != 0)
		return;
	unsigned status = va_arg(args, unsigned);
	struct exchange *exchange = find_failing(loop);
	if (exchange != NULL)
		exchange_refuse_directly(exchange, status == 431   ? GUARD_TOO_LARGE
		                                   : status == 413 ? GUARD_LENGTH_HUGE
		                                                   : GUARD_LENGTH);
}

static enum MHD_Result refuse_long(struct exchange *exchange)
{
	char detail[80];

	(void)snprintf(detail, sizeof(detail),
	               "this request may have a body of %" PRIu64 " bytes at most",
	               exchange->body_max);
	return exchange_refuse(exchange, PROBLEM_BODY_TOO_LARGE, detail);
}

static enum api_method to_method(const char *text)
{
	static const struct {
		const char *text;
		enum api_method method;
	} methods[] = {{"GET", API_GET},
	               {"PUT", API_PUT},
	               {"POST", API_POST},
	               {"HEAD", API_HEAD},
	               {"DELETE", API_DELETE}};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (text[0] == methods[i].text[0] && strcmp(text, methods[i].text) == 0)
			return methods[i].method;
	return API_OTHER;
}

/* All headers have arrived; the body has not. */
static enum MHD_Result exchange_start(struct exchange *exchange, const char *method,
                                      const char *version)
{
	struct connection *connection = exchange->connection;
	struct api_request *request = &exchange->request;
	const struct guard *guard = &exchange->guard;

	request->method = to_method(method);
	if (buf_error(&exchange->target) < 0)
		return MHD_NO;
	enum guard_verdict verdict = head_check(exchange, method, version);
	if (verdict == GUARD_TOO_LARGE) { /* libmicrohttpd may have no memory for an answer */
		exchange_refuse_directly(exchange, verdict);
		return MHD_NO;
	}
	if (verdict != GUARD_PASS) {
		const struct guard_refusal *refusal = guard_refusal(verdict);

		return exchange_refuse(exchange, refusal->problem, refusal->detail);
	}
	if (buf_error(&exchange->fields) < 0)
		return exchange_refuse(exchange, PROBLEM_OUT_OF_MEMORY,
		                       "no memory for the headers");
	connection->consumed += exchange->head_size + guard->length;
	request->peer = str_of(connection->peer_text);
	request->peer_unsent = peer_unsent(&connection->peer);
	exchange->body_max = api_body_max(exchange->loop->http->api, request);
	if (exchange->body_max == 0 && (guard->chunked || guard->length > 0))
		return exchange_refuse(exchange, PROBLEM_UNEXPECTED_BODY,
		                       "this request takes no body");
	if (guard->length > exchange->body_max)
		return refuse_long(exchange);
	buf_reset(&exchange->body);
	exchange->body.most = (size_t)exchange->body_max;
	exchange->too_long = exchange->blocked = false;
	exchange->state = EXCHANGE_READING;
	return MHD_YES;
}

/* Only a chunked body can turn out too long here. It is read to the end: the client gets a 413. */
static void take_body(struct exchange *exchange, const char *data, size_t len)
{
	struct buf *body = &exchange->body;

	exchange->blocked = false;
	if (len > exchange->body_max - body->len)
		exchange->too_long = true;
	if (!exchange->too_long)
		buf_add(body, data, len); /* exchange_run() sees the error */
}

/* A wait of up to minutes: watch for its end, and for the client hanging up, which libmicrohttpd
 * does not notice for a suspended request. */
static void exchange_watch(struct exchange *exchange)
{
	struct loop *loop = exchange->loop;
	struct connection *connection = exchange->connection;

	bool over = loop->stopping || connection->lane == LANE_CLOSING;

	exchange_move(exchange, LANE_WATCH);
	connection->watching = exchange;
	timers_arm(&loop->timers, &exchange->timer,
	           over ? loop->now_ms : exchange->request.park_until_ms);
	connection_watch_hangup(connection);
}

/* The exchange may have been woken already: the loop finds it in `done` in a later pass. */
static void exchange_park(struct exchange *exchange)
{
	exchange->state = EXCHANGE_PARKED;
	exchange->loop->parked++;
	metrics_move(METRIC_PARKED, 1);
	if (exchange->request.park_until_ms != 0)
		exchange_watch(exchange);
	else
		exchange_move(exchange, LANE_PARKED);
	MHD_suspend_connection(exchange->mhd);
}

static enum MHD_Result exchange_proceed(struct exchange *exchange, enum api_result result)
{
	if (result == API_DONE)
		return exchange_answer(exchange);
	exchange_park(exchange);
	return MHD_YES;
}

ssize_t exchange_read(void *cls, uint64_t position, char *to, size_t most)
{
	struct exchange *exchange = cls;
	struct loop *loop = exchange->loop;
	struct api_stream *stream = exchange->response.stream;

	(void)position;
	CHECK_MAGIC(exchange, exchange);
	if (loop->abandoning || exchange->gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	stream->ending = loop->stopping;
	long got = stream->read(stream, to, most);
	if (got == 0)
		exchange_park(exchange);
	else if (got > 0 && !stream->is_whole && exchange->connection->lane == LANE_REPLY)
		/* The client has read all earlier bytes: its deadline starts anew. */
		lanes_move(&loop->lanes, exchange->connection, LANE_REPLY, loop->now_ms);
	if (got == API_STREAM_BROKEN)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	return got == API_STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : got;
}

static enum MHD_Result exchange_run(struct exchange *exchange)
{
	struct api_request *request = &exchange->request;

	if (exchange->too_long)
		return refuse_long(exchange);
	if (buf_error(&exchange->body) < 0)
		return exchange_refuse(exchange, PROBLEM_OUT_OF_MEMORY, "no memory for the body");
	request->body = (struct str){exchange->body.data, exchange->body.len};
	return exchange_proceed(
		exchange, api_handle(exchange->loop->http->api, request, &exchange->response));
}

static enum MHD_Result exchange_finish(struct exchange *exchange)
{
	struct api *api = exchange->loop->http->api;

	if (exchange->loop->abandoning || exchange->gone)
		return MHD_NO; /* exchange_completed() abandons it */
	/* api_finish() frees the parked request even if the answer cannot be queued. */
	exchange->state = EXCHANGE_FINISHED;
	return exchange_proceed(exchange, api_finish(api, &exchange->request, &exchange->response));
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd defines the parameters */
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **context)
{
	struct exchange *exchange = *context;

	(void)cls, (void)mhd, (void)url;
	if (exchange == NULL)
		return MHD_NO; /* exchange_begin() had no memory */
	CHECK_MAGIC(exchange, exchange);
	switch (exchange->state) {
	case EXCHANGE_BEGUN:
		return exchange_start(exchange, method, version);
	case EXCHANGE_READING:
		if (*upload_size == 0)
			return exchange_run(exchange);
		take_body(exchange, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	case EXCHANGE_WOKEN:
		return exchange_finish(exchange);
	case EXCHANGE_PARKED:
	case EXCHANGE_FINISHED:
	case EXCHANGE_ANSWERED:
		break;
	}
	return MHD_YES;
}

void exchange_resume(struct exchange *exchange)
{
	CHECK_MAGIC(exchange, exchange);
	CHECK(exchange->state == EXCHANGE_PARKED);
	exchange->state = exchange->response.stream != NULL ? EXCHANGE_ANSWERED : EXCHANGE_WOKEN;
	exchange->loop->parked--;
	exchange->connection->watching = NULL;
	timers_disarm(&exchange->loop->timers, &exchange->timer);
	metrics_move(METRIC_PARKED, -1);
	exchange_move(exchange, LANE_REPLY);
	exchange->connection->side->due = true;
	MHD_resume_connection(exchange->mhd);
}

void exchange_expire(struct exchange *exchange, bool gone)
{
	struct api_stream *stream = exchange->response.stream;

	CHECK_MAGIC(exchange, exchange);
	if (stream != NULL ? !stream->expire(stream)
	                   : !api_expire(exchange->loop->http->api, &exchange->request))
		return; /* wake() is on its way */
	exchange->gone = gone;
	metrics_count(gone                       ? METRIC_WAKEUPS_HANGUP
	              : exchange->loop->stopping ? METRIC_WAKEUPS_STOP
	                                         : METRIC_WAKEUPS_TIMEOUT,
	              1);
	exchange_resume(exchange);
}

void exchange_completed(void *cls, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *context;

	(void)cls, (void)mhd;
	if (exchange == NULL)
		return;
	CHECK_MAGIC(exchange, exchange);
	CHECK(exchange->state !=
	      EXCHANGE_PARKED); /* libmicrohttpd never completes suspended ones */
	exchange->connection->exchange = NULL;
	if (exchange->state == EXCHANGE_WOKEN)
		api_abandon(exchange->loop->http->api, &exchange->request);
	else if (exchange->state == EXCHANGE_BEGUN && code == MHD_REQUEST_TERMINATED_WITH_ERROR &&
	         exchange->connection->lane != LANE_CLOSING)
		metrics_count(METRIC_REQUESTS_REFUSED, 1); /* by libmicrohttpd, not by a deadline */
	if (exchange->request.sending != NULL)
		api_sent(&exchange->request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	api_release(exchange->loop->http->api, &exchange->request);
	exchange_move(exchange, LANE_SETTLE);
	*context = NULL;
	spare_give(exchange);
}

void exchange_forgotten(struct exchange *exchange)
{
	void *context = exchange;

	if (exchange->state == EXCHANGE_BEGUN)
		exchange_refuse_directly(exchange, GUARD_TOO_LARGE);
	exchange_completed(exchange->loop, exchange->mhd, &context,
	                   MHD_REQUEST_TERMINATED_WITH_ERROR);
}
