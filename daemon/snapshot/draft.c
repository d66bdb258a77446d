/* SPDX-License-Identifier: MIT */
/**
 * Drafts: applying events, finishing, publishing. Writer's thread.
 *
 * Invariant: publishing cannot fail, so it may follow the commit. All memory is allocated before;
 * revisions, which only the commit gives, are filled in by publishing ("fixups"). Changing
 * published objects in place would need no copies, but readers would see half of a batch, or one
 * that was not committed.
 */
#include "base/check.h"
#include "base/hash.h"
#include "snapshot/draft_service.h"
#include "snapshot/entries.h"

#include <errno.h>
#include <stdlib.h>

/** An event that the draft has applied; publishing copies its revision and incarnation. */
struct fixup {
	const struct event *event; /* NULL: it was committed before, and has `revision` */
	uint64_t revision;
	struct member *member; /* NULL: the event removes it */
	struct draft_service *service;
	unsigned statuses; /* bit per status whose set changed */
};

struct snapshot_draft {
	struct snapshot_store *store;
	const struct snapshot *latest;
	struct snapshot *next; /* set by finish */
	struct snapshot_counts counts;

	struct draft_service **services; /* owned */
	size_t service_count;
	size_t service_size;
	uint32_t *table; /* hash table: 1 + an index of services; 0: free */
	size_t table_size;
	uint32_t bucket_growth[BUCKET_COUNT]; /* number of services that may be new, by bucket */

	struct entries_draft *entries; /* NULL: no entry has changed */
	struct fixup *fixups;
	size_t fixup_count;
	size_t fixup_size;
	struct garbage *garbage;
	size_t garbage_count;
	size_t garbage_size;
};

/* Makes room for one more element. */
static int draft_grow(void *array, size_t *size, size_t count, size_t element)
{
	void **at = array;

	if (count < *size)
		return 0;

	size_t more = *size == 0 ? 16 : *size * 2;
	void *bigger = reallocarray(*at, more, element);
	if (bigger == NULL)
		return -ENOMEM;
	*at = bigger;
	*size = more;
	return 0;
}

static int retire_later(struct snapshot_draft *draft, const void *object, void (*fn)(void *))
{
	int r = draft_grow(&draft->garbage, &draft->garbage_size, draft->garbage_count,
	                   sizeof(*draft->garbage));

	if (r < 0)
		return r;
	draft->garbage[draft->garbage_count++] = (struct garbage){(void *)(uintptr_t)object, fn};
	return 0;
}

struct snapshot_draft *snapshot_draft_new(struct snapshot_store *store)
{
	struct snapshot_draft *draft = calloc(1, sizeof(*draft));

	if (draft == NULL)
		return NULL;
	draft->store = store;
	/* Only the writer publishes, so the latest snapshot stays without a visit. */
	draft->latest = atomic_load_explicit(&store->latest, memory_order_relaxed);
	draft->counts = draft->latest->counts;
	return draft;
}

/* --- the services that change ---------------------------------------------- */

static struct draft_service *draft_find(const struct snapshot_draft *draft, uint64_t hash,
                                        struct str name)
{
	if (draft->table_size == 0)
		return NULL;
	for (size_t at = hash & (draft->table_size - 1);; at = (at + 1) & (draft->table_size - 1)) {
		if (draft->table[at] == 0)
			return NULL;

		struct draft_service *service = draft->services[draft->table[at] - 1];
		const struct service_life *life = service->build.life;
		if (service->build.hash == hash &&
		    str_equal((struct str){life->name, life->name_len}, name))
			return service;
	}
}

static void enter_table(struct snapshot_draft *draft, uint64_t hash, uint32_t index)
{
	size_t at = hash & (draft->table_size - 1);

	while (draft->table[at] != 0)
		at = (at + 1) & (draft->table_size - 1);
	draft->table[at] = index + 1;
}

