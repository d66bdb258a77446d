/* SPDX-License-Identifier: MIT */
/**
 * A small replacement of api/, to test http/ alone. The path of a request selects the answer
 * (api_handle()). Include this in one file of a test program: it defines the functions of api/, so
 * that the linker takes only the list of problems from there.
 */
#pragma once

#include "api/api.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_BODY_MAX 65536
#define FAKE_WATCH_MS 5000
#define FAKE_HISTORY  "1f3a9c07d2b4e658"

struct api {
	atomic_uint handled;
	atomic_uint finished;
	atomic_uint abandoned;
	_Atomic(uint64_t) revision;
	struct blob *blob;
	struct blob *large;
	pthread_mutex_t lock;
	pthread_cond_t parked_more;
	struct api_request *parked[4096];
	unsigned parked_count;
	struct api_stream *(*stream)(struct api_request *request); /* opens the answer to /stream */
};

static inline void fake_init(struct api *api)
{
	memset(api, 0, sizeof(*api));
	api->revision = 17;
	api->blob = blob_from("{\"shared\":true}", 15);
	api->large = blob_new(16u << 20);
	memset(api->large->data, 'x', api->large->len);
	pthread_mutex_init(&api->lock, NULL);
	pthread_cond_init(&api->parked_more, NULL);
}

static inline void fake_fini(struct api *api)
{
	blob_unref(api->blob);
	blob_unref(api->large);
	pthread_mutex_destroy(&api->lock);
	pthread_cond_destroy(&api->parked_more);
}

/* Waits until @p count requests are parked, then wakes them all from this thread. */
static inline void fake_wake(struct api *api, unsigned count)
{
	struct api_request *woken[4096];

	pthread_mutex_lock(&api->lock);
	while (api->parked_count < count)
		pthread_cond_wait(&api->parked_more, &api->lock);
	memcpy(woken, api->parked, count * sizeof(woken[0]));
	api->parked_count -= count;
	memmove(api->parked, api->parked + count, api->parked_count * sizeof(api->parked[0]));
	pthread_mutex_unlock(&api->lock);
	for (unsigned i = 0; i < count; i++)
		woken[i]->wake(woken[i]);
}

static inline void fake_wait_parked(struct api *api, unsigned count)
{
	pthread_mutex_lock(&api->lock);
	while (api->parked_count < count)
		pthread_cond_wait(&api->parked_more, &api->lock);
	pthread_mutex_unlock(&api->lock);
}

static inline void fake_park(struct api *api, struct api_request *request)
{
	request->park = malloc(1); /* leaks unless http/ finishes or abandons the request */
	pthread_mutex_lock(&api->lock);
	api->parked[api->parked_count++] = request;
	pthread_cond_broadcast(&api->parked_more);
	pthread_mutex_unlock(&api->lock);
}

static inline bool is(struct api_request *request, const char *path)
{
	return str_equal(request->target, str_of(path));
}

void api_response_init(struct api_response *response)
{
	memset(response, 0, sizeof(*response));
	buf_init(&response->body, 1 << 20);
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
	api_response_fini(response);
	api_response_init(response);
}

const char *api_history_text(const struct api *api)
{
	(void)api;
	return FAKE_HISTORY;
}

uint64_t api_body_max(const struct api *api, struct api_request *request)
{
	(void)api;
	if (str_equal(request->target, STR("/tight")))
		return 100;
	return request->method == API_PUT || request->method == API_POST ? FAKE_BODY_MAX : 0;
}

void api_release(struct api *api, struct api_request *request)
{
	(void)api, (void)request;
}

void api_problem(const struct api_request *request, struct api_response *response,
                 enum problem code, const char *format, ...)
{
	char detail[512];
	va_list args;

	(void)request;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	response->status = problem_codes[code].status;
	response->content_type = "application/problem+json";
	buf_reset(&response->body);
	buf_printf(&response->body, "{\"code\":\"%s\",\"detail\":\"%s\"}", problem_codes[code].slug,
	           detail);
}

