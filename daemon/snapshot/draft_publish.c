/* SPDX-License-Identifier: MIT */
/**
 * Finishes, publishes and discards drafts. Writer's thread.
 *
 * Invariant: publishing cannot fail, so it may follow the commit. Finishing allocates all memory
 * before; revisions, which only the commit gives, are filled in by publishing ("fixups").
 */
#include "snapshot/draft.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

/* --- finishing -------------------------------------------------------------- */

static int freeze_service(struct snapshot_draft *draft, struct draft_service *service)
{
	if (service->old != NULL) {
		int r = draft_retire(draft, service->old, service_free);

		if (r < 0)
			return r;
	}
	if (service->live == 0)
		return draft_retire(draft, service->build.life, free);

	service->next = service_freeze(&service->build);
	if (service->next == NULL)
		return -ENOMEM;
	if (service->old != NULL) {
		service->next->revision = service->old->revision;
		memcpy(service->next->status_revision, service->old->status_revision,
		       sizeof(service->next->status_revision));
	}
	return 0;
}

static bool is_own_bucket(const struct snapshot_draft *draft, uint32_t number)
{
	return draft->next->buckets[number] != draft->latest->buckets[number];
}

/* @return the draft's own copy of a bucket, with room for the services that may be new */
static struct bucket *draft_own_bucket(struct snapshot_draft *draft, uint32_t number)
{
	const struct bucket *old = draft->latest->buckets[number];

	if (is_own_bucket(draft, number))
		return (struct bucket *)(uintptr_t)draft->next->buckets[number];

	uint32_t count = old != NULL ? old->count : 0;
	struct bucket *bucket = malloc(sizeof(*bucket) + (count + draft->bucket_growth[number]) *
	                                                         sizeof(bucket->services[0]));
	if (bucket == NULL || (old != NULL && draft_retire(draft, old, free) < 0)) {
		free(bucket);
		return NULL;
	}
	bucket->count = count;
	if (old != NULL)
		memcpy(bucket->services, old->services, count * sizeof(bucket->services[0]));
	draft->next->buckets[number] = bucket;
	return bucket;
}

static int place_service(struct snapshot_draft *draft, const struct draft_service *service)
{
	if (service->old == NULL && service->next == NULL)
		return 0; /* it was added and removed within the draft */

	struct bucket *bucket = draft_own_bucket(draft, bucket_of(service->build.hash));
	if (bucket == NULL)
		return -ENOMEM;

	struct str name = {service->build.life->name, service->build.life->name_len};
	uint32_t at = bucket_position(bucket, service->build.hash, name);
	const struct service **position = &bucket->services[at];
	size_t behind = (bucket->count - at) * sizeof(*position);

	if (service->old == NULL) {
		memmove(position + 1, position, behind);
		bucket->count++;
		draft->counts.services++;
	} else if (service->next == NULL) {
		memmove(position, position + 1, behind - sizeof(*position));
		bucket->count--;
		draft->counts.services--;
	}
	if (service->next != NULL)
		*position = service->next;
	return 0;
}

static bool names_change(const struct snapshot_draft *draft)
{
	for (size_t i = 0; i < draft->service_count; i++) {
		const struct draft_service *service = draft->services[i];

		if ((service->old == NULL) != (service->next == NULL))
			return true;
	}
	return false;
}

static int finish_entries(struct snapshot_draft *draft)
{
	const struct entries_draft *entries = draft->entries;
	const struct entries *latest = draft->latest->entries;
	int r = 0;

	if (entries == NULL)
		return 0;
	for (size_t i = 0; r == 0 && i < entries->replaced_count; i++)
		r = draft_retire(draft, entries->replaced[i], free);
	for (size_t b = 0; r == 0 && b < ENTRY_BUCKETS; b++)
		if (entries->own[b] != NULL && latest->buckets[b] != NULL)
			r = draft_retire(draft, latest->buckets[b], free);
	if (r == 0)
		r = draft_retire(draft, latest, free);
	if (r == 0)
		draft->next->entries = entries_draft_next(entries, latest);
	if (r == 0 && draft->next->entries == NULL) {
		draft->next->entries = latest;
		r = -ENOMEM;
	}
	return r;
}

int snapshot_draft_finish(struct snapshot_draft *draft)
{
	int r = 0;

	draft->next = malloc(sizeof(*draft->next));
	if (draft->next == NULL)
		return -ENOMEM;
	*draft->next = *draft->latest;
	for (size_t i = 0; i < draft->service_count && r == 0; i++)
		r = freeze_service(draft, draft->services[i]);
	for (size_t i = 0; i < draft->service_count && r == 0; i++)
		r = place_service(draft, draft->services[i]);
	if (r == 0 && names_change(draft)) {
		r = draft_retire(draft, draft->latest->names, names_free);
		if (r == 0) {
			draft->next->names = calloc(1, sizeof(*draft->next->names));
			r = draft->next->names != NULL ? 0 : -ENOMEM;
		}
	}
	if (r == 0)
		r = finish_entries(draft);
	draft->next->counts = draft->counts;
	return r;
}

