/* SPDX-License-Identifier: MIT */
/**
 * What every stream of Server-Sent Events or JSON lines is made of: one page of bytes on its way
 * out, and a wait for what comes after. A kind of stream embeds struct stream, and fills the page.
 */
#pragma once

#include "api/api.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/lock.h"
#include "metrics/metrics.h"
#include "watch/watch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct api;
struct call;

#define STREAM_PAGE_BYTES 262144 /* a page ends with the event that fills it */
#define STREAM_KEEP_MS    15000  /* a comment after so long a silence */
#define STREAM_RETRY      "retry: 1000\n\n"

struct stream {
	struct magic magic;
	struct api_stream out;
	struct api *api;
	struct api_request *request;
	enum metric_gauge gauge; /* of open ones of its kind */
	/**
	 * Called when all before has been read. Puts more into the page, sets is_over, or both;
	 * or sees to it that the request is woken.
	 * @return false: it will be woken
	 */
	bool (*fill)(struct stream *stream);
	/** Frees what it is embedded in. */
	void (*free)(struct stream *stream);
	struct buf page;
	size_t read;     /* of the page */
	int64_t sent_ms; /* when the last byte was sent */
	struct watcher watcher;
	bool begins_full; /* the first fill() never waits: its page is there before the headers */
	bool expired;     /* it waited in vain */
	bool is_filling; /* fill() is to be called again; others may write to the page until then */
	bool is_over;    /* ends once the page has been read */
	bool page_has;   /* the page has something of what its reader looks at */
	uint64_t unsent; /* bytes that it will put beyond the page, without waiting */
	uint64_t page_end; /* with the page its reader has all up to here */

	_Atomic(uint64_t) position; /* its reader has all up to here */
	LIST_ENTRY(stream) link;    /* guarded by LOCK_STREAMS */
};
MAGIC(stream, 0x57e4);

/** All that are open. */
struct streams {
	struct lock lock;
	LIST_HEAD(, stream) list;
};

void streams_init(struct streams *streams);
void streams_fini(struct streams *streams);
/** How far the slowest reader is behind @p revision. Any thread. */
uint64_t streams_lag(struct streams *streams, uint64_t revision);

/**
 * Makes @p stream, whose fill, free, gauge and watcher.topic and .aspects are set, and which is
 * counted as waiting, the answer.
 * @param has  its reader has all up to here before the first page
 */
enum api_result stream_answer(struct call *call, struct stream *stream, uint64_t has,
                              const char *content_type);
/**
 * Waits until the watcher's aspects have moved past @p seen, or until @p until_ms. Then look again:
 * it may have happened before.
 */
void stream_wait(struct stream *stream, uint64_t seen, int64_t until_ms);
/** It did. @return true: it will not be woken; false: it is being woken */
bool stream_unwait(struct stream *stream) MUST_USE;
/** When silence has lasted long enough. */
int64_t stream_keep_ms(const struct stream *stream);
