/* SPDX-License-Identifier: MIT */
/**
 * Streams of Server-Sent Events or JSON lines: one page of bytes, which fill() of the stream's kind
 * makes anew each time the page before has been sent. A kind of stream embeds struct stream. Used
 * on the request's http thread only.
 */
#pragma once

#include "api/api.h"
#include "base/buf.h"
#include "base/check.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct call;
struct stream;

#define STREAM_PAGE_BYTES 262144 /* a page ends with the event that fills it */
#define STREAM_KEEP_MS    15000  /* without an event for this long, send a comment */
#define STREAM_RETRY      "retry: 1000\n\n"

struct stream_kind {
	enum metric_gauge gauge; /* counts open streams */
	bool begins_full;        /* the first fill() never waits: it fills before the headers */
	/**
	 * Called when the whole page has been read. Puts more into the page, sets is_over, or both;
	 * or arranges that the request is woken, after stream_pause() if that may take long.
	 * @return false: the request will be woken
	 */
	bool (*fill)(struct stream *stream);
	/** Called when the page has been sent. */
	void (*sent)(struct stream *stream);
	/** Ends the wait. @return as api_expire() */
	bool (*cancel)(struct stream *stream);
	/** Frees the struct that embeds it. */
	void (*free)(struct stream *stream);
};

struct stream {
	struct magic magic;
	struct api_stream out;
	const struct stream_kind *kind;
	struct api *api;
	struct api_request *request;
	struct buf page;
	size_t read;     /* bytes of the page that have been read */
	int64_t sent_ms; /* when the last byte was sent */
	bool expired;    /* the last wait ended at its time, without a change */
	bool is_filling; /* until fill() is called again, other threads may write the page */
	bool is_over;    /* the stream ends once the page has been read */
	uint64_t unsent; /* bytes that later pages will have without waiting */
};
MAGIC(stream, 0x57e4);

/** Answers @p call with @p stream, whose page is initialised and which counts as waiting. */
enum api_result stream_answer(struct call *call, struct stream *stream,
                              const struct stream_kind *kind, const char *content_type);
/** Frees the page before a wait until wake() or @p until_ms, so that the wait costs no memory. */
void stream_pause(struct stream *stream, int64_t until_ms);
/** When STREAM_KEEP_MS of silence are over. */
int64_t stream_keep_ms(const struct stream *stream);
