/* SPDX-License-Identifier: MIT */
/**
 * Applies events to a draft. Writer's thread. draft_publish.c finishes and publishes it.
 *
 * A draft copies a service when its first event comes. Changing published objects in place would
 * need no copies, but readers would see half of a batch, or one that was not committed.
 */
#include "snapshot/draft.h"

#include "base/check.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

int draft_grow(void *array, size_t *size, size_t count, size_t element)
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

int draft_retire(struct snapshot_draft *draft, const void *object, void (*fn)(void *))
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
	if (before != NULL && draft_retire(draft, before, member_retire) < 0) {
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
	if (draft_retire(draft, before, member_retire) < 0)
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
