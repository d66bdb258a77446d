/* SPDX-License-Identifier: MIT */
/* Calls as callers see them: blocking on a borrowed loop, or asynchronous on the client's. */
#include "lib/call/call.h"
#include "lib/service/discover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- blocking ------------------------------------------------------------------------------- */

struct blocking_call {
	struct call call;
	bool ended;
};

static void blocking_ended(struct call *call)
{
	container_of(call, struct blocking_call, call)->ended = true;
}

static void await_first_answer(struct service *service, int64_t deadline_us)
{
	const rollcall_client *client = service->client;

	service_lock(service);
	int answer = service->answer;
	service_unlock(service);
	if (answer == -EAGAIN || answer == -ENOTCONN)
		discover_await(service,
		               min_i64(deadline_us,
		                       env_now(&client->env) +
		                               us_of_ms(client->options.discover_timeout_ms)));
}

static int run_blocking(struct service *service, const rollcall_request *request,
                        rollcall_response *response)
{
	rollcall_client *client = service->client;
	struct call_loop *borrowed = client_borrow_loop(client);
	struct blocking_call blocking = {0};
	struct call *call = &blocking.call;

	if (borrowed == NULL)
		return -ENOMEM;
	struct loop *loop = &borrowed->loop;
	call->client = client;
	call->service = service;
	call->loop = loop;
	call->request = request;
	call->response = response;
	call->ended = blocking_ended;
	call->began_us = env_now(&client->env);
	call->deadline_us = call_deadline(service, request, call->began_us);
	await_first_answer(service, call->deadline_us);
	call_begin(call);
	while (!blocking.ended) {
		int64_t due = loop_due_us(loop);

		if (due != 0) /* else something has ended already */
			loop_wait(loop, due);
		loop_step(loop);
	}
	client_return_loop(client, borrowed);
	call_fall_back(call);
	return response->error;
}

int rollcall_call(rollcall_client *client, const char *name, const rollcall_request *given,
                  rollcall_response *response)
{
	rollcall_request request;
	struct service *service;

	if (response == NULL || response->size < offsetof(rollcall_response, refused))
		return -EINVAL;
	rollcall_response_clear(response);
	int r = call_check_request(given, &request);
	if (r == 0)
		r = discover_prepare(client, name, &service);
	if (r == 0)
		r = run_blocking(service, &request, response);
	response->error = r;
	return r;
}

/* --- asynchronous --------------------------------------------------------------------------- */

struct async_call {
	struct call call;
	struct async_call *next;         /* in client->calls */
	struct async_call *next_waiting; /* in its service's refresh.waiting */
	uint64_t id;
	bool waiting; /* for the first answer of the registry */
	rollcall_request request;
	rollcall_response response;
	rollcall_done_fn done;
	void *arg;
	struct notice notice;
	struct timer timer; /* begins, when it need not or must no longer wait */
	rollcall_pair headers[HEADERS_MOST];
	char *text; /* owned: all that request points to */
};

static void unlink_call(struct async_call *async)
{
	struct async_call **at = &async->call.client->calls;

	while (*at != async)
		at = &(*at)->next;
	*at = async->next;
	if (!async->waiting)
		return;
	at = &async->call.service->refresh.waiting;
	while (*at != async)
		at = &(*at)->next_waiting;
	*at = async->next_waiting;
	async->waiting = false;
}

static void async_free(struct async_call *async)
{
	rollcall_response_clear(&async->response);
	free(async->text);
	free(async);
}

static void deliver(struct notice *notice)
{
	struct async_call *async = container_of(notice, struct async_call, notice);
	rollcall_client *client = async->call.client;

	/* It stays in the list meanwhile, so that rollcall_call_cancel() finds what to wait for. */
	engine_unlock(&client->engine);
	call_fall_back(&async->call);
	async->done(client, async->response.error, &async->response, async->arg);
	engine_lock(&client->engine);
	unlink_call(async);
	async_free(async);
}

