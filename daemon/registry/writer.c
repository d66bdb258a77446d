/* SPDX-License-Identifier: MIT */
#include "balance/balance.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "registry/internal.h"
#include "registry/reader.h"
#include "watch/receipt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events of one batch that are logged one by one. */
#define LOG_PER_BATCH 20
/* How often a full disk is tried again. */
#define RESERVE_RETRY_MS 1000

static const enum metric_counter event_metric[EVENT_KIND_COUNT] = {
	[EVENT_REGISTERED] = METRIC_EVENTS_REGISTERED,     [EVENT_UPDATED] = METRIC_EVENTS_UPDATED,
	[EVENT_DEREGISTERED] = METRIC_EVENTS_DEREGISTERED, [EVENT_EXPIRED] = METRIC_EVENTS_EXPIRED,
	[EVENT_RECOVERED] = METRIC_EVENTS_RECOVERED,       [EVENT_DRAINED] = METRIC_EVENTS_DRAINED,
	[EVENT_RESUMED] = METRIC_EVENTS_RESUMED,           [EVENT_REMOVED] = METRIC_EVENTS_REMOVED,
};

/* --- before the commit ------------------------------------------------------- */

/* Everything that can fail but the commit. */
static int prepare(struct registry *registry, struct batch *batch)
{
	struct service *service;
	const struct service *previous;
	size_t pos = 0;

	batch->now_real_ms = clock_real_ms();
	batch->now_lease_ms = leases_now(registry->leases);
	batch->event_count = 0;
	batch->silence_count = 0;
	batch->draft = snapshot_draft_new(registry->store);
	if (batch->draft == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < batch->entry_count; i++) {
		struct entry *entry = &batch->entries[i];

		*entry = (struct entry){.command = entry->command, .due = entry->due};
		if (entry->command != NULL)
			decide_command(registry, batch, entry);
		else
			decide_due(registry, batch, entry);
	}
	if (batch->event_count == 0)
		return 0;
	if (snapshot_draft_finish(batch->draft) < 0)
		return -ENOMEM;
	while ((service = snapshot_draft_next(batch->draft, &pos, &previous)) != NULL) {
		if (balance_build(service, previous) < 0)
			continue; /* no memory: the next pick asks again */
	}
	return 0;
}

/* As if nothing had been decided. */
static void unprepare(struct batch *batch)
{
	for (size_t i = 0; i < batch->entry_count; i++) {
		struct entry *entry = &batch->entries[i];

		if (entry->event != NULL && entry->event->kind == EVENT_REGISTERED)
			tenure_free(entry->tenure);
		entry->tenure = NULL;
	}
	snapshot_draft_discard(batch->draft);
	batch->draft = NULL;
}

static int append(struct registry *registry, struct batch *batch)
{
	int64_t begin = clock_us();
	int r = locked_append(registry, batch);

	if (r < 0) {
		if (r != -EBUSY) /* which has a metric of its own */
			metrics_count(METRIC_COMMIT_FAILURES, 1);
		return r;
	}
	metrics_observe(METRIC_COMMIT_SECONDS, (uint64_t)(clock_us() - begin));
	metrics_observe(METRIC_BATCH_SIZE, batch->event_count);
	metrics_count(METRIC_COMMITS, 1);
	return 0;
}

/* --- after the commit: nothing may fail ---------------------------------------- */

static int event_level(enum event_kind kind)
{
	switch (kind) {
	case EVENT_EXPIRED:
	case EVENT_REMOVED:
	case EVENT_RECOVERED:
	case EVENT_DRAINED:
	case EVENT_RESUMED:
		return LOG_INFO;
	case EVENT_REGISTERED:
	case EVENT_UPDATED:
	case EVENT_DEREGISTERED:
	case EVENT_KIND_COUNT:
		break;
	}
	return LOG_DEBUG; /* as frequent as deployments: the event log has them */
}

static void log_events(const struct batch *batch)
{
	char text[32];
	char service[SERVICE_NAME_MAX + 1];
	char id[INSTANCE_ID_MAX + 1];
	size_t logged = 0;
	size_t left_out = 0;

	for (size_t i = 0; i < batch->event_count; i++) {
		const struct event *event = &batch->events[i];
		int level = event_level(event->kind);

		if (!log_enabled(level))
			continue;
		if (logged == LOG_PER_BATCH) {
			left_out++;
			continue;
		}
		logged++;
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)event->revision);
		(void)snprintf(service, sizeof(service), "%.*s", (int)event->instance.service.len,
		               event->instance.service.data);
		(void)snprintf(id, sizeof(id), "%.*s", (int)event->instance.id.len,
		               event->instance.id.data);
		log_event(level, event_kind_name(event->kind), "service", service, "id", id,
		          "revision", text, NULL);
	}
	if (left_out > 0)
		log_line(LOG_INFO, "and %zu more changes at the same time: see the event log",
		         left_out);
}