struct service *snapshot_draft_next(const struct snapshot_draft *draft, size_t *pos,
                                    const struct service **ret_previous)
{
	while (*pos < draft->service_count) {
		const struct draft_service *service = draft->services[(*pos)++];

		if (service->next != NULL) {
			*ret_previous = service->old;
			return service->next;
		}
	}
	return NULL;
}

/* --- ending ------------------------------------------------------------------ */

static void apply_fixups(struct snapshot_draft *draft)
{
	for (size_t i = 0; i < draft->fixup_count; i++) {
		const struct fixup *fixup = &draft->fixups[i];
		uint64_t revision = fixup->event != NULL ? fixup->event->revision : fixup->revision;
		struct service *service = fixup->service->next;

		if (fixup->member != NULL && fixup->event != NULL) {
			fixup->member->value.revision = fixup->event->instance.revision;
			fixup->member->value.incarnation = fixup->event->instance.incarnation;
		}
		if (draft->next->revision < revision)
			draft->next->revision = revision;
		if (service == NULL)
			continue;
		service->revision = revision;
		for (size_t s = 0; s < STATUS_COUNT; s++) {
			/* 0: a set of a new service, which has no revision yet */
			if ((fixup->statuses & (1u << s)) || service->status_revision[s] == 0)
				service->status_revision[s] = revision;
		}
	}
}

static void snapshot_reclaim(struct retired *retired)
{
	struct snapshot *snapshot = container_of(retired, struct snapshot, retired);

	for (size_t i = 0; i < snapshot->garbage_count; i++)
		snapshot->garbage[i].free(snapshot->garbage[i].object);
	free(snapshot->garbage);
	free(snapshot);
}

static void draft_free(struct snapshot_draft *draft)
{
	for (size_t i = 0; i < draft->service_count; i++)
		draft_service_free(draft->services[i]);
	free(draft->services);
	free(draft->table);
	free(draft->fixups);
	free(draft);
}

void snapshot_draft_publish(struct snapshot_draft *draft)
{
	struct snapshot *old = atomic_load_explicit(&draft->store->latest, memory_order_relaxed);

	CHECK(old == draft->latest && draft->next != NULL);
	apply_fixups(draft);
	if (draft->entries != NULL) {
		uint64_t revision = entries_draft_settle(
			draft->entries, (struct entries *)(uintptr_t)draft->next->entries);

		if (draft->next->revision < revision)
			draft->next->revision = revision;
		entries_draft_free(draft->entries);
	}
	for (size_t i = 0; i < draft->service_count; i++) {
		uint32_t number = bucket_of(draft->services[i]->build.hash);
		const struct bucket *bucket = draft->next->buckets[number];

		if (bucket != NULL && bucket->count == 0) {
			CHECK(is_own_bucket(draft, number));
			free((void *)(uintptr_t)bucket);
			draft->next->buckets[number] = NULL;
		}
	}
	/* sequentially consistent, as snapshot_enter()'s load: watch/watch.c relies on it */
	atomic_store(&draft->store->latest, draft->next);
	old->garbage = draft->garbage;
	old->garbage_count = draft->garbage_count;
	rcu_retire(&old->retired, snapshot_reclaim);
	draft_free(draft);
}

void snapshot_draft_discard(struct snapshot_draft *draft)
{
	if (draft == NULL)
		return;
	for (size_t i = 0; i < draft->fixup_count; i++)
		if (draft->fixups[i].member != NULL)
			member_retire(draft->fixups[i].member);
	for (size_t i = 0; i < draft->service_count; i++) {
		struct draft_service *service = draft->services[i];

		if (draft->next != NULL) {
			uint32_t number = bucket_of(service->build.hash);

			if (is_own_bucket(draft, number)) {
				free((void *)(uintptr_t)draft->next->buckets[number]);
				draft->next->buckets[number] = draft->latest->buckets[number];
			}
		}
		if (service->next != NULL)
			service_free(service->next);
		if (service->old == NULL)
			free(service->build.life);
	}
	if (draft->next != NULL && draft->next->entries != draft->latest->entries)
		free((void *)(uintptr_t)draft->next->entries);
	entries_draft_discard(draft->entries);
	if (draft->next != NULL && draft->next->names != draft->latest->names)
		free(draft->next->names);
	free(draft->next);
	free(draft->garbage);
	draft_free(draft);
}
