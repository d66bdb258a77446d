/* SPDX-License-Identifier: MIT */
/**
 * From a struct api_response to bytes on the wire, with as little work as can be: the same answer
 * twice needs one struct MHD_Response, prepared once. What was prepared is remembered by where its
 * body stands and how long it is. Bodies of requests that follow each other stand in the same
 * buffer, and seldom have more than a few lengths. Loop's thread only.
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
 * One prepared answer and what it says. It keeps no reference to its body: it is sent only for an
 * exchange that has one at this very place, with whatever is in it by then.
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
	uint64_t revision; /* the latest seen */
};

/**
 * Queues exchange->response on its connection.
 * @param read  returns the next bytes of a response that is a stream; its first argument is @p
 * exchange
 * @return 0 or -ENOMEM
 */
int reply_queue(struct exchange *exchange, MHD_ContentReaderCallback read) MUST_USE;
/** Drops what was prepared before the latest revision: no answer says that any more. */
void replies_sweep(struct replies *replies);
void replies_clear(struct replies *replies);