static int grow_table(struct snapshot_draft *draft)
{
	if (draft->service_count * 2 < draft->table_size)
		return 0;

	size_t size = draft->table_size == 0 ? 64 : draft->table_size * 2;
	uint32_t *table = calloc(size, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	free(draft->table);
	draft->table = table;
	draft->table_size = size;
	for (size_t i = 0; i < draft->service_count; i++)
		enter_table(draft, draft->services[i]->build.hash, (uint32_t)i);
	return 0;
}

static struct draft_service *draft_touch(struct snapshot_draft *draft, struct str name)
{
	uint64_t hash = hash_str(name);
	struct draft_service *service = draft_find(draft, hash, name);

	if (service != NULL)
		return service;
	if (draft_grow(&draft->services, &draft->service_size, draft->service_count,
	               sizeof(struct draft_service *)) < 0 ||
	    grow_table(draft) < 0)
		return NULL;
	service = draft_service_open(snapshot_find(draft->latest, hash, name), hash, name);
	if (service == NULL)
		return NULL;
	draft->services[draft->service_count] = service;
	enter_table(draft, hash, (uint32_t)draft->service_count);
	draft->service_count++;
	if (service->old == NULL)
		draft->bucket_growth[bucket_of(hash)]++;
	return service;
}

const struct member *snapshot_draft_member(const struct snapshot_draft *draft, struct str name,
                                           struct str id)
{
	uint64_t hash = hash_str(name);
	const struct draft_service *service = draft_find(draft, hash, name);

	if (service == NULL) {
		const struct service *old = snapshot_find(draft->latest, hash, name);

		return old != NULL ? service_member(old, id) : NULL;
	}

	uint32_t found = draft_service_find(service, (uint32_t)hash_str(id), id);
	return found != 0 ? service->build.members[found - 1] : NULL;
}

struct service_life *snapshot_draft_count(const struct snapshot_draft *draft, struct str name,
                                          uint32_t ret_count[STATUS_COUNT])
{
	uint64_t hash = hash_str(name);
	const struct draft_service *service = draft_find(draft, hash, name);
	const struct service *old =
		service != NULL ? NULL : snapshot_find(draft->latest, hash, name);

	if (service == NULL && old == NULL)
		return NULL;
	memcpy(ret_count, service != NULL ? service->status_count : old->status_count,
	       STATUS_COUNT * sizeof(ret_count[0]));
	return service != NULL ? service->build.life : old->life;
}

uint32_t snapshot_draft_can_expire(const struct snapshot_draft *draft, struct str name)
{
	uint64_t hash = hash_str(name);
	const struct draft_service *service = draft_find(draft, hash, name);

	if (service != NULL)
		return service->can_expire;
	const struct service *old = snapshot_find(draft->latest, hash, name);
	return old != NULL ? old->can_expire : 0;
}

struct snapshot_counts snapshot_draft_counts(const struct snapshot_draft *draft)
{
	return draft->counts;
}

/* --- applying --------------------------------------------------------------- */

static void count_member(struct snapshot_draft *draft, struct draft_service *service,
                         const struct member *member, int by)
{
	enum status status = member->value.status;

	service->status_count[status] += (uint32_t)by;
	draft->counts.instances[status] += (uint64_t)(int64_t)by;
	if (instance_can_expire(&member->value))
		service->can_expire += (uint32_t)by;
}

static void add_member(struct snapshot_draft *draft, struct draft_service *service,
                       const struct member *member, uint32_t id_hash)
{
	uint32_t index = service->build.count++;

	service->build.members[index] = member;
	((uint32_t *)(uintptr_t)service->build.id_hashes)[index] = id_hash;
	draft_service_enter(service, index);
	draft->counts.bytes += member_cost(member) + (service->live == 0 ? SERVICE_COST : 0);
	service->live++;
	count_member(draft, service, member, 1);
}

static const struct member *put_member(struct snapshot_draft *draft, struct draft_service *service,
                                       const struct event *event, struct lease *lease)
{
	struct fixup *fixup = &draft->fixups[draft->fixup_count];
	uint32_t hash = (uint32_t)hash_str(event->instance.id);
	uint32_t found = draft_service_find(service, hash, event->instance.id);
	const struct member *before = found != 0 ? service->build.members[found - 1] : NULL;
	struct str name = {service->build.life->name, service->build.life->name_len};

	if (before == NULL && draft_service_reserve(service) < 0)
		return NULL;

	struct member *after =
		member_new(&event->instance, name, before != NULL ? before->lease : lease);
	if (after == NULL)
		return NULL;
	if (before != NULL && retire_later(draft, before, member_retire) < 0) {
		member_retire(after);
		return NULL;
	}

	*fixup = (struct fixup){
		.event = event->revision == 0 ? event : NULL,
		.revision = event->revision,
		.member = after,
		.service = service,
		.statuses = 1u << after->value.status,
	};
	draft->fixup_count++;
	if (before != NULL) {
		fixup->statuses |= 1u << before->value.status;
		count_member(draft, service, before, -1);
		service->build.members[found - 1] = after;
		draft->counts.bytes += member_cost(after) - member_cost(before);
		count_member(draft, service, after, 1);
	} else {
		add_member(draft, service, after, hash);
	}
	return after;
}

static const struct member *remove_member(struct snapshot_draft *draft,
                                          struct draft_service *service, const struct event *event)
{
	uint32_t hash = (uint32_t)hash_str(event->instance.id);
	uint32_t found = draft_service_find(service, hash, event->instance.id);

	CHECK(found != 0);
	const struct member *before = service->build.members[found - 1];
	if (retire_later(draft, before, member_retire) < 0)
		return NULL;

	draft->fixups[draft->fixup_count++] = (struct fixup){
		.event = event->revision == 0 ? event : NULL,
		.revision = event->revision,
		.service = service,
		.statuses = 1u << before->value.status,
	};
	service->build.members[found - 1] = NULL;
	service->live--;
	draft->counts.bytes -= member_cost(before) + (service->live == 0 ? SERVICE_COST : 0);
	count_member(draft, service, before, -1);
	return before;
}

const struct member *snapshot_draft_apply(struct snapshot_draft *draft, const struct event *event,
                                          struct lease *lease)
{
	if (draft_grow(&draft->fixups, &draft->fixup_size, draft->fixup_count,
	               sizeof(*draft->fixups)) < 0)
		return NULL;

	struct draft_service *service = draft_touch(draft, event->instance.service);
	if (service == NULL)
		return NULL;
	return event_removes(event->kind) ? remove_member(draft, service, event)
	                                  : put_member(draft, service, event, lease);
}

const struct entry *snapshot_draft_entry(const struct snapshot_draft *draft, enum entry_kind kind,
                                         struct str service, struct str name)
{
	struct entry key = {.kind = kind, .service = service, .name = name};

	return entries_draft_find(draft->entries, draft->latest->entries, &key);
}

const struct entry *snapshot_draft_apply_entry(struct snapshot_draft *draft,
                                               const struct event *event)
{
	const struct entry *before;
	const struct entry *entry;

	if (draft->entries == NULL)
		draft->entries = calloc(1, sizeof(*draft->entries));
	if (draft->entries == NULL)
		return NULL;
	entry = entries_draft_apply(draft->entries, draft->latest->entries, event, &before);
	if (entry == NULL)
		return NULL;
	if (before != NULL) {
		draft->counts.entries--;
		draft->counts.bytes -= entry_cost(before);
	}
	if (!event_removes(event->kind)) {
		draft->counts.entries++;
		draft->counts.bytes += entry_cost(entry);
	}
	return entry;
}

/* --- finishing -------------------------------------------------------------- */

static int freeze_service(struct snapshot_draft *draft, struct draft_service *service)
{
	if (service->old != NULL) {
		int r = retire_later(draft, service->old, service_free);

		if (r < 0)
			return r;
	}
	if (service->live == 0)
		return retire_later(draft, service->build.life, free);

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
	if (bucket == NULL || (old != NULL && retire_later(draft, old, free) < 0)) {
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
		r = retire_later(draft, entries->replaced[i], free);
	for (size_t b = 0; r == 0 && b < ENTRY_BUCKETS; b++)
		if (entries->own[b] != NULL && latest->buckets[b] != NULL)
			r = retire_later(draft, latest->buckets[b], free);
	if (r == 0)
		r = retire_later(draft, latest, free);
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
		r = retire_later(draft, draft->latest->names, names_free);
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
