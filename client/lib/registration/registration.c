/* SPDX-License-Identifier: MIT */
/*
 * The life of one registration, with the engine's lock held, in the thread that runs the client's
 * loop. One timer drives it, and registration_advance() chooses the next request:
 *
 *	host unknown    GET /healthz, for the local address of that connection
 *	not registered  PUT the record
 *	drain wanted    POST a heartbeat with the status, at once
 *	else            POST a heartbeat, on a fixed grid with jitter, so that many stay spread out
 *
 * A request that fails is sent again after a pause, without a limit; a heartbeat that gets 404
 * leads back to PUT, and so does an answer to any request of the client that shows another history:
 * the heartbeat may be accepted by a registry that has imported an older state. Invariant: at most
 * one request is under way.
 *
 * The registry renews the lease for a record and for a heartbeat, at some time between the request
 * and its answer. So the lease's own timer counts from when the request was sent: counted from the
 * answer, a state would stay "registered" after the lease has expired.
 */
#include "lib/registration/registration.h"

#include "lib/registration/failure.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Between records that are sent because of another history. Registries of two histories behind one
 * address would otherwise be sent records without a pause. */
#define PUT_AGAIN_US (1 * US_PER_S)

static void registration_advance(rollcall_registration *registration);

static void registration_set_state(rollcall_registration *registration, rollcall_state state)
{
	if (registration->state == state)
		return;
	registration->state = state;
	if (registration->on_state != NULL)
		engine_notify(engine_of(registration), &registration->notice);
}

static void deliver_state(struct notice *notice)
{
	rollcall_registration *registration =
		container_of(notice, struct rollcall_registration, notice);
	struct engine *engine = engine_of(registration);
	void (*on_state)(rollcall_registration *, rollcall_state, void *) = registration->on_state;
	rollcall_state state = registration->state;
	void *arg = registration->arg;

	engine_unlock(engine);
	on_state(registration, state, arg); /* may free the registration */
	engine_lock(engine);
}

rollcall_state registration_state(const rollcall_registration *registration)
{
	bool leased = registration->state == ROLLCALL_REGISTERED ||
	              registration->state == ROLLCALL_DRAINING;

	return leased && now_us(registration) >= registration->lease_until_us ? ROLLCALL_UNCONFIRMED
	                                                                      : registration->state;
}

static void registration_on_lease(struct timer *timer)
{
	rollcall_registration *registration =
		container_of(timer, struct rollcall_registration, lease);

	registration_set_state(registration, registration_state(registration));
}

static void take_lease(rollcall_registration *registration)
{
	if (registration->ttl_ms == 0) { /* no lease */
		registration->lease_until_us = INT64_MAX;
		return;
	}
	registration->lease_until_us = registration->sent_us + us_of_ms(registration->ttl_ms);
	loop_set_timer(&engine_of(registration)->loop, &registration->lease,
	               registration->lease_until_us);
}

void registration_schedule(rollcall_registration *registration, int64_t due_us)
{
	loop_set_timer(&engine_of(registration)->loop, &registration->timer, due_us);
	engine_kick(engine_of(registration));
}

static void registration_retry_later(rollcall_registration *registration, bool longest)
{
	const rollcall_client *client = registration->client;
	struct backoff rule = client_backoff(client);
	unsigned n = longest ? 31 : registration->failures;

	registration->failures++;
	registration->pause_us = backoff_us(&rule, n, registration->pause_us, &client->env);
	if (!longest && registration->pause_us > registration->interval_us)
		registration->pause_us = registration->interval_us;
	registration_schedule(
		registration,
		now_us(registration) +
			max_i64(registration->pause_us, registry_pause_us(&registration->request)));
}

