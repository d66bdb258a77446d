/* SPDX-License-Identifier: MIT */
#include "v1/v1.h"

#include "base/clock.h"
#include "config/config.h"
#include "v1/internal.h"

#include <errno.h>
#include <stdlib.h>

int v1_open(struct registry *registry, const struct config *config, struct v1 **ret_v1)
{
	struct v1 *v1 = calloc(1, sizeof(*v1));

	if (v1 == NULL)
		return -ENOMEM;
	v1->magic = MAGIC_INIT(v1);
	v1->registry = registry;
	v1->store = registry_store(registry);
	v1->started_ms = clock_ms();
	v1->table = (struct route_table){.routes = v1_routes, .count = v1_route_count, .self = v1};
	live_init(&v1->streams);
	v1_reload(v1, config);
	*ret_v1 = v1;
	return 0;
}

void v1_close(struct v1 *v1)
{
	if (v1 != NULL)
		live_fini(&v1->streams);
	free(v1);
}

void v1_reload(struct v1 *v1, const struct config *config)
{
	atomic_store_explicit(&v1->default_ttl_ms, config->default_ttl_ms, memory_order_relaxed);
	atomic_store_explicit(&v1->default_remove_after_ms, config->default_remove_after_ms,
	                      memory_order_relaxed);
	atomic_store_explicit(&v1->intent_ttl_ms, config->intent_ttl_ms, memory_order_relaxed);
	atomic_store_explicit(&v1->max_instances, config->max_instances, memory_order_relaxed);
	atomic_store_explicit(&v1->max_registry_bytes, config->max_registry_bytes,
	                      memory_order_relaxed);
}

const struct route_table *v1_table(const struct v1 *v1)
{
	return &v1->table;
}

uint64_t v1_revision(void *arg)
{
	struct v1 *v1 = arg;

	CHECK_MAGIC(v1, v1);
	uint64_t revision = snapshot_revision(snapshot_enter(v1->store));
	snapshot_leave(v1->store);
	return revision;
}
