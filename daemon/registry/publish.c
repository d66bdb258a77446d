/* SPDX-License-Identifier: MIT */
/*
 * What follows the commit of a batch: publishes the snapshot, updates leases and metrics, wakes
 * watchers, and, once the commands are completed, logs the events. Writer thread only.
 *
 * Invariants: nothing here fails, because the events are durable; and the order is marks (removals,
 * recounts), snapshot, receipts, wake-ups. A reader of the new snapshot must find the marks, and a
 * watcher that is woken must find the snapshot. Waking each watcher right after its event would let
 * it answer and leave before a receipt counts it.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "registry/internal.h"
#include "registry/reader.h"
#include "watch/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_PER_BATCH 20 /* events of one batch that are logged */

#define EVENT_METRIC(name, ...) [EVENT_##name] = METRIC_EVENTS_##name,
static const enum metric_counter event_metric[EVENT_KIND_COUNT] = {EVENT_KINDS(EVENT_METRIC)};

static int publish_event_level(enum event_kind kind)
{
	switch (kind) {
	case EVENT_EXPIRED:
	case EVENT_REMOVED:
	case EVENT_RECOVERED:
	case EVENT_FAILED:
	case EVENT_DRAINED:
	case EVENT_RESUMED:
	case EVENT_ENTRY_PUT:
	case EVENT_ENTRY_REMOVED:
		return LOG_INFO;
	case EVENT_REGISTERED:
	case EVENT_UPDATED:
	case EVENT_DEREGISTERED:
	case EVENT_KIND_COUNT:
		break;
	}
	return LOG_DEBUG; /* frequent, and the event log has them */
}

void publish_log(const struct batch *batch)
{
	char text[32];
	char service[SERVICE_NAME_MAX + 1];
	char id[INSTANCE_ID_MAX + 1];
	size_t logged = 0;
	size_t left_out = 0;

	for (size_t i = 0; i < batch->event_count; i++) {
		const struct event *event = &batch->events[i];
		int level = publish_event_level(event->kind);

		if (!log_enabled(level))
			continue;
		if (logged == LOG_PER_BATCH) {
			left_out++;
			continue;
		}
		logged++;
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)event->revision);
		struct str of = event_service(event);
		struct str name = event_instance_id(event);

		(void)snprintf(service, sizeof(service), "%.*s", (int)of.len, of.data);
		(void)snprintf(id, sizeof(id), "%.*s", (int)name.len,
		               name.len > 0 ? name.data : "");
		log_event(level, event_kind_name(event->kind), "service", service, "id", id,
		          "revision", text, NULL);
	}
	if (left_out > 0)
		log_line(LOG_INFO, "%zu more events of the same batch are only in the event log",
		         left_out);
}