static void schedule_heartbeat(rollcall_registration *registration)
{
	int64_t interval = registration->interval_us;
	int64_t now = now_us(registration);
	int64_t beats = (now - registration->grid_us) / interval + 1;
	double jitter = 0.2 * env_uniform(&registration->client->env) - 0.1;
	int64_t due =
		registration->grid_us + beats * interval + (int64_t)(jitter * (double)interval);

	/* A heartbeat that jitter has delayed is not followed by another at once. */
	if (due < now + interval / 4)
		due += interval;
	registration_schedule(registration, due);
}

/* Multiples of the golden ratio spread any number of registrations evenly over the interval. */
static void lay_grid(rollcall_registration *registration)
{
	double whole;
	double phase = modf(
		0.5 + (double)registration->client->registered_ever++ * 0.6180339887498949, &whole);

	registration->grid_us =
		now_us(registration) - (int64_t)((1 - phase) * (double)registration->interval_us);
	registration_schedule(registration, registration->grid_us + registration->interval_us);
}

/* --- requests ------------------------------------------------------------------------------- */

static char *registration_make_path(const rollcall_registration *registration, const char *tail)
{
	struct bytes path;
	size_t len;

	bytes_init(&path, 4096);
	registry_put_service(&path, registration->service);
	bytes_put(&path, "/instances/");
	bytes_put_segment(&path, registration->id);
	bytes_put(&path, tail);
	char *text = bytes_take(&path, &len);
	bytes_fini(&path);
	return text;
}

static char *make_record(const rollcall_registration *registration)
{
	struct bytes body;
	size_t len;

	bytes_init(&body, 256U << 10);
	bytes_put(&body, "{\"host\":");
	bytes_put_json(&body, registration->host);
	bytes_printf(&body, ",\"port\":%u,\"weight\":%u,\"ttl_ms\":%u", registration->port,
	             registration->weight, registration->ttl_ms);
	if (registration->remove_after_ms >= 0)
		bytes_printf(&body, ",\"remove_after_ms\":%lld",
		             (long long)registration->remove_after_ms);
	if (registration->draining)
		bytes_put(&body, ",\"status\":\"draining\"");
	bytes_put(&body, ",\"metadata\":{");
	for (size_t i = 0; i < registration->metadata_count; i++) {
		bytes_put(&body, i > 0 ? "," : "");
		bytes_put_json(&body, registration->metadata[i].name);
		bytes_put(&body, ":");
		bytes_put_json(&body, registration->metadata[i].value);
	}
	bytes_put(&body, "}}");
	char *text = bytes_take(&body, &len);
	bytes_fini(&body);
	return text;
}

static char *make_heartbeat(const rollcall_registration *registration, bool with_status)
{
	struct bytes body;
	size_t len;

	bytes_init(&body, 256);
	bytes_put(&body, "{");
	if (registration->load >= 0)
		bytes_printf(&body, "\"load\":%.4f", registration->load);
	if (with_status)
		bytes_printf(&body, "%s\"status\":\"%s\"", registration->load >= 0 ? "," : "",
		             registration->draining ? "draining" : "healthy");
	bytes_put(&body, "}");
	char *text = bytes_take(&body, &len);
	bytes_fini(&body);
	return text;
}

static void registration_send(rollcall_registration *registration, enum doing doing,
                              const char *method, const char *tail, char *body)
{
	registration->doing = doing;
	registration->sent_us = now_us(registration);
	registration->sent_draining = registration->draining;
	registry_send(&registration->request, method, registration_make_path(registration, tail),
	              body, 0);
}

static void registration_send_or_retry(rollcall_registration *registration, enum doing doing,
                                       const char *method, const char *tail, char *body)
{
	if (body == NULL) {
		registration_retry_later(registration, false);
		return;
	}
	registration_send(registration, doing, method, tail, body);
}

static int registration_make_id(rollcall_registration *registration)
{
	struct bytes id;
	size_t len;

	bytes_init(&id, ROLLCALL_ID_MAX);
	bytes_put(&id, registration->host);
	bytes_printf(&id, ":%u:%08x", registration->port,
	             (unsigned)(env_random(&registration->client->env) >> 32));
	registration->id = bytes_take(&id, &len);
	bytes_fini(&id);
	return registration->id == NULL ? -ENOMEM : 0;
}

