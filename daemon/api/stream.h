/* SPDX-License-Identifier: MIT */
/**
 * What every stream of Server-Sent Events or JSON lines is made of: one page of bytes on its way
 * out, made by its kind each time the one before has been sent. A kind of stream embeds struct
 * stream. Used on the request's http thread only.
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
#define STREAM_KEEP_MS    15000  /* a comment after so long a silence */
#define STREAM_RETRY      "retry: 1000\n\n"

struct stream_kind {
	enum metric_gauge gauge; /* of open ones */
	bool begins_full; /* the first fill() never waits: its page is there before the headers */
	/**
	 * Called when all before has been read. Puts more into the page, sets is_over, or both;
	 * or sees to it that the request is woken, after stream_pause() if that may take long.
	 * @return false: it will be woken
	 */
	bool (*fill)(struct stream *stream);
	/** The page has been sent. */
	void (*sent)(struct stream *stream);
	/** It waits no longer. @return as api_expire() */
	bool (*cancel)(struct stream *stream);
	/** Frees what it is embedded in. */
	void (*free)(struct stream *stream);
};

struct stream {
	struct magic magic;
	struct api_stream out;
	const struct stream_kind *kind;
	struct api *api;
	struct api_request *request;
	struct buf page;
	size_t read;     /* of the page */
	int64_t sent_ms; /* when the last byte was sent */
	bool expired;    /* it waited in vain */
	bool is_filling; /* fill() is to be called again; others may write to the page until then */
	bool is_over;    /* ends once the page has been read */
	uint64_t unsent; /* bytes that it will put beyond the page, without waiting */
};
MAGIC(stream, 0x57e4);

/** Makes @p stream, which has its page and is counted as waiting, what @p call is answered with. */
enum api_result stream_answer(struct call *call, struct stream *stream,
                              const struct stream_kind *kind, const char *content_type);
/** It will wait until it is woken, or until @p until_ms: meanwhile it costs no memory. */
void stream_pause(struct stream *stream, int64_t until_ms);
/** When silence has lasted long enough. */
int64_t stream_keep_ms(const struct stream *stream);
