/* SPDX-License-Identifier: MIT */
/*
 * Applies the items that the ledger has decided, in order of commitment: foreign batches, which
 * other replicas proposed, and the verdicts on this registry's own proposals. Writer thread only.
 *
 * Invariant: no batch is decided before all earlier items are applied, because a decision depends
 * on everything that was committed before it. An item that cannot be stored now (the disk is full,
 * the database is locked) stays the next item. Skipping it would make this replica differ from the
 * others. There is one draft at a time: the draft of an open proposal is discarded before a foreign
 * batch is drafted.
 */
#include "base/check.h"
#include "base/clock.h"
#include "registry/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int items_write(struct registry *registry, struct batch *batch)
{
	return journal_store(registry->journal, batch->events, batch->event_count);
}

static int items_store(struct registry *registry, struct batch *batch)
{
	int r = locked_write(registry, batch, items_write);

	if (r == -ENOSPC && writer_make_room(registry))
		r = locked_write(registry, batch, items_write);
	return r;
}

/* Fails the journal: this replica differs from the history's other replicas, so it must stop. */
static int items_give_up(struct registry *registry, uint64_t revision)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "event %" PRIu64 " contradicts the current state",
	               revision);
	return journal_give_up(registry->journal, text);
}

/* --- foreign batches ------------------------------------------------------------ */

/* Discards the draft of the open proposal, which has lost: another batch was committed first. The
 * commands stay; the due leases are postponed, so the sweeper finds them again. */
static void items_withdraw(struct registry *registry, struct batch *batch)
{
	if (batch->draft == NULL)
		return;
	batch_undo(batch);
	while (batch->entry_count > 0 && batch->entries[batch->entry_count - 1].command == NULL)
		leases_postpone(registry->leases, batch->entries[--batch->entry_count].due.tenure,
		                0);
}

static int items_reserve(struct batch *batch, size_t count)
{
	if (count <= batch->size)
		return 0;

	struct change *changes = reallocarray(batch->changes, count, sizeof(*changes));
	if (changes == NULL)
		return -ENOMEM;
	batch->changes = changes;
	struct str *recounted = reallocarray(batch->recounted, count, sizeof(*recounted));
	if (recounted == NULL)
		return -ENOMEM;
	batch->recounted = recounted;
	batch->size = count;
	return 0;
}

/* @return 0; -ENOMEM; -EBADMSG: the event cannot follow the current entries */
static int items_draft_entry(struct batch *batch, const struct event *event)
{
	const struct entry *entry = &event->entry;
	const struct entry *before =
		snapshot_draft_entry(batch->draft, entry->kind, entry->service, entry->name);

	if (!entry_is_valid(entry) ||
	    (before != NULL ? before->incarnation != entry->incarnation
	                    : event_removes(event->kind) || entry->incarnation != event->revision))
		return -EBADMSG;
	if (snapshot_draft_apply_entry(batch->draft, event) == NULL)
		return -ENOMEM;
	batch->changes[batch->event_count++] = (struct change){.decided_on_ms = NEVER};
	return 0;
}

/* The decided_on_ms of a foreign EVENT_EXPIRED: an instance that has sent a heartbeat to this
 * replica within its TTL is due at once, and so is one without a lease, which cannot have
 * expired. */
static int64_t items_expired_on_ms(const struct batch *batch, const struct instance *instance)
{
	return instance->ttl_ms == TTL_MS_NONE ? INT64_MIN : batch->now_lease_ms - instance->ttl_ms;
}

/* @return 0; -ENOMEM; -EBADMSG: the event cannot follow the current state */
static int items_draft_event(struct batch *batch, struct event *event)
{
	if (event->kind < EVENT_REGISTERED || event->kind >= EVENT_KIND_COUNT)
		return -EBADMSG;
	if (event_subject(event->kind) == SUBJECT_ENTRY)
		return items_draft_entry(batch, event);

	struct instance *instance = &event->instance;
	const struct member *member =
		snapshot_draft_member(batch->draft, instance->service, instance->id);
	bool begins = event->kind == EVENT_REGISTERED;

	if (begins != (member == NULL) || !instance_is_within_limits(instance) ||
	    (!begins && member->value.incarnation != instance->incarnation))
		return -EBADMSG;

	struct tenure *tenure =
		begins ? tenure_new(batch->now_lease_ms, batch->now_real_ms) : tenure_of(member);
	if (tenure == NULL)
		return -ENOMEM;
	instance->status = instance_status(instance);
	member = snapshot_draft_apply(batch->draft, event, tenure_lease(tenure));
	if (member == NULL) {
		if (begins)
			tenure_free(tenure);
		return -ENOMEM;
	}
	batch->changes[batch->event_count++] = (struct change){
		.member = member,
		.tenure = tenure,
		.is_alive = begins || event->kind == EVENT_UPDATED ||
	                    event->kind == EVENT_RECOVERED || event->kind == EVENT_FAILED,
		.decided_on_ms =
			event->kind == EVENT_EXPIRED ? items_expired_on_ms(batch, instance) : NEVER,
	};
	return 0;
}

