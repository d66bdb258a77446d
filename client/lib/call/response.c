/* SPDX-License-Identifier: MIT */
/* The public functions for requests and responses, which are plain values. */
#include "lib/transport/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RESPONSE (16U << 20)

void rollcall_request_init_sized(rollcall_request *request, size_t size)
{
	rollcall_request defaults = {.size = size, .max_response = MAX_RESPONSE};

	sized_out(request, size, &defaults, sizeof(defaults));
}

void rollcall_response_init_sized(rollcall_response *response, size_t size)
{
	memset(response, 0, size);
	response->size = size;
	response->outcome = ROLLCALL_CANCELLED;
}

void rollcall_response_clear(rollcall_response *response)
{
	free(response->body);
	free(response->headers);
	rollcall_response_init_sized(response, response->size);
}

int rollcall_response_set(rollcall_response *response, int status, const void *body,
                          size_t body_len)
{
	char *copy = NULL;

	if (body == NULL && body_len > 0)
		return -EINVAL;
	if (body != NULL) {
		copy = text_copy_n(body, body_len);
		if (copy == NULL)
			return -ENOMEM;
	}
	free(response->body);
	free(response->headers);
	response->headers = NULL;
	response->body = copy;
	response->body_len = body_len;
	response->status = status;
	return 0;
}

int rollcall_response_header(const rollcall_response *response, const char *name, char *out,
                             size_t size)
{
	size_t len;
	const char *value = head_find(response->headers, name, &len);

	if (value == NULL)
		return -ENOENT;
	if (len >= size)
		return -EMSGSIZE;
	memcpy(out, value, len);
	out[len] = '\0';
	return 0;
}

/* @return the number, or @p most if it is larger; -1: not a number */
static int64_t header_number(const char *text, int64_t most)
{
	int64_t number = 0;

	if (text == NULL || text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return -1;
	for (; *text != '\0'; text++)
		number = min_i64(most, number * 10 + (*text - '0'));
	return number;
}

int rollcall_request_inherit(rollcall_request *request,
                             const char *(*header)(const char *name, void *arg), void *arg)
{
	int64_t timeout_ms = header_number(header("Request-Timeout-Ms", arg), DAY_MS);
	int64_t retry_attempt = header_number(header("X-Retry-Attempt", arg), 1000);

	request->traceparent = header("traceparent", arg);
	if (request->size >= offsetof(rollcall_request, tracestate) + sizeof(request->tracestate))
		request->tracestate = header("tracestate", arg);
	request->retry_attempt = retry_attempt > 0 ? (uint32_t)retry_attempt : 0;
	if (timeout_ms < 0)
		return 0;
	if (timeout_ms == 0)
		return -ETIMEDOUT;
	if (request->timeout_ms == 0 || request->timeout_ms > timeout_ms)
		request->timeout_ms = (uint32_t)timeout_ms;
	return 0;
}
