/* SPDX-License-Identifier: MIT */
/* Blocking calls: each runs on a loop of its own, in the thread of its caller. */
#include "lib/call/call.h"
#include "lib/service/discover.h"

#include <errno.h>
#include <stddef.h>

struct blocking_call {
	struct call call;
	bool ended;
};

static void blocking_ended(struct call *call)
{
	container_of(call, struct blocking_call, call)->ended = true;
}

static int run_blocking(struct service *service, const rollcall_request *request,
                        rollcall_response *response)
{
	rollcall_client *client = service->client;
	struct pooled_loop *borrowed = loop_pool_borrow(&client->loops);
	struct blocking_call blocking = {0};
	struct call *call = &blocking.call;

	if (borrowed == NULL)
		return -ENOMEM;
	struct loop *loop = &borrowed->loop;
	call_init(call, service, loop, request, response, blocking_ended);
	discover_await(service, min_i64(call->context.deadline_us,
	                                call->context.began_us +
	                                        us_of_ms(client->options.discover_timeout_ms)));
	call_begin(call);
	while (!blocking.ended) {
		int64_t due = loop_due_us(loop);

		if (due != 0) /* 0: an exchange has ended already */
			loop_wait(loop, due);
		loop_step(loop);
	}
	loop_pool_return(&client->loops, borrowed);
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
