/* SPDX-License-Identifier: MIT */
/*
 * Decides what the command of a batch entry changes, and adds the events to the batch and its
 * draft. Writer thread only.
 *
 * Invariant: deciding changes only the draft, the entry and the batch, so a batch whose commit
 * failed can be decided again. Each command is decided on the draft, not on the published snapshot:
 * the snapshot lacks what earlier commands of the same batch change.
 */
#include "base/clock.h"
#include "metrics/metrics.h"
#include "registry/internal.h"

#include <errno.h>
#include <stdlib.h>

void set_status(struct instance *instance, struct str reason, struct str by, int64_t now_real_ms)
{
	instance->status = instance_status(instance);
	switch (instance_status_cause(instance)) {
	case CAUSE_OPERATOR:
		return;
	case CAUSE_LEASE:
		reason = STR("lease expired");
		by = STR("sweeper");
		break;
	case CAUSE_REPORT:
		reason = STR("reported by the instance");
		by = STR("instance");
		break;
	case CAUSE_OWNER:
		reason = STR("draining by itself");
		by = STR("instance");
		break;
	case CAUSE_NONE:
	case CAUSE_COUNT:
		break;
	}
	instance->status_reason = reason;
	instance->status_by = by;
	instance->status_since_ms = now_real_ms;
}

static struct event decide_new_event(const struct batch *batch, const struct batch_entry *entry,
                                     enum event_kind kind)
{
	const struct command *command = entry->command;
	struct event event = {
		.time_ms = batch->now_real_ms, .kind = kind, .author = STR("sweeper")};

	if (command != NULL) {
		event.author = command->author;
		event.agent = command->agent;
		event.peer = command->peer;
		event.reason = command->reason;
	}
	return event;
}

int decide_event(struct batch *batch, struct batch_entry *entry, enum event_kind kind,
                 const struct instance *instance, struct tenure *tenure)
{
	struct event *event = &batch->events[batch->event_count];
	const struct command *command = entry->command;

	*event = decide_new_event(batch, entry, kind);
	event->instance = *instance;

	const struct member *member =
		snapshot_draft_apply(batch->draft, event, tenure_lease(tenure));
	if (member == NULL)
		return -ENOMEM;
	event->instance = member->value; /* these strings live as long as the draft */
	entry->event = event;
	entry->member = member;
	batch->changes[batch->event_count++] = (struct change){
		.member = member,
		.tenure = tenure,
		.is_alive = command != NULL && command->kind != COMMAND_STATUS,
		.decided_on_ms = kind == EVENT_EXPIRED ? entry->renewed_ms : NEVER,
	};
	return 0;
}

int decide_entry_event(struct batch *batch, struct batch_entry *entry, enum event_kind kind,
                       const struct entry *content)
{
	struct event *event = &batch->events[batch->event_count];

	*event = decide_new_event(batch, entry, kind);
	event->entry = *content;
	content = snapshot_draft_apply_entry(batch->draft, event);
	if (content == NULL)
		return -ENOMEM;
	event->entry = *content; /* as above */
	if (entry->event == NULL)
		entry->event = event;
	batch->changes[batch->event_count++] = (struct change){.decided_on_ms = NEVER};
	return 0;
}

int decide_also(struct batch *batch, int r)
{
	batch->is_torn = batch->is_torn || r < 0;
	return r;
}

/* The command's record with the registry's fields of @p current, and a renewed lease. */
static struct instance decide_with_record(const struct instance *current,
                                          const struct instance *record)
{
	struct instance next = *current;

	instance_set_record(&next, record);
	next.lease_out = false;
	return next;
}

/* Does @p next, in place of @p member (NULL: it is new), keep the registry within bytes_max? A
 * change that adds no bytes is always allowed. @return 0 or -EOVERFLOW */
static int decide_check_bytes(const struct registry *registry, const struct batch *batch,
                              const struct instance *next, const struct member *member)
{
	uint64_t most = registry->options.bytes_max;
	uint64_t bytes = snapshot_draft_counts(batch->draft).bytes;

	if (most == 0 || bytes + instance_cost_most(next) + SERVICE_COST <= most)
		return 0; /* the common case: the exact cost need not be computed */
	uint64_t before = member != NULL ? member_cost(member) : 0;
	uint64_t cost = instance_cost(next);
	uint32_t count[STATUS_COUNT];

	if (snapshot_draft_count(batch->draft, next->service, count) == NULL ||
	    count[STATUS_HEALTHY] + count[STATUS_UNHEALTHY] + count[STATUS_DRAINING] == 0)
		cost += SERVICE_COST;
	return cost > before && bytes - before + cost > most ? -EOVERFLOW : 0;
}

static int decide_register_new(struct registry *registry, struct batch *batch,
                               struct batch_entry *entry)
{
	struct snapshot_counts counts = snapshot_draft_counts(batch->draft);
	struct instance instance = entry->command->instance;
	struct drain_intent intent;
	uint64_t total = 0;

	for (size_t s = 0; s < STATUS_COUNT; s++)
		total += counts.instances[s];
	if (total >= registry->options.instances_max)
		return -EDQUOT;
	instance.lease_out = false;
	instance.registered_ms = batch->now_real_ms;
	instance.incarnation = instance.revision = 0;
	if (!intent_apply(batch, &instance, &intent))
		set_status(&instance, STR("registered"), STR("instance"), batch->now_real_ms);
	int r = decide_check_bytes(registry, batch, &instance, NULL);
	if (r < 0)
		return r;
	if (atomic_load_explicit(&registry->is_full, memory_order_relaxed))
		return -ENOSPC;

