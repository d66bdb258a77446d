/* SPDX-License-Identifier: MIT */
/*
 * The table of services, and picks from a service's present set. Any thread looks services up
 * without a lock, because entries of the table are added and never removed; adding takes the
 * engine's lock. Picks and reports run under the service's lock. Invariant: service->set is
 * replaced as a whole and never changed, so a caller that holds a reference may read it without a
 * lock. One lock for all services would be simpler, but a pick in a large ring would delay all
 * others.
 */
#include "lib/service/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the table ------------------------------------------------------------------------------ */

static _Atomic(struct service *) *bucket_of(rollcall_client *client, const char *name)
{
	return &client->services[hash_text(name) % SERVICE_BUCKETS];
}

struct service *service_find(rollcall_client *client, const char *name)
{
	struct service *service =
		atomic_load_explicit(bucket_of(client, name), memory_order_acquire);

	while (service != NULL && strcmp(service->name, name) != 0)
		service = service->next;
	return service;
}

static void service_free(struct service *service)
{
	if (service == NULL)
		return;
	set_unref(service->set);
	while (service->routes != NULL) {
		struct route *route = service->routes;

		service->routes = route->next;
		route_fini(route);
		free(route);
	}
	route_fini(&service->base);
	(void)pthread_mutex_destroy(&service->lock);
	free(service->name);
	free(service);
}

static struct service *service_new(rollcall_client *client, const char *name)
{
	struct service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return NULL;
	service->client = client;
	service->answer = -EAGAIN;
	service->strategy = client->options.strategy;
	service->name = text_copy(name);
	(void)pthread_mutex_init(&service->lock, NULL); /* cannot fail with default attributes */
	if (service->name == NULL || route_init(&service->base, "", &client->default_policy) < 0) {
		service_free(service);
		return NULL;
	}
	return service;
}

/* With the engine's lock held. */
static int add_service(rollcall_client *client, const char *name, struct service **ret_service)
{
	_Atomic(struct service *) *bucket = bucket_of(client, name);
	struct service *service;

	if (client->service_count >= client->options.max_services)
		return -ENOSPC;
	service = service_new(client, name);
	if (service == NULL)
		return -ENOMEM;
	service->next = atomic_load_explicit(bucket, memory_order_relaxed);
	atomic_store_explicit(bucket, service, memory_order_release);
	client->service_count++;
	*ret_service = service;
	return 0;
}

int service_get(rollcall_client *client, const char *name, struct service **ret_service)
{
	int r = 0;

	if (!client_valid_service(name))
		return -EINVAL;
	struct service *service = service_find(client, name);
	if (service == NULL) {
		engine_lock(&client->engine);
		/* Another thread may have made it before the lock was taken. */
		service = service_find(client, name);
		if (service == NULL)
			r = add_service(client, name, &service);
		engine_unlock(&client->engine);
	}
	if (r == 0)
		*ret_service = service;
	return r;
}

void services_free(rollcall_client *client)
{
	for (size_t i = 0; i < SERVICE_BUCKETS; i++) {
		struct service *service = atomic_load(&client->services[i]);

		while (service != NULL) {
			struct service *next = service->next;

			service_free(service);
			service = next;
		}
	}
}

void services_visit(rollcall_client *client, void (*visit)(struct service *service))
{
	for (size_t i = 0; i < SERVICE_BUCKETS; i++)
		for (struct service *service = atomic_load(&client->services[i]); service != NULL;
		     service = service->next)
			visit(service);
}

bool service_is_answered(struct service *service)
{
	service_lock(service);
	int answer = service->answer;
	service_unlock(service);
	return answer != -EAGAIN && answer != -ENOTCONN;
}

void service_lock(struct service *service)
{
	(void)pthread_mutex_lock(&service->lock);
}

void service_unlock(struct service *service)
{
	(void)pthread_mutex_unlock(&service->lock);
}

/* --- picking -------------------------------------------------------------------------------- */

struct choosing {
	rollcall_choice choice;
	const rollcall_instances *set;
	const struct env *env;
	int64_t now_us;
};

static double choosing_load(const rollcall_choice *choice, size_t index)
{
	const struct choosing *choosing = (const struct choosing *)(const void *)choice;

	return health_load(choosing->set->healths[index], choosing->now_us);
}