/* Updates the lease or the intents after @p event. Called in order of revision. */
static void publish_settle(struct registry *registry, const struct event *event,
                           const struct change *change)
{
	struct leases *leases = registry->leases;

	metrics_count(event_metric[event->kind], 1);
	if (event_subject(event->kind) != SUBJECT_INSTANCE) {
		intents_note(registry, event);
		return;
	}
	if (event_removes(event->kind)) {
		leases_end(leases, change->tenure);
		return;
	}
	if (change->is_alive)
		leases_renew(leases, change->member->lease);
	leases_settle(leases, change->tenure, change->member, change->decided_on_ms,
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

_Static_assert(WATCH_ASPECTS == STATUS_COUNT + 1, "a watcher's aspects are statuses and entries");

/* @param gone  the revision of all statuses if the service has no instances */
static struct watch_change publish_change(const struct registry *registry,
                                          const struct snapshot *now, struct str topic,
                                          uint64_t gone)
{
	struct watch_change change = {.topic = topic};
	const struct service *service = snapshot_service(now, topic);

	for (size_t s = 0; s < STATUS_COUNT; s++)
		change.revision[s] = service != NULL ? service->status_revision[s] : gone;
	change.revision[STATUS_COUNT] = registry_intended_revision(registry, topic);
	return change;
}

/* The change of one event. An event about an entry changes no instance's status. */
static struct watch_change publish_event_change(const struct registry *registry,
                                                const struct snapshot *now,
                                                const struct event *event)
{
	bool is_of_entry = event_subject(event->kind) == SUBJECT_ENTRY;

	return publish_change(registry, now, event_service(event),
	                      is_of_entry ? 0 : event->revision);
}

/* Makes the command's receipt count the watchers that have not been sent @p revision yet. */
static void publish_open_receipt(const struct registry *registry, const struct snapshot *now,
                                 const struct command *command, uint64_t revision)
{
	struct watch_change change =
		publish_change(registry, now, command->instance.service, revision);

	watch_receipt_open(command->receipt, &change, revision);
}

/* Wakes the watchers of listings even if the listing is unchanged: a receipt counts each of them
 * until it has read the listing again. */
static void publish_wake_listings(struct registry *registry, const struct command *command,
                                  uint64_t revision)
{
	metrics_count(METRIC_WAKEUPS_ANY,
	              watch_notify_prefixes(registry->watch, &command->instance.service, 1,
	                                    revision, false));
}

static int compare_names(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Does the entry's command have a receipt to open? Not when only the intent of an absent id
 * changed, which no lookup returns. */
static bool entry_has_receipt(const struct batch_entry *entry)
{
	return entry->event != NULL && entry->member != NULL && entry->command != NULL &&
	       entry->command->receipt != NULL;
}

static void publish_notify_listings(struct registry *registry, const struct batch *batch)
{
	if (!watch_has_prefixes(registry->watch))
		return;
	if (batch->recounted_count > 0)
		qsort(batch->recounted, batch->recounted_count, sizeof(batch->recounted[0]),
		      compare_names);
	metrics_count(METRIC_WAKEUPS_ANY,
	              watch_notify_prefixes(registry->watch, batch->recounted,
	                                    batch->recounted_count,
	                                    journal_revision(registry->journal), true));
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct batch_entry *entry = &batch->entries[i];

		if (entry_has_receipt(entry))
			publish_wake_listings(registry, entry->command, entry->event->revision);
	}
}

/* Wakes watchers, after publishing: a woken watcher reads the snapshot. */
static void publish_notify(struct registry *registry, const struct batch *batch)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	/* Count the receipts first: a watcher may be answered and freed as soon as it is woken. */
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct batch_entry *entry = &batch->entries[i];

		if (entry_has_receipt(entry))
			publish_open_receipt(registry, now, entry->command, entry->event->revision);
	}
	for (size_t i = 0; i < batch->event_count && watch_count(registry->watch) > 0; i++) {
		const struct event *event = &batch->events[i];

		if (!watch_is_wanted(registry->watch, event_service(event)))
			continue;
		struct watch_change change = publish_event_change(registry, now, event);
		metrics_count(METRIC_WAKEUPS_SERVICE, watch_notify(registry->watch, &change));
	}
	snapshot_leave(registry->store);
	metrics_count(METRIC_WAKEUPS_ANY, watch_notify_any(registry->watch));
	publish_notify_listings(registry, batch);
}

/* Marks removals of instances and events about entries, before publishing, so that a reader of the
 * new snapshot that finds no service, or waits for its entries, finds the mark. Each removal
 * counts: it may be the service's last. */
static void publish_mark_removals(struct registry *registry, const struct batch *batch)
{
	for (size_t i = 0; i < batch->event_count; i++) {
		const struct event *event = &batch->events[i];
		uint64_t hash = hash_str(event_service(event));

		if (event_subject(event->kind) == SUBJECT_ENTRY)
			atomic_store_explicit(&registry->intended[hash % REMOVED_BUCKETS],
			                      event->revision, memory_order_release);
		if (!event_removes(event->kind) || event_subject(event->kind) != SUBJECT_INSTANCE)
			continue;
		atomic_store_explicit(&registry->removed_any, event->revision,
		                      memory_order_release);
		atomic_store_explicit(&registry->removed[hash % REMOVED_BUCKETS], event->revision,
		                      memory_order_release);
	}
}

/* Marks changes of services' counts by status, before publishing for the same reason. */
static void publish_mark_recounts(struct registry *registry, struct batch *batch)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	batch->recounted_count = 0;
	for (size_t i = 0; i < batch->event_count; i++) {
		struct str name = event_service(&batch->events[i]);
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

void publish_batch(struct registry *registry, struct batch *batch)
{
	publish_mark_removals(registry, batch);
	publish_mark_recounts(registry, batch);
	snapshot_draft_publish(batch->draft);
	batch->draft = NULL;
	for (size_t i = 0; i < batch->event_count; i++)
		publish_settle(registry, &batch->events[i], &batch->changes[i]);
	publish_gauges(registry);
	publish_notify(registry, batch);
	reader_hint(registry->reader, journal_revision(registry->journal));
}

void publish_again(struct registry *registry, const struct batch_entry *entry)
{
	const struct snapshot *now = snapshot_enter(registry->store);

	CHECK(entry->member != NULL); /* the caller checks it */
	publish_open_receipt(registry, now, entry->command, entry->member->value.revision);
	publish_wake_listings(registry, entry->command, entry->member->value.revision);
	snapshot_leave(registry->store);
}
