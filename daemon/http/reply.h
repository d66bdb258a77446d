/* SPDX-License-Identifier: MIT */
/**
 * Turns a struct api_response into a struct MHD_Response and queues it. Answers that repeat share
 * one prepared MHD_Response, found by address and length of the body: the bodies of successive
 * requests stand in the same buffer and have few different lengths. Loop's thread only.
 */
#pragma once

#include "base/attr.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_response;
struct exchange;
struct MHD_Response;

#define REPLIES_SLOTS    1024
#define REPLIES_BODY_MAX 32768 /* bytes; larger bodies cost more to send than to prepare */

/**
 * One prepared answer and what it was made from. It holds no reference to the body: it is used
 * only for an exchange whose body is at this address now, and sends what is there then.
 */
struct prepared {
	struct MHD_Response *mhd; /* NULL: empty */
	const void *data;
	size_t len;
	uint64_t revision;
	const char *content_type;
	const char *cache;
	bool varies;
	char etag[48];
};

struct replies {
	struct prepared slot[REPLIES_SLOTS];
	uint64_t revision; /* the latest that an answer has had */
};

/**
 * Queues exchange->response on its connection.
 * @param read  returns the next bytes of a response that is a stream; its first argument is @p
 * exchange
 * @return 0 or -ENOMEM
 */
int reply_queue(struct exchange *exchange, MHD_ContentReaderCallback read) MUST_USE;
/** Frees what was prepared for revisions before the latest: no answer will match it again. */
void replies_sweep(struct replies *replies);
void replies_clear(struct replies *replies);
