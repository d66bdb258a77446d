/* SPDX-License-Identifier: MIT */
#include "api/stream.h"

#include "api/call.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define NOT_BEHIND UINT64_MAX

void streams_init(struct streams *streams)
{
	lock_init(&streams->lock, LOCK_STREAMS);
	LIST_INIT(&streams->list);
}

void streams_fini(struct streams *streams)
{
	CHECK(LIST_EMPTY(&streams->list));
	lock_fini(&streams->lock);
}

uint64_t streams_lag(struct streams *streams, uint64_t revision)
{
	const struct stream *stream;
	uint64_t least = revision;

	lock_take(&streams->lock);
	LIST_FOREACH(stream, &streams->list, link)
	{
		uint64_t position = atomic_load_explicit(&stream->position, memory_order_relaxed);

		if (position < least)
			least = position;
	}
	lock_release(&streams->lock);
	return revision - least;
}

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

	if (count > 0) /* a page that nothing was put into has no data */
		memcpy(to, stream->page.data + stream->read, count);
	stream->read += count;
	return (long)count;
}

/** http/ asks for more once all was sent: silence begins. @return false at the end */
static bool page_was_sent(struct stream *stream)
{
	watch_sent(&stream->watcher, stream->page_end, stream->page_has);
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
		stream->is_filling = !stream->fill(stream);
		if (stream->is_filling)
			return 0;
		if (buf_error(&stream->page) < 0 ||
		    !api_hold(stream->api, stream->request, stream->page.size,
		              stream->unsent + stream->page.len))
			return API_STREAM_END; /* without memory it ends between two events */
	}
	return read_page(stream, to, most);
}

static bool stream_expire(struct api_stream *out)
{
	struct stream *stream = stream_of(out);

	if (!watch_cancel(registry_watch(stream->api->registry), &stream->watcher))
		return false;
	stream->expired = true;
	return true;
}

static void stream_close(struct api_stream *out)
{
	struct stream *stream = stream_of(out);
	struct streams *streams = &stream->api->streams;

	lock_take(&streams->lock);
	LIST_REMOVE(stream, link);
	lock_release(&streams->lock);
	metrics_move(stream->gauge, -1);
	waiting_leave(stream->api);
	watch_leave(&stream->watcher);
	buf_fini(&stream->page);
	stream->free(stream);
}

static void wake(struct watcher *watcher)
{
	struct stream *stream = container_of(watcher, struct stream, watcher);

	stream->request->wake(stream->request);
}

/** The first page. @return false: there is no memory for it (told) */
static bool begin(struct call *call, struct stream *stream)
{
	if (stream->begins_full)
		(void)stream->fill(stream);
	if (stream->begins_full && (stream->is_over || buf_error(&stream->page) < 0)) {
		problem_errno(call->response, -ENOMEM);
		return false;
	}
	return call_hold(call, stream->page.size, stream->unsent + stream->page.len);
}

enum api_result stream_answer(struct call *call, struct stream *stream, uint64_t has,
                              const char *content_type)
{
	struct streams *streams = &call->api->streams;

	stream->magic = MAGIC_INIT(stream);
	stream->out = (struct api_stream){
		.read = stream_read, .expire = stream_expire, .close = stream_close};
	stream->api = call->api;
	stream->request = call->request;
	stream->watcher.wake = wake;
	stream->sent_ms = clock_ms_after(0);
	watch_join(registry_watch(call->api->registry), &stream->watcher, has);
	lock_take(&streams->lock);
	LIST_INSERT_HEAD(&streams->list, stream, link);
	lock_release(&streams->lock);
	metrics_move(stream->gauge, 1);
	if (!begin(call, stream)) {
		stream_close(&stream->out);
		return API_DONE;
	}
	call->response->stream = &stream->out;
	/* Proxies that know it (nginx) pass on what comes when it comes. */
	response_header(call->response, HEADER_ACCEL_BUFFERING, "no");
	return call_answer(call, 200, content_type);
}

void stream_wait(struct stream *stream, uint64_t seen, int64_t until_ms)
{
	watch_sent(&stream->watcher, stream->page_end,
	           false);       /* nothing of it was for its reader */
	buf_fini(&stream->page); /* silence may be long */
	api_unhold(stream->api, stream->request);
	atomic_store_explicit(&stream->position, NOT_BEHIND, memory_order_relaxed);
	stream->request->park_until_ms = until_ms;
	stream->watcher.seen = seen;
	watch_add(registry_watch(stream->api->registry), &stream->watcher);
}

bool stream_unwait(struct stream *stream)
{
	return watch_cancel(registry_watch(stream->api->registry), &stream->watcher);
}

int64_t stream_keep_ms(const struct stream *stream)
{
	return stream->sent_ms + STREAM_KEEP_MS;
}
