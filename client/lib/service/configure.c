/* SPDX-License-Identifier: MIT */
/* What a program sets for a service: policies of its routes, forced breakers, the strategy. */
#include "lib/policy/policy.h"
#include "lib/service/discover.h"
#include "lib/service/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- policies ------------------------------------------------------------------------------- */

static struct route *route_named(struct service *service, const char *prefix)
{
	if (prefix[0] == '\0')
		return &service->base;
	for (struct route *route = service->routes; route != NULL; route = route->next)
		if (strcmp(route->prefix, prefix) == 0)
			return route;
	return NULL;
}

static int configure_add_route(struct service *service, const char *prefix,
                               const rollcall_policy *policy)
{
	struct route **at = &service->routes;
	struct route *route;

	if (service->route_count >= ROUTES_MAX)
		return -ENOSPC;
	route = malloc(sizeof(*route));
	if (route == NULL)
		return -ENOMEM;
	int r = route_init(route, prefix, policy);
	if (r < 0) {
		route_fini(route);
		free(route);
		return r;
	}
	while (*at != NULL && strlen((*at)->prefix) >= strlen(prefix))
		at = &(*at)->next;
	route->next = *at;
	*at = route;
	service->route_count++;
	return 0;
}

static int set_service_policy(rollcall_client *client, const char *name, const char *prefix,
                              const rollcall_policy *policy)
{
	struct service *service = NULL;
	int r = service_get(client, name, &service);

	if (service == NULL)
		return r;
	service_lock(service);
	struct route *route = route_named(service, prefix);
	r = route != NULL ? route_set_policy(route, policy)
	                  : configure_add_route(service, prefix, policy);
	service_unlock(service);
	return r;
}

int rollcall_set_policy(rollcall_client *client, const char *service, const char *route_prefix,
                        const rollcall_policy *given)
{
	rollcall_policy policy;

	if (client == NULL || given == NULL)
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	rollcall_policy_default(&policy);
	int r = sized_in(&policy, sizeof(policy), given, given->size);
	if (r < 0)
		return r;
	if (!policy_valid(&policy))
		return -EINVAL;
	if (service != NULL)
		return set_service_policy(client, service, route_prefix == NULL ? "" : route_prefix,
		                          &policy);
	if (route_prefix != NULL)
		return -EINVAL;
	engine_lock(&client->engine);
	client->default_policy = policy;
	engine_unlock(&client->engine);
	return 0;
}

int rollcall_breaker_force(rollcall_client *client, const char *name, rollcall_force force)
{
	struct service *service;

	if (client == NULL || name == NULL || force > ROLLCALL_FORCE_CLOSED)
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	int r = service_get(client, name, &service);
	if (r < 0)
		return r;
	service_lock(service);
	breaker_force(&service->base.breaker, force);
	for (struct route *route = service->routes; route != NULL; route = route->next)
		breaker_force(&route->breaker, force);
	service_unlock(service);
	return 0;
}

/* --- the strategy --------------------------------------------------------------------------- */

static bool usable_strategy(const rollcall_strategy *strategy)
{
	return strategy != NULL && strategy->size >= sizeof(*strategy) && strategy->name != NULL &&
	       strategy->create != NULL && strategy->pick != NULL && strategy->destroy != NULL;
}

int rollcall_set_strategy(rollcall_client *client, const char *name,
                          const rollcall_strategy *strategy)
{
	struct service *service;

	if (!usable_strategy(strategy))
		return -EINVAL;
	int r = discover_prepare(client, name, &service);
	if (r < 0)
		return r;
	engine_lock(&client->engine);
	rollcall_instances *copy = NULL;
	if (service->set != NULL) {
		copy = set_copy(service->set);
		r = copy == NULL ? -ENOMEM : set_balance(copy, strategy, &client->env);
	}
	if (r == 0) {
		service->strategy = strategy;
		if (copy != NULL)
			service_install(service, copy);
		copy = NULL;
	}
	engine_unlock(&client->engine);
	set_unref(copy);
	return r;
}
