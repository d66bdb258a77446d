/* SPDX-License-Identifier: MIT */
/*
 * One call around its attempts: fallback, deadline, retries with a budget, hedge. All of it runs in
 * the thread that runs the loop of the call. Invariant: the call ends exactly once, in
 * call_finish(), when no attempt is under way and no retry is planned; the response then describes
 * the last attempt that was sent. A loop around a blocking attempt would read more easily, but
 * asynchronous calls and hedges need both attempts and the pause to be events.
 */
#include "lib/call/call.h"

#include "lib/policy/backoff.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_MAX_S (DAY_MS / 1000)

/* --- requests ------------------------------------------------------------------------------- */

static bool plain(const char *text, bool blanks)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f || (c == ' ' && !blanks))
			return false;
	}
	return true;
}

static bool valid_headers(const rollcall_request *request)
{
	if (request->header_count > HEADERS_MAX)
		return false;
	for (size_t i = 0; i < request->header_count; i++) {
		const rollcall_pair *header = &request->headers[i];

		if (header->name == NULL || header->value == NULL || header->name[0] == '\0' ||
		    !plain(header->name, false) || strpbrk(header->name, ":;") != NULL ||
		    !plain(header->value, true))
			return false;
	}
	return true;
}

int call_check_request(const rollcall_request *given, rollcall_request *request)
{
	rollcall_request_init(request);
	if (given == NULL)
		return -EINVAL;
	int r = sized_in(request, sizeof(*request), given, given->size);
	if (r < 0)
		return r;
	if (request->method == NULL)
		request->method = "GET";
	if (request->path == NULL)
		request->path = "/";
	if (request->max_response == 0 || request->path[0] != '/' || !plain(request->path, false) ||
	    request->method[0] == '\0' || !plain(request->method, false) ||
	    (request->key != NULL && !plain(request->key, true)) ||
	    (request->body == NULL && request->body_len > 0) ||
	    request->idempotent > ROLLCALL_IDEMPOTENT_NO || !valid_headers(request))
		return -EINVAL;
	return 0;
}

static bool may_repeat(const rollcall_request *request)
{
	static const char *const idempotent[] = {"GET",    "HEAD",    "PUT",
	                                         "DELETE", "OPTIONS", "TRACE"};

	if (request->key != NULL)
		return true;
	if (request->idempotent != ROLLCALL_IDEMPOTENT_AUTO)
		return request->idempotent == ROLLCALL_IDEMPOTENT_YES;
	for (size_t i = 0; i < ARRAY_LEN(idempotent); i++)
		if (strcmp(request->method, idempotent[i]) == 0)
			return true;
	return false;
}

/* --- the end -------------------------------------------------------------------------------- */

static void call_fini(struct call *call)
{
	loop_clear_timer(call->context.loop, &call->timer);
	for (size_t i = 0; i < ARRAY_LEN(call->attempts); i++)
		attempt_fini(&call->attempts[i]);
	for (size_t i = 0; i < call->context.tried_count; i++)
		member_unref(call->context.tried[i]);
	call->context.tried_count = 0;
	trace_fini(&call->context.trace);
	call->has_ended = true;
}

void call_fall_back(struct call *call)
{
	rollcall_response *response = call->response;

	if (response->outcome <= ROLLCALL_CLIENT_ERR || call->context.policy.fallback == NULL)
		return;
	service_lock(call->context.service);
	call->context.service->fallbacks++;
	service_unlock(call->context.service);
	int r = call->context.policy.fallback(response->outcome, call->context.request, response,
	                                      call->context.policy.user);
	response->from_fallback = r >= 0;
	response->error = r < 0 ? r : 0;
}

static void call_finish(struct call *call)
{
	rollcall_response *response = call->response;

	call_fini(call);
	response->attempts = call->context.sent;
	response->elapsed_us = env_now(&call->context.client->env) - call->context.began_us;
	service_lock(call->context.service);
	call->context.service->calls[response->outcome]++;
	service_unlock(call->context.service);
	call->ended(call);
}

void call_cancel(struct call *call)
{
	if (call->begun && !call->has_ended)
		call_fini(call);
}

/* --- results -------------------------------------------------------------------------------- */

static void keep_result(struct call *call, struct attempt *attempt)
{
	rollcall_response *response = call->response;
	struct exchange *exchange = &attempt->exchange;
	size_t len = 0;

	free(response->body);
	free(response->headers);
	response->body_len = 0;
	response->body = bytes_take(&exchange->answer, &response->body_len);
	response->headers = bytes_take(&exchange->head, &len);
	response->status = exchange->error == 0 ? exchange->status : 0;
	response->outcome = attempt->outcome;
	response->error = attempt->error;
	response->instance[0] = '\0';
	if (attempt->member != NULL)
		memcpy(response->instance, attempt->member->info.id,
		       strlen(attempt->member->info.id) + 1);
}