static void registration_advance(rollcall_registration *registration)
{
	if (registration->request.busy || registration->left)
		return;
	if (registration->leaving) {
		if (!registration->put_sent)
			registration->left = true;
		else
			registration_send(registration, DOING_DELETE, "DELETE", "", NULL);
	} else if (registration->host == NULL) {
		registration->doing = DOING_LOCATE;
		registry_send(&registration->request, "GET", text_copy("/healthz"), NULL, 0);
	} else if (registration->id == NULL && registration_make_id(registration) < 0) {
		registration_retry_later(registration, false);
	} else if (registration->state == ROLLCALL_PENDING ||
	           registration->state == ROLLCALL_REFUSED || registration->put_again) {
		registration->put_sent = true;
		registration->put_us = now_us(registration);
		registration_send_or_retry(registration, DOING_PUT, "PUT", "",
		                           make_record(registration));
	} else if (!registration->confirmed) {
		registration_send_or_retry(registration, DOING_STATUS, "POST", "/heartbeat",
		                           make_heartbeat(registration, true));
	} else if (registration->load >= 0) {
		registration_send_or_retry(registration, DOING_HEARTBEAT, "POST", "/heartbeat",
		                           make_heartbeat(registration, false));
	} else {
		registration_send(registration, DOING_HEARTBEAT, "POST", "/heartbeat", NULL);
	}
}

static void registration_on_timer(struct timer *timer)
{
	registration_advance(container_of(timer, struct rollcall_registration, timer));
}

/* --- answers -------------------------------------------------------------------------------- */

static bool answer_is_draining(const struct exchange *exchange)
{
	json_t *answer = json_loadb(exchange->answer.data, exchange->answer.len, 0, NULL);
	const char *status = json_string_value(json_object_get(answer, "status"));
	bool draining = status != NULL && strcmp(status, "draining") == 0;

	json_decref(answer);
	return draining;
}

static void take_status(rollcall_registration *registration)
{
	bool draining = registration->request.exchange.answer.len > 0 &&
	                answer_is_draining(&registration->request.exchange);

	registration_set_state(registration, draining ? ROLLCALL_DRAINING : ROLLCALL_REGISTERED);
}

static void registration_succeeded(rollcall_registration *registration)
{
	registration->failures = 0;
	registration->pause_us = 0;
	registration->refused = 0;
}

static void registration_located(rollcall_registration *registration)
{
	const struct exchange *exchange = &registration->request.exchange;

	if (exchange->local_ip[0] != '\0')
		registration->host = text_copy(exchange->local_ip);
	if (registration->host == NULL)
		registration_retry_later(registration, false);
	else
		registration_advance(registration);
}

static bool is_success(int status)
{
	return status >= 200 && status < 300;
}

static bool is_transient(int status)
{
	return status == 0 || status == 404 || status == 408 || status == 429 || status >= 500;
}

static void registration_refuse(rollcall_registration *registration, int status)
{
	registration->refused = status == 401 || status == 403 ? -EACCES : -EPERM;
	registration_set_state(registration, ROLLCALL_REFUSED);
	registration_retry_later(registration, true);
}

static void registration_plan_put(rollcall_registration *registration)
{
	registration_schedule(registration,
	                      max_i64(now_us(registration), registration->put_us + PUT_AGAIN_US));
}

void registrations_send_again(rollcall_client *client)
{
	for (rollcall_registration *one = client->registrations; one != NULL; one = one->next) {
		one->put_again = true;
		registration_plan_put(one);
	}
}

/* Does the answer belong to another history than the latest? A former address may still answer. */
static bool answer_is_outdated(const rollcall_registration *registration)
{
	uint64_t history = registry_answer_history(&registration->request);

	return history != 0 && history != registration->client->registry.history;
}