	struct tenure *tenure = tenure_new(batch->now_lease_ms, batch->now_real_ms);
	if (tenure == NULL)
		return -ENOMEM;
	r = decide_event(batch, entry, EVENT_REGISTERED, &instance, tenure);
	if (r < 0)
		tenure_free(tenure);
	entry->outcome = OUTCOME_CREATED;
	return r;
}

/* Adds the event of @p kind that the owner's command causes, with the status that follows. */
static int decide_update(struct registry *registry, struct batch *batch, struct batch_entry *entry,
                         const struct member *member, struct instance *next, enum event_kind kind)
{
	if (kind == EVENT_UPDATED && atomic_load_explicit(&registry->is_full, memory_order_relaxed))
		return -ENOSPC;
	if (instance_status_cause(next) != instance_status_cause(&member->value))
		set_status(next, STR("heartbeat"), STR("instance"), batch->now_real_ms);
	entry->outcome = OUTCOME_CHANGED;
	return decide_event(batch, entry, kind, next, tenure_of(member));
}

/* No event: renew_senders() has renewed the lease. */
static void decide_renewed(struct batch_entry *entry, const struct member *member)
{
	entry->member = member;
	entry->outcome = OUTCOME_RENEWED;
}

static int decide_register(struct registry *registry, struct batch *batch,
                           struct batch_entry *entry, const struct member *member)
{
	if (member == NULL)
		return decide_register_new(registry, batch, entry);

	struct instance next = decide_with_record(&member->value, &entry->command->instance);
	struct instance compared = next; /* a record that only ends a report is no update */
	compared.reports_unhealthy = member->value.reports_unhealthy;
	if (!instance_same_record(&compared, &member->value)) {
		int r = decide_check_bytes(registry, batch, &next, member);

		if (r < 0)
			return r;
		return decide_update(registry, batch, entry, member, &next, EVENT_UPDATED);
	}
	if (member->value.lease_out || member->value.reports_unhealthy)
		return decide_update(registry, batch, entry, member, &next, EVENT_RECOVERED);
	decide_renewed(entry, member);
	return 0;
}

/* The kind of the event that turns @p before into @p after. @return 0: none, only the lease
 * changes */
static unsigned decide_heartbeat_kind(const struct instance *before, const struct instance *after)
{
	if (after->reports_unhealthy && !before->reports_unhealthy)
		return EVENT_FAILED;
	if (before->lease_out)
		return EVENT_RECOVERED;
	if (after->wants_drain != before->wants_drain)
		return after->wants_drain ? EVENT_DRAINED : EVENT_RESUMED;
	return after->reports_unhealthy != before->reports_unhealthy ? EVENT_RECOVERED : 0;
}

static int decide_heartbeat(struct registry *registry, struct batch *batch,
                            struct batch_entry *entry, const struct member *member)
{
	const struct command *command = entry->command;

	if (member == NULL)
		return -ENOENT;

	struct instance next = member->value;
	next.lease_out = false;
	if (command->set_status) {
		next.wants_drain = command->instance.wants_drain;
		next.reports_unhealthy = command->instance.reports_unhealthy;
	}
	unsigned kind = decide_heartbeat_kind(&member->value, &next);
	if (kind != 0)
		return decide_update(registry, batch, entry, member, &next, (enum event_kind)kind);
	decide_renewed(entry, member);
	return 0;
}

static int decide_deregister(struct batch *batch, struct batch_entry *entry,
                             const struct member *member)
{
	if (member == NULL)
		return 0;
	entry->outcome = OUTCOME_REMOVED;
	int r = decide_event(batch, entry, EVENT_DEREGISTERED, &member->value, tenure_of(member));
	return r < 0 ? r : intent_begin_absence(batch, entry, &member->value);
}

/* Compares the instance with what the caller expects. @return 0, -ESTALE or -EEXIST */
static int decide_check_conditions(const struct command *command, const struct member *member)
{
	if (member == NULL)
		return command->must_exist || command->revision_is != 0 ? -ESTALE : 0;
	if (command->revision_is != 0 && member->value.revision != command->revision_is)
		return -ESTALE;
	if (command->incarnation_is != 0 && member->value.incarnation != command->incarnation_is)
		return -EEXIST;
	return 0;
}

void renew_senders(struct registry *registry, const struct batch *batch)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct command *command = batch->entries[i].command;

		if (command == NULL ||
		    (command->kind != COMMAND_REGISTER && command->kind != COMMAND_HEARTBEAT))
			continue;
		const struct service *service = snapshot_service(now, command->instance.service);
		const struct member *member =
			service != NULL ? service_member(service, command->instance.id) : NULL;
		if (member != NULL && decide_check_conditions(command, member) == 0)
			leases_renew(registry->leases, member->lease);
	}
	snapshot_leave(registry->store);
}

void decide_command(struct registry *registry, struct batch *batch, struct batch_entry *entry)
{
	const struct instance *named = &entry->command->instance;
	const struct member *member =
		snapshot_draft_member(batch->draft, named->service, named->id);

	entry->error = decide_check_conditions(entry->command, member);
	if (entry->error < 0)
		return;
	switch (entry->command->kind) {
	case COMMAND_REGISTER:
		entry->error = decide_register(registry, batch, entry, member);
		break;
	case COMMAND_DEREGISTER:
		entry->error = decide_deregister(batch, entry, member);
		break;
	case COMMAND_HEARTBEAT:
		entry->error = decide_heartbeat(registry, batch, entry, member);
		break;
	case COMMAND_STATUS:
		entry->error = decide_status(batch, entry, member);
		break;
	case COMMAND_TEND:
		entry->error = decide_tend(registry, batch, entry, member);
		break;
	case COMMAND_INDEX:
		break; /* after the batch, on what is then published */
	}
}
