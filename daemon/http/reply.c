/* SPDX-License-Identifier: MIT */
/*
 * Owns the prepared answers of one http thread; runs on that thread.
 *
 * Invariant: a prepared answer is used only for the same body address, length, revision and headers
 * that it was made from. The simpler way, an MHD_Response for each request, allocates memory for
 * it and for each of its headers.
 */
#include "http/reply.h"

#include "api/api.h"
#include "http/internal.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

/* Buffer of a stream of unknown length to HTTP/1.0; a chunked one uses the connection's memory. */
#define STREAM_BLOCK 4096
/* Buffer of a stream whose length is known, which is sent without chunks. */
#define SLICE_BLOCK 65536

static bool header_add(struct MHD_Response *mhd, const char *name, const char *value)
{
	return MHD_add_response_header(mhd, name, value) == MHD_YES;
}

static bool headers_add(struct MHD_Response *mhd, const struct exchange *exchange)
{
	const struct api_response *response = &exchange->response;
	char revision[U64_DIGITS + 1];

	revision[u64_write(response->revision, revision)] = '\0';
	bool added =
		header_add(mhd, "X-Rollcall-Revision", revision) &&
		header_add(mhd, "X-Rollcall-History", api_history_text(exchange->loop->http->api));
	if (response->content_type != NULL)
		added = added && header_add(mhd, "Content-Type", response->content_type);
	if (response->etag[0] != '\0')
		added = added && header_add(mhd, "ETag", response->etag);
	if (response->location != NULL)
		added = added && header_add(mhd, "Location", response->location);
	if (response->cache != NULL)
		added = added && header_add(mhd, "Cache-Control", response->cache);
	if (response->varies)
		added = added && header_add(mhd, "Vary", "Accept");
	for (size_t i = 0; i < HEADER_COUNT; i++)
		if (response->header[i].name != NULL)
			added = added && header_add(mhd, response->header[i].name,
			                            response->header[i].value);
	if (response->close)
		added = added && header_add(mhd, "Connection", "close");
	return added;
}

/* The body, borrowed: in the blob or the exchange, which both outlive the sending, or static. */
static struct str body_of(const struct api_response *response)
{
	if (response->content_type == NULL)
		return STR("");
	return api_response_bytes(response);
}

static struct MHD_Response *response_make(const struct exchange *exchange, struct str body)
{
	/* libmicrohttpd only reads it, but takes no const. */
	union {
		const void *in;
		void *out;
	} data = {.in = body.data};
	struct MHD_Response *mhd =
		MHD_create_response_from_buffer(body.len, data.out, MHD_RESPMEM_PERSISTENT);

	if (mhd != NULL && !headers_add(mhd, exchange)) {
		MHD_destroy_response(mhd);
		mhd = NULL;
	}
	return mhd;
}

static struct MHD_Response *response_make_stream(struct exchange *exchange,
                                                 MHD_ContentReaderCallback read)
{
	uint64_t length = exchange->response.stream->length;
	struct MHD_Response *mhd = MHD_create_response_from_callback(
		length > 0 ? length : MHD_SIZE_UNKNOWN, length > 0 ? SLICE_BLOCK : STREAM_BLOCK,
		read, exchange, NULL);

	/*
	 * libmicrohttpd sends the last chunk even after HEAD, where no body may follow. So answer
	 * HEAD without chunks: then libmicrohttpd omits the unknown length and closes.
	 */
	bool chunks = length > 0 || exchange->request.method != API_HEAD;
	if (mhd != NULL &&
	    ((!chunks && MHD_set_response_options(mhd, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT,
	                                          MHD_RO_END) != MHD_YES) ||
	     !headers_add(mhd, exchange))) {
		MHD_destroy_response(mhd);
		mhd = NULL;
	}
	return mhd;
}

static bool prepared_says(const struct prepared *prepared, const struct api_response *response,
                          struct str body)
{
	return prepared->mhd != NULL && prepared->data == body.data && prepared->len == body.len &&
	       prepared->revision == response->revision &&
	       prepared->content_type == response->content_type &&
	       prepared->cache == response->cache && prepared->varies == response->varies &&
	       strcmp(prepared->etag, response->etag) == 0;
}

static void prepared_clear(struct prepared *prepared)
{
	if (prepared->mhd != NULL)
		MHD_destroy_response(prepared->mhd); /* connections that send it hold references */
	*prepared = (struct prepared){0};
}

static struct prepared *prepared_place(struct replies *replies, struct str body)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)body.data + body.len) * UINT64_C(0x9e3779b97f4a7c15);

	return &replies->slot[(mixed >> 32) % REPLIES_SLOTS];
}

static struct MHD_Response *reply_prepare(struct exchange *exchange, struct str body)
{
	const struct api_response *response = &exchange->response;
	struct prepared *prepared = prepared_place(&exchange->loop->replies, body);

	if (prepared_says(prepared, response, body))
		return prepared->mhd;
	struct MHD_Response *mhd = response_make(exchange, body);
	if (mhd == NULL)
		return NULL;
	prepared_clear(prepared);
	prepared->mhd = mhd;
	prepared->data = body.data;
	prepared->len = body.len;
	prepared->revision = response->revision;
	prepared->content_type = response->content_type;
	prepared->cache = response->cache;
	prepared->varies = response->varies;
	memcpy(prepared->etag, response->etag, sizeof(prepared->etag));
	return mhd;
}

int reply_queue(struct exchange *exchange, MHD_ContentReaderCallback read)
{
	const struct api_response *response = &exchange->response;
	struct replies *replies = &exchange->loop->replies;
	struct str body = body_of(response);
	/* HEAD of a stream without end gets the headers only. */
	bool streams = response->stream != NULL &&
	               (exchange->request.method != API_HEAD || response->stream->is_whole);
	bool once = streams || response->location != NULL || response->has_headers ||
	            response->close || body.len > REPLIES_BODY_MAX;

	if (response->revision > replies->revision)
		replies->revision = response->revision;
	struct MHD_Response *mhd = streams ? response_make_stream(exchange, read)
	                           : once  ? response_make(exchange, body)
	                                   : reply_prepare(exchange, body);
	if (mhd == NULL)
		return -ENOMEM;
	enum MHD_Result queued = MHD_queue_response(exchange->mhd, response->status, mhd);
	if (once)
		MHD_destroy_response(mhd); /* the connection holds a reference */
	return queued == MHD_YES ? 0 : -ENOMEM;
}

void replies_sweep(struct replies *replies)
{
	for (size_t i = 0; i < REPLIES_SLOTS; i++)
		if (replies->slot[i].mhd != NULL && replies->slot[i].revision < replies->revision)
			prepared_clear(&replies->slot[i]);
}

void replies_clear(struct replies *replies)
{
	for (size_t i = 0; i < REPLIES_SLOTS; i++)
		prepared_clear(&replies->slot[i]);
}