static void async_ended(struct call *call)
{
	struct async_call *async = container_of(call, struct async_call, call);

	engine_notify(&call->client->engine, &async->notice);
}

static void begin(struct async_call *async)
{
	struct async_call **at = &async->call.service->refresh.waiting;

	if (async->waiting) {
		while (*at != async)
			at = &(*at)->next_waiting;
		*at = async->next_waiting;
		async->waiting = false;
	}
	call_begin(&async->call);
}

static void on_timer(struct timer *timer)
{
	begin(container_of(timer, struct async_call, timer));
}

void async_calls_go_on(struct service *service)
{
	struct engine *engine = &service->client->engine;
	struct async_call *first = NULL;
	struct async_call *next;

	/* The last to come is the first in the list: turned round, they begin in order. */
	for (struct async_call *one = service->refresh.waiting; one != NULL; one = next) {
		next = one->next_waiting;
		one->next_waiting = first;
		first = one;
	}
	service->refresh.waiting = first;
	for (struct async_call *one = first; one != NULL; one = one->next_waiting)
		loop_set_timer(&engine->loop, &one->timer, env_now(engine->env));
}

static size_t text_size(const char *text)
{
	return text == NULL ? 0 : strlen(text) + 1;
}

static const char *put_text(char **at, const char *text)
{
	size_t size = text_size(text);
	char *copy = *at;

	if (text == NULL)
		return NULL;
	memcpy(copy, text, size);
	*at += size;
	return copy;
}

/* One allocation holds all that the request points to. */
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
	to->method = put_text(&at, from->method);
	to->path = put_text(&at, from->path);
	to->key = put_text(&at, from->key);
	to->sticky = put_text(&at, from->sticky);
	to->traceparent = put_text(&at, from->traceparent);
	to->tracestate = put_text(&at, from->tracestate);
	for (size_t i = 0; i < from->header_count; i++)
		async->headers[i] = (rollcall_pair){put_text(&at, from->headers[i].name),
		                                    put_text(&at, from->headers[i].value)};
	to->headers = async->headers;
	return 0;
}

static int64_t wait_for_answer_until(const struct async_call *async)
{
	const struct call *call = &async->call;
	const struct service *service = call->service;

	/* ->answer is written with the engine's lock held, as it is here. */
	if (service->answer != -EAGAIN && service->answer != -ENOTCONN)
		return call->began_us;
	return min_i64(call->deadline_us,
	               call->began_us + us_of_ms(call->client->options.discover_timeout_ms));
}

static void start(struct async_call *async)
{
	struct call *call = &async->call;
	rollcall_client *client = call->client;

	async->id = ++client->next_call_id;
	async->next = client->calls;
	client->calls = async;
	refresh_start(call->service);
	async->waiting = true;
	async->next_waiting = call->service->refresh.waiting;
	call->service->refresh.waiting = async;
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
	async->notice.deliver = deliver;
	async->timer.fire = on_timer;
	async->call.client = client;
	async->call.service = service;
	async->call.loop = &client->engine.loop;
	async->call.request = &async->request;
	async->call.response = &async->response;
	async->call.ended = async_ended;
	async->call.began_us = env_now(&client->env);
	async->call.deadline_us = call_deadline(service, &async->request, async->call.began_us);

	engine_lock(&client->engine);
	start(async);
	if (ret_id != NULL)
		*ret_id = async->id; /* before done() can look for it */
	engine_unlock(&client->engine);
	return 0;
}

static void drop(struct async_call *async)
{
	struct engine *engine = &async->call.client->engine;

	loop_clear_timer(&engine->loop, &async->timer);
	if (async->call.route != NULL)
		call_cancel(&async->call);
	unlink_call(async);
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

		engine_settle(&client->engine, &one->notice); /* deliver() frees what it calls */
		if (!called) {
			drop(one);
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
			drop(one);
	}
	client->calls = NULL;
}
