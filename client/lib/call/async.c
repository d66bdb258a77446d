/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous calls, on the client's own loop, with the engine's lock held. Each waits in its
 * service's refresh until the registry has first answered, then begins from a timer. Invariant: a
 * call stays in client->calls until its done() has returned, so that rollcall_call_cancel() finds a
 * call whose done() another thread is running, and waits for it. Beginning a call inside
 * rollcall_call_start() would be simpler, but done() could then run before that function returns.
 */
#include "lib/call/async.h"

#include "lib/call/call.h"
#include "lib/service/discover.h"
#include "lib/service/refresh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct async_call {
	struct call call;
	struct async_call *next;     /* in client->calls */
	struct answer_waiter waiter; /* for the first answer of the registry */
	uint64_t id;
	rollcall_request request;
	rollcall_response response;
	rollcall_done_fn done;
	void *arg;
	struct notice notice;
	struct timer timer; /* begins the call, with or without a first answer */
	rollcall_pair headers[HEADERS_MAX];
	char *text; /* owned: all that request points to */
};

static void async_unlink(struct async_call *async)
{
	struct async_call **at = &async->call.context.client->calls;

	while (*at != async)
		at = &(*at)->next;
	*at = async->next;
	refresh_stop_waiting(async->call.context.service, &async->waiter);
}

static void async_free(struct async_call *async)
{
	rollcall_response_clear(&async->response);
	free(async->text);
	free(async);
}

static void async_deliver(struct notice *notice)
{
	struct async_call *async = container_of(notice, struct async_call, notice);
	rollcall_client *client = async->call.context.client;

	/* The call stays in the list meanwhile: rollcall_call_cancel() must find it to wait. */
	engine_unlock(&client->engine);
	call_fall_back(&async->call);
	async->done(client, async->response.error, &async->response, async->arg);
	engine_lock(&client->engine);
	async_unlink(async);
	async_free(async);
}

static void async_ended(struct call *call)
{
	struct async_call *async = container_of(call, struct async_call, call);

	engine_notify(&call->context.client->engine, &async->notice);
}

static void async_begin(struct async_call *async)
{
	refresh_stop_waiting(async->call.context.service, &async->waiter);
	call_begin(&async->call);
}

static void async_on_timer(struct timer *timer)
{
	async_begin(container_of(timer, struct async_call, timer));
}

static void async_on_answer(struct answer_waiter *waiter)
{
	struct async_call *async = container_of(waiter, struct async_call, waiter);
	struct engine *engine = &async->call.context.client->engine;

	loop_set_timer(&engine->loop, &async->timer, env_now(engine->env));
}

static size_t text_size(const char *text)
{
	return text == NULL ? 0 : strlen(text) + 1;
}

/* One allocation holds everything that the request points to. */
static int copy_request(struct async_call *async, const rollcall_request *from)
{
	rollcall_request *to = &async->request;
	size_t size = from->body_len + text_size(from->method) + text_size(from->path) +
	              text_size(from->key) + text_size(from->sticky) +
	              text_size(from->traceparent) + text_size(from->tracestate);

	for (size_t i = 0; i < from->header_count; i++)
		size += text_size(from->headers[i].name) + text_size(from->headers[i].value);
	async->text = malloc(size);
	if (async->text == NULL)
		return -ENOMEM;

	char *at = async->text;
	*to = *from;
	if (from->body != NULL) {
		if (from->body_len > 0)
			memcpy(at, from->body, from->body_len);
		to->body = at;
		at += from->body_len;
	}
	to->method = text_pack(&at, from->method);
	to->path = text_pack(&at, from->path);
	to->key = text_pack(&at, from->key);
	to->sticky = text_pack(&at, from->sticky);
	to->traceparent = text_pack(&at, from->traceparent);
	to->tracestate = text_pack(&at, from->tracestate);
	for (size_t i = 0; i < from->header_count; i++)
		async->headers[i] = (rollcall_pair){text_pack(&at, from->headers[i].name),
		                                    text_pack(&at, from->headers[i].value)};
	to->headers = async->headers;
	return 0;
}

static int64_t wait_for_answer_until(const struct async_call *async)
{
	const struct call *call = &async->call;
	const struct service *service = call->context.service;

	/* service->answer is written only with the engine's lock held, as it is here. */
	if (service->answer != -EAGAIN && service->answer != -ENOTCONN)
		return call->context.began_us;
	return min_i64(call->context.deadline_us,
	               call->context.began_us +
	                       us_of_ms(call->context.client->options.discover_timeout_ms));
}

static void async_start(struct async_call *async)
{
	struct call *call = &async->call;
	rollcall_client *client = call->context.client;

	async->id = ++client->next_call_id;
	async->next = client->calls;
	client->calls = async;
	refresh_start(call->context.service);
	refresh_wait(call->context.service, &async->waiter);
	loop_set_timer(&client->engine.loop, &async->timer, wait_for_answer_until(async));
	engine_kick(&client->engine);
}

int rollcall_call_start(rollcall_client *client, const char *name, const rollcall_request *given,
                        rollcall_done_fn done, void *arg, uint64_t *ret_id)
{
	rollcall_request request;
	struct service *service = NULL;

	if (done == NULL)
		return -EINVAL;
	int r = call_check_request(given, &request);
	if (r == 0)
		r = discover_prepare(client, name, &service);
	if (service == NULL)
		return r;
	struct async_call *async = calloc(1, sizeof(*async));
	if (async == NULL)
		return -ENOMEM;
	rollcall_response_init(&async->response);
	r = copy_request(async, &request);
	if (r < 0) {
		async_free(async);
		return r;
	}
	async->done = done;
	async->arg = arg;
	async->notice.deliver = async_deliver;
	async->timer.fire = async_on_timer;
	async->waiter.answered = async_on_answer;
	call_init(&async->call, service, &client->engine.loop, &async->request, &async->response,
	          async_ended);

	engine_lock(&client->engine);
	async_start(async);
	if (ret_id != NULL)
		*ret_id = async->id; /* before done() can run */
	engine_unlock(&client->engine);
	return 0;
}

static void async_drop(struct async_call *async)
{
	struct engine *engine = &async->call.context.client->engine;

	loop_clear_timer(&engine->loop, &async->timer);
	call_cancel(&async->call);
	async_unlink(async);
	async_free(async);
}

int rollcall_call_cancel(rollcall_client *client, uint64_t id)
{
	int r = -ENOENT;

	if (client == NULL)
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	engine_lock(&client->engine);
	for (struct async_call *one = client->calls; one != NULL; one = one->next) {
		if (one->id != id)
			continue;
		bool called = client->engine.delivering == &one->notice;

		/* If done() runs, this waits for async_deliver(), which frees the call. */
		engine_settle(&client->engine, &one->notice);
		if (!called) {
			async_drop(one);
			r = 0;
		}
		break;
	}
	engine_unlock(&client->engine);
	return r;
}

void async_calls_free(rollcall_client *client)
{
	struct async_call *next;

	for (struct async_call *one = client->calls; one != NULL; one = next) {
		next = one->next;
		if (client_forked(client))
			async_free(one);
		else
			async_drop(one);
	}
	client->calls = NULL;
}
