/* SPDX-License-Identifier: MIT */
/** An answer as http/ sends it: bytes in one of three places, or a stream. */
#pragma once

#include "base/attr.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * An answer in pieces: http/ reads the next piece when the client has taken the one before. Made,
 * used and closed on the http thread.
 */
#define API_STREAM_END    (-1)
#define API_STREAM_BROKEN (-2)
struct api_stream {
	/**
	 * Copies the next bytes.
	 * @return their count; 0: nothing now: request->wake() will be called once, as after
	 * API_PARKED, then read again; with a park_until_ms http/ calls expire() at that time;
	 * API_STREAM_END; API_STREAM_BROKEN: the stream failed, so close the connection
	 */
	long (*read)(struct api_stream *stream, char *to, size_t most);
	/** As api_expire(): after true, read again. Only after a read() that returned 0. */
	bool (*expire)(struct api_stream *stream);
	/** Frees it. Not between a read() that returned 0 and its wake(). */
	void (*close)(struct api_stream *stream);
	bool ending; /* set by http/: end after the event that has been begun */
	/** It never waits: the deadline of one answer holds for the whole stream. */
	bool is_whole;
	uint64_t length; /* of the whole stream; 0: unknown */
};

/* Each header has its own place: setting it again replaces it, and there is always room. */
enum api_header_place {
	HEADER_ALLOW,
	HEADER_RETRY_AFTER,
	HEADER_EXPIRY_HELD,
	HEADER_ACCEL_BUFFERING,
	HEADER_COUNT
};
struct api_header {
	const char *name; /* static; NULL: not set */
	char value[104];
};

#define CACHE_NEVER "no-store"
#define CACHE_ASK   "no-cache" /* a cache may store it, and must revalidate by ETag each time */

struct refusal;
struct api_response {
	unsigned status;
	const char *content_type; /* static; NULL: no body */
	struct blob *blob;        /* the response owns one reference; NULL: look at `lent` */
	struct str lent;          /* static bytes; NULL data: the bytes are in `body` */
	struct buf body;
	char etag[48];     /* with quotes; empty: none */
	uint64_t revision; /* X-Rollcall-Revision, on every answer */
	char *location;    /* owned; Location of the created resource, or NULL */
	const char *cache; /* Cache-Control: one of CACHE_..., or NULL */
	bool varies;       /* Vary: Accept: the route negotiates the form */
	bool has_headers;  /* at least one of these; most answers have none */
	struct api_header header[HEADER_COUNT];
	/** Renders a refusal; NULL: problem_render(). The caller sets status, Cache-Control and
	 * Retry-After. */
	void (*refuse)(struct api_response *response, const struct refusal *refusal);
	bool close;                /* close the connection afterwards */
	struct api_stream *stream; /* owned; in place of blob and body, or NULL */
};

void api_response_init(struct api_response *response);
void api_response_fini(struct api_response *response);
/** Empties it for another answer; keeps the memory of its body. */
void api_response_renew(struct api_response *response);

/** The bytes of an answer that is no stream. */
static inline struct str api_response_bytes(const struct api_response *response)
{
	if (response->blob != NULL)
		return (struct str){response->blob->data, response->blob->len};
	if (response->lent.data != NULL)
		return response->lent;
	return (struct str){response->body.data, response->body.len};
}

/** Sets a header or replaces it; the value is cut at sizeof(value). */
void response_header(struct api_response *response, enum api_header_place place, const char *format,
                     ...) PRINTF_LIKE(3, 4);
void response_drop_headers(struct api_response *response);
