/* SPDX-License-Identifier: MIT */
/**
 * Streams of changes of the registry: a stream with a watcher, and with the revision up to which
 * the client has been sent everything. Each kind embeds struct live_stream. Functions without
 * another note run on the stream's http thread.
 */
#pragma once

#include "api/stream.h"
#include "base/lock.h"
#include "watch/watch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct v1;

struct live_stream {
	struct stream stream;
	struct v1 *v1;
	struct watcher watcher;
	bool page_has;     /* the page has a change that the client has asked for */
	uint64_t page_end; /* after the page the client has everything up to this revision */

	_Atomic(uint64_t) position;   /* the client has everything up to this revision */
	LIST_ENTRY(live_stream) link; /* guarded by LOCK_STREAMS */
};

/** All open streams. */
struct live_streams {
	struct lock lock;
	LIST_HEAD(, live_stream) list;
};

void live_init(struct live_streams *streams);
void live_fini(struct live_streams *streams);
/** By how many revisions the slowest client is behind @p revision. Any thread. */
uint64_t live_lag(struct live_streams *streams, uint64_t revision);

static inline struct live_stream *live_of(struct stream *stream)
{
	return container_of(stream, struct live_stream, stream);
}

/**
 * Answers with @p live. The caller has set its page, watcher.topic and watcher.aspects, and has
 * called call_waiting_enter().
 * @param kind  its sent and cancel are live_sent() and live_cancel(); its free() calls live_leave()
 * @param sent_through  before the first page the client has everything up to this revision
 */
enum api_result live_answer(struct call *call, struct live_stream *live,
                            const struct stream_kind *kind, uint64_t sent_through,
                            const char *content_type);
/** Removes @p live from the open streams and from the watchers. */
void live_leave(struct live_stream *live);
/**
 * Adds the watcher, so that the stream is woken when the watcher's aspects change after revision
 * @p seen, or at @p until_ms (clock_ms()). Check again after this call: the change may have
 * happened before it.
 */
void live_wait(struct live_stream *live, uint64_t seen, int64_t until_ms);
/** Removes the watcher, because the change has happened. @return true: the stream will not be
 * woken; false: it is being woken */
bool live_unwait(struct live_stream *live) MUST_USE;

/** For struct stream_kind. */
void live_sent(struct stream *stream);
bool live_cancel(struct stream *stream);
