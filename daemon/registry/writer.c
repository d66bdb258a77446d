/* SPDX-License-Identifier: MIT */
/*
 * The writer thread: takes commands and due leases, decides them as one batch, commits the events,
 * publishes the snapshot, and completes the commands. It is the only thread that changes state.
 *
 * Invariant: a command is completed only after its events are durable and published, so a client
 * that reads after its answer finds its own change. All that can fail happens before the commit
 * (batch_decide()), nothing after it. Committing each command by itself would need one fsync() per
 * command; a batch shares one.
 */
#include "balance/balance.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "registry/internal.h"
#include "registry/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_RETRY_MS 1000 /* between two tries to take the reserve while the disk is full */

/* --- before the commit ------------------------------------------------------- */

int batch_freeze(struct batch *batch)
{
	struct service *service;
	const struct service *previous;
	size_t pos = 0;

	if (snapshot_draft_finish(batch->draft) < 0)
		return -ENOMEM;
	while ((service = snapshot_draft_next(batch->draft, &pos, &previous)) != NULL) {
		if (balance_build(service, previous) < 0)
			continue; /* no memory: the next pick submits a COMMAND_INDEX */
	}
	return 0;
}

/* Decides all entries: everything that can fail except the commit itself. */
static int batch_decide(struct registry *registry, struct batch *batch)
{
	batch->now_real_ms = clock_real_ms();
	batch->now_journal_ms = journal_now_ms(registry->journal, batch->now_real_ms);
	batch->now_lease_ms = leases_now(registry->leases);
	batch->event_count = 0;
	batch->silence_count = 0;
	batch->is_torn = false;
	batch->draft = snapshot_draft_new(registry->store);
	if (batch->draft == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < batch->entry_count; i++) {
		struct batch_entry *entry = &batch->entries[i];

		*entry = (struct batch_entry){.command = entry->command, .due = entry->due};
		if (entry->command != NULL)
			decide_command(registry, batch, entry);
		else
			decide_due(registry, batch, entry);
		if (batch->is_torn)
			return -ENOMEM;
	}
	return batch->event_count > 0 ? batch_freeze(batch) : 0;
}

void batch_undo(struct batch *batch)
{
	for (size_t i = 0; i < batch->event_count; i++)
		if (batch->events[i].kind == EVENT_REGISTERED)
			tenure_free(batch->changes[i].tenure);
	batch->event_count = 0;
	snapshot_draft_discard(batch->draft);
	batch->draft = NULL;
}

static int batch_write_events(struct registry *registry, struct batch *batch)
{
	return ledger_propose(registry->ledger, batch->events, batch->event_count);
}

/* @return 0: committed, or nothing to commit; -EINPROGRESS: the verdict comes later; or an error */
static int batch_propose(struct registry *registry, struct batch *batch)
{
	int r = batch_decide(registry, batch);

	if (r < 0 || batch->event_count == 0)
		return r;
	batch->proposed_us = clock_us();
	r = locked_write(registry, batch, batch_write_events);
	if (r < 0 && r != -EINPROGRESS && r != -EBUSY) /* -EBUSY has METRIC_LOCK_WAITS */
		metrics_count(METRIC_COMMIT_FAILURES, 1);
	return r;
}

/* --- completing the commands --------------------------------------------------- */

/* Returns the instance to the caller. Its strings are those of the caller, except the two that the
 * registry sets, which are copied to the command's buffers. */
static void command_return_instance(struct command *command, const struct member *member)
{
	CHECK(member != NULL);

	struct instance out = member->value;
	const struct instance *in = &command->instance;

	out.service = in->service;
	out.id = in->id;
	out.host = in->host;
	out.metadata = in->metadata;
	out.owner = (struct str){NULL, 0}; /* no caller reads it */
	CHECK(out.status_reason.len <= sizeof(command->status_reason) &&
	      out.status_by.len <= sizeof(command->status_by));
	memcpy(command->status_reason, out.status_reason.data, out.status_reason.len);
	memcpy(command->status_by, out.status_by.data, out.status_by.len);
	out.status_reason.data = command->status_reason;
	out.status_by.data = command->status_by;
	command->instance = out;
}

static void command_build_indexes(struct registry *registry, struct command *command)
{
	const struct snapshot *now = snapshot_enter(registry->store);
	const struct service *service = snapshot_service(now, command->instance.service);

	/* Casting const away is safe: only the writer builds indexes of a published service. */
	command->error = service == NULL
	                         ? -ENOENT
	                         : balance_build((struct service *)(uintptr_t)service, NULL);
	snapshot_leave(registry->store);
}

