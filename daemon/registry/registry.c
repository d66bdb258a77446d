/* SPDX-License-Identifier: MIT */
/*
 * Opens, starts and stops the registry (main thread), and the functions that any thread may call.
 *
 * Invariant: registry_open() publishes the whole state of the journal as the first snapshot before
 * any thread starts, so no reader sees a part of it. The restored leases begin at the start:
 * heartbeats are not in the journal, and with stored times a daemon that was down for longer than a
 * TTL would expire every instance as it starts.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/thread.h"
#include "metrics/metrics.h"
#include "registry/internal.h"
#include "registry/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- open: the journal's state becomes the first snapshot ----------------------- */

struct restore {
	struct registry *registry;
	struct snapshot_draft *draft;
	int64_t now_lease_ms;
	int64_t now_real_ms;
	int64_t now_journal_ms; /* compared with the ends of drains: a wrong system clock must not
	                           end them */
	uint64_t revision;
	bool any_drained;
};

static int restore_instance(void *arg, const struct instance *instance)
{
	struct restore *restore = arg;
	/* Only a damaged journal has two instances with one id, which --check finds. The newer one
	 * comes last: it replaces the other and takes over its tenure. */
	const struct member *older =
		snapshot_draft_member(restore->draft, instance->service, instance->id);
	struct tenure *tenure = older != NULL
	                                ? tenure_of(older)
	                                : tenure_new(restore->now_lease_ms, restore->now_real_ms);
	/*
	 * The revision of each service's latest change is not stored. Use the journal's latest
	 * revision, which is at least that: a client cannot mistake an answer for an older one.
	 */
	struct event event = {
		.revision = restore->revision,
		.kind = EVENT_REGISTERED,
		.instance = *instance,
	};

	if (tenure == NULL)
		return -ENOMEM;
	if (older != NULL)
		log_line(LOG_ERR,
		         "the journal has '%.*s/%.*s' twice: the newer is kept; --check shows more",
		         (int)instance->service.len, instance->service.data, (int)instance->id.len,
		         instance->id.data);
	event.instance.status = instance_status(instance);
	restore->any_drained = restore->any_drained || instance->drained;

	const struct member *member =
		snapshot_draft_apply(restore->draft, &event, tenure_lease(tenure));
	if (member == NULL) {
		if (older == NULL)
			tenure_free(tenure);
		return -ENOMEM;
	}
	leases_settle(restore->registry->leases, tenure, member, NEVER, restore->now_journal_ms);
	return 0;
}

static int restore_entry(void *arg, const struct entry *entry)
{
	const struct restore *restore = arg;
	struct event event = {
		.revision = restore->revision,
		.kind = EVENT_ENTRY_PUT,
		.entry = *entry,
	};

	return snapshot_draft_apply_entry(restore->draft, &event) != NULL ? 0 : -ENOMEM;
}

static int registry_restore(struct registry *registry, bool *ret_any_drained)
{
	struct restore restore = {
		.registry = registry,
		.draft = snapshot_draft_new(registry->store),
		.now_lease_ms = leases_now(registry->leases),
		.now_real_ms = clock_real_ms(),
		.revision = journal_revision(registry->journal),
	};

	if (restore.draft == NULL)
		return -ENOMEM;

	restore.now_journal_ms = journal_now_ms(registry->journal, restore.now_real_ms);
	int r = journal_restore(registry->journal, restore_instance, &restore);
	if (r == 0)
		r = journal_restore_entries(registry->journal, restore_entry, &restore);
	if (r == 0)
		r = snapshot_draft_finish(restore.draft);
	if (r < 0) {
		/* The tenures are not freed: the process ends, because it cannot start. */
		snapshot_draft_discard(restore.draft);
		return r;
	}
	snapshot_draft_publish(restore.draft);
	*ret_any_drained = restore.any_drained;
	atomic_store_explicit(&registry->removed_any, restore.revision, memory_order_relaxed);
	atomic_store_explicit(&registry->recounted, restore.revision, memory_order_relaxed);
	for (size_t i = 0; i < REMOVED_BUCKETS; i++) { /* upper bounds: the rest is not stored */
		atomic_store_explicit(&registry->removed[i], restore.revision,
		                      memory_order_relaxed);
		atomic_store_explicit(&registry->intended[i], restore.revision,
		                      memory_order_relaxed);
	}
	return 0;
}

