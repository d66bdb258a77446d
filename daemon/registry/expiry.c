/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "registry/internal.h"

#include <stdio.h>
#include <stdlib.h>

static void hold_add(struct registry *registry, int64_t until_ms)
{
	if (registry->hold_count == registry->hold_size) {
		size_t size = registry->hold_size == 0 ? 16 : registry->hold_size * 2;
		struct hold *holds = reallocarray(registry->holds, size, sizeof(*holds));

		if (holds == NULL)
			return; /* it is held all the same, only not counted */
		registry->holds = holds;
		registry->hold_size = size;
	}
	registry->holds[registry->hold_count++].until_ms = until_ms;
}

void holds_update(struct registry *registry)
{
	int64_t now = leases_now(&registry->leases);
	size_t kept = 0;

	for (size_t i = 0; i < registry->hold_count; i++) {
		if (registry->holds[i].until_ms > now)
			registry->holds[kept++] = registry->holds[i];
	}
	registry->hold_count = kept;
	atomic_store_explicit(&registry->held_services, (uint32_t)kept, memory_order_relaxed);
	metrics_set(METRIC_HELD_SERVICES, (int64_t)kept);
}

static void hold_begin(struct registry *registry, struct service_life *life, int64_t until_ms,
                       uint32_t silent)
{
	char text[96];

	atomic_store_explicit(&life->held_until_ms, until_ms, memory_order_relaxed);
	hold_add(registry, until_ms);
	holds_update(registry);
	metrics_count(METRIC_HOLDS, 1);
	(void)snprintf(text, sizeof(text), "%u of %u", silent, life->window_alive);
	log_event(LOG_WARNING,
	          "expiry is held back: too much of a service went silent within a TTL", "service",
	          life->name, "silent", text, NULL);
}

/*
 * When more than a share of a service's instances run out within one TTL, the network or the
 * registry is a likelier cause than the instances. What is left is then held back, for at most one
 * more TTL, and after that believed.
 * @return 0: go on and expire; else the lease clock to look again at
 */
static int64_t hold_back(struct registry *registry, const struct batch *batch,
                         const struct instance *instance)
{
	const struct registry_options *options = &registry->options;
	uint32_t count[STATUS_COUNT];
	struct service_life *life = snapshot_draft_count(batch->draft, instance->service, count);
	int64_t now = batch->now_lease_ms;
	int64_t held_until = atomic_load_explicit(&life->held_until_ms, memory_order_relaxed);

	if (!options->hold_expiry)
		return 0;
	if (now < held_until)
		return held_until;
	if (held_until != 0 && now < held_until + instance->ttl_ms)
		return 0; /* it has been held once */
	if (life->window_start_ms == 0 || now - life->window_start_ms > instance->ttl_ms) {
		life->window_start_ms = now;
		life->window_alive = count[STATUS_HEALTHY] + count[STATUS_DRAINING];
		life->window_expired = 0;
	}

	/* this one, those before it, and those that were found due with it */
	uint32_t silent =
		life->window_expired + 1 + atomic_load_explicit(&life->due, memory_order_relaxed);
	if (life->window_alive >= options->hold_min_instances && options->hold_percent < 100 &&
	    (uint64_t)silent * 100 > (uint64_t)life->window_alive * options->hold_percent) {
		hold_begin(registry, life, now + instance->ttl_ms, silent);
		return now + instance->ttl_ms;
	}
	life->window_expired++;
	return 0;
}

static int recover(struct batch *batch, struct entry *entry, const struct member *member)
{
	struct instance next = member->value;

	next.lease_out = false;
	set_status_by_owner(&next, STR("heartbeat"), batch->now_real_ms);
	return decide_event(batch, entry, EVENT_RECOVERED, &next, entry->tenure);
}

static int expire(struct registry *registry, struct batch *batch, struct entry *entry,
                  const struct member *member)
{
	struct instance next = member->value;
	int64_t again_ms = hold_back(registry, batch, &next);

	if (again_ms != 0) {
		leases_postpone(&registry->leases, entry->tenure, again_ms);
		return 0;
	}
	next.lease_out = true;
	set_status(&next, STR("lease expired"), STR("sweeper"), batch->now_real_ms);
	return decide_event(batch, entry, EVENT_EXPIRED, &next, entry->tenure);
}

static int resume(struct batch *batch, struct entry *entry, const struct member *member)
{
	struct instance next = member->value;

	next.drained = false;
	next.drained_until_ms = 0;
	if (!next.lease_out)
		set_status(&next, STR("the drain's time is over"), STR("sweeper"),
		           batch->now_real_ms);
	return decide_event(batch, entry, EVENT_RESUMED, &next, entry->tenure);
}

void decide_due(struct registry *registry, struct batch *batch, struct entry *entry)
{
	struct tenure *tenure = entry->tenure;
	const struct instance *instance = &tenure->member->value;
	const struct member *member =
		snapshot_draft_member(batch->draft, instance->service, instance->id);
	int64_t now = batch->now_lease_ms;

	leases_uncount(tenure);
	/* a command of this batch may have ended it, or may have given its id a new life */
	if (member == NULL || tenure_of(member) != tenure)
		return;

	entry->renewed_ms = atomic_load_explicit(&tenure->lease.renewed_ms, memory_order_relaxed);
	bool alive = entry->renewed_ms + member->value.ttl_ms > now;
	if (member->value.lease_out && alive)
		entry->error = recover(batch, entry, member);
	else if (!member->value.lease_out && !alive)
		entry->error = expire(registry, batch, entry, member);
	else if (tenure->drain_end_ms <= now && member->value.drained)
		entry->error = resume(batch, entry, member);
	else if (member->value.lease_out && tenure->remove_at_ms <= now)
		entry->error = decide_event(batch, entry, EVENT_REMOVED, &member->value, tenure);
	else /* renewed in the meantime */
		leases_postpone(&registry->leases, tenure, 0);
}
