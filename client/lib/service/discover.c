/* SPDX-License-Identifier: MIT */
/*
 * The public functions for discovery: picks, lists, watches, reports. They run in the program's
 * threads. Invariant: after the registry has first answered for a service, a pick takes only the
 * service's lock, so it never waits for the registry or for the thread that runs the client. That
 * is why these functions read service->answer before they take the engine's lock.
 */
#include "lib/service/discover.h"

#include "lib/service/refresh.h"
#include "lib/service/watch.h"

#include <errno.h>
#include <string.h>

/* --- the first answer ----------------------------------------------------------------------- */

static bool is_answered(void *arg)
{
	return service_is_answered(arg);
}

static void start_refresh(struct service *service)
{
	struct engine *engine = &service->client->engine;

	engine_lock(engine);
	refresh_start(service);
	engine_unlock(engine);
}

void discover_await(struct service *service, int64_t deadline_us)
{
	struct engine *engine = &service->client->engine;

	if (service_is_answered(service))
		return;
	engine_lock(engine);
	refresh_start(service);
	(void)engine_run(engine, is_answered, service, deadline_us); /* callers read the answer */
	engine_unlock(engine);
}

int discover_prepare(rollcall_client *client, const char *name, struct service **ret_service)
{
	if (client == NULL || name == NULL)
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	struct service *service = service_find(client, name);
	if (service == NULL) {
		int r = service_get(client, name, &service);

		if (r < 0)
			return r;
	}
	*ret_service = service;
	return 0;
}

/* --- picks ---------------------------------------------------------------------------------- */

static void copy_out(const struct service *service, size_t index, int64_t now_us,
                     rollcall_endpoint *endpoint)
{
	const rollcall_instance *info = &service->set->infos[index];

	endpoint->age_ms = (now_us - service->confirmed_us) / US_PER_MS;
	endpoint->weight = info->weight;
	endpoint->port = info->port;
	endpoint->stale = service->stale;
	memcpy(endpoint->host, info->host, strlen(info->host) + 1);
	memcpy(endpoint->id, info->id, strlen(info->id) + 1);
}

static int pick_one(struct service *service, const char *key, rollcall_endpoint *endpoint)
{
	struct pick pick = {.key = key, .now_us = env_now(&service->client->env)};

	service_lock(service);
	int r = service->answer;
	if (r == 0) {
		size_t index = service_pick(service, &pick);

		if (index == ROLLCALL_NONE)
			r = -EHOSTUNREACH;
		else
			copy_out(service, index, pick.now_us, endpoint);
	}
	service_unlock(service);
	return r;
}

static int discover(rollcall_client *client, const char *name, const char *key,
                    rollcall_endpoint *ret_endpoint, bool blocks)
{
	struct service *service;

	if (ret_endpoint == NULL || ret_endpoint->size < sizeof(*ret_endpoint))
		return -EINVAL;
	int r = discover_prepare(client, name, &service);
	if (r < 0)
		return r;
	r = pick_one(service, key, ret_endpoint);
	if (r != -EAGAIN && r != -ENOTCONN)
		return r;
	if (!blocks) {
		start_refresh(service);
		return r;
	}
	discover_await(service,
	               env_now(&client->env) + us_of_ms(client->options.discover_timeout_ms));
	r = pick_one(service, key, ret_endpoint);
	return r == -EAGAIN ? -ENOTCONN : r;
}

int rollcall_discover(rollcall_client *client, const char *service, const char *key,
                      rollcall_endpoint *ret_endpoint)
{
	return discover(client, service, key, ret_endpoint, true);
}

int rollcall_discover_now(rollcall_client *client, const char *service, const char *key,
                          rollcall_endpoint *ret_endpoint)
{
	return discover(client, service, key, ret_endpoint, false);
}

/* --- lists ---------------------------------------------------------------------------------- */

int rollcall_get_instances(rollcall_client *client, const char *name, rollcall_instances **ret_list)
{
	struct service *service;

	if (ret_list == NULL)
		return -EINVAL;
	int r = discover_prepare(client, name, &service);
	if (r < 0)
		return r;
	discover_await(service,
	               env_now(&client->env) + us_of_ms(client->options.discover_timeout_ms));
	service_lock(service);
	r = service->answer == -EAGAIN ? -ENOTCONN : service->answer;
	if (r == 0)
		*ret_list = set_ref(service->set);
	service_unlock(service);
	return r;
}

size_t rollcall_instances_count(const rollcall_instances *list)
{
	return list->count;
}

const rollcall_instance *rollcall_instances_at(const rollcall_instances *list, size_t index)
{
	return index < list->count ? &list->infos[index] : NULL;
}

uint64_t rollcall_instances_revision(const rollcall_instances *list)
{
	return atomic_load_explicit(&list->revision, memory_order_relaxed);
}

void rollcall_instances_free(rollcall_instances *list)
{
	set_unref(list);
}

/* --- watches and reports -------------------------------------------------------------------- */

int rollcall_watch_start(rollcall_client *client, const char *name,
                         void (*on_change)(rollcall_client *client, const char *service, void *arg),
                         void *arg, rollcall_watch **ret_watch)
{
	struct service *service;

	if (on_change == NULL || ret_watch == NULL)
		return -EINVAL;
	int r = discover_prepare(client, name, &service);
	if (r < 0)
		return r;
	engine_lock(&client->engine);
	rollcall_watch *watch = watch_add(client, service, service->name, on_change, arg);
	if (watch != NULL) {
		*ret_watch = watch; /* before its callback can run */
		refresh_start(service);
		if (service->set != NULL)
			watch_notify(watch);
	}
	engine_unlock(&client->engine);
	return watch != NULL ? 0 : -ENOMEM;
}

int rollcall_report(rollcall_client *client, const char *name, const char *id,
                    rollcall_class outcome, int64_t latency_us)
{
	struct service *service;

	if (id == NULL || outcome < ROLLCALL_OK || outcome > ROLLCALL_CANCELLED || latency_us < 0)
		return -EINVAL;
	int r = discover_prepare(client, name, &service);
	if (r < 0)
		return r;
	service_lock(service);
	size_t index = service->set == NULL ? ROLLCALL_NONE : set_find(service->set, id);
	if (index != ROLLCALL_NONE)
		service_observe(service, service->set->members[index], outcome, latency_us);
	service_unlock(service);
	return index == ROLLCALL_NONE ? -ENOENT : 0;
}
