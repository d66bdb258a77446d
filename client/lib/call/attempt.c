/* SPDX-License-Identifier: MIT */
/*
 * One attempt of a call, through its layers in this order: rate, throttle, breaker, bulkhead, pick,
 * timeout, fault, transport. All of it runs in the thread that runs the loop of the call, except
 * attempt_on_grant(), which another call's thread calls under the service's lock. Invariant: what
 * the attempt takes on its way, a ticket of the breaker, a place in the bulkhead and a reference to
 * a member, is given back in attempt_end() or attempt_cancel(), once, on every path. The layers are
 * steps of one state machine and not nested functions, because the wait in the bulkhead, the delay
 * of a fault and the exchange each return to the loop.
 */
#include "lib/call/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct breaker_rule rule_of(const struct call_context *call)
{
	return (struct breaker_rule){&call->route->policy, &call->client->env};
}

static int64_t attempt_now_us(const struct attempt *attempt)
{
	return env_now(&attempt->call->client->env);
}

/* --- the end -------------------------------------------------------------------------------- */

static void count_latency(struct attempt *attempt, int64_t latency_us, int64_t now)
{
	struct service *service = attempt->call->service;
	struct route *route = attempt->call->route;
	unsigned bucket = 0;

	while (bucket < ROLLCALL_LATENCY_BUCKETS - 1 && latency_us >= (int64_t)100 << bucket)
		bucket++;
	service->latency[bucket]++;
	if (route->policy.hedge.on)
		route_count_latency(route, latency_us, now);
}

static bool is_drop(const struct attempt *attempt)
{
	return attempt->error == -ETIMEDOUT || attempt->exchange.status == 503 ||
	       attempt->exchange.status == 429;
}

static enum breaker_result breaker_result_of(rollcall_class outcome)
{
	if (outcome == ROLLCALL_OK || outcome == ROLLCALL_CLIENT_ERR)
		return BREAKER_SUCCESS;
	return outcome <= ROLLCALL_UNKNOWN ? BREAKER_FAILURE : BREAKER_IGNORED;
}

/* Locked. @param counts  the outcome is the service's, not the client's own */
static void attempt_give_back(struct attempt *attempt, bool counts, int64_t latency_us, int64_t now)
{
	struct call_context *call = attempt->call;
	struct route *route = call->route;
	struct breaker_rule rule = rule_of(call);

	if (attempt->admitted)
		breaker_report(&route->breaker, &rule, &attempt->ticket,
		               counts ? breaker_result_of(attempt->outcome) : BREAKER_IGNORED,
		               latency_us, now);
	if (attempt->member != NULL) {
		attempt->member->health.pending--;
		if (counts)
			service_observe(call->service, attempt->member, attempt->outcome,
			                latency_us);
	}
	if (attempt->placed) {
		enum bulkhead_result result = !counts            ? BULKHEAD_NOTHING
		                              : is_drop(attempt) ? BULKHEAD_DROP
		                                                 : BULKHEAD_OK;

		bulkhead_leave(&route->bulkhead, &route->policy, result, latency_us);
	}
	if (counts && route->throttle != NULL && attempt->outcome <= ROLLCALL_CLIENT_ERR)
		throttle_accepted(route->throttle, now);
	attempt->admitted = false;
	attempt->placed = false;
}

static void attempt_end(struct attempt *attempt, rollcall_class outcome, int error)
{
	struct call_context *call = attempt->call;
	int64_t now = attempt_now_us(attempt);
	bool counts = outcome <= ROLLCALL_UNKNOWN && !attempt->local;
	int64_t latency_us = now - attempt->began_us;

	attempt->outcome = outcome;
	attempt->error = error;
	attempt->state = ATTEMPT_IDLE;
	loop_clear_timer(call->loop, &attempt->timer);

	service_lock(call->service);
	attempt_give_back(attempt, counts, latency_us, now);
	call->service->attempts[outcome]++;
	if (counts)
		count_latency(attempt, latency_us, now);
	service_unlock(call->service);
	attempt->ended(attempt);
}

/* --- transport ------------------------------------------------------------------------------ */