static uint64_t choosing_random_below(const rollcall_choice *choice, uint64_t bound)
{
	return env_below(((const struct choosing *)(const void *)choice)->env, bound);
}

static struct health_set health_set_of(const rollcall_instances *set)
{
	return (struct health_set){set->healths, set->count};
}

/* @return whether any instance must be skipped */
static bool mark_ejected(struct service *service)
{
	const rollcall_instances *set = service->set;

	if (service->ejector.ejected == 0 ||
	    ejector_panic(&service->ejector, &service->base.policy, set->count))
		return false;
	for (size_t i = 0; i < set->count; i++)
		set->skip[i] = set->healths[i]->ejected_until_us != 0;
	return true;
}

static bool mark_tried(const rollcall_instances *set, const struct pick *pick, bool marked)
{
	if (pick->tried_count == 0)
		return marked;
	if (!marked)
		memset(set->skip, 0, set->count);
	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; j < pick->tried_count; j++)
			if (pick->tried[j] == set->members[i])
				set->skip[i] = 1;
	return true;
}

size_t service_pick(struct service *service, const struct pick *pick)
{
	rollcall_instances *set = service->set;
	struct choosing choosing = {
		.choice = {.size = sizeof(rollcall_choice),
	                   .key = pick->key,
	                   .load = choosing_load,
	                   .random_below = choosing_random_below},
		.set = set,
		.env = &service->client->env,
		.now_us = pick->now_us,
	};

	if (set == NULL || set->count == 0)
		return ROLLCALL_NONE;
	struct health_set healths = health_set_of(set);
	ejector_tick(&service->ejector, &service->base.policy, &healths, choosing.env,
	             pick->now_us);
	choosing.choice.instances = set->infos;
	choosing.choice.count = set->count;

	bool ejected = mark_ejected(service);
	bool marked = mark_tried(set, pick, ejected);
	choosing.choice.skip = marked ? set->skip : NULL;
	size_t index = set->strategy->pick(set->balance, &choosing.choice);
	if (index >= set->count && pick->tried_count > 0) {
		/* All usable instances were tried: try one of them again. */
		marked = mark_ejected(service);
		choosing.choice.skip = marked ? set->skip : NULL;
		index = set->strategy->pick(set->balance, &choosing.choice);
	}
	return index < set->count ? index : ROLLCALL_NONE;
}

void service_observe(struct service *service, struct member *member, rollcall_class outcome,
                     int64_t latency_us)
{
	const rollcall_policy *policy = &service->base.policy;
	const struct env *env = &service->client->env;
	bool failed = outcome >= ROLLCALL_SERVER_ERR;
	enum health_result result = !failed                          ? HEALTH_OK
	                            : outcome == ROLLCALL_SERVER_ERR ? HEALTH_5XX
	                                                             : HEALTH_LOCAL;

	if (outcome > ROLLCALL_UNKNOWN)
		return; /* the client's own refusal, not the instance's failure */
	if (failed)
		latency_us = max_i64(latency_us, us_of_ms(policy->time.attempt_ms));
	health_observe(&member->health, latency_us, env_now(env));

	/* A member that has left the set cannot be ejected from it. */
	if (service->set == NULL)
		return;
	size_t index = set_find(service->set, member->info.id);
	if (index == ROLLCALL_NONE || service->set->members[index] != member)
		return;
	struct health_set healths = health_set_of(service->set);
	ejector_report(&service->ejector, policy, &healths, &member->health, result, env);
}

void service_install(struct service *service, rollcall_instances *set)
{
	service_lock(service);
	rollcall_instances *old = service->set;

	if (old != NULL) {
		set_carry_health(set, old);
		if (set->strategy == old->strategy && set->strategy->inherit != NULL)
			set->strategy->inherit(set->balance, old->balance);
	}
	struct health_set healths = health_set_of(set);
	ejector_recount(&service->ejector, &healths);
	service->set = set;
	service_unlock(service);
	set_unref(old);
}

/* --- routes --------------------------------------------------------------------------------- */

struct route *service_route(struct service *service, const char *path)
{
	struct route *route = service->routes;

	while (route != NULL && strncmp(path, route->prefix, strlen(route->prefix)) != 0)
		route = route->next;
	return route != NULL ? route : &service->base;
}
