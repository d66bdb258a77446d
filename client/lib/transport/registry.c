/* SPDX-License-Identifier: MIT */
/*
 * Sends requests to the registry; all of it runs with the engine's lock held. Invariant: inflight
 * is the number of busy requests that are neither queued nor long polls, and every way a request
 * can end passes registry_release_place(), which starts the next of the queue. The bound keeps a
 * client with a thousand registrations from opening a thousand connections when the registry comes
 * back; long polls are bounded by options.max_watches instead, because they would block the queue.
 */
#include "lib/transport/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AT_ONCE_MAX 8
#define ANSWER_MAX  (16U << 20)
#define PAUSE_MAX_S 60

/* --- addresses ------------------------------------------------------------------------------ */

static bool valid_address(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len > 0 && len < 256;
}

static int add_address(struct registry *registry, const char *text, size_t len)
{
	struct bytes address;
	bool full = strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
	size_t address_len;

	while (len > 0 && text[len - 1] == '/')
		len--;
	if (!valid_address(text, len) || registry->count == REGISTRY_ADDRESSES_MAX)
		return -EINVAL;
	if (!full && memmem(text, len, "://", 3) != NULL)
		return -EINVAL;
	bytes_init(&address, 512);
	if (!full)
		bytes_put(&address, "http://");
	bytes_add(&address, text, len);
	registry->addresses[registry->count] = bytes_take(&address, &address_len);
	bytes_fini(&address);
	if (registry->addresses[registry->count] == NULL)
		return -ENOMEM;
	registry->count++;
	return 0;
}

static int add_addresses(struct registry *registry, const char *list)
{
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		size_t blanks = strspn(list, " ");

		if (blanks < len) {
			size_t end = len;

			while (list[end - 1] == ' ')
				end--;
			int r = add_address(registry, list + blanks, end - blanks);
			if (r < 0)
				return r;
		}
		list += len;
		list += *list == ',';
	}
	return registry->count > 0 ? 0 : -EINVAL;
}

int registry_init(struct registry *registry, struct engine *engine,
                  const struct registry_options *options)
{
	*registry = (struct registry){
		.engine = engine,
		.timeout_ms = options->timeout_ms,
		.connect_ms = options->connect_ms,
		.history_changed = options->history_changed,
	};
	registry->queue_end = &registry->queue;

	int r = add_addresses(registry, options->addresses);
	if (r < 0 || options->token == NULL)
		return r;

	struct bytes line;
	size_t len;
	bytes_init(&line, 16U << 10);
	bytes_put(&line, "Bearer ");
	bytes_put(&line, options->token);
	registry->authorization = bytes_take(&line, &len);
	bytes_fini(&line);
	return registry->authorization == NULL ? -ENOMEM : 0;
}

void registry_fini(struct registry *registry)
{
	for (size_t i = 0; i < registry->count; i++)
		free(registry->addresses[i]);
	free(registry->authorization);
	registry->authorization = NULL;
	registry->count = 0;
}

/* --- requests ------------------------------------------------------------------------------- */

static void registry_start(struct registry_request *request);

static void registry_dequeue(struct registry_request *request)
{
	struct registry *registry = request->registry;

	for (struct registry_request **at = &registry->queue; *at != NULL; at = &(*at)->next) {
		if (*at != request)
			continue;
		*at = request->next;
		if (registry->queue_end == &request->next)
			registry->queue_end = at;
		break;
	}
	request->queued = false;
}

static void registry_release_place(struct registry_request *request)
{
	struct registry *registry = request->registry;

	if (request->wait_ms > 0)
		return;
	registry->inflight--;
	if (registry->queue != NULL) {
		struct registry_request *next = registry->queue;

		registry_dequeue(next);
		registry->inflight++;
		registry_start(next);
	}
}

static void registry_end(struct registry_request *request)
{
	struct registry *registry = request->registry;

	if (registry_failed(request))
		registry->failures++;
	request->busy = false;
	registry_release_place(request);
	request->done(request);
}

bool registry_failed(const struct registry_request *request)
{
	return request->exchange.error < 0 || request->exchange.status >= 500;
}

uint64_t registry_answer_history(const struct registry_request *request)
{
	return head_hex64(request->exchange.head.data, "X-Rollcall-History");
}

/* An address that is no longer in use may still answer earlier requests. Its history is not noted:
 * the two would alternate, and each change makes the client read and register everything again. */
static void registry_note_history(const struct registry_request *request)
{
	struct registry *registry = request->registry;
	uint64_t history = registry_answer_history(request);
	uint64_t before = registry->history;

	if (registry_failed(request) || history == 0 || history == before ||
	    request->address != registry->current)
		return;
	registry->history = history;
	if (before == 0)
		return;
	registry->history_us = env_now(registry->engine->loop.env);
	registry->history_changed(registry);
}

