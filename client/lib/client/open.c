/* SPDX-License-Identifier: MIT */
/*
 * Opens, runs and closes a client. rollcall_close() ends the parts in the order of their layers,
 * from the top: first callbacks, then registrations, the thread, asynchronous calls, watches,
 * refreshes, services, loops and the engine. Invariant: a client that client_open() returned has
 * all parts, so rollcall_close() asks for none; a client that failed before has only texts and the
 * registry. In a child of fork() nothing may be sent or locked: the lock may be held by a thread
 * that the child does not have.
 */
#include "lib/client/open.h"

#include "lib/base/version.h"
#include "lib/call/async.h"
#include "lib/core/client.h"
#include "lib/policy/policy.h"
#include "lib/policy/strategy.h"
#include "lib/registration/registration.h"
#include "lib/service/refresh.h"
#include "lib/service/service.h"
#include "lib/service/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTRY_DEFAULT "http://127.0.0.1:7655"

/* --- open ----------------------------------------------------------------------------------- */

void rollcall_options_init_sized(rollcall_options *options, size_t size)
{
	rollcall_options defaults = {
		.size = size,
		.registry = REGISTRY_DEFAULT,
		.cache_ttl_ms = 30000,
		.discover_timeout_ms = 3000,
		.registry_timeout_ms = 2000,
		.registry_connect_ms = 1000,
		.retry_base_ms = 500,
		.retry_max_ms = 15000,
		.max_services = 4096,
		.max_watches = 32,
	};

	sized_out(options, size, &defaults, sizeof(defaults));
}

static bool options_valid(const rollcall_options *options)
{
	return options->cache_ttl_ms >= 10 && options->cache_ttl_ms <= HOUR_MS &&
	       options->registry_timeout_ms >= 1 && options->registry_timeout_ms <= 600000 &&
	       options->registry_connect_ms >= 1 && options->retry_base_ms >= 1 &&
	       options->retry_base_ms <= options->retry_max_ms &&
	       options->retry_max_ms <= HOUR_MS &&
	       (options->token == NULL || strpbrk(options->token, "\r\n") == NULL);
}

static void client_free(rollcall_client *client)
{
	registry_fini(&client->registry);
	free(client->ca_file);
	free(client->user_agent);
	free(client);
}

static int client_copy_texts(rollcall_client *client)
{
	char agent[64];
	const char *given = client->options.user_agent;

	(void)snprintf(agent, sizeof(agent), "librollcall/%s", client_version_text);
	client->user_agent = text_copy(given != NULL ? given : agent);
	client->ca_file = text_copy(client->options.ca_file);
	if (client->user_agent == NULL ||
	    (client->options.ca_file != NULL && client->ca_file == NULL))
		return -ENOMEM;
	return 0;
}

static int client_start_engine(rollcall_client *client)
{
	struct transport *transport = NULL;

	int r = transport_new(&client->transports, &transport);
	return r < 0 ? r : engine_init(&client->engine, &client->env, transport);
}

static void client_history_changed(struct registry *registry)
{
	rollcall_client *client = container_of(registry, rollcall_client, registry);

	registrations_send_again(client);
	refreshes_read_again(client);
}

int client_open(const rollcall_options *given, transport_fn make, void *arg,
                rollcall_client **ret_client)
{
	rollcall_client *client = calloc(1, sizeof(*client));
	int r;

	if (client == NULL)
		return -ENOMEM;
	rollcall_options_init(&client->options);
	r = given == NULL ? 0
	                  : sized_in(&client->options, sizeof(client->options), given, given->size);
	if (r == 0 && !options_valid(&client->options))
		r = -EINVAL;
	if (r < 0)
		goto fail;
	if (client->options.registry == NULL)
		client->options.registry = REGISTRY_DEFAULT;
	if (client->options.strategy == NULL)
		client->options.strategy = &strategy_p2c;
	env_init(&client->env, &client->options.env);
	rollcall_policy_default(&client->default_policy);
	r = client_copy_texts(client);
	if (r < 0)
		goto fail;
	client->transports = (struct transport_source){
		.make = make != NULL ? make : transport_curl_new,
		.arg = arg,
		.options = {.env = &client->env,
	                    .ca_file = client->ca_file,
	                    .user_agent = client->user_agent},
	};
	r = registry_init(&client->registry, &client->engine,
	                  &(struct registry_options){
				  .addresses = client->options.registry,
				  .token = client->options.token,
				  .timeout_ms = client->options.registry_timeout_ms,
				  .connect_ms = client->options.registry_connect_ms,
				  .history_changed = client_history_changed,
			  });
	if (r < 0)
		goto fail;
	r = client_start_engine(client);
	if (r < 0)
		goto fail;
	loop_pool_init(&client->loops, &client->transports);
	if (client->options.thread)
		r = engine_thread_start(&client->engine);
	if (r < 0) {
		(void)rollcall_close(client, 0);
		return r;
	}
	*ret_client = client;
	return 0;

fail:
	client_free(client);
	return r;
}

