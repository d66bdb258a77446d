/* SPDX-License-Identifier: MIT */
#include "v1/live.h"

#include "v1/internal.h"

#define NOT_BEHIND UINT64_MAX /* position of a stream that waits */

void live_init(struct live_streams *streams)
{
	lock_init(&streams->lock, LOCK_STREAMS);
	LIST_INIT(&streams->list);
}

void live_fini(struct live_streams *streams)
{
	CHECK(LIST_EMPTY(&streams->list));
	lock_fini(&streams->lock);
}

uint64_t live_lag(struct live_streams *streams, uint64_t revision)
{
	const struct live_stream *live;
	uint64_t least = revision;

	lock_take(&streams->lock);
	LIST_FOREACH(live, &streams->list, link)
	{
		uint64_t position = atomic_load_explicit(&live->position, memory_order_relaxed);

		if (position < least)
			least = position;
	}
	lock_release(&streams->lock);
	return revision - least;
}

static void live_wake(struct watcher *watcher)
{
	struct live_stream *live = container_of(watcher, struct live_stream, watcher);

	live->stream.request->wake(live->stream.request);
}

enum api_result live_answer(struct call *call, struct live_stream *live,
                            const struct stream_kind *kind, uint64_t sent_through,
                            const char *content_type)
{
	struct live_streams *streams = &v1_of(call)->streams;

	live->v1 = v1_of(call);
	live->watcher.wake = live_wake;
	watch_join(registry_watch(live->v1->registry), &live->watcher, sent_through);
	lock_take(&streams->lock);
	LIST_INSERT_HEAD(&streams->list, live, link);
	lock_release(&streams->lock);
	return stream_answer(call, &live->stream, kind, content_type);
}

void live_leave(struct live_stream *live)
{
	struct live_streams *streams = &live->v1->streams;

	lock_take(&streams->lock);
	LIST_REMOVE(live, link);
	lock_release(&streams->lock);
	watch_leave(&live->watcher);
}

void live_wait(struct live_stream *live, uint64_t seen, int64_t until_ms)
{
	/* If the last page was empty, no change up to its end passed the stream's filters. */
	watch_sent(&live->watcher, live->page_end, false);
	stream_pause(&live->stream, until_ms);
	atomic_store_explicit(&live->position, NOT_BEHIND, memory_order_relaxed);
	live->watcher.seen = seen;
	watch_add(registry_watch(live->v1->registry), &live->watcher);
}

bool live_unwait(struct live_stream *live)
{
	return watch_cancel(registry_watch(live->v1->registry), &live->watcher);
}

void live_sent(struct stream *stream)
{
	struct live_stream *live = live_of(stream);

	watch_sent(&live->watcher, live->page_end, live->page_has);
}

bool live_cancel(struct stream *stream)
{
	return live_unwait(live_of(stream));
}
