/* SPDX-License-Identifier: MIT */
#include "api/problem.h"

#include "base/check.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL_SIZE 512
#define PROBLEM_MAX 16384 /* bytes of one problem document */

void field_errors_init(struct field_errors *errors)
{
	errors->count = 0;
	errors->text[0] = '\0';
	buf_init(&errors->list, PROBLEM_MAX / 2);
}

void field_errors_fini(struct field_errors *errors)
{
	buf_fini(&errors->list);
}

/** Makes what was cut, or came from a peer, safe to show: UTF-8 as far as it goes. */
static struct str presentable(char *text, size_t size, int length)
{
	size_t len = length < 0 ? 0 : (size_t)length;

	if (len >= size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		text[len] = '\0';
	}
	if (!parse_is_utf8((struct str){text, len}))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)text[i] >= 0x80)
				text[i] = '?';
	return (struct str){text, len};
}

/** A field's name as a JSON pointer (RFC 6901), quoted for JSON. */
static void put_pointer(struct buf *out, struct str field)
{
	char text[128];
	size_t len = 0;

	text[len++] = '/';
	for (size_t i = 0; i < field.len && len + 2 < sizeof(text); i++) {
		char c = field.data[i];

		if (c == '~' || c == '/') {
			text[len++] = '~';
			text[len++] = c == '~' ? '0' : '1';
		} else {
			text[len++] = c;
		}
	}
	while (!parse_is_utf8((struct str){text, len}))
		len--; /* cut in the middle of a character */
	buf_put_json(out, (struct str){text, len});
}

void field_error(struct field_errors *errors, struct str field, const char *format, ...)
{
	char text[DETAIL_SIZE];
	va_list args;

	size_t before = errors->list.len;

	if (errors->count++ >= FIELD_ERRORS_MAX)
		return;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	buf_put(&errors->list, before > 0 ? ",{\"pointer\":" : "{\"pointer\":");
	put_pointer(&errors->list, field);
	buf_put(&errors->list, ",\"detail\":");
	buf_put_json(&errors->list, presentable(text, sizeof(text), len));
	buf_put_char(&errors->list, '}');
	if (buf_error(&errors->list) == -EMSGSIZE) { /* it is only counted; the ones before stay */
		buf_reset(&errors->list);
		errors->list.len = before;
	}
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

static const char *title_of(unsigned status, const char *code)
{
	const struct problem_code *known = problem_find(str_of(code));

	if (known != NULL)
		return known->title;
	return status >= 500 ? "The request could not be served" : "The request was refused";
}

/** Drops what was answered so far and begins the document, up to and without its end. */
static void begin(struct api_response *response, unsigned status, const char *code,
                  struct str detail)
{
	struct buf *out = &response->body;

	blob_unref(response->blob);
	response->blob = NULL;
	free(response->location);
	response->location = NULL;
	response->etag[0] = '\0';
	response_drop_headers(response);
	response->cache = CACHE_NEVER;
	response->status = status;
	response->content_type = "application/problem+json";
	buf_reset(out);

	buf_put(out, "{\"type\":\"/problems/");
	buf_put(out, code);
	buf_put(out, "\",\"title\":");
	buf_put_json(out, str_of(title_of(status, code)));
	buf_put(out, ",\"status\":");
	buf_put_u64(out, status);
	buf_put(out, ",\"detail\":");
	buf_put_json(out, detail);
	buf_put(out, ",\"code\":\"");
	buf_put(out, code);
	buf_put_char(out, '"');
}

static void finish(struct api_response *response)
{
	buf_put(&response->body, "}\n");
	if (buf_error(&response->body) < 0)
		response->content_type = NULL; /* out of memory: the status alone must do */
	if (response->status == 503 || response->status == 429)
		response_header(response, HEADER_RETRY_AFTER, "1");
}

void api_problem(struct api_response *response, unsigned status, const char *code,
                 const char *format, ...)
{
	char text[DETAIL_SIZE];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	begin(response, status, code, presentable(text, sizeof(text), len));
	finish(response);
}

void problem(struct api_response *response, const char *code, const char *format, ...)
{
	const struct problem_code *known = problem_find(str_of(code));
	char text[DETAIL_SIZE];
	va_list args;

	CHECK(known != NULL);
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	begin(response, known->status, code, presentable(text, sizeof(text), len));
	finish(response);
}

void problem_fields(struct api_response *response, struct field_errors *errors)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%u field%s of the body %s wrong", errors->count,
	                   errors->count == 1 ? "" : "s", errors->count == 1 ? "is" : "are");

	if (buf_error(&errors->list) < 0) {
		problem_errno(response, buf_error(&errors->list));
		return;
	}
	begin(response, 422, "invalid-body", presentable(text, sizeof(text), len));
	buf_put(&response->body, ",\"errors\":[");
	buf_put_str(&response->body, (struct str){errors->list.data, errors->list.len});
	buf_put_char(&response->body, ']');
	finish(response);
}

void problem_compacted(struct api_response *response, uint64_t oldest, int64_t oldest_ms,
                       const char *format, ...)
{
	char text[DETAIL_SIZE];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	begin(response, 410, "compacted", presentable(text, sizeof(text), len));
	buf_put(&response->body, ",\"oldest_revision\":");
	buf_put_u64(&response->body, oldest);
	if (oldest_ms != 0) {
		buf_put(&response->body, ",\"oldest_time\":");
		buf_put_time(&response->body, oldest_ms);
	}
	finish(response);
}

void problem_ahead(struct api_response *response, uint64_t since, uint64_t latest)
{
	char text[DETAIL_SIZE];
	int len = snprintf(text, sizeof(text),
	                   "this registry has not come to revision %" PRIu64
	                   ": read the present state, then go on with since=%" PRIu64,
	                   since, latest);

	begin(response, 410, "revision-ahead", presentable(text, sizeof(text), len));
	buf_put(&response->body, ",\"latest_revision\":");
	buf_put_u64(&response->body, latest);
	finish(response);
}