static rollcall_class attempt_class_of(struct attempt *attempt)
{
	const struct call_context *call = attempt->call;
	const struct exchange *exchange = &attempt->exchange;

	if (exchange->error < 0)
		return exchange->sent ? ROLLCALL_UNKNOWN : ROLLCALL_NOT_SENT;
	if (call->policy.classify != NULL) {
		rollcall_response seen = {
			.size = sizeof(seen),
			.body = exchange->answer.data,
			.body_len = exchange->answer.len,
			.headers = exchange->head.data,
			.status = exchange->status,
		};
		rollcall_class outcome = call->policy.classify(&seen, call->policy.user);

		return outcome <= ROLLCALL_UNKNOWN ? outcome : ROLLCALL_SERVER_ERR;
	}
	if (exchange->status >= 500)
		return ROLLCALL_SERVER_ERR;
	return exchange->status >= 400 ? ROLLCALL_CLIENT_ERR : ROLLCALL_OK;
}

/* @return what the call returns if this is the last attempt */
static int attempt_error_of(const struct exchange *exchange)
{
	switch (exchange->error) {
	case 0:
	case -ENOMEM:
	case -EMSGSIZE:
	case -EINVAL:
	case -EMFILE:
	case -ETIMEDOUT:
		return exchange->sent || exchange->error != -ETIMEDOUT ? exchange->error
		                                                       : -ECONNREFUSED;
	default:
		return exchange->sent ? -ECONNRESET : -ECONNREFUSED;
	}
}

static void attempt_exchanged(struct exchange *exchange)
{
	struct attempt *attempt = container_of(exchange, struct attempt, exchange);

	attempt->local = exchange->error == -ENOMEM || exchange->error == -EMSGSIZE ||
	                 exchange->error == -EINVAL || exchange->error == -EMFILE;
	attempt_end(attempt, attempt_class_of(attempt), attempt_error_of(exchange));
}

static void attempt_timed_out(struct attempt *attempt)
{
	struct call_context *call = attempt->call;

	if (attempt->state == ATTEMPT_SENT)
		call->loop->transport->cancel(call->loop->transport, &attempt->exchange);
	attempt->exchange.error = -ETIMEDOUT;
	attempt->exchange.status = 0;
	attempt_end(attempt, attempt->exchange.sent ? ROLLCALL_UNKNOWN : ROLLCALL_NOT_SENT,
	            -ETIMEDOUT);
}

static void attempt_make_url(struct attempt *attempt)
{
	const rollcall_instance *info = &attempt->member->info;
	struct bytes *url = &attempt->url;
	const char *scheme = "http";
	char port[16];

	for (size_t i = 0; i < info->metadata_count; i++)
		if (strcmp(info->metadata[i].name, "scheme") == 0 &&
		    strcmp(info->metadata[i].value, "https") == 0)
			scheme = "https";
	bool bracket = strchr(info->host, ':') != NULL;

	bytes_reset(url);
	bytes_put(url, scheme);
	bytes_put(url, bracket ? "://[" : "://");
	bytes_put(url, info->host);
	(void)snprintf(port, sizeof(port), "%s:%u", bracket ? "]" : "", info->port);
	bytes_put(url, port);
	bytes_put(url, attempt->call->request->path);
}

/* @return the number of headers that the library adds, which come first */
static size_t make_our_headers(struct attempt *attempt, int64_t now)
{
	const struct call_context *call = attempt->call;
	const rollcall_request *request = call->request;
	int64_t left_ms = max_i64(1, (attempt->due_us - now) / US_PER_MS);
	unsigned tries = request->retry_attempt + call->number - 1;
	size_t n = 0;

	if (attempt->due_us != NO_DEADLINE) {
		(void)snprintf(attempt->timeout_text, sizeof(attempt->timeout_text), "%lld",
		               (long long)left_ms);
		attempt->headers[n++] =
			(rollcall_pair){"Request-Timeout-Ms", attempt->timeout_text};
	}
	trace_attempt(&call->trace, &call->client->env, attempt->traceparent);
	attempt->headers[n++] = (rollcall_pair){"traceparent", attempt->traceparent};
	if (call->trace.state != NULL)
		attempt->headers[n++] = (rollcall_pair){"tracestate", call->trace.state};
	if (tries > 0) {
		(void)snprintf(attempt->number_text, sizeof(attempt->number_text), "%u", tries);
		attempt->headers[n++] = (rollcall_pair){"X-Retry-Attempt", attempt->number_text};
	}
	if (request->key != NULL)
		attempt->headers[n++] = (rollcall_pair){"Idempotency-Key", request->key};
	return n;
}

