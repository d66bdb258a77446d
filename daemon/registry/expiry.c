/* SPDX-License-Identifier: MIT */
/*
 * Decides what becomes of a due lease: expiry, recovery, the end of a drain, removal. Writer thread
 * only.
 *
 * Invariant: each due lease that a batch has taken is settled, postponed or ended once the batch is
 * completed; otherwise its timer would never be armed again. Expiring every lease that is due is
 * not enough: when the network of this host fails, that would turn all instances unhealthy at once.
 * Hence the hold of mass expiry (expiry_hold_back()).
 */
#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "registry/internal.h"

#include <stdio.h>
#include <stdlib.h>

static void holds_add(struct registry *registry, int64_t until_ms)
{
	if (registry->hold_count == registry->hold_size) {
		size_t size = registry->hold_size == 0 ? 16 : registry->hold_size * 2;
		struct hold *holds = reallocarray(registry->holds, size, sizeof(*holds));

		if (holds == NULL)
			return; /* no memory: the hold is in effect, but not counted */
		registry->holds = holds;
		registry->hold_size = size;
	}
	registry->holds[registry->hold_count++].until_ms = until_ms;
}

void holds_update(struct registry *registry)
{
	int64_t now = leases_now(registry->leases);
	size_t kept = 0;

	for (size_t i = 0; i < registry->hold_count; i++) {
		if (registry->holds[i].until_ms > now)
			registry->holds[kept++] = registry->holds[i];
	}
	registry->hold_count = kept;
	atomic_store_explicit(&registry->held_services, (uint32_t)kept, memory_order_relaxed);
	metrics_set(METRIC_HELD_SERVICES, (int64_t)kept);
}

/* Finds or adds the batch's count of the lease's service. There is room: a batch has at most
 * BATCH_DUE due leases. */
static struct silence *expiry_silence(struct batch *batch, const struct due_lease *due)
{
	struct service_life *life = member_life(due->member);

	for (size_t i = 0; i < batch->silence_count; i++)
		if (batch->silences[i].life == life)
			return &batch->silences[i];
	struct silence *silence = &batch->silences[batch->silence_count++];
	*silence = (struct silence){.life = life, .window = life->window};
	return silence;
}

/*
 * When more than hold_percent of a service's leases expire within one TTL, a fault of the network
 * or of the registry is more likely than that of the instances. The expiry of the others is then
 * held back for one more TTL, once; leases that are still due after that expire.
 * @return 0: expire the lease; otherwise when to examine it again (lease clock)
 */
static int64_t expiry_hold_back(const struct registry *registry, const struct batch *batch,
                                struct silence *silence, const struct instance *instance)
{
	const struct registry_options *options = &registry->options;
	struct expiry_window *window = &silence->window;
	int64_t now = batch->now_lease_ms;
	int64_t held_until =
		silence->held_until_ms != 0
			? silence->held_until_ms
			: atomic_load_explicit(&silence->life->held_until_ms, memory_order_relaxed);

	if (!options->hold_expiry)
		return 0;
	if (now < held_until)
		return held_until;
	if (held_until != 0 && now < held_until + instance->ttl_ms)
		return 0; /* the service was held back once already */
	if (window->start_ms == 0 || now - window->start_ms > instance->ttl_ms) {
		*window = (struct expiry_window){
			.start_ms = now,
			.alive = snapshot_draft_can_expire(batch->draft, instance->service),
		};
	}

	/* this lease, those that expired in the window, and the due ones that are not decided
	 * yet */
	uint32_t silent = window->expired + 1 +
	                  atomic_load_explicit(&silence->life->due, memory_order_relaxed) -
	                  silence->decided;
	if (window->alive >= options->hold_min_instances && options->hold_percent < 100 &&
	    (uint64_t)silent * 100 > (uint64_t)window->alive * options->hold_percent) {
		silence->held_until_ms = now + instance->ttl_ms;
		silence->silent = silent;
		return silence->held_until_ms;
	}
	window->expired++;
	return 0;
}