static int registry_allocate(struct registry *registry)
{
	size_t entries = (size_t)registry->batch_max + BATCH_DUE;
	struct batch *batch = &registry->batch;

	batch->size = entries * ENTRY_EVENTS;
	batch->entries = calloc(entries, sizeof(*batch->entries));
	batch->events = calloc(batch->size, sizeof(*batch->events));
	batch->changes = calloc(batch->size, sizeof(*batch->changes));
	batch->recounted = calloc(batch->size, sizeof(*batch->recounted));
	return batch->entries != NULL && batch->events != NULL && batch->changes != NULL &&
	                       batch->recounted != NULL
	               ? 0
	               : -ENOMEM;
}

/* Called when there are due leases, or the ledger has an item. */
static void registry_wake_writer(void *arg)
{
	registry_wake(arg);
}

static int64_t registry_horizon_ms(void *arg)
{
	const struct registry *registry = arg;

	return ledger_horizon_ms(registry->ledger);
}

int registry_open(const struct registry_options *options, struct registry **ret_registry,
                  struct journal_error *ret_error)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	bool any_drained = false;
	int r;

	if (registry == NULL)
		return -ENOMEM;
	registry->options = *options;
	registry->batch_max = options->batch_max;
	registry->sweep_by_hand = options->sweep_by_hand;
	registry->write_by_hand = options->write_by_hand;
	registry->failed_fn = options->failed;
	registry->failed_arg = options->failed_arg;
	mailbox_init(&registry->queue, LOCK_COMMIT_QUEUE, options->queue_max);
	lock_init(&registry->reload_lock, LOCK_RELOAD);
	r = registry_allocate(registry);
	if (r < 0)
		goto fail;
	r = leases_open(
		&(struct leases_options){
			.sweep_by_hand = options->sweep_by_hand,
			.horizon_ms = registry_horizon_ms,
			.found = registry_wake_writer,
			.arg = registry,
		},
		&registry->leases);
	if (r < 0)
		goto fail;
	r = journal_open(&options->journal, &registry->journal, ret_error);
	if (r < 0)
		goto fail;
	if (journal_found(registry->journal) == JOURNAL_FOUND_CORRUPT) {
		metrics_count(METRIC_SALVAGES, 1);
		metrics_count(METRIC_EVENTS_LOST, journal_events_lost(registry->journal));
	}
	r = ledger_open(&options->ledger, registry->journal, &registry->ledger, ret_error);
	if (r < 0)
		goto fail;
	registry->dir = strdup(options->journal.dir);
	registry->watch = watch_hub_new();
	registry->store = snapshot_store_new(journal_revision(registry->journal));
	r = registry->dir == NULL || registry->watch == NULL || registry->store == NULL
	            ? -ENOMEM
	            : registry_restore(registry, &any_drained);
	if (r == 0)
		r = intents_open(registry, any_drained);
	if (r < 0)
		goto fail;
	*ret_registry = registry;
	return 0;

fail:
	registry_close(registry);
	return r;
}

/* Frees the tenures of all instances, which the snapshot does not own. */
static void registry_free_tenures(struct registry *registry)
{
	const struct snapshot *now = snapshot_enter(registry->store);
	const struct directory *directory = snapshot_directory(now);

	for (size_t i = 0; directory != NULL && i < directory->count; i++) {
		const struct service *service = snapshot_service(now, directory->names[i]);

		for (uint32_t m = 0; m < service->count; m++)
			tenure_free(tenure_of(service->members[m]));
	}
	snapshot_leave(registry->store);
}

void registry_close(struct registry *registry)
{
	if (registry == NULL)
		return;
	CHECK(!registry->started);
	reader_free(registry->reader);
	if (registry->store != NULL) {
		rcu_drain();
		registry_free_tenures(registry);
		snapshot_store_free(registry->store);
	}
	intents_close(registry);
	ledger_close(registry->ledger);
	journal_close(registry->journal);
	watch_hub_free(registry->watch);
	leases_close(registry->leases);
	lock_fini(&registry->reload_lock);
	mailbox_fini(&registry->queue);
	free(registry->batch.entries);
	free(registry->batch.events);
	free(registry->batch.changes);
	free(registry->applied.changes);
	free(registry->applied.recounted);
	free(registry->batch.recounted);
	free(registry->holds);
	free(registry->dir);
	free(registry);
}

/* --- threads ------------------------------------------------------------------------ */