static bool is_replaced(const struct attempt *attempt, size_t ours, const char *name)
{
	for (size_t i = 0; i < ours; i++)
		if (strcasecmp(attempt->headers[i].name, name) == 0)
			return true;
	return strcasecmp(name, "tracestate") == 0; /* sent with its traceparent, or dropped */
}

static void attempt_make_headers(struct attempt *attempt, int64_t now)
{
	const rollcall_request *request = attempt->call->request;
	size_t ours = make_our_headers(attempt, now);
	size_t n = ours;

	for (size_t i = 0; i < request->header_count; i++)
		if (!is_replaced(attempt, ours, request->headers[i].name))
			attempt->headers[n++] = request->headers[i];
	attempt->exchange.headers = attempt->headers;
	attempt->exchange.header_count = n;
}

static void attempt_send(struct attempt *attempt)
{
	struct call_context *call = attempt->call;
	struct exchange *exchange = &attempt->exchange;
	int64_t now = attempt_now_us(attempt);

	attempt_make_url(attempt);
	attempt_make_headers(attempt, now);
	exchange->method = call->request->method;
	exchange->url = attempt->url.data;
	exchange->body = call->request->body;
	exchange->body_len = call->request->body_len;
	exchange->connect_ms = call->policy.time.connect_ms;
	exchange->once = !call->safe;
	attempt->state = ATTEMPT_SENT;
	call->sent++;
	int r = attempt->url.error < 0
	                ? attempt->url.error
	                : call->loop->transport->start(call->loop->transport, exchange);
	if (r < 0) {
		attempt->local = true;
		exchange->error = r;
		attempt_end(attempt, ROLLCALL_NOT_SENT, r);
		return;
	}
	loop_set_timer(call->loop, &attempt->timer, attempt->due_us);
}

/* --- fault ---------------------------------------------------------------------------------- */

static double fault_uniform(struct route *route)
{
	return (double)(random_step(&route->fault_state) >> 11) * 0x1p-53;
}

/* Locked: the sequence belongs to the route. Each attempt draws three numbers, used or not, so that
 * a seed repeats its faults. */
static void attempt_draw_fault(struct attempt *attempt, int64_t *ret_delay_us)
{
	struct route *route = attempt->call->route;
	const rollcall_policy *policy = &attempt->call->policy;

	attempt->fault_status = -1;
	*ret_delay_us = 0;
	if (!policy->fault.armed)
		return;
	double abort = fault_uniform(route);
	double delay = fault_uniform(route);
	double spread = 2 * fault_uniform(route) - 1;

	if (abort < policy->fault.abort_p)
		attempt->fault_status = policy->fault.abort_status;
	if (delay < policy->fault.delay_p)
		*ret_delay_us = max_i64(
			0, us_of_ms(policy->fault.delay_ms) +
				   (int64_t)(spread * 1000.0 * policy->fault.delay_spread_ms));
}

static void attempt_send_or_fail(struct attempt *attempt)
{
	if (attempt->fault_status < 0) {
		attempt_send(attempt);
		return;
	}
	attempt->exchange.sent = true;
	attempt->exchange.status = attempt->fault_status;
	attempt->exchange.error = attempt->fault_status == 0 ? -ECONNRESET : 0;
	attempt->call->sent++;
	attempt_end(attempt, attempt_class_of(attempt), attempt->exchange.error);
}

/* --- pick ----------------------------------------------------------------------------------- */