static void settle(struct registry *registry, struct entry *entry)
{
	struct leases *leases = registry->leases;

	metrics_count(event_metric[entry->event->kind], 1);
	if (event_removes(entry->event->kind)) {
		leases_end(leases, entry->tenure);
		return;
	}
	if (entry->command != NULL && entry->command->kind != COMMAND_STATUS)
		leases_renew(leases, entry->member->lease);
	bool expires = entry->event->kind == EVENT_EXPIRED && entry->command == NULL;
	leases_settle(leases, entry->tenure, entry->member, expires ? entry->renewed_ms : NEVER,
	              clock_real_ms());
}

static void publish_gauges(const struct registry *registry)
{
	const struct snapshot *now = snapshot_enter(registry->store);
	struct snapshot_counts counts = snapshot_counts(now);

	metrics_set(METRIC_REVISION, (int64_t)snapshot_revision(now));
	metrics_set(METRIC_SERVICES, (int64_t)counts.services);
	metrics_set(METRIC_HEALTHY, (int64_t)counts.instances[STATUS_HEALTHY]);
	metrics_set(METRIC_UNHEALTHY, (int64_t)counts.instances[STATUS_UNHEALTHY]);
	metrics_set(METRIC_DRAINING, (int64_t)counts.instances[STATUS_DRAINING]);
	metrics_set(METRIC_REGISTRY_BYTES, (int64_t)counts.bytes);
	snapshot_leave(registry->store);
}

_Static_assert(WATCH_ASPECTS == STATUS_COUNT, "a watcher's aspects are statuses");

/* @param gone  the revision at which all of it changed, if it is not there any more */
static struct watch_change change_of(const struct snapshot *now, struct str topic, uint64_t gone)
{
	struct watch_change change = {.topic = topic};
	const struct service *service = snapshot_service(now, topic);

	for (size_t s = 0; s < STATUS_COUNT; s++)
		change.revision[s] = service != NULL ? service->status_revision[s] : gone;
	return change;
}

/* Its author wants to know who has been sent the change of @p revision. */
static void tell_watchers(const struct snapshot *now, const struct command *command,
                          uint64_t revision)
{
	struct watch_change change = change_of(now, command->instance.service, revision);

	watch_tell(command->receipt, &change, revision);
}

/* Those that wait for a listing are counted whatever it shows, so they must come and see. */
static void wake_listings(struct registry *registry, const struct command *command,
                          uint64_t revision)
{
	metrics_count(METRIC_WAKEUPS_ANY,
	              watch_notify_prefixes(registry->watch, &command->instance.service, 1,
	                                    revision, false));
}

static int by_name(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static void notify_listings(struct registry *registry, const struct batch *batch)
{
	if (!watch_has_prefixes(registry->watch))
		return;
	if (batch->recounted_count > 0)
		qsort(batch->recounted, batch->recounted_count, sizeof(batch->recounted[0]),
		      by_name);
	metrics_count(METRIC_WAKEUPS_ANY,
	              watch_notify_prefixes(registry->watch, batch->recounted,
	                                    batch->recounted_count,
	                                    journal_revision(registry->journal), true));
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct entry *entry = &batch->entries[i];

		if (entry->event != NULL && entry->command != NULL &&
		    entry->command->receipt != NULL)
			wake_listings(registry, entry->command, entry->event->revision);
	}
}

/* After publishing: who is woken looks at the snapshot. */
static void notify(struct registry *registry, const struct batch *batch)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	/* Before anybody is woken: who is may be sent it, and be gone, at once. */
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct entry *entry = &batch->entries[i];

		if (entry->event != NULL && entry->command != NULL &&
		    entry->command->receipt != NULL)
			tell_watchers(now, entry->command, entry->event->revision);
	}
	for (size_t i = 0; i < batch->event_count && watch_count(registry->watch) > 0; i++) {
		const struct event *event = &batch->events[i];

		if (!watch_is_wanted(registry->watch, event->instance.service))
			continue;
		struct watch_change change =
			change_of(now, event->instance.service, event->revision);
		metrics_count(METRIC_WAKEUPS_SERVICE, watch_notify(registry->watch, &change));
	}
	snapshot_leave(registry->store);
	metrics_count(METRIC_WAKEUPS_ANY, watch_notify_any(registry->watch));
	notify_listings(registry, batch);
}

/* Before publishing, so that who finds a service gone finds this too. Any removal may have been the
 * last. */
static void note_removals(struct registry *registry, const struct batch *batch)
{
	for (size_t i = 0; i < batch->event_count; i++) {
		const struct event *event = &batch->events[i];
		uint64_t hash = hash_str(event->instance.service);

		if (!event_removes(event->kind))
			continue;
		atomic_store_explicit(&registry->removed_any, event->revision,
		                      memory_order_release);
		atomic_store_explicit(&registry->removed[hash % REMOVED_BUCKETS], event->revision,
		                      memory_order_release);
	}
}