int registry_start(struct registry *registry)
{
	int r = reader_start(registry, &registry->reader);

	if (r < 0)
		return r;
	r = ledger_start(registry->ledger, registry_wake_writer, registry);
	if (r < 0)
		goto fail;
	if (!registry->write_by_hand)
		r = thread_start(&registry->writer, "writer", writer_main, registry);
	if (r < 0)
		goto fail;
	registry->started = true;
	r = leases_start(registry->leases);
	if (r < 0)
		goto fail;
	return 0;

fail:
	registry_stop(registry);
	return r;
}

void registry_wake(struct registry *registry)
{
	mailbox_wake(&registry->queue);
}

void registry_stop(struct registry *registry)
{
	leases_stop(registry->leases);
	mailbox_stop(&registry->queue);
	ledger_stop(registry->ledger);
	if (registry->started && !registry->write_by_hand)
		thread_join(registry->writer);
	while (registry->started && registry->write_by_hand && !writer_has_ended(registry))
		writer_pass(registry, 0);
	registry->started = false;
	reader_stop(registry->reader);
}

/* --- any thread ----------------------------------------------------------------------- */

struct snapshot_store *registry_store(const struct registry *registry)
{
	return registry->store;
}

uint64_t registry_history_id(const struct registry *registry)
{
	return journal_history_id(registry->journal);
}

const char *registry_note(const struct registry *registry)
{
	return journal_note(registry->journal);
}

const char *registry_trouble(const struct registry *registry)
{
	return journal_trouble(registry->journal);
}

uint64_t registry_removed_revision(const struct registry *registry, struct str service)
{
	if (service.len == 0)
		return atomic_load_explicit(&registry->removed_any, memory_order_acquire);
	return atomic_load_explicit(&registry->removed[hash_str(service) % REMOVED_BUCKETS],
	                            memory_order_acquire);
}

uint64_t registry_intended_revision(const struct registry *registry, struct str service)
{
	return atomic_load_explicit(&registry->intended[hash_str(service) % REMOVED_BUCKETS],
	                            memory_order_acquire);
}

uint64_t registry_recounted_revision(const struct registry *registry)
{
	return atomic_load_explicit(&registry->recounted, memory_order_acquire);
}

struct watch_hub *registry_watch(const struct registry *registry)
{
	return registry->watch;
}

void registry_reload(struct registry *registry, const struct registry_options *options)
{
	lock_take(&registry->reload_lock);
	registry->reload = *options;
	atomic_store_explicit(&registry->is_reloaded, true, memory_order_relaxed);
	lock_release(&registry->reload_lock);
}

int registry_submit(struct registry *registry, struct command *command)
{
	if (registry_has_failed(registry) && command->kind != COMMAND_INDEX)
		return -EIO;
	return mailbox_put(&registry->queue, &command->mail);
}

bool registry_has_failed(const struct registry *registry)
{
	return atomic_load_explicit(&registry->has_failed, memory_order_acquire);
}

int registry_failure(const struct registry *registry)
{
	return journal_failure(registry->journal);
}

bool registry_is_locked(const struct registry *registry)
{
	return atomic_load_explicit(&registry->is_locked, memory_order_relaxed);
}

bool registry_is_full(const struct registry *registry)
{
	return atomic_load_explicit(&registry->is_full, memory_order_relaxed);
}

int registry_renew(struct registry *registry, const struct member *member)
{
	leases_renew(registry->leases, member->lease);
	if (!ledger_takes_heartbeats(registry->ledger))
		return -EAGAIN;
	metrics_count(METRIC_HEARTBEATS, 1);
	return 0;
}

int64_t registry_lease_ms(const struct registry *registry)
{
	return leases_now(registry->leases);
}

int64_t registry_held_ms(const struct registry *registry, const struct service *service)
{
	int64_t until = atomic_load_explicit(&service->life->held_until_ms, memory_order_relaxed);
	int64_t left;

	if (until == 0)
		return 0;
	left = until - leases_now(registry->leases);
	return left > 0 ? left : 0;
}

uint32_t registry_held_services(const struct registry *registry)
{
	return atomic_load_explicit(&registry->held_services, memory_order_relaxed);
}

void registry_step(struct registry *registry)
{
	CHECK(registry->write_by_hand);
	writer_pass(registry, 0);
}

void registry_sweep(struct registry *registry)
{
	CHECK(registry->sweep_by_hand);
	leases_sweep(registry->leases);
}

int registry_read_history(struct registry *registry, struct history *history)
{
	return reader_events(registry->reader, history);
}

int registry_read_past(struct registry *registry, struct archive_query *query)
{
	return reader_state(registry->reader, query);
}

void registry_drop_past(struct registry *registry, struct archive_query *query)
{
	reader_drop(registry->reader, query);
}