static inline void fake_echo(struct api_request *request, struct api_response *response)
{
	struct str type = api_header(request, STR("content-type"));
	struct str accept = api_header(request, STR("accept"));
	struct str agent = api_header(request, STR("user-agent"));
	struct buf *out = &response->body;

	buf_printf(out, "method=%d target=%.*s peer=%.*s type=%.*s accept=%.*s agent=%.*s body=",
	           (int)request->method, (int)request->target.len, request->target.data,
	           (int)request->peer.len, request->peer.data, (int)type.len, type.data,
	           (int)accept.len, accept.data, (int)agent.len, agent.data);
	buf_put_str(out, request->body);
}

enum api_result api_handle(struct api *api, struct api_request *request,
                           struct api_response *response)
{
	unsigned nth = atomic_fetch_add(&api->handled, 1);

	response->status = 200;
	response->content_type = "text/plain";
	response->revision = atomic_load(&api->revision);
	if (is(request, "/watch")) {
		request->park_until_ms = clock_ms() + FAKE_WATCH_MS;
		fake_park(api, request);
		return API_PARKED;
	}
	if (is(request, "/park") || is(request, "/park-twice")) {
		fake_park(api, request);
		return API_PARKED;
	}
	if (is(request, "/park-woken")) { /* the writer woke it before api_handle() returned */
		request->park = malloc(1);
		request->wake(request);
		return API_PARKED;
	}
	if (is(request, "/stream")) {
		response->stream = api->stream(request);
	} else if (is(request, "/blob")) {
		response->blob = blob_ref(api->blob);
		memcpy(response->etag, "\"17\"", 5);
	} else if (is(request, "/lent")) {
		response->lent = STR("{\"lent\":true}");
	} else if (is(request, "/count")) {
		buf_printf(&response->body, "%08u", nth);
	} else if (is(request, "/large")) {
		response->blob = blob_ref(api->large);
	} else if (is(request, "/made")) {
		buf_put(&response->body, "made");
	} else if (is(request, "/etag-a") || is(request, "/etag-b")) {
		buf_put(&response->body, "made");
		memcpy(response->etag, request->target.data + 1, 6);
	} else if (is(request, "/kept") || is(request, "/kept-varies") || is(request, "/never")) {
		response->cache = is(request, "/never") ? "no-store" : "no-cache";
		response->varies = is(request, "/kept-varies");
		buf_put(&response->body, "made");
	} else if (is(request, "/204") || is(request, "/304")) {
		response->status = is(request, "/204") ? 204 : 304;
		response->content_type = NULL;
	} else if (is(request, "/created")) {
		response->status = 201;
		response->location = strdup("/v1/made");
		response->has_headers = true;
		response->header[HEADER_RETRY_AFTER].name = "Retry-After";
		memcpy(response->header[HEADER_RETRY_AFTER].value, "3", 2);
		buf_put(&response->body, "made");
	} else {
		fake_echo(request, response);
	}
	return API_DONE;
}

enum api_result api_finish(struct api *api, struct api_request *request,
                           struct api_response *response)
{
	atomic_fetch_add(&api->finished, 1);
	free(request->park);
	request->park = NULL;
	if (is(request, "/park-twice") && response->body.len == 0) {
		buf_put(&response->body, "twice ");
		fake_park(api, request);
		return API_PARKED;
	}
	response->status = 200;
	response->content_type = "text/plain";
	buf_put(&response->body, "parked");
	return API_DONE;
}

void api_abandon(struct api *api, struct api_request *request)
{
	if (request->park == NULL)
		abort(); /* as api/ does */
	atomic_fetch_add(&api->abandoned, 1);
	free(request->park);
	request->park = NULL;
}

void api_sent(struct api_request *request, bool sent)
{
	(void)sent;
	request->sending = NULL; /* this API never sets it */
}

bool api_expire(struct api *api, struct api_request *request)
{
	bool found = false;

	pthread_mutex_lock(&api->lock);
	for (unsigned i = 0; i < api->parked_count; i++) {
		if (api->parked[i] == request) {
			api->parked[i] = api->parked[--api->parked_count];
			found = true;
			break;
		}
	}
	pthread_mutex_unlock(&api->lock);
	return found;
}