static int items_draft(struct registry *registry, struct batch *batch, struct ledger_item *item)
{
	int r = items_reserve(batch, item->count);

	if (r < 0)
		return r;
	batch->now_real_ms = clock_real_ms();
	batch->now_lease_ms = leases_now(registry->leases);
	batch->events = item->events;
	batch->draft = snapshot_draft_new(registry->store);
	if (batch->draft == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < item->count && r == 0; i++) {
		r = items_draft_event(batch, &item->events[i]);
		if (r == -EBADMSG)
			r = items_give_up(registry, item->events[i].revision);
	}
	return r < 0 ? r : batch_freeze(batch);
}

static int items_take_events(struct registry *registry, struct ledger_item *item)
{
	struct batch *batch = &registry->applied;

	if (item->count == 0 || item->events[0].revision <= journal_revision(registry->journal))
		return 0; /* stored and published before */
	items_withdraw(registry, &registry->batch);
	batch->event_count = 0;
	int r = items_draft(registry, batch, item);
	if (r == 0)
		r = items_store(registry, batch);
	if (r == -ERANGE || r == -EINVAL)
		r = items_give_up(registry, item->events[0].revision);
	if (r < 0) {
		batch_undo(batch);
		return r;
	}

	rcu_enter(); /* the members that publishing replaces stay readable until the visit ends */
	publish_batch(registry, batch);
	publish_log(batch);
	rcu_leave();
	return 0;
}

/* --- verdicts on own proposals ------------------------------------------------------ */

static int items_take_won(struct registry *registry, const struct ledger_item *item)
{
	struct batch *batch = &registry->batch;

	if (!batch->is_open || batch->draft == NULL) /* a withdrawn proposal cannot have won */
		return items_give_up(registry, item->revision);
	journal_number(batch->events, batch->event_count, item->revision);
	int r = items_store(registry, batch);
	if (r == -ESTALE || r == -ERANGE || r == -EINVAL)
		r = items_give_up(registry, item->revision);
	if (r < 0)
		return r;
	batch->is_open = false;
	batch_finish(registry, batch);
	return 0;
}

/* Completes the commands of the open proposal, if there is one, with @p error. */
static void items_close_proposal(struct registry *registry, int error)
{
	struct batch *batch = &registry->batch;

	if (!batch->is_open)
		return;
	batch->is_open = false;
	batch_undo(batch);
	batch_fail(registry, batch, error);
}

static void items_take_lost(struct registry *registry, const struct ledger_item *item)
{
	struct batch *batch = &registry->batch;

	if (!batch->is_open)
		return;
	if (item->error != -ESTALE) {
		/* -ETIMEDOUT: it is unknown whether the proposal was committed */
		items_close_proposal(registry,
		                     item->error == -ETIMEDOUT ? -ENOTRECOVERABLE : item->error);
		return;
	}
	items_withdraw(registry, batch);
	batch->is_open = false;
	if (batch->entry_count > 0)
		batch_commit(registry, batch);
}

/* --- all items --------------------------------------------------------------------- */

static int items_take_one(struct registry *registry, struct ledger_item *item)
{
	switch (item->kind) {
	case LEDGER_EVENTS:
		return items_take_events(registry, item);
	case LEDGER_WON:
		return items_take_won(registry, item);
	case LEDGER_LOST:
		items_take_lost(registry, item);
		break;
	}
	return 0;
}

int items_take(struct registry *registry)
{
	while (!registry_has_failed(registry)) {
		if (registry->item == NULL)
			registry->item = ledger_next(registry->ledger);
		if (registry->item == NULL)
			return 0;

		int r = items_take_one(registry, registry->item);
		progress_mark(&registry->progress);
		if (r < 0) {
			bool has_failed = journal_failure(registry->journal) != 0;

			if (has_failed)
				writer_journal_failed(registry);
			/* the proposal may be committed; only the next start will show it */
			if (has_failed || mailbox_is_stopping(&registry->queue))
				items_close_proposal(registry, -ENOTRECOVERABLE);
			return r;
		}
		ledger_done(registry->ledger, registry->item);
		registry->item = NULL;
	}
	items_close_proposal(registry, -ENOTRECOVERABLE);
	return -EIO;
}