/* A record does not end a drain that the registry has: a program that has resumed must order it. */
static bool status_is_confirmed(const rollcall_registration *registration)
{
	bool drains = registration->state == ROLLCALL_DRAINING;

	if (registration->sent_draining != registration->draining)
		return false;
	return registration->draining ? drains : !drains || !registration->ordered;
}

static void registration_put_done(rollcall_registration *registration, int status)
{
	if (status == 200 || status == 201) {
		registration->client->reregistrations += registration->accepted;
		registration->accepted = true;
		registration_succeeded(registration);
		take_lease(registration);
		take_status(registration);
		registration->confirmed = status_is_confirmed(registration);
		registration->put_again = answer_is_outdated(registration);
		lay_grid(registration);
		if (registration->put_again)
			registration_plan_put(registration);
		else if (!registration->confirmed)
			registration_advance(registration);
	} else if (is_transient(status)) {
		registration_retry_later(registration, false);
	} else {
		registration_refuse(registration, status);
	}
}

/* A heartbeat was not accepted. */
static void registration_update_failed(rollcall_registration *registration, int status)
{
	if (status == 404) {
		registration->confirmed = !registration->draining;
		registration_set_state(registration, ROLLCALL_PENDING);
		registration_advance(registration);
	} else if (is_transient(status)) {
		registration_retry_later(registration, false);
	} else {
		registration_refuse(registration, status);
	}
}

static void registration_heartbeat_done(rollcall_registration *registration, bool with_status,
                                        int status)
{
	if (!is_success(status)) {
		registration_update_failed(registration, status);
		return;
	}
	registration->client->heartbeats++;
	registration_succeeded(registration);
	take_lease(registration);
	take_status(registration);
	if (with_status)
		registration->confirmed = registration->sent_draining == registration->draining;
	if (registration->put_again)
		registration_plan_put(registration);
	else if (registration->confirmed)
		schedule_heartbeat(registration);
	else
		registration_advance(registration);
}

static void registration_delete_done(rollcall_registration *registration, int status)
{
	if (status == 404 || is_success(status))
		registration->left = true;
	else if (is_transient(status))
		registration_retry_later(registration, false);
	else {
		registration->left = true;
		registration->refused = -EACCES;
	}
}

/* Keeps why the last request failed, for rollcall_registration_failure(). */
static void note_failure(rollcall_registration *registration)
{
	const struct exchange *exchange = &registration->request.exchange;

	free(registration->failure);
	registration->failure = NULL;
	if (exchange->error == 0 && is_success(exchange->status))
		return;
	/* 404 to a heartbeat is not a failure: the client registers again. */
	if (exchange->error == 0 && exchange->status == 404 &&
	    (registration->doing == DOING_HEARTBEAT || registration->doing == DOING_STATUS))
		return;
	registration->failure = failure_text(&registration->request);
}

static void registration_on_done(struct registry_request *request)
{
	rollcall_registration *registration =
		container_of(request, struct rollcall_registration, request);
	enum doing doing = registration->doing;
	int status = request->exchange.error < 0 ? 0 : request->exchange.status;

	note_failure(registration);
	registration->doing = DOING_NOTHING;
	if (doing == DOING_DELETE)
		registration_delete_done(registration, status);
	else if (registration->leaving)
		registration_advance(registration);
	else if (doing == DOING_LOCATE)
		registration_located(registration);
	else if (doing == DOING_PUT)
		registration_put_done(registration, status);
	else
		registration_heartbeat_done(registration, doing == DOING_STATUS, status);
	if (!request->busy)
		registry_request_trim(request); /* a thousand idle registrations must be small */
}

void registration_init(rollcall_registration *registration, rollcall_client *client)
{
	registration->client = client;
	registration->load = -1;
	registration->confirmed = true;
	registration->timer.fire = registration_on_timer;
	registration->lease.fire = registration_on_lease;
	registration->notice.deliver = deliver_state;
	registry_request_init(&registration->request, &client->registry, registration_on_done);
}