/* Locked. @return ROLLCALL_OK, or the class of the refusal, with its errno in *@p ret_error */
static rollcall_class attempt_choose(struct attempt *attempt, int64_t now, int *ret_error)
{
	struct call_context *call = attempt->call;
	struct service *service = call->service;
	struct breaker_rule rule = rule_of(call);
	struct pick pick = {.key = call->request->sticky, .now_us = now};

	*ret_error = -EBUSY;
	if (!breaker_current(&call->route->breaker, &attempt->ticket)) {
		attempt->admitted =
			breaker_admit(&call->route->breaker, &rule, now, &attempt->ticket);
		if (!attempt->admitted)
			return ROLLCALL_REJECT_OPEN; /* opened while the attempt queued */
	}
	if (call->policy.retry.avoid_tried || attempt->hedge) {
		pick.tried = call->tried;
		pick.tried_count = call->tried_count;
	}
	size_t index = service->answer == 0 ? service_pick(service, &pick) : ROLLCALL_NONE;
	if (index == ROLLCALL_NONE) {
		*ret_error = service->answer == 0         ? -EHOSTUNREACH
		             : service->answer == -EAGAIN ? -ENOTCONN
		                                          : service->answer;
		return ROLLCALL_NO_INSTANCE;
	}
	attempt->member = member_ref(service->set->members[index]);
	attempt->member->health.pending++;
	if (call->route->throttle != NULL)
		throttle_sent(call->route->throttle, now);
	return ROLLCALL_OK;
}

static void remember_tried(struct call_context *call, struct member *member)
{
	if (call->tried_count < TRIED_MAX)
		call->tried[call->tried_count++] = member_ref(member);
}

/* The attempt has its place in the bulkhead: pick an instance and go on. */
static void attempt_proceed(struct attempt *attempt)
{
	struct call_context *call = attempt->call;
	int64_t now = attempt_now_us(attempt);
	int64_t delay_us = 0;
	int error;

	if (call->deadline_us - now < us_of_ms(call->policy.time.min_start_ms)) {
		attempt_end(attempt, ROLLCALL_REJECT_DEADLINE, -ETIMEDOUT);
		return;
	}
	service_lock(call->service);
	rollcall_class refusal = attempt_choose(attempt, now, &error);
	if (refusal == ROLLCALL_OK)
		attempt_draw_fault(attempt, &delay_us);
	service_unlock(call->service);
	if (refusal != ROLLCALL_OK) {
		attempt_end(attempt, refusal, error);
		return;
	}

	remember_tried(call, attempt->member);
	attempt->began_us = now;
	attempt->due_us = min_i64(now + us_of_ms(call->policy.time.attempt_ms), call->deadline_us);
	if (delay_us == 0) {
		attempt_send_or_fail(attempt);
		return;
	}
	attempt->exchange.sent = true; /* as for a service that is slow */
	attempt->state = ATTEMPT_DELAYED;
	loop_set_timer(call->loop, &attempt->timer, min_i64(now + delay_us, attempt->due_us));
}

/* --- admission ------------------------------------------------------------------------------ */

static void attempt_on_grant(struct bulkhead_waiter *waiter)
{
	struct attempt *attempt = container_of(waiter, struct attempt, waiter);

	loop_post(attempt->call->loop, &attempt->granted);
}

static void attempt_on_granted(struct post *post)
{
	struct attempt *attempt = container_of(post, struct attempt, granted);

	loop_clear_timer(attempt->call->loop, &attempt->timer);
	attempt->placed = true;
	attempt_proceed(attempt);
}

static void attempt_queue_timed_out(struct attempt *attempt)
{
	struct call_context *call = attempt->call;

	service_lock(call->service);
	bool granted = attempt->waiter.granted; /* perhaps just now, by another thread */
	if (!granted)
		bulkhead_abandon(&call->route->bulkhead, &attempt->waiter);
	service_unlock(call->service);
	if (granted) {
		loop_unpost(call->loop, &attempt->granted);
		attempt_on_granted(&attempt->granted);
		return;
	}
	attempt_end(attempt, ROLLCALL_REJECT_BULKHEAD, -EBUSY);
}

static void attempt_on_timer(struct timer *timer)
{
	struct attempt *attempt = container_of(timer, struct attempt, timer);

	if (attempt->state == ATTEMPT_QUEUED)
		attempt_queue_timed_out(attempt);
	else if (attempt->state == ATTEMPT_DELAYED && attempt_now_us(attempt) < attempt->due_us)
		attempt_send_or_fail(attempt);
	else
		attempt_timed_out(attempt);
}