/* Before publishing, for the same reason. */
static void note_recounts(struct registry *registry, struct batch *batch)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	batch->recounted_count = 0;
	for (size_t i = 0; i < batch->event_count; i++) {
		struct str name = batch->events[i].instance.service;
		const struct service *before = snapshot_service(now, name);
		uint32_t none[STATUS_COUNT] = {0};
		uint32_t after[STATUS_COUNT];

		(void)snapshot_draft_count(batch->draft, name, after);
		if (memcmp(before != NULL ? before->status_count : none, after, sizeof(after)) == 0)
			continue;
		batch->recounted[batch->recounted_count++] = name;
		atomic_store_explicit(&registry->recounted, batch->events[i].revision,
		                      memory_order_release);
	}
	snapshot_leave(registry->store);
}

static void publish(struct registry *registry, struct batch *batch)
{
	note_removals(registry, batch);
	note_recounts(registry, batch);
	snapshot_draft_publish(batch->draft);
	batch->draft = NULL;
	for (size_t i = 0; i < batch->entry_count; i++) {
		if (batch->entries[i].event != NULL)
			settle(registry, &batch->entries[i]);
	}
	publish_gauges(registry);
	notify(registry, batch);
	reader_hint(registry->reader, journal_revision(registry->journal));
}

/* The caller's strings are the instance's, but for the two that the registry wrote. */
static void give_instance(struct command *command, const struct member *member)
{
	CHECK(member != NULL);

	struct instance out = member->value;
	const struct instance *in = &command->instance;

	out.service = in->service;
	out.id = in->id;
	out.host = in->host;
	out.metadata = in->metadata;
	CHECK(out.status_reason.len <= sizeof(command->status_reason) &&
	      out.status_by.len <= sizeof(command->status_by));
	memcpy(command->status_reason, out.status_reason.data, out.status_reason.len);
	memcpy(command->status_by, out.status_by.data, out.status_by.len);
	out.status_reason.data = command->status_reason;
	out.status_by.data = command->status_by;
	command->instance = out;
}

static void build_indexes(struct registry *registry, struct command *command)
{
	const struct snapshot *now = snapshot_enter(registry->store);
	const struct service *service = snapshot_service(now, command->instance.service);

	/* The writer alone fills the indexes of what is published. */
	command->error = service == NULL
	                         ? -ENOENT
	                         : balance_build((struct service *)(uintptr_t)service, NULL);
	snapshot_leave(registry->store);
}

/* It was so before: whoever has not been sent that yet is waited for all the same. */
static void tell_again(struct registry *registry, const struct entry *entry)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	CHECK(entry->member != NULL); /* or it were an error */
	tell_watchers(now, entry->command, entry->member->value.revision);
	wake_listings(registry, entry->command, entry->member->value.revision);
	snapshot_leave(registry->store);
}

static void complete(struct registry *registry, struct batch *batch)
{
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct entry *entry = &batch->entries[i];
		struct command *command = entry->command;

		if (command == NULL)
			continue;
		command->error = entry->error;
		command->outcome = entry->outcome;
		command->revision = entry->event != NULL    ? entry->event->revision
		                    : entry->member != NULL ? entry->member->value.revision
		                                            : 0;
		if (command->kind == COMMAND_INDEX)
			build_indexes(registry, command);
		else if (command->kind == COMMAND_REGISTER && entry->error == 0)
			give_instance(command, entry->member);
		/* a heartbeat's sender has counted it */
		if (command->kind == COMMAND_REGISTER && entry->outcome == OUTCOME_RENEWED)
			metrics_count(METRIC_HEARTBEATS, 1);
		if (command->receipt != NULL && entry->event == NULL && entry->error == 0)
			tell_again(registry, entry);
		command->done(command);
	}
}

static void fail(struct registry *registry, struct batch *batch, int error)
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
			build_indexes(registry, command);
		command->done(command);
	}
}

/* --- trouble with the disk ------------------------------------------------------- */

/* From now on no change is accepted. */
static void close_journal(struct registry *registry)
{
	atomic_store_explicit(&registry->has_failed, true, memory_order_release);
}

static void journal_has_failed(struct registry *registry)
{
	close_journal(registry);
	log_line(LOG_CRIT, "the journal has failed: %s: no change is accepted any more",
	         journal_trouble(registry->journal));
	if (registry->failed_fn != NULL)
		registry->failed_fn(registry->failed_arg);
}

static void disk_is_full(struct registry *registry)
{
	atomic_store_explicit(&registry->is_full, true, memory_order_relaxed);
	progress_disk_begin(&registry->progress);
	journal_release_reserve(registry->journal);
	progress_disk_end(&registry->progress);
	registry->reserve_tried_ms = clock_ms();
	log_line(LOG_ERR, "the disk is full: registrations are refused until there is room");
}