static void set_refused(rollcall_response *response, rollcall_class refused)
{
	if (response->size >= offsetof(rollcall_response, refused) + sizeof(response->refused))
		response->refused = refused;
}

/* A result of an earlier attempt is worth more than a refusal of the client itself. */
static void take_result(struct call *call, struct attempt *attempt)
{
	bool refused = attempt->outcome > ROLLCALL_UNKNOWN;

	if (!refused || !call->has_result)
		keep_result(call, attempt);
	call->has_result |= !refused;
	set_refused(call->response, refused ? attempt->outcome : ROLLCALL_OK);
}

static bool is_good(const struct attempt *attempt)
{
	return attempt->outcome == ROLLCALL_OK ||
	       (attempt->outcome == ROLLCALL_CLIENT_ERR && attempt->exchange.status != 429 &&
	        attempt->exchange.status != 408);
}

/* --- retries -------------------------------------------------------------------------------- */

static bool is_retryable(const struct call *call, const struct attempt *attempt)
{
	const rollcall_policy *policy = &call->context.policy;

	if (attempt->local || call->context.request->retry_attempt > 0 || call->pausing ||
	    call->context.number > policy->retry.max_retries ||
	    head_number(call->response->headers, "X-No-Retry") == 1)
		return false;
	switch (attempt->outcome) {
	case ROLLCALL_NOT_SENT:
		return true;
	case ROLLCALL_SERVER_ERR:
		return call->context.safe && policy->retry.retry_5xx;
	case ROLLCALL_UNKNOWN:
		return call->context.safe && policy->retry.retry_unknown;
	case ROLLCALL_CLIENT_ERR: /* 429 and 408: the service has not acted on the request */
		return true;
	case ROLLCALL_OK:
	case ROLLCALL_REJECT_OPEN:
	case ROLLCALL_REJECT_BULKHEAD:
	case ROLLCALL_REJECT_RATE:
	case ROLLCALL_REJECT_THROTTLE:
	case ROLLCALL_REJECT_DEADLINE:
	case ROLLCALL_NO_INSTANCE:
	case ROLLCALL_CANCELLED:
	default:
		return false;
	}
}

/* @return whether the call has time for the pause before the next retry */
static bool pause_before_retry(struct call *call, int64_t now, int64_t *ret_pause_us)
{
	const rollcall_policy *policy = &call->context.policy;
	int64_t asked = head_number(call->response->headers, "Retry-After");
	struct backoff rule = {
		.base_ms = policy->retry.base_ms,
		.max_ms = policy->retry.max_ms,
		.jitter = policy->retry.jitter,
		.recap = policy->retry.recap != 0,
	};

	if (asked >= 0) {
		*ret_pause_us = min_i64(asked, RETRY_AFTER_MAX_S) * US_PER_S;
	} else {
		call->pause_us = backoff_us(&rule, call->context.number - 1, call->pause_us,
		                            &call->context.client->env);
		*ret_pause_us = call->pause_us;
	}
	if (call->context.deadline_us != NO_DEADLINE)
		return *ret_pause_us + us_of_ms(policy->time.min_start_ms) <=
		       call->context.deadline_us - now;
	/* Without a deadline a Retry-After of hours must not keep the call. */
	return asked < 0 || *ret_pause_us <= us_of_ms(policy->retry.max_ms);
}

/* @return whether a retry is planned */
static bool call_retry(struct call *call, const struct attempt *attempt)
{
	const rollcall_policy *policy = &call->context.policy;
	struct service *service = call->context.service;
	int64_t now = env_now(&call->context.client->env);

	if (!is_retryable(call, attempt))
		return false;
	int64_t pause_us;
	bool in_time = pause_before_retry(call, now, &pause_us);

	service_lock(service);
	bool allowed =
		in_time && budget_retry(&call->context.route->budget, policy->retry.budget_ratio,
	                                policy->retry.budget_min_per_s, now);
	service->retries += allowed;
	service->denied_deadline += !in_time;
	service->denied_budget += in_time && !allowed;
	service_unlock(service);
	if (!allowed)
		return false;
	call->pausing = true;
	loop_set_timer(call->context.loop, &call->timer, now + pause_us);
	return true;
}

/* --- hedging -------------------------------------------------------------------------------- */

/* Locked. */
static bool may_hedge(struct call *call, int64_t now)
{
	const rollcall_policy *policy = &call->context.policy;
	struct route *route = call->context.route;

	return breaker_state(&route->breaker) == ROLLCALL_BREAKER_CLOSED &&
	       (route->throttle == NULL || policy->throttle.k <= 0 ||
	        throttle_probability(route->throttle, policy->throttle.k, now) <= 0) &&
	       budget_has(&route->budget, policy->retry.budget_ratio,
	                  policy->retry.budget_min_per_s, now) &&
	       call->context.service->set != NULL && call->context.service->set->count > 1;
}