/* Locked. @return ROLLCALL_OK, or the class of the layer that refuses */
static rollcall_class attempt_admit(struct attempt *attempt, int64_t now)
{
	struct call_context *call = attempt->call;
	struct route *route = call->route;
	const rollcall_policy *policy = &route->policy;
	struct breaker_rule rule = rule_of(call);

	if (!rate_limit_take(&route->rate, policy->rate.rate, policy->rate.burst, now))
		return ROLLCALL_REJECT_RATE;
	if (policy->throttle.k > 0 &&
	    env_uniform(&call->client->env) <
	            throttle_probability(route->throttle, policy->throttle.k, now))
		return ROLLCALL_REJECT_THROTTLE;
	if (!breaker_admit(&route->breaker, &rule, now, &attempt->ticket))
		return ROLLCALL_REJECT_OPEN;
	attempt->admitted = true;

	switch (bulkhead_enter(&route->bulkhead, policy, &attempt->waiter)) {
	case BULKHEAD_ENTERED:
		attempt->placed = true;
		return ROLLCALL_OK;
	case BULKHEAD_QUEUED:
		attempt->state = ATTEMPT_QUEUED;
		return ROLLCALL_OK;
	case BULKHEAD_REJECTED:
	default:
		return ROLLCALL_REJECT_BULKHEAD;
	}
}

void attempt_start(struct attempt *attempt, bool hedge)
{
	struct call_context *call = attempt->call;
	int64_t now = attempt_now_us(attempt);

	exchange_reset(&attempt->exchange);
	member_unref(attempt->member);
	attempt->member = NULL;
	attempt->hedge = hedge;
	attempt->local = false;
	attempt->began_us = now;

	service_lock(call->service);
	rollcall_class refusal = attempt_admit(attempt, now);
	int64_t queue_wait_us = us_of_ms(call->route->policy.bulkhead.max_wait_ms);
	service_unlock(call->service);
	if (refusal != ROLLCALL_OK)
		attempt_end(attempt, refusal, -EBUSY);
	else if (attempt->placed)
		attempt_proceed(attempt);
	else
		loop_set_timer(call->loop, &attempt->timer,
		               min_i64(now + queue_wait_us, call->deadline_us));
}

/* --- life ----------------------------------------------------------------------------------- */

void attempt_init(struct attempt *attempt, struct call_context *call,
                  void (*ended)(struct attempt *attempt))
{
	attempt->ended = ended;
	attempt->call = call;
	attempt->timer.fire = attempt_on_timer;
	attempt->waiter.grant = attempt_on_grant;
	attempt->granted.fn = attempt_on_granted;
	exchange_init(&attempt->exchange, call->request->max_response);
	attempt->exchange.done = attempt_exchanged;
	bytes_init(&attempt->url, 64U << 10);
}

void attempt_cancel(struct attempt *attempt)
{
	struct call_context *call = attempt->call;

	if (attempt->state == ATTEMPT_IDLE)
		return;
	loop_clear_timer(call->loop, &attempt->timer);
	if (attempt->state == ATTEMPT_SENT)
		call->loop->transport->cancel(call->loop->transport, &attempt->exchange);

	service_lock(call->service);
	if (attempt->state == ATTEMPT_QUEUED && attempt->waiter.granted)
		attempt->placed = true;
	else if (attempt->state == ATTEMPT_QUEUED)
		bulkhead_abandon(&call->route->bulkhead, &attempt->waiter);
	attempt->outcome = ROLLCALL_CANCELLED;
	attempt_give_back(attempt, false, 0, attempt_now_us(attempt));
	call->service->attempts[ROLLCALL_CANCELLED]++;
	service_unlock(call->service);
	loop_unpost(call->loop, &attempt->granted);
	attempt->state = ATTEMPT_IDLE;
}

void attempt_fini(struct attempt *attempt)
{
	attempt_cancel(attempt);
	member_unref(attempt->member);
	attempt->member = NULL;
	exchange_fini(&attempt->exchange);
	bytes_fini(&attempt->url);
}