static void batch_complete(struct registry *registry, struct batch *batch)
{
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		struct command *command = entry->command;

		if (command == NULL)
			continue;
		command->error = entry->error;
		command->outcome = entry->outcome;
		command->revision = entry->event != NULL    ? entry->event->revision
		                    : entry->member != NULL ? entry->member->value.revision
		                                            : 0;
		if (command->kind == COMMAND_INDEX)
			command_build_indexes(registry, command);
		else if (command->kind == COMMAND_REGISTER && entry->error == 0)
			command_return_instance(command, entry->member);
		/* registry_renew() has counted those of COMMAND_HEARTBEAT */
		if (command->kind == COMMAND_REGISTER && entry->outcome == OUTCOME_RENEWED)
			metrics_count(METRIC_HEARTBEATS, 1);
		if (command->receipt != NULL && entry->event == NULL && entry->member != NULL &&
		    entry->error == 0)
			publish_again(registry, entry);
		command->done(command);
	}
}

void batch_fail(struct registry *registry, struct batch *batch, int error)
{
	int64_t again_ms = leases_now(registry->leases) + EXPIRY_RETRY_MS;

	for (size_t i = 0; i < batch->entry_count; i++) {
		struct command *command = batch->entries[i].command;

		if (command == NULL) {
			leases_postpone(registry->leases, batch->entries[i].due.tenure, again_ms);
			continue;
		}
		command->error = error;
		command->outcome = OUTCOME_NONE;
		command->revision = 0;
		if (command->kind == COMMAND_INDEX) /* needs no journal: picks are reads */
			command_build_indexes(registry, command);
		command->done(command);
	}
}

/* --- failures of the disk -------------------------------------------------------- */

/* Refuses all changes from now on. */
static void writer_refuse_changes(struct registry *registry)
{
	atomic_store_explicit(&registry->has_failed, true, memory_order_release);
}

void writer_journal_failed(struct registry *registry)
{
	writer_refuse_changes(registry);
	log_line(LOG_CRIT, "the journal has failed: %s: no change is accepted any more",
	         journal_trouble(registry->journal));
	if (registry->failed_fn != NULL)
		registry->failed_fn(registry->failed_arg);
}

bool writer_make_room(struct registry *registry)
{
	if (atomic_load_explicit(&registry->is_full, memory_order_relaxed))
		return false;
	atomic_store_explicit(&registry->is_full, true, memory_order_relaxed);
	progress_disk_begin(&registry->progress);
	journal_release_reserve(registry->journal);
	progress_disk_end(&registry->progress);
	registry->reserve_tried_ms = clock_ms();
	log_line(LOG_ERR, "the disk is full: registrations are refused until there is room");
	return true;
}

static void writer_try_reserve(struct registry *registry)
{
	if (!atomic_load_explicit(&registry->is_full, memory_order_relaxed) ||
	    clock_ms() < registry->reserve_tried_ms + RESERVE_RETRY_MS)
		return;
	registry->reserve_tried_ms = clock_ms();
	progress_disk_begin(&registry->progress);
	int r = journal_take_reserve(registry->journal);
	progress_disk_end(&registry->progress);
	if (r < 0)
		return;
	atomic_store_explicit(&registry->is_full, false, memory_order_relaxed);
	log_line(LOG_NOTICE, "the disk has room again: registrations are accepted");
}

/* Postpones the due leases of a committed batch that have no event: they are held back, were
 * renewed since, or there was no memory. */
static void batch_postpone_due(struct registry *registry, const struct batch *batch)
{
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct batch_entry *entry = &batch->entries[i];

		if (entry->command != NULL)
			continue;
		if (entry->error < 0)
			leases_postpone(registry->leases, entry->due.tenure,
			                batch->now_lease_ms + EXPIRY_RETRY_MS);
		else if (entry->is_postponed)
			leases_postpone(registry->leases, entry->due.tenure, entry->again_ms);
	}
}

/* Fails a batch that was not committed, or whose outcome is unknown. */
static void batch_refuse(struct registry *registry, struct batch *batch, int error)
{
	bool has_failed = journal_failure(registry->journal) != 0;

	batch_undo(batch);
	if (has_failed)
		writer_refuse_changes(registry);
	batch_fail(registry, batch, error);
	if (has_failed)
		writer_journal_failed(registry);
}

void batch_commit(struct registry *registry, struct batch *batch)
{
	int r = batch_propose(registry, batch);

	if (r == -ENOSPC && writer_make_room(registry)) {
		/* decide again: now is_full refuses what needs space, and the reserve is
		 * released */
		batch_undo(batch);
		r = batch_propose(registry, batch);
	}
	if (r == -EINPROGRESS)
		batch->is_open = true;
	else if (r < 0)
		batch_refuse(registry, batch, r);
	else
		batch_finish(registry, batch);
}

