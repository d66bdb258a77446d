/* SPDX-License-Identifier: MIT */
/**
 * Streams that show changes of the registry: a stream with a watcher, and with the revision up to
 * which its reader has been sent everything. A kind of them embeds struct live_stream.
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
	bool page_has;     /* the page has something of what its reader looks at */
	uint64_t page_end; /* with the page its reader has all up to here */

	_Atomic(uint64_t) position;   /* its reader has all up to here */
	LIST_ENTRY(live_stream) link; /* guarded by LOCK_STREAMS */
};

/** All that are open. */
struct live_streams {
	struct lock lock;
	LIST_HEAD(, live_stream) list;
};

void live_init(struct live_streams *streams);
void live_fini(struct live_streams *streams);
/** How far the slowest reader is behind @p revision. Any thread. */
uint64_t live_lag(struct live_streams *streams, uint64_t revision);

static inline struct live_stream *live_of(struct stream *stream)
{
	return container_of(stream, struct live_stream, stream);
}

/**
 * Makes @p live, whose page and watcher.topic and .aspects are set, and which is counted as
 * waiting, the answer.
 * @param kind  with live_sent() and live_cancel(); its free() calls live_leave()
 * @param sent_through  the reader has every change up to here before the first page
 */
enum api_result live_answer(struct call *call, struct live_stream *live,
                            const struct stream_kind *kind, uint64_t sent_through,
                            const char *content_type);
void live_leave(struct live_stream *live);
/**
 * Waits until the watcher's aspects have moved past @p seen, or until @p until_ms. Then look again:
 * it may have happened before.
 */
void live_wait(struct live_stream *live, uint64_t seen, int64_t until_ms);
/** It did. @return true: it will not be woken; false: it is being woken */
bool live_unwait(struct live_stream *live) MUST_USE;

/** For struct stream_kind. */
void live_sent(struct stream *stream);
bool live_cancel(struct stream *stream);