void silences_commit(struct registry *registry, struct batch *batch)
{
	for (size_t i = 0; i < batch->silence_count; i++) {
		const struct silence *silence = &batch->silences[i];

		silence->life->window = silence->window;
		if (silence->held_until_ms == 0)
			continue;
		atomic_store_explicit(&silence->life->held_until_ms, silence->held_until_ms,
		                      memory_order_relaxed);
		holds_add(registry, silence->held_until_ms);
		holds_update(registry);
		metrics_count(METRIC_HOLDS, 1);
	}
}

void silences_log(const struct batch *batch)
{
	char text[96];

	for (size_t i = 0; i < batch->silence_count; i++) {
		const struct silence *silence = &batch->silences[i];

		if (silence->held_until_ms == 0)
			continue;
		(void)snprintf(text, sizeof(text), "%u of %u", silence->silent,
		               silence->window.alive);
		log_event(LOG_WARNING,
		          "expiry is held back: too many instances of a service went silent within "
		          "a TTL",
		          "service", silence->life->name, "silent", text, NULL);
	}
}

static void expiry_postpone(struct batch_entry *entry, int64_t at_ms)
{
	entry->is_postponed = true;
	entry->again_ms = at_ms;
}

static int expiry_recover(struct batch *batch, struct batch_entry *entry,
                          const struct member *member)
{
	struct instance next = member->value;

	next.lease_out = false;
	set_status(&next, STR("heartbeat"), STR("instance"), batch->now_real_ms);
	return decide_event(batch, entry, EVENT_RECOVERED, &next, entry->due.tenure);
}

static int expiry_expire(const struct registry *registry, struct batch *batch,
                         struct batch_entry *entry, const struct member *member)
{
	struct instance next = member->value;
	int64_t again_ms =
		expiry_hold_back(registry, batch, expiry_silence(batch, &entry->due), &next);

	if (again_ms != 0) {
		expiry_postpone(entry, again_ms);
		return 0;
	}
	next.lease_out = true;
	set_status(&next, STR(""), STR(""), batch->now_real_ms);
	return decide_event(batch, entry, EVENT_EXPIRED, &next, entry->due.tenure);
}

static int expiry_end_drain(struct batch *batch, struct batch_entry *entry,
                            const struct member *member)
{
	struct instance next = member->value;

	next.drained = false;
	next.drained_until_ms = 0;
	set_status(&next, STR("the drain's time is over"), STR("sweeper"), batch->now_real_ms);
	int r = intent_end(batch, entry, &next);
	return r < 0 ? r
	             : decide_also(batch, decide_event(batch, entry, EVENT_RESUMED, &next,
	                                               entry->due.tenure));
}

static int expiry_remove(struct batch *batch, struct batch_entry *entry,
                         const struct member *member)
{
	int r = decide_event(batch, entry, EVENT_REMOVED, &member->value, entry->due.tenure);

	return r < 0 ? r : intent_begin_absence(batch, entry, &member->value);
}

void decide_due(const struct registry *registry, struct batch *batch, struct batch_entry *entry)
{
	const struct due_lease *due = &entry->due;
	const struct instance *instance = &due->member->value;
	const struct member *member =
		snapshot_draft_member(batch->draft, instance->service, instance->id);
	/* up to here every sign of life has arrived, wherever it was given */
	int64_t horizon = ledger_horizon_ms(registry->ledger);
	int64_t now = batch->now_lease_ms < horizon ? batch->now_lease_ms : horizon;

	if (due->is_counted)
		expiry_silence(batch, due)->decided++;
	/* a command of this batch may have ended it, or may have given its id a new life */
	if (member == NULL || tenure_of(member) != due->tenure)
		return;

	entry->renewed_ms = atomic_load_explicit(&member->lease->renewed_ms, memory_order_relaxed);
	bool alive = member->value.ttl_ms == TTL_MS_NONE ||
	             entry->renewed_ms + member->value.ttl_ms > now;
	if (member->value.lease_out && alive)
		entry->error = expiry_recover(batch, entry, member);
	else if (!member->value.lease_out && !alive)
		entry->error = expiry_expire(registry, batch, entry, member);
	else if (due->drain_end_ms <= now && member->value.drained)
		entry->error = expiry_end_drain(batch, entry, member);
	else if (member->value.lease_out && due->remove_at_ms <= now)
		entry->error = expiry_remove(batch, entry, member);
	else /* renewed in the meantime */
		expiry_postpone(entry, 0);
}
