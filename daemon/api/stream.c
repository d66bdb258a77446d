/* SPDX-License-Identifier: MIT */
#include "api/stream.h"

#include "api/call.h"
#include "api/park.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

static struct stream *stream_of(struct api_stream *out)
{
	struct stream *stream = container_of(out, struct stream, out);

	CHECK_MAGIC(stream, stream);
	return stream;
}

static long read_page(struct stream *stream, char *to, size_t most)
{
	size_t left = stream->page.len - stream->read;
	size_t count = left < most ? left : most;

	if (count > 0) /* data is NULL in a page that is still empty */
		memcpy(to, stream->page.data + stream->read, count);
	stream->read += count;
	return (long)count;
}

/** http/ reads again only once it has sent the page. @return false: the stream is over */
static bool page_was_sent(struct stream *stream)
{
	stream->kind->sent(stream);
	if (stream->page.len > 0)
		stream->sent_ms = clock_ms_after(0);
	buf_reset(&stream->page);
	stream->read = 0;
	return !stream->is_over;
}

static long stream_read(struct api_stream *out, char *to, size_t most)
{
	struct stream *stream = stream_of(out);

	while (stream->is_filling || stream->read == stream->page.len) {
		if (!stream->is_filling && !page_was_sent(stream))
			return API_STREAM_END;
		stream->request->park_until_ms = 0;
		stream->is_filling = !stream->kind->fill(stream);
		if (stream->is_filling)
			return 0;
		if (buf_error(&stream->page) < 0 ||
		    !api_hold(stream->api, stream->request, stream->page.size,
		              stream->unsent + stream->page.len))
			return API_STREAM_END; /* out of memory or bounds: end between two events */
	}
	return read_page(stream, to, most);
}

static bool stream_expire(struct api_stream *out)
{
	struct stream *stream = stream_of(out);

	stream->expired = stream->kind->cancel(stream);
	return stream->expired;
}

static void stream_close(struct api_stream *out)
{
	struct stream *stream = stream_of(out);

	metrics_move(stream->kind->gauge, -1);
	waiting_leave(stream->api);
	buf_fini(&stream->page);
	stream->kind->free(stream);
}

/** Fills the first page if the kind begins full. @return false when refused */
static bool stream_begin(struct call *call, struct stream *stream)
{
	bool begins_full = stream->kind->begins_full;

	if (begins_full)
		(void)stream->kind->fill(stream);
	if (begins_full && (stream->is_over || buf_error(&stream->page) < 0)) {
		problem_errno(call->response, -ENOMEM);
		return false;
	}
	return call_hold(call, stream->page.size, stream->unsent + stream->page.len);
}

enum api_result stream_answer(struct call *call, struct stream *stream,
                              const struct stream_kind *kind, const char *content_type)
{
	stream->magic = MAGIC_INIT(stream);
	stream->out = (struct api_stream){
		.read = stream_read, .expire = stream_expire, .close = stream_close};
	stream->kind = kind;
	stream->api = call->api;
	stream->request = call->request;
	stream->sent_ms = clock_ms_after(0);
	metrics_move(kind->gauge, 1);
	if (!stream_begin(call, stream)) {
		stream_close(&stream->out);
		return API_DONE;
	}
	call->response->stream = &stream->out;
	/* Makes nginx pass each event on at once instead of buffering. */
	response_header(call->response, HEADER_ACCEL_BUFFERING, "no");
	return call_answer(call, 200, content_type);
}

void stream_pause(struct stream *stream, int64_t until_ms)
{
	buf_fini(&stream->page);
	api_unhold(stream->api, stream->request);
	stream->request->park_until_ms = until_ms;
}

int64_t stream_keep_ms(const struct stream *stream)
{
	return stream->sent_ms + STREAM_KEEP_MS;
}