/* @return whether the second copy has been started */
static bool call_hedge(struct call *call)
{
	const rollcall_policy *policy = &call->context.policy;
	int64_t now = env_now(&call->context.client->env);

	if (!policy->hedge.on || call->hedged || !call->context.safe ||
	    call->context.request->retry_attempt > 0)
		return false;
	service_lock(call->context.service);
	bool allowed = may_hedge(call, now) &&
	               budget_retry(&call->context.route->hedges, policy->hedge.max_extra, 0, now);
	call->context.service->hedges += allowed;
	service_unlock(call->context.service);
	if (!allowed)
		return false;
	call->hedged = true;
	loop_clear_timer(call->context.loop, &call->timer);
	attempt_start(&call->attempts[1], true);
	return true;
}

static void call_plan_hedge(struct call *call)
{
	const rollcall_policy *policy = &call->context.policy;
	int64_t delay_us;

	if (!policy->hedge.on || call->hedged || !call->context.safe)
		return;
	service_lock(call->context.service);
	delay_us = route_latency_at(call->context.route, policy->hedge.percentile);
	service_unlock(call->context.service);
	if (delay_us < 0)
		return;
	delay_us = max_i64(delay_us, us_of_ms(policy->hedge.min_delay_ms));
	loop_set_timer(call->context.loop, &call->timer,
	               env_now(&call->context.client->env) + delay_us);
}

/* --- attempts ------------------------------------------------------------------------------- */

static void call_next_attempt(struct call *call)
{
	call->pausing = false;
	call->context.number++;
	call_plan_hedge(call);
	attempt_start(&call->attempts[0], false); /* may end the call */
}

static void call_on_timer(struct timer *timer)
{
	struct call *call = container_of(timer, struct call, timer);

	if (call->pausing)
		call_next_attempt(call);
	else
		(void)call_hedge(call);
}

static void call_attempt_ended(struct attempt *attempt)
{
	struct call *call = container_of(attempt->call, struct call, context);
	struct attempt *other = &call->attempts[attempt == &call->attempts[0]];
	bool other_runs = other->state != ATTEMPT_IDLE;

	if (is_good(attempt)) {
		loop_clear_timer(call->context.loop, &call->timer);
		attempt_cancel(other);
		take_result(call, attempt);
		if (attempt->hedge) {
			service_lock(call->context.service);
			call->context.service->hedges_won++;
			service_unlock(call->context.service);
		}
		call_finish(call);
		return;
	}
	take_result(call, attempt);
	if (other_runs)
		return; /* the other attempt may succeed */
	if (attempt->hedge && attempt->outcome > ROLLCALL_UNKNOWN)
		attempt = other; /* its outcome decides about a retry, not the refused hedge */
	loop_clear_timer(call->context.loop, &call->timer);
	if (is_retryable(call, attempt) && call_hedge(call))
		return;
	if (!call_retry(call, attempt))
		call_finish(call);
}

static int64_t deadline_of(struct service *service, const rollcall_request *request, int64_t now_us)
{
	service_lock(service);
	uint32_t total_ms = service_route(service, request->path)->policy.time.total_ms;
	service_unlock(service);
	if (request->timeout_ms > 0 && (total_ms == 0 || request->timeout_ms < total_ms))
		total_ms = request->timeout_ms;
	return total_ms == 0 ? NO_DEADLINE : now_us + us_of_ms(total_ms);
}

void call_init(struct call *call, struct service *service, struct loop *loop,
               const rollcall_request *request, rollcall_response *response,
               void (*ended)(struct call *call))
{
	int64_t now = env_now(&service->client->env);

	call->context.client = service->client;
	call->context.service = service;
	call->context.loop = loop;
	call->context.request = request;
	call->context.began_us = now;
	call->context.deadline_us = deadline_of(service, request, now);
	call->response = response;
	call->ended = ended;
}

void call_begin(struct call *call)
{
	struct service *service = call->context.service;

	service_lock(service);
	call->context.route = service_route(service, call->context.request->path);
	call->context.policy = call->context.route->policy;
	budget_request(&call->context.route->budget, call->context.began_us);
	budget_request(&call->context.route->hedges, call->context.began_us);
	service_unlock(service);

	call->begun = true;
	call->context.safe = may_repeat(call->context.request);
	call->timer.fire = call_on_timer;
	trace_begin(&call->context.trace, call->context.request, &call->context.client->env);
	for (size_t i = 0; i < ARRAY_LEN(call->attempts); i++)
		attempt_init(&call->attempts[i], &call->context, call_attempt_ended);
	call_next_attempt(call);
}
