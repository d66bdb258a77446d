/* SPDX-License-Identifier: MIT */
/*
 * Writes keyframes and runs queries of past states, on the archive thread (a lane of the background
 * reader). archive_hint() and archive_retain() run on the writer thread.
 *
 * Invariant: keyframes take at most 1/SHARE of the thread's time, however large the registry is. A
 * fixed number of events between two keyframes is not enough: in a registry with more instances
 * than that, the keyframes would be larger than the log between them.
 */
#include "base/check.h"
#include "base/clock.h"
#include "journal/keyframe.h"
#include "metrics/metrics.h"
#include "registry/internal.h"
#include "registry/reader.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Events between two keyframes: about as many are replayed for a past state. Raised to the number
 * of instances, so that keyframes never outgrow the log.
 */
#define KEYFRAME_EVENTS 10000
/* When retention removes a keyframe, the states up to the next keyframe are lost: plan for ten
 * keyframes within the retention. */
#define KEYFRAMES_KEPT 10
#define LOOK_MS        1000  /* how often the time since the newest keyframe is checked */
#define RETRY_MS       10000 /* wait after a failure */
#define SHARE          4     /* keyframes take at most this fraction of the time */

struct archive {
	struct registry *registry;
	struct past *past;             /* the thread's own */
	struct journal_reader *reader; /* the thread's own */
	struct mailbox *queue;         /* woken when a keyframe may be due */

	/* atomic */
	_Atomic uint64_t wake_at; /* revision at which the writer wakes the thread */
	_Atomic int64_t events_max_age_ms;
	_Atomic uint64_t events_max_count;

	/* thread only */
	uint64_t due_at;       /* revision at which a keyframe is due */
	uint64_t newest;       /* revision of the newest keyframe; 0: there is none */
	int64_t newest_ms;     /* real time of that keyframe's latest event */
	uint64_t tried;        /* revision of the latest try: the next one needs a newer revision */
	int64_t not_before_ms; /* clock_ms() of the next try at the earliest */
};

/* --- keyframes ------------------------------------------------------------------ */

static int64_t archive_max_age(const struct archive *archive)
{
	return atomic_load_explicit(&archive->events_max_age_ms, memory_order_relaxed);
}

/* The number of events between two keyframes. */
static uint64_t archive_spacing(const struct archive *archive, uint64_t instances)
{
	uint64_t most = atomic_load_explicit(&archive->events_max_count, memory_order_relaxed);
	uint64_t events = KEYFRAME_EVENTS;

	if (most > 0 && most / KEYFRAMES_KEPT < events)
		events = most / KEYFRAMES_KEPT;
	if (events < instances)
		events = instances;
	return events > 0 ? events : 1;
}

/* Plans the keyframe after `newest`. */
static void archive_plan(struct archive *archive)
{
	const struct snapshot *now = snapshot_enter(archive->registry->store);
	struct snapshot_counts counts = snapshot_counts(now);
	uint64_t instances = 0;

	snapshot_leave(archive->registry->store);
	for (size_t s = 0; s < STATUS_COUNT; s++)
		instances += counts.instances[s];
	archive->due_at = archive->newest + archive_spacing(archive, instances);
	atomic_store_explicit(&archive->wake_at, archive->due_at, memory_order_relaxed);
	metrics_set(METRIC_KEYFRAME, (int64_t)archive->newest);
}

static void archive_collect_entries(const struct snapshot *now, struct keyframe_draft *draft,
                                    struct str service)
{
	const struct entry *entry;

	for (size_t pos = 0; (entry = snapshot_entry_next(now, service, &pos)) != NULL;)
		keyframe_add_entry(draft, entry);
}

/* Copies all instances and entries, in one visit. @return 0 or -ENOMEM */
static int archive_collect(struct archive *archive, struct keyframe_draft *draft,
                           uint64_t *ret_revision)
{
	const struct snapshot *now = snapshot_enter(archive->registry->store);
	const struct directory *directory = snapshot_directory(now);
	const struct entry *entry;

	*ret_revision = snapshot_revision(now);
	for (size_t i = 0; directory != NULL && i < directory->count; i++) {
		const struct service *service = snapshot_service(now, directory->names[i]);

		for (uint32_t m = 0; m < service->count; m++)
			keyframe_add(draft, &service->members[m]->value);
		archive_collect_entries(now, draft, service->name);
	}
	/* the entries of services without instances, which the directory does not have */
	for (uint64_t pos = 0; (entry = snapshot_entries_next(now, &pos)) != NULL;)
		if (snapshot_service(now, entry->service) == NULL)
			keyframe_add_entry(draft, entry);
	keyframe_end(draft);
	snapshot_leave(archive->registry->store);
	return directory != NULL ? 0 : -ENOMEM;
}

static void archive_make_keyframe(struct archive *archive)
{
	struct keyframe_draft draft;
	uint64_t revision = 0;
	int64_t begun_ms = clock_ms();

	keyframe_init(&draft);
	int r = archive_collect(archive, &draft, &revision);
	if (r == 0)
		r = past_put_keyframe(archive->past, &draft, revision, &archive->newest_ms);
	keyframe_fini(&draft);
	archive->tried = revision;
	int64_t now_ms = clock_ms();
	if (r == 0) {
		archive->newest = revision;
		archive->not_before_ms = now_ms + (now_ms - begun_ms) * (SHARE - 1);
		metrics_count(METRIC_KEYFRAMES, 1);
	} else if (r != -ENOENT) { /* -ENOENT: the log has no events yet */
		archive->not_before_ms = now_ms + RETRY_MS;
		metrics_count(METRIC_KEYFRAME_FAILURES, 1);
	}
	archive_plan(archive);
}