static void try_reserve(struct registry *registry)
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

/* The due leases of a committed batch that got no event: held back, renewed in the meantime, or out
 * of memory. */
static void postpone_due(struct registry *registry, const struct batch *batch)
{
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct entry *entry = &batch->entries[i];

		if (entry->command != NULL)
			continue;
		if (entry->error < 0)
			leases_postpone(registry->leases, entry->due.tenure,
			                batch->now_lease_ms + EXPIRY_RETRY_MS);
		else if (entry->is_postponed)
			leases_postpone(registry->leases, entry->due.tenure, entry->again_ms);
	}
}

static void commit(struct registry *registry, struct batch *batch)
{
	int r = prepare(registry, batch);

	if (r == 0 && batch->event_count > 0) {
		r = append(registry, batch);
		if (r == -ENOSPC &&
		    !atomic_load_explicit(&registry->is_full, memory_order_relaxed)) {
			/* once more, without what grows, with the room that was kept for it */
			unprepare(batch);
			disk_is_full(registry);
			r = prepare(registry, batch);
			if (r == 0 && batch->event_count > 0)
				r = append(registry, batch);
		}
	}
	if (r < 0) {
		bool has_failed = journal_failure(registry->journal) != 0;

		unprepare(batch);
		if (has_failed)
			close_journal(registry);
		fail(registry, batch, r);
		if (has_failed)
			journal_has_failed(registry);
		return;
	}

	/* What is replaced now stays readable until the visit ends. */
	rcu_enter();
	silences_commit(registry, batch);
	if (batch->event_count > 0)
		publish(registry, batch);
	postpone_due(registry, batch);
	complete(registry, batch);
	/* Clients have their answers: nothing that the log does can delay those. */
	silences_log(batch);
	log_events(batch);
	if (batch->draft != NULL)
		snapshot_draft_discard(batch->draft);
	batch->draft = NULL;
	rcu_leave();
}

/* --- the thread --------------------------------------------------------------------- */

static void take_options(struct registry *registry)
{
	if (!atomic_load_explicit(&registry->is_reloaded, memory_order_relaxed))
		return;
	lock_take(&registry->reload_lock);
	registry->options = registry->reload;
	atomic_store_explicit(&registry->is_reloaded, false, memory_order_relaxed);
	lock_release(&registry->reload_lock);
	journal_set_retention(registry->journal, registry->options.journal.events_max_age_ms,
	                      registry->options.journal.events_max_count);
	reader_retain(registry->reader, &registry->options.journal);
}

/* Waits for something to do, and begins a batch with it. */
static void take_entries(struct registry *registry, struct batch *batch)
{
	struct due_lease leases[BATCH_DUE];
	struct mail *mail =
		mailbox_take(&registry->queue, registry->batch_max, clock_ms() + PROGRESS_IDLE_MS);

	metrics_set(METRIC_QUEUE, mailbox_count(&registry->queue));
	batch->entry_count = 0;
	for (; mail != NULL; mail = mail->next)
		batch->entries[batch->entry_count++] = (struct entry){
			.command = container_of(mail, struct command, mail),
		};

	/* at most one event for each entry; what does not fit waits for the next batch */
	size_t due_count = leases_take_due(registry->leases, leases, ARRAY_LEN(leases));
	for (size_t i = 0; i < due_count; i++)
		batch->entries[batch->entry_count++] = (struct entry){.due = leases[i]};
	if (due_count == ARRAY_LEN(leases))
		registry_wake(registry);
}

static void run_batch(struct registry *registry, struct batch *batch)
{
	if (batch->entry_count == 0)
		return;
	renew_senders(registry, batch);
	if (registry_has_failed(registry))
		fail(registry, batch, -EIO);
	else
		commit(registry, batch);
}

/* Each pass, so that removing old events and restarting the WAL keep up with the commits. */
static void tidy(struct registry *registry)
{
	holds_update(registry);
	try_reserve(registry);
	if (registry_has_failed(registry))
		return;
	locked_probe(registry);
	progress_disk_begin(&registry->progress);
	int r = journal_tidy(registry->journal, clock_real_ms());
	progress_disk_end(&registry->progress);
	if (r < 0 && journal_failure(registry->journal) != 0)
		journal_has_failed(registry);
}

void writer_main(void *arg)
{
	struct registry *registry = arg;

	progress_add(&registry->progress, "writer", PROGRESS_WORKER);
	do {
		take_entries(registry, &registry->batch);
		take_options(registry);
		run_batch(registry, &registry->batch);
		tidy(registry);
		progress_mark(&registry->progress);
	} while (!mailbox_has_ended(&registry->queue));
	progress_remove(&registry->progress);
}