static void registry_exchanged(struct exchange *exchange)
{
	struct registry_request *request =
		container_of(exchange, struct registry_request, exchange);
	struct registry *registry = request->registry;

	registry_note_history(request);
	if (registry_failed(request) && registry->count > 1) {
		if (registry->current == request->address) {
			registry->current = (registry->current + 1) % registry->count;
			registry->failovers++;
		}
		if (++request->tries < registry->count) {
			registry_start(request);
			return;
		}
	}
	registry_end(request);
}

/* A request that could not be started ends in the next step, as all others do. */
static void registry_could_not_start(struct timer *timer)
{
	registry_end(container_of(timer, struct registry_request, failed));
}

static int registry_prepare(struct registry_request *request)
{
	struct registry *registry = request->registry;
	struct exchange *exchange = &request->exchange;
	struct bytes url;
	size_t len;

	if (request->path == NULL)
		return -ENOMEM;
	request->address = registry->current;
	bytes_init(&url, 16U << 10);
	bytes_put(&url, registry->addresses[request->address]);
	bytes_put(&url, request->path);
	free(request->url);
	request->url = bytes_take(&url, &len);
	bytes_fini(&url);
	if (request->url == NULL)
		return -ENOMEM;

	exchange->url = request->url;
	exchange->headers = request->headers;
	exchange->header_count = 0;
	if (request->body != NULL)
		request->headers[exchange->header_count++] =
			(rollcall_pair){"Content-Type", "application/json"};
	if (registry->authorization != NULL)
		request->headers[exchange->header_count++] =
			(rollcall_pair){"Authorization", registry->authorization};
	exchange->body = request->body;
	exchange->body_len = request->body == NULL ? 0 : strlen(request->body);
	exchange->connect_ms = registry->connect_ms;
	exchange->timeout_ms = registry->timeout_ms + request->wait_ms;
	return 0;
}

static void registry_start(struct registry_request *request)
{
	struct registry *registry = request->registry;
	struct loop *loop = &registry->engine->loop;

	exchange_reset(&request->exchange);
	registry->requests++;
	int r = registry_prepare(request);
	if (r == 0)
		r = loop->transport->start(loop->transport, &request->exchange);
	if (r < 0) {
		request->exchange.error = r;
		loop_set_timer(loop, &request->failed, env_now(loop->env));
	}
	engine_kick(registry->engine);
}

void registry_request_init(struct registry_request *request, struct registry *registry,
                           void (*done)(struct registry_request *request))
{
	*request = (struct registry_request){.registry = registry, .done = done};
	exchange_init(&request->exchange, ANSWER_MAX);
	request->exchange.done = registry_exchanged;
	request->failed.fire = registry_could_not_start;
}

void registry_request_fini(struct registry_request *request)
{
	struct registry *registry = request->registry;

	if (registry == NULL)
		return;
	if (request->queued) {
		registry_dequeue(request);
	} else if (request->busy) {
		struct transport *transport = registry->engine->loop.transport;

		loop_clear_timer(&registry->engine->loop, &request->failed);
		transport->cancel(transport, &request->exchange);
		registry_release_place(request);
	}
	request->busy = false;
	registry_request_trim(request);
}

void registry_put_service(struct bytes *path, const char *service)
{
	bytes_put(path, "/v1/services/");
	bytes_put_segment(path, service);
}

void registry_request_trim(struct registry_request *request)
{
	exchange_fini(&request->exchange);
	free(request->path);
	free(request->url);
	free(request->body);
	request->path = request->url = request->body = NULL;
}

void registry_send(struct registry_request *request, const char *method, char *path, char *body,
                   uint32_t wait_ms)
{
	struct registry *registry = request->registry;

	free(request->path);
	free(request->body);
	request->path = path;
	request->body = body;
	request->exchange.method = method;
	request->wait_ms = wait_ms;
	request->tries = 0;
	request->busy = true;
	if (wait_ms == 0 && registry->inflight >= AT_ONCE_MAX) {
		request->queued = true;
		request->next = NULL;
		*registry->queue_end = request;
		registry->queue_end = &request->next;
		return;
	}
	registry->inflight += wait_ms == 0;
	registry_start(request);
}

int64_t registry_pause_us(const struct registry_request *request)
{
	int64_t seconds = head_number(request->exchange.head.data, "Retry-After");

	return seconds <= 0 ? 0 : min_i64(seconds, PAUSE_MAX_S) * US_PER_S;
}
