/* SPDX-License-Identifier: MIT */
/**
 * From a struct api_response to bytes on the wire, with as little work as can be: the same answer
 * twice needs one struct MHD_Response, prepared once. Blobs are remembered by address in a table of
 * the loop; other bodies in the exchange that holds their buffer. Loop's thread only.
 */
#pragma once

#include "base/attr.h"
#include "base/blob.h"

#include <stddef.h>
#include <stdint.h>

struct api_response;
struct exchange;
struct MHD_Response;

#define REPLIES_SLOTS    1024
#define REPLIES_BLOB_MAX 32768 /* bytes; larger bodies cost more to send than to prepare */

/** One prepared answer and what it says. */
struct prepared {
	struct MHD_Response *mhd; /* NULL: empty */
	struct blob *blob;        /* a reference, when the body is one */
	const void *data;
	size_t len;
	uint64_t revision;
	const char *content_type;
	char etag[48];
};

struct replies {
	struct prepared slot[REPLIES_SLOTS];
	uint64_t revision; /* the latest seen */
};

/** Queues exchange->response on its connection. @return 0 or -ENOMEM */
int reply_queue(struct exchange *exchange) MUST_USE;
void prepared_clear(struct prepared *prepared);
/** Drops what was prepared before the latest revision: it keeps blobs alive that nobody asks for.
 */
void replies_sweep(struct replies *replies);
void replies_clear(struct replies *replies);
