/* SPDX-License-Identifier: MIT */
/**
 * What the ledger has decided, taken in order of commitment: batches that others proposed, and the
 * verdict about our own. Runs on the writer thread. An item that cannot be stored now, because the
 * disk is full or the database is locked, stays the next one, and nothing is decided before it is
 * taken: a decision must know all that was committed before it. What was drafted on the state
 * before a foreign batch is discarded before that batch is drafted, as there is one draft at a
 * time.
 */
#include "base/check.h"
#include "base/clock.h"
#include "registry/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int store_events(struct registry *registry, struct batch *batch)
{
	return journal_store(registry->journal, batch->events, batch->event_count);
}

static int store(struct registry *registry, struct batch *batch)
{
	int r = locked_write(registry, batch, store_events);

	if (r == -ENOSPC && writer_make_room(registry))
		r = locked_write(registry, batch, store_events);
	return r;
}

/* Replicas of one history cannot differ: this is not a thing to go on from. */
static int give_up(struct registry *registry, uint64_t revision)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "event %" PRIu64 " contradicts what is registered",
	               revision);
	return journal_give_up(registry->journal, text);
}

/* --- batches of others ---------------------------------------------------------- */

/* Something came before the proposal that is open, so it has lost. Its due leases are found again.
 */
static void withdraw(struct registry *registry, struct batch *batch)
{
	if (batch->draft == NULL)
		return;
	batch_undo(batch);
	while (batch->entry_count > 0 && batch->entries[batch->entry_count - 1].command == NULL)
		leases_postpone(registry->leases, batch->entries[--batch->entry_count].due.tenure,
		                0);
}

static int reserve(struct batch *batch, size_t count)
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

/* @return 0; -ENOMEM; -EBADMSG: it cannot follow the entries that there are */
static int draft_entry(struct batch *batch, const struct event *event)
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

/* An instance that was heard of here within its TTL is looked at again at once. So is one without a
 * lease, which cannot have expired. */
static int64_t expired_on_ms(const struct batch *batch, const struct instance *instance)
{
	return instance->ttl_ms == TTL_MS_NONE ? INT64_MIN : batch->now_lease_ms - instance->ttl_ms;
}

/* @return 0; -ENOMEM; -EBADMSG: it cannot follow what is registered */
static int draft_event(struct batch *batch, struct event *event)
{
	if (event->kind < EVENT_REGISTERED || event->kind >= EVENT_KIND_COUNT)
		return -EBADMSG;
	if (event_subject(event->kind) == SUBJECT_ENTRY)
		return draft_entry(batch, event);

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
			event->kind == EVENT_EXPIRED ? expired_on_ms(batch, instance) : NEVER,
	};
	return 0;
}

static int draft_item(struct registry *registry, struct batch *batch, struct ledger_item *item)
{
	int r = reserve(batch, item->count);

	if (r < 0)
		return r;
	batch->now_real_ms = clock_real_ms();
	batch->now_lease_ms = leases_now(registry->leases);
	batch->events = item->events;
	batch->draft = snapshot_draft_new(registry->store);
	if (batch->draft == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < item->count && r == 0; i++) {
		r = draft_event(batch, &item->events[i]);
		if (r == -EBADMSG)
			r = give_up(registry, item->events[i].revision);
	}
	return r < 0 ? r : batch_freeze(batch);
}

static int take_events(struct registry *registry, struct ledger_item *item)
{
	struct batch *batch = &registry->applied;

	if (item->count == 0 || item->events[0].revision <= journal_revision(registry->journal))
		return 0; /* it is stored and published already */
	withdraw(registry, &registry->batch);
	batch->event_count = 0;
	int r = draft_item(registry, batch, item);
	if (r == 0)
		r = store(registry, batch);
	if (r == -ERANGE || r == -EINVAL)
		r = give_up(registry, item->events[0].revision);
	if (r < 0) {
		batch_undo(batch);
		return r;
	}

	rcu_enter(); /* what is replaced now stays readable until the visit ends */
	publish_batch(registry, batch);
	publish_log(batch);
	rcu_leave();
	return 0;
}

/* --- the verdict about our own ----------------------------------------------------- */

static int take_won(struct registry *registry, const struct ledger_item *item)
{
	struct batch *batch = &registry->batch;

	if (!batch->is_open || batch->draft == NULL) /* withdrawn: it cannot have won */
		return give_up(registry, item->revision);
	journal_number(batch->events, batch->event_count, item->revision);
	int r = store(registry, batch);
	if (r == -ESTALE || r == -ERANGE || r == -EINVAL)
		r = give_up(registry, item->revision);
	if (r < 0)
		return r;
	batch->is_open = false;
	batch_finish(registry, batch);
	return 0;
}

/* @param error  for its commands */
static void close_proposal(struct registry *registry, int error)
{
	struct batch *batch = &registry->batch;

	if (!batch->is_open)
		return;
	batch->is_open = false;
	batch_undo(batch);
	batch_fail(registry, batch, error);
}

static void take_lost(struct registry *registry, const struct ledger_item *item)
{
	struct batch *batch = &registry->batch;

	if (!batch->is_open)
		return;
	if (item->error != -ESTALE) {
		/* of which nobody knows whether it was committed */
		close_proposal(registry,
		               item->error == -ETIMEDOUT ? -ENOTRECOVERABLE : item->error);
		return;
	}
	withdraw(registry, batch);
	batch->is_open = false;
	if (batch->entry_count > 0)
		batch_commit(registry, batch);
}

/* --- all --------------------------------------------------------------------------- */

static int take_item(struct registry *registry, struct ledger_item *item)
{
	switch (item->kind) {
	case LEDGER_EVENTS:
		return take_events(registry, item);
	case LEDGER_WON:
		return take_won(registry, item);
	case LEDGER_LOST:
		take_lost(registry, item);
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

		int r = take_item(registry, registry->item);
		progress_mark(&registry->progress);
		if (r < 0) {
			bool has_failed = journal_failure(registry->journal) != 0;

			if (has_failed)
				writer_journal_failed(registry);
			/* it may be committed, but is not known here before the next start */
			if (has_failed || mailbox_is_stopping(&registry->queue))
				close_proposal(registry, -ENOTRECOVERABLE);
			return r;
		}
		ledger_done(registry->ledger, registry->item);
		registry->item = NULL;
	}
	close_proposal(registry, -ENOTRECOVERABLE);
	return -EIO;
}