static void batch_count_commit(const struct batch *batch)
{
	metrics_observe(METRIC_COMMIT_SECONDS, (uint64_t)(clock_us() - batch->proposed_us));
	metrics_observe(METRIC_BATCH_SIZE, batch->event_count);
	metrics_count(METRIC_COMMITS, 1);
}

void batch_finish(struct registry *registry, struct batch *batch)
{
	if (batch->event_count > 0)
		batch_count_commit(batch);
	/* The members that publishing replaces stay readable until the visit ends. */
	rcu_enter();
	silences_commit(registry, batch);
	if (batch->event_count > 0)
		publish_batch(registry, batch);
	batch_postpone_due(registry, batch);
	batch_complete(registry, batch);
	/* Log last: a slow log must not delay the answers. */
	silences_log(batch);
	publish_log(batch);
	if (batch->draft != NULL)
		snapshot_draft_discard(batch->draft);
	batch->draft = NULL;
	rcu_leave();
}

/* --- the thread --------------------------------------------------------------------- */

static void writer_take_options(struct registry *registry)
{
	if (!atomic_load_explicit(&registry->is_reloaded, memory_order_relaxed))
		return;
	lock_take(&registry->reload_lock);
	if (registry->options.intent_ttl_ms != registry->reload.intent_ttl_ms)
		intents_rescan(registry);
	registry->options = registry->reload;
	atomic_store_explicit(&registry->is_reloaded, false, memory_order_relaxed);
	lock_release(&registry->reload_lock);
	journal_set_retention(registry->journal, registry->options.journal.events_max_age_ms,
	                      registry->options.journal.events_max_count);
	reader_retain(registry->reader, &registry->options.journal);
}

static void batch_add_commands(struct batch *batch, struct mail *mail)
{
	for (; mail != NULL; mail = mail->next)
		batch->entries[batch->entry_count++] = (struct batch_entry){
			.command = container_of(mail, struct command, mail),
		};
}

/* Adds due leases; those that do not fit wait for the next batch. */
static void batch_add_due(struct registry *registry, struct batch *batch)
{
	struct due_lease leases[BATCH_DUE];
	size_t count = leases_take_due(registry->leases, leases, ARRAY_LEN(leases));

	for (size_t i = 0; i < count; i++)
		batch->entries[batch->entry_count++] = (struct batch_entry){.due = leases[i]};
	if (count == ARRAY_LEN(leases))
		registry_wake(registry);
}

/* @param error  below 0: no batch may be decided now, so all entries fail with it */
static void writer_run_batch(struct registry *registry, struct batch *batch, struct mail *mail,
                             int error)
{
	batch->entry_count = 0;
	batch_add_commands(batch, mail);
	batch_add_due(registry, batch);
	if (batch->entry_count == 0)
		return;
	renew_senders(registry, batch);
	if (registry_has_failed(registry))
		batch_fail(registry, batch, -EIO);
	else if (error < 0)
		batch_fail(registry, batch, error);
	else
		batch_commit(registry, batch);
}

/* Regular work, in each pass so that removing old events and restarting the WAL keep up with the
 * commits. */
static void writer_tidy(struct registry *registry)
{
	holds_update(registry);
	writer_try_reserve(registry);
	if (registry_has_failed(registry))
		return;
	locked_probe(registry);
	progress_disk_begin(&registry->progress);
	int r = journal_tidy(registry->journal, clock_real_ms());
	progress_disk_end(&registry->progress);
	if (r < 0 && journal_failure(registry->journal) != 0)
		writer_journal_failed(registry);
}

void writer_pass(struct registry *registry, int64_t until_ms)
{
	struct batch *batch = &registry->batch;
	bool was_open = batch->is_open; /* commands wait while a proposal is open */
	struct mail *mail =
		mailbox_take(&registry->queue, was_open ? 0 : registry->batch_max, until_ms);

	metrics_set(METRIC_QUEUE, mailbox_count(&registry->queue));
	writer_take_options(registry);
	int r = items_take(registry);
	if (!was_open)
		writer_run_batch(registry, batch, mail, r);
	intents_pass(registry);
	writer_tidy(registry);
}

bool writer_has_ended(struct registry *registry)
{
	return !registry->batch.is_open && mailbox_has_ended(&registry->queue);
}

void writer_main(void *arg)
{
	struct registry *registry = arg;

	progress_add(&registry->progress, "writer", PROGRESS_WORKER);
	do {
		writer_pass(registry, clock_ms() + PROGRESS_IDLE_MS);
		progress_mark(&registry->progress);
	} while (!writer_has_ended(registry));
	progress_remove(&registry->progress);
}
