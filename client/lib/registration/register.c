/* SPDX-License-Identifier: MIT */
/*
 * The public functions for registrations. They run in the program's threads and take the engine's
 * lock; those that wait run the client meanwhile. Invariant: a registration is in
 * client->registrations from rollcall_register() until no timer, request or notice of it is left,
 * and only then freed. Requests are left to registration.c: each function only states what is
 * wanted and plans the next step, so it never fails because the registry is down.
 */
#include "lib/registration/registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TTL_DEFAULT_MS 30000

/* --- making one ----------------------------------------------------------------------------- */

void rollcall_registration_options_init_sized(rollcall_registration_options *options, size_t size)
{
	rollcall_registration_options defaults = {
		.size = size,
		.weight = 100,
		.ttl_ms = TTL_DEFAULT_MS,
		.remove_after_ms = -1,
	};

	sized_out(options, size, &defaults, sizeof(defaults));
}

static bool lease_valid(const rollcall_registration_options *options)
{
	if (options->ttl_ms == 0)
		return options->interval_ms <= DAY_MS;
	return options->ttl_ms >= 1000 && options->ttl_ms <= DAY_MS &&
	       options->interval_ms < options->ttl_ms;
}

static bool registration_options_valid(const rollcall_registration_options *options)
{
	if (!client_valid_service(options->service) || options->port < 1 ||
	    options->port > UINT16_MAX || options->weight > UINT16_MAX || !lease_valid(options) ||
	    options->metadata_count > METADATA_MAX)
		return false;
	if (options->id != NULL &&
	    (options->id[0] == '\0' || strlen(options->id) > ROLLCALL_ID_MAX))
		return false;
	if (options->host != NULL &&
	    (options->host[0] == '\0' || strlen(options->host) > ROLLCALL_HOST_MAX))
		return false;
	for (const char *c = options->id; c != NULL && *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	for (size_t i = 0; i < options->metadata_count; i++)
		if (options->metadata[i].name == NULL || options->metadata[i].value == NULL)
			return false;
	return true;
}

static void registration_free(rollcall_registration *registration)
{
	if (registration == NULL)
		return;
	for (size_t i = 0; i < registration->metadata_count; i++) {
		free((void *)(uintptr_t)registration->metadata[i].name);
		free((void *)(uintptr_t)registration->metadata[i].value);
	}
	free(registration->metadata);
	free(registration->service);
	free(registration->host);
	free(registration->id);
	free(registration->failure);
	free(registration);
}

static int registration_copy_texts(rollcall_registration *registration,
                                   const rollcall_registration_options *options)
{
	registration->service = text_copy(options->service);
	registration->host = text_copy(options->host);
	registration->id = text_copy(options->id);
	registration->metadata = calloc(options->metadata_count > 0 ? options->metadata_count : 1,
	                                sizeof(registration->metadata[0]));
	if (registration->service == NULL || registration->metadata == NULL ||
	    (options->host != NULL && registration->host == NULL) ||
	    (options->id != NULL && registration->id == NULL))
		return -ENOMEM;
	for (size_t i = 0; i < options->metadata_count; i++) {
		rollcall_pair *pair = &registration->metadata[registration->metadata_count++];

		pair->name = text_copy(options->metadata[i].name);
		pair->value = text_copy(options->metadata[i].value);
		if (pair->name == NULL || pair->value == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int registration_new(rollcall_client *client, const rollcall_registration_options *options,
                            rollcall_registration **ret_registration)
{
	rollcall_registration *registration = calloc(1, sizeof(*registration));
	uint32_t ttl_ms = options->ttl_ms > 0 ? options->ttl_ms : TTL_DEFAULT_MS;
	uint32_t interval_ms = options->interval_ms > 0 ? options->interval_ms : ttl_ms / 3;

	if (registration == NULL)
		return -ENOMEM;
	if (registration_copy_texts(registration, options) < 0) {
		registration_free(registration);
		return -ENOMEM;
	}
	registration_init(registration, client);
	registration->port = options->port;
	registration->weight = options->weight;
	registration->ttl_ms = options->ttl_ms;
	registration->interval_us = us_of_ms(interval_ms);
	registration->remove_after_ms = options->remove_after_ms;
	registration->on_state = options->on_state;
	registration->arg = options->arg;
	*ret_registration = registration;
	return 0;
}

int rollcall_register(rollcall_client *client, const rollcall_registration_options *given,
                      rollcall_registration **ret_registration)
{
	rollcall_registration_options options;
	rollcall_registration *registration;

	if (client == NULL || given == NULL || ret_registration == NULL)
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	rollcall_registration_options_init(&options);
	int r = sized_in(&options, sizeof(options), given, given->size);
	if (r < 0)
		return r;
	if (!registration_options_valid(&options))
		return -EINVAL;
	r = registration_new(client, &options, &registration);
	if (r < 0)
		return r;

	engine_lock(&client->engine);
	registration->next = client->registrations;
	client->registrations = registration;
	client->registration_count++;
	*ret_registration = registration; /* before on_state can run */
	registration_schedule(registration, now_us(registration));
	engine_unlock(&client->engine);
	return 0;
}

/* --- asking it ------------------------------------------------------------------------------ */

rollcall_state rollcall_registration_state(rollcall_registration *registration)
{
	if (client_forked(registration->client))
		return ROLLCALL_PENDING;
	engine_lock(engine_of(registration));
	rollcall_state state = registration_state(registration);
	engine_unlock(engine_of(registration));
	return state;
}

int rollcall_registration_id(rollcall_registration *registration, char *out, size_t size)
{
	int r = 0;

	if (client_forked(registration->client))
		return -ECHILD;
	engine_lock(engine_of(registration));
	if (registration->id == NULL)
		r = -EAGAIN;
	else if (strlen(registration->id) >= size)
		r = -EMSGSIZE;
	else
		memcpy(out, registration->id, strlen(registration->id) + 1);
	engine_unlock(engine_of(registration));
	return r;
}

int rollcall_registration_failure(rollcall_registration *registration, char *out, size_t size)
{
	struct engine *engine = engine_of(registration);
	int r = 0;

	if (out == NULL || size == 0)
		return -EINVAL;
	if (client_forked(registration->client))
		return -ECHILD;
	engine_lock(engine);
	if (registration->failure == NULL) {
		r = -ENOENT;
	} else {
		size_t len = strlen(registration->failure);

		len = len < size ? len : size - 1;
		memcpy(out, registration->failure, len);
		out[len] = '\0';
	}
	engine_unlock(engine);
	return r;
}

int rollcall_registration_set_load(rollcall_registration *registration, double load)
{
	if (!(load >= 0 && load <= 1))
		return -EINVAL;
	if (client_forked(registration->client))
		return -ECHILD;
	engine_lock(engine_of(registration));
	registration->load = load;
	engine_unlock(engine_of(registration));
	return 0;
}

static bool is_settled(void *arg)
{
	rollcall_state state = registration_state(arg);

	return state != ROLLCALL_PENDING && state != ROLLCALL_UNCONFIRMED;
}

static int64_t deadline_after(const rollcall_registration *registration, uint32_t timeout_ms)
{
	return now_us(registration) + us_of_ms(timeout_ms);
}

int rollcall_registration_wait(rollcall_registration *registration, uint32_t timeout_ms)
{
	if (client_forked(registration->client))
		return -ECHILD;
	engine_lock(engine_of(registration));
	int r = engine_run(engine_of(registration), is_settled, registration,
	                   deadline_after(registration, timeout_ms));
	if (r == 0 && registration->state == ROLLCALL_REFUSED)
		r = registration->refused;
	engine_unlock(engine_of(registration));
	return r;
}

static bool is_confirmed(void *arg)
{
	const rollcall_registration *registration = arg;

	return registration->confirmed && (registration->state == ROLLCALL_REGISTERED ||
	                                   registration->state == ROLLCALL_DRAINING);
}

static int set_draining(rollcall_registration *registration, bool draining, uint32_t timeout_ms)
{
	if (client_forked(registration->client))
		return -ECHILD;
	engine_lock(engine_of(registration));
	registration->draining = draining;
	registration->ordered = true;
	registration->confirmed = false;
	registration_schedule(registration, now_us(registration));
	int r = engine_run(engine_of(registration), is_confirmed, registration,
	                   deadline_after(registration, timeout_ms));
	engine_unlock(engine_of(registration));
	return r;
}

int rollcall_drain(rollcall_registration *registration, uint32_t timeout_ms)
{
	return set_draining(registration, true, timeout_ms);
}

int rollcall_resume(rollcall_registration *registration, uint32_t timeout_ms)
{
	return set_draining(registration, false, timeout_ms);
}

/* --- ending it ------------------------------------------------------------------------------ */

static void registration_leave(rollcall_registration *registration)
{
	registration->leaving = true;
	registration->failures = 0;
	registration->refused = 0;
	registration_schedule(registration, now_us(registration));
}

static void registration_unlink(rollcall_registration *registration)
{
	rollcall_client *client = registration->client;

	for (rollcall_registration **at = &client->registrations; *at != NULL; at = &(*at)->next) {
		if (*at == registration) {
			*at = registration->next;
			break;
		}
	}
	client->registration_count--;
	loop_clear_timer(&client->engine.loop, &registration->timer);
	loop_clear_timer(&client->engine.loop, &registration->lease);
	registry_request_fini(&registration->request);
}

static bool has_left(void *arg)
{
	const rollcall_registration *registration = arg;

	return registration->left;
}

int rollcall_deregister(rollcall_registration *registration, uint32_t timeout_ms)
{
	if (registration == NULL)
		return 0;
	if (client_forked(registration->client))
		return -ECHILD;

	struct engine *engine = engine_of(registration);
	engine_lock(engine);
	registration->on_state = NULL;
	engine_settle(engine, &registration->notice);
	registration_leave(registration);
	int r = engine_run(engine, has_left, registration,
	                   deadline_after(registration, timeout_ms));
	if (r == 0)
		r = registration->refused == -EACCES ? -EACCES : 0;
	registration_unlink(registration);
	engine_unlock(engine);
	registration_free(registration);
	return r;
}

static bool all_left(void *arg)
{
	const rollcall_client *client = arg;

	for (const rollcall_registration *one = client->registrations; one != NULL; one = one->next)
		if (!one->left)
			return false;
	return true;
}

int registrations_close(rollcall_client *client, int64_t deadline_us)
{
	for (rollcall_registration *one = client->registrations; one != NULL; one = one->next)
		registration_leave(one);
	return engine_run(&client->engine, all_left, client, deadline_us);
}

void registrations_free(rollcall_client *client)
{
	rollcall_registration *next;

	for (rollcall_registration *one = client->registrations; one != NULL; one = next) {
		next = one->next;
		if (client_forked(client))
			registry_request_trim(&one->request);
		else
			registration_unlink(one);
		registration_free(one);
	}
	client->registrations = NULL;
}