int rollcall_open(const rollcall_options *options, rollcall_client **ret_client)
{
	return ret_client == NULL ? -EINVAL : client_open(options, NULL, NULL, ret_client);
}

/* @return whether the calling thread is in a callback, which needs its client afterwards */
static bool in_callback(rollcall_client *client)
{
	engine_lock(&client->engine);
	bool inside = engine_in_callback(&client->engine);
	engine_unlock(&client->engine);
	return inside;
}

int rollcall_close(rollcall_client *client, uint32_t timeout_ms)
{
	int r = 0;

	if (client == NULL)
		return 0;
	if (!client_forked(client)) {
		if (in_callback(client))
			return -EDEADLK;
		engine_lock(&client->engine);
		engine_silence(&client->engine);
		r = registrations_close(client, env_now(&client->env) + us_of_ms(timeout_ms));
		engine_unlock(&client->engine);
		engine_thread_stop(&client->engine);
		engine_lock(&client->engine);
		async_calls_free(client);
		registrations_free(client);
		watches_free(client);
		engine_unlock(&client->engine);
	} else {
		async_calls_free(client);
		registrations_free(client);
		watches_free(client);
	}
	refreshes_fini(client);
	services_free(client);
	loop_pool_fini(&client->loops, client_forked(client));
	engine_fini(&client->engine);
	client_free(client);
	return r;
}

/* --- running -------------------------------------------------------------------------------- */

int rollcall_thread_start(rollcall_client *client)
{
	return client_forked(client) ? -ECHILD : engine_thread_start(&client->engine);
}

int rollcall_thread_stop(rollcall_client *client)
{
	if (client_forked(client))
		return -ECHILD;
	if (in_callback(client))
		return -EDEADLK;
	engine_thread_stop(&client->engine);
	return 0;
}

int rollcall_get_fd(rollcall_client *client)
{
	struct engine *engine = &client->engine;

	if (client_forked(client))
		return -ECHILD;
	engine_lock(engine);
	int fd = engine->loop.transport->fd(engine->loop.transport);
	if (fd >= 0 && !engine->polled) {
		engine->polled = true;
		loop_wake(&engine->loop); /* the first rollcall_process() then sets the alarm */
	}
	engine_unlock(engine);
	return fd;
}

int rollcall_get_timeout(rollcall_client *client)
{
	struct engine *engine = &client->engine;

	if (client_forked(client))
		return -ECHILD;
	engine_lock(engine);
	int64_t due = engine_next_due(engine);
	engine_unlock(engine);
	if (due < 0)
		return -1;
	int64_t wait_us = max_i64(0, due - env_now(&client->env));
	return (int)min_i64((wait_us + 999) / US_PER_MS, INT32_MAX);
}

int rollcall_process(rollcall_client *client)
{
	return client_forked(client) ? -ECHILD : engine_process(&client->engine);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

int rollcall_wait(rollcall_client *client, uint32_t timeout_ms)
{
	if (client_forked(client))
		return -ECHILD;
	engine_lock(&client->engine);
	(void)engine_run(&client->engine, never, NULL,
	                 env_now(&client->env) + us_of_ms(timeout_ms));
	engine_unlock(&client->engine);
	return 0;
}
