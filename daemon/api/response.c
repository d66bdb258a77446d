/* SPDX-License-Identifier: MIT */
#include "api/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX (256u << 20) /* bytes of one answer */

void api_response_init(struct api_response *response)
{
	response->status = 0;
	response->content_type = NULL;
	response->blob = NULL;
	response->lent = (struct str){NULL, 0};
	buf_init(&response->body, ANSWER_MAX);
	response->etag[0] = '\0';
	response->revision = 0;
	response->location = NULL;
	response->cache = NULL;
	response->varies = false;
	response_drop_headers(response);
	response->refuse = NULL;
	response->close = false;
	response->stream = NULL;
}

void api_response_fini(struct api_response *response)
{
	if (response->stream != NULL)
		response->stream->close(response->stream);
	blob_unref(response->blob);
	buf_fini(&response->body);
	free(response->location);
}

void api_response_renew(struct api_response *response)
{
	struct buf kept = response->body;

	response->body = (struct buf){0};
	api_response_fini(response);
	api_response_init(response);
	response->body.data = kept.data;
	response->body.size = kept.size;
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

	header->name = names[place];
	va_start(args, format);
	(void)vsnprintf(header->value, sizeof(header->value), format, args);
	va_end(args);
}

void response_drop_headers(struct api_response *response)
{
	for (size_t i = 0; i < HEADER_COUNT; i++)
		response->header[i].name = NULL;
}
