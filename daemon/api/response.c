/* SPDX-License-Identifier: MIT */
#include "api/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX (256u << 20) /* bytes of one answer */

/** All but the body. */
static void clear(struct api_response *response)
{
	response->status = 0;
	response->content_type = NULL;
	response->blob = NULL;
	response->lent = (struct str){NULL, 0};
	response->etag[0] = '\0';
	response->revision = 0;
	response->location = NULL;
	response->cache = NULL;
	response->varies = false;
	if (response->has_headers)
		response_drop_headers(response);
	response->refuse = NULL;
	response->close = false;
	response->stream = NULL;
}

/** All but the body. */
static void release(struct api_response *response)
{
	if (response->stream != NULL)
		response->stream->close(response->stream);
	blob_unref(response->blob);
	free(response->location);
}

void api_response_init(struct api_response *response)
{
	response_drop_headers(response);
	clear(response);
	buf_init(&response->body, ANSWER_MAX);
}

void api_response_fini(struct api_response *response)
{
	release(response);
	buf_fini(&response->body);
}

void api_response_renew(struct api_response *response)
{
	release(response);
	clear(response);
	buf_reset(&response->body);
}

void response_header(struct api_response *response, enum api_header_place place, const char *format,
                     ...)
{
	static const char *const names[HEADER_COUNT] = {
		[HEADER_ALLOW] = "Allow",
		[HEADER_RETRY_AFTER] = "Retry-After",
		[HEADER_EXPIRY_HELD] = "X-Rollcall-Expiry-Held",
		[HEADER_ACCEL_BUFFERING] = "X-Accel-Buffering",
	};
	struct api_header *header = &response->header[place];
	va_list args;

	response->has_headers = true;
	header->name = names[place];
	va_start(args, format);
	(void)vsnprintf(header->value, sizeof(header->value), format, args);
	va_end(args);
}

void response_drop_headers(struct api_response *response)
{
	for (size_t i = 0; i < HEADER_COUNT; i++)
		response->header[i].name = NULL;
	response->has_headers = false;
}