static bool archive_is_due(struct archive *archive)
{
	uint64_t revision = snapshot_revision(snapshot_enter(archive->registry->store));
	int64_t age_ms = archive_max_age(archive);
	bool is_cut = false;

	snapshot_leave(archive->registry->store);
	if (revision <= archive->tried || clock_ms() < archive->not_before_ms ||
	    registry_is_full(archive->registry))
		return false;
	if (revision >= archive->due_at)
		return true;
	if (age_ms > 0 && clock_real_ms() - archive->newest_ms > age_ms / KEYFRAMES_KEPT)
		return true;
	return past_is_cut(archive->past, archive->newest, &is_cut) == 0 && is_cut;
}

/* --- queries ---------------------------------------------------------------------- */

static struct archive_query *archive_query_of(struct mail *mail)
{
	return container_of(mail, struct archive_query, mail);
}

static int archive_put_event(void *arg, const struct event *event)
{
	struct archive_query *query = arg;

	if (query->count > 0)
		buf_put_char(query->out, ',');
	event_put_json(query->out, event);
	query->count++;
	query->last = event->revision;
	query->more = query->out->len >= query->bytes_max;
	return query->more ? -ENOBUFS : buf_error(query->out);
}

static int archive_read_life(struct archive *archive, struct archive_query *query)
{
	struct past_bounds *bounds = &query->bounds;

	query->count = 0;
	query->more = false;
	int r = journal_reader_events(archive->reader, &query->life, archive_put_event, query,
	                              &query->last, &bounds->oldest);
	if (r == -ENOBUFS) /* archive_put_event() stopped the read */
		r = journal_reader_oldest(archive->reader, &bounds->oldest, &bounds->oldest_ms);
	query->more |= query->count == query->life.limit;
	if (r != -ESTALE)
		return r;
	r = journal_reader_oldest(archive->reader, &bounds->oldest, &bounds->oldest_ms);
	return r < 0 ? r : -ESTALE;
}

void archive_drop(struct archive_query *query)
{
	snapshot_store_drop(query->store);
	query->store = NULL;
	query->done(query);
}

static void archive_answer(struct archive *archive, struct archive_query *query)
{
	int64_t begun_us = clock_us();

	switch (query->kind) {
	case ARCHIVE_STATE:
		query->error = rebuild_store(archive->past, query);
		break;
	case ARCHIVE_DIFF:
		query->error = rebuild_diff(archive->past, query);
		break;
	case ARCHIVE_LIFE:
		query->error = archive_read_life(archive, query);
		break;
	case ARCHIVE_DROP:
		archive_drop(query);
		return;
	}
	metrics_count(METRIC_PAST_READS, 1);
	metrics_observe(METRIC_PAST_SECONDS, (uint64_t)(clock_us() - begun_us));
	query->done(query);
}

static void archive_look(void *arg)
{
	if (archive_is_due(arg))
		archive_make_keyframe(arg);
}

static bool archive_take_turn(void *arg, struct mail *mail)
{
	archive_answer(arg, archive_query_of(mail));
	return true;
}

static void archive_refuse(struct mail *mail)
{
	struct archive_query *query = archive_query_of(mail);

	if (query->kind == ARCHIVE_DROP) {
		archive_drop(query);
		return;
	}
	query->error = -ESHUTDOWN;
	query->done(query);
}

/* --- other threads -------------------------------------------------------------------- */

void archive_retain(void *arg, const struct journal_options *retention)
{
	struct archive *archive = arg;

	atomic_store_explicit(&archive->events_max_age_ms, retention->events_max_age_ms,
	                      memory_order_relaxed);
	atomic_store_explicit(&archive->events_max_count, retention->events_max_count,
	                      memory_order_relaxed);
}

void archive_hint(void *arg, uint64_t revision)
{
	struct archive *archive = arg;

	if (revision < atomic_load_explicit(&archive->wake_at, memory_order_relaxed))
		return;
	atomic_store_explicit(&archive->wake_at, UINT64_MAX, memory_order_relaxed);
	mailbox_wake(archive->queue);
}

/* --- life ------------------------------------------------------------------------------- */

static void archive_close(void *arg)
{
	struct archive *archive = arg;

	if (archive == NULL)
		return;
	past_close(archive->past);
	journal_reader_close(archive->reader);
	free(archive);
}

static int archive_open(struct registry *registry, struct mailbox *queue, void **ret_arg)
{
	struct archive *archive = calloc(1, sizeof(*archive));
	int r;

	if (archive == NULL)
		return -ENOMEM;
	archive->registry = registry;
	archive->queue = queue;
	archive_retain(archive, &registry->options.journal);
	r = past_open(registry->dir, &archive->past);
	if (r == 0)
		r = journal_reader_open(registry->dir, &archive->reader);
	if (r == 0)
		r = past_newest_keyframe(archive->past, &archive->newest, &archive->newest_ms);
	if (r < 0) {
		archive_close(archive);
		return r;
	}
	archive->tried = archive->newest;
	archive_plan(archive);
	*ret_arg = archive;
	return 0;
}

const struct lane archive_lane = {
	.name = "archive",
	.rank = LOCK_ARCHIVE,
	.most = 1024,
	.look_ms = LOOK_MS,
	.open = archive_open,
	.close = archive_close,
	.look = archive_look,
	.turn = archive_take_turn,
	.refuse = archive_refuse,
};
