/* SPDX-License-Identifier: MIT */
#include "snapshot/draft_service.h"

#include <errno.h>
#include <stdlib.h>

void draft_service_free(struct draft_service *service)
{
	if (service == NULL)
		return;
	free(service->build.members);
	free((void *)(uintptr_t)service->build.id_hashes);
	free(service->slots);
	free(service);
}

static int resize_members(struct draft_service *service, uint32_t size)
{
	const struct member **members =
		reallocarray(service->build.members, size, sizeof(*members));
	if (members == NULL)
		return -ENOMEM;
	service->build.members = members;

	uint32_t *hashes =
		reallocarray((void *)(uintptr_t)service->build.id_hashes, size, sizeof(*hashes));
	if (hashes == NULL)
		return -ENOMEM;
	service->build.id_hashes = hashes;
	service->size = size;
	return 0;
}

void draft_service_enter(struct draft_service *service, uint32_t index)
{
	uint32_t mask = service->slot_count - 1;
	uint32_t slot = service->build.id_hashes[index] & mask;

	while (service->slots[slot] != 0)
		slot = (slot + 1) & mask;
	service->slots[slot] = index + 1;
}

static int resize_slots(struct draft_service *service, uint32_t slot_count)
{
	uint32_t *slots = calloc(slot_count, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	free(service->slots);
	service->slots = slots;
	service->slot_count = slot_count;
	for (uint32_t i = 0; i < service->build.count; i++) {
		if (service->build.members[i] != NULL)
			draft_service_enter(service, i);
	}
	return 0;
}

static struct service_life *life_new(struct str name)
{
	struct service_life *life = calloc(1, sizeof(*life) + name.len + 1);

	if (life == NULL)
		return NULL;
	memcpy(life->name, name.data, name.len);
	life->name_len = name.len;
	return life;
}

struct draft_service *draft_service_open(const struct service *old, uint64_t hash, struct str name)
{
	struct draft_service *service = calloc(1, sizeof(*service));
	uint32_t count = old != NULL ? old->count : 0;
	uint32_t size = count < 4 ? 4 : count + 4;
	uint32_t slot_count = 8;

	if (service == NULL)
		return NULL;
	service->old = old;
	service->build.hash = hash;
	service->build.life = old != NULL ? old->life : life_new(name);
	while (slot_count < size * 2)
		slot_count *= 2;
	if (service->build.life == NULL || resize_members(service, size) < 0)
		goto fail;
	if (old != NULL) {
		memcpy(service->build.members, old->members, count * sizeof(old->members[0]));
		memcpy((void *)(uintptr_t)service->build.id_hashes, old->id_hashes,
		       count * sizeof(old->id_hashes[0]));
		memcpy(service->status_count, old->status_count, sizeof(old->status_count));
		service->can_expire = old->can_expire;
		service->build.count = service->live = count;
	}
	if (resize_slots(service, slot_count) < 0)
		goto fail;
	return service;

fail:
	if (old == NULL)
		free(service->build.life);
	draft_service_free(service);
	return NULL;
}

uint32_t draft_service_find(const struct draft_service *service, uint32_t hash, struct str id)
{
	uint32_t mask = service->slot_count - 1;

	for (uint32_t slot = hash & mask; service->slots[slot] != 0; slot = (slot + 1) & mask) {
		uint32_t index = service->slots[slot] - 1;
		const struct member *member = service->build.members[index];

		if (member != NULL && service->build.id_hashes[index] == hash &&
		    str_equal(member->value.id, id))
			return index + 1;
	}
	return 0;
}

int draft_service_reserve(struct draft_service *service)
{
	if (service->build.count == service->size) {
		int r = resize_members(service, service->size * 2);

		if (r < 0)
			return r;
	}
	if (service->build.count * 3 >= service->slot_count * 2)
		return resize_slots(service, service->slot_count * 2);
	return 0;
}
