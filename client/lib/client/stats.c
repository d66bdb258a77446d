/* SPDX-License-Identifier: MIT */
#include "lib/service/service.h"

#include <errno.h>
#include <string.h>

static void stats_add_route(rollcall_stats_view *view, const struct route *route)
{
	view->inflight += route->bulkhead.inflight;
	view->queued += route->bulkhead.queued;
	view->breaker_opened += route->breaker.opened;
}

static void stats_fill(const struct service *service, rollcall_stats_view *view, int64_t now_us)
{
	memcpy(view->calls, service->calls, sizeof(view->calls));
	memcpy(view->attempts, service->attempts, sizeof(view->attempts));
	memcpy(view->latency, service->latency, sizeof(view->latency));
	view->retries = service->retries;
	view->retry_denied_budget = service->denied_budget;
	view->retry_denied_deadline = service->denied_deadline;
	view->hedges = service->hedges;
	view->hedges_won = service->hedges_won;
	view->fallbacks = service->fallbacks;
	view->ejections = service->ejector.ejections;
	view->ejected = service->ejector.ejected;
	view->age_ms = -1;
	if (service->set != NULL) {
		view->revision = atomic_load(&service->set->revision);
		view->instances = (uint32_t)service->set->count;
		view->age_ms = (now_us - service->confirmed_us) / US_PER_MS;
	}
	view->stale = service->stale;
	view->breaker = breaker_state(&service->base.breaker);
	stats_add_route(view, &service->base);
	for (const struct route *route = service->routes; route != NULL; route = route->next)
		stats_add_route(view, route);
}

int rollcall_stats(rollcall_client *client, const char *name, rollcall_stats_view *ret_view)
{
	rollcall_stats_view view = {0};

	if (client == NULL || name == NULL || ret_view == NULL || ret_view->size < sizeof(size_t))
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	struct service *service = service_find(client, name);
	if (service == NULL)
		return -ENOENT;
	service_lock(service);
	stats_fill(service, &view, env_now(&client->env));
	service_unlock(service);
	view.size = ret_view->size;
	memcpy(ret_view, &view, view.size < sizeof(view) ? view.size : sizeof(view));
	return 0;
}

int rollcall_client_stats_get(rollcall_client *client, rollcall_client_stats *ret_stats)
{
	rollcall_client_stats stats = {0};

	if (client == NULL || ret_stats == NULL || ret_stats->size < sizeof(size_t))
		return -EINVAL;
	if (client_forked(client))
		return -ECHILD;
	engine_lock(&client->engine);
	const struct registry *registry = &client->registry;
	const char *address = registry->addresses[registry->current];

	stats.registry_requests = registry->requests;
	stats.registry_failures = registry->failures;
	stats.registry_failovers = registry->failovers;
	stats.heartbeats = client->heartbeats;
	stats.reregistrations = client->reregistrations;
	stats.registrations = client->registration_count;
	stats.services = client->service_count;
	memccpy(stats.registry, address, '\0', sizeof(stats.registry) - 1);
	engine_unlock(&client->engine);
	stats.size = ret_stats->size;
	memcpy(ret_stats, &stats, stats.size < sizeof(stats) ? stats.size : sizeof(stats));
	return 0;
}
