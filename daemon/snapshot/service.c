/* SPDX-License-Identifier: MIT */
/**
 * Members and versions of services: made by the writer, then frozen and read by any thread.
 *
 * Invariant: a published member or service never changes but for its atomic caches and counters. A
 * cache is filled once: of two readers that render at the same time, one publishes its result and
 * the other frees its own.
 *
 * Rendering a member at each lookup would repeat the same work, so each member holds its JSON. Its
 * strings point into the JSON: their copies would take megabytes in a large registry.
 */
#include "snapshot/internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"

#include <stdlib.h>

/* Bytes: more than the JSON of any instance within its limits. */
#define MEMBER_JSON_MOST (1u << 20)
#define ANSWER_MOST      (1u << 30)

const struct member *service_member(const struct service *service, struct str id)
{
	uint32_t hash = (uint32_t)hash_str(id);

	for (uint32_t slot = hash & service->slot_mask;; slot = (slot + 1) & service->slot_mask) {
		uint32_t at = service->slots[slot];

		if (at == 0)
			return NULL;
		if (service->id_hashes[at - 1] == hash &&
		    str_equal(service->members[at - 1]->value.id, id))
			return service->members[at - 1];
	}
}

static char *copy_bytes(char **at, struct str text)
{
	char *start = *at;

	if (text.len > 0)
		memcpy(start, text.data, text.len);
	*at += text.len;
	return start;
}

/* @return the place of @p part in @p text; NULL: it is not there, as JSON had to escape it */
static const char *find_part(struct str text, struct str part)
{
	if (text.data == NULL || part.len == 0)
		return text.data;
	return memmem(text.data, text.len, part.data, part.len);
}

/* @return @p part within @p json, or a copy of it at @p at if it is not there */
static const char *share_str(struct str json, char **at, struct str part)
{
	const char *found = find_part(json, part);

	return found != NULL ? found : copy_bytes(at, part);
}

/* Uses of INSTANCE_FIELDS(X) for the strings only. */
#define COUNT_NUMBER(of)
#define COUNT_FLAG(of)
#define COUNT_TEXT(of)                copied += find_part(json, of) == NULL ? (of).len : 0;
#define COUNT_BYTES(of)               copied += (of).len;
#define COUNT_COPIED(type, name, ...) COUNT_##type(instance->name)
#define SHARE_NUMBER(to)
#define SHARE_FLAG(to)
#define SHARE_TEXT(to)                 (to).data = share_str(member->json, &at, to);
#define SHARE_BYTES(to)                (to).data = copy_bytes(&at, to);
#define SHARE_STRINGS(type, name, ...) SHARE_##type(member->value.name)
#define SUM_NUMBER(of)
#define SUM_FLAG(of)
#define SUM_TEXT(of)                 +(of).len
#define SUM_BYTES(of)                SUM_TEXT(of)
#define SUM_STRINGS(type, name, ...) SUM_##type(instance->name)

/* Bytes of the strings that member_new() copies, as they are not in the JSON. */
static size_t copied_bytes(struct str json, const struct instance *instance)
{
	size_t copied = 0;

	INSTANCE_FIELDS(COUNT_COPIED)
	return copied;
}

struct member *member_new(const struct instance *instance, struct str service_name,
                          struct lease *lease)
{
	struct buf json;

	buf_init(&json, MEMBER_JSON_MOST);
	instance_put_json_open(&json, instance);

	struct member *member = NULL;
	struct str text = {json.data, json.len};
	size_t copied = copied_bytes(text, instance);
	if (buf_error(&json) == 0)
		member = malloc(sizeof(*member) + json.len + copied);
	if (member != NULL) {
		char *at = (char *)(member + 1);

		member->bytes = (uint32_t)(sizeof(*member) + json.len + copied);
		atomic_init(&member->refs, 1);
		member->json = (struct str){copy_bytes(&at, text), json.len};
		member->lease = lease;
		member->value = *instance;
		INSTANCE_FIELDS(SHARE_STRINGS)
		member->value.service = service_name;
	}
	buf_fini(&json);
	return member;
}

/* The JSON counts twice: in the member, and in the answer that all lookups share. */
static uint64_t cost_of(size_t json_len, size_t copied)
{
	return INSTANCE_COST + sizeof(struct member) + 2 * (uint64_t)json_len + copied;
}

uint64_t member_cost(const struct member *member)
{
	return cost_of(member->json.len, member->bytes - sizeof(*member) - member->json.len);
}

uint64_t instance_cost(const struct instance *instance)
{
	struct buf json;

	buf_init(&json, MEMBER_JSON_MOST);
	instance_put_json_open(&json, instance);
	uint64_t cost =
		cost_of(json.len, copied_bytes((struct str){json.data, json.len}, instance));
	if (buf_error(&json) < 0)
		cost = instance_cost_most(instance);
	buf_fini(&json);
	return cost;
}

uint64_t instance_cost_most(const struct instance *instance)
{
	static const unsigned escape = 6;  /* bytes of JSON for one byte at most: \u001f */
	static const unsigned fixed = 600; /* bytes of JSON for all names, numbers and times */
	/* the address contains the host once more */
	size_t strings = instance->host.len +
	                 (size_t)4 * instance->metadata_count INSTANCE_FIELDS(SUM_STRINGS);

	return cost_of(fixed + escape * strings, strings);
}

static atomic_size_t retired_bytes;

void member_ref(const struct member *member)
{
	struct member *counted = (struct member *)(uintptr_t)member;
	unsigned before = atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);

	CHECK(before > 0 && before < UINT32_MAX);
}

void member_unref(const struct member *member)
{
	struct member *counted = (struct member *)(uintptr_t)member;

	if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) > 1)
		return;
	atomic_fetch_sub_explicit(&retired_bytes, counted->bytes, memory_order_relaxed);
	free(counted);
}

void member_retire(void *object)
{
	const struct member *member = object;

	atomic_fetch_add_explicit(&retired_bytes, member->bytes, memory_order_relaxed);
	member_unref(member);
}

size_t snapshot_retired_bytes(void)
{
	return atomic_load_explicit(&retired_bytes, memory_order_relaxed) + blob_retired_bytes();
}

static uint32_t slots_for(uint32_t count)
{
	uint32_t slots = 4;

	while (slots < count + count / 2)
		slots *= 2;
	return slots;
}

static uint32_t live_count(const struct service_build *build, uint32_t *ret_healthy)
{
	uint32_t live = 0;

	*ret_healthy = 0;
	for (uint32_t i = 0; i < build->count; i++) {
		if (build->members[i] == NULL)
			continue;
		live++;
		*ret_healthy += build->members[i]->value.status == STATUS_HEALTHY;
	}
	return live;
}

struct service *service_freeze(const struct service_build *build)
{
	uint32_t healthy_count;
	uint32_t count = live_count(build, &healthy_count);
	uint32_t slot_count = slots_for(count);
	/* usually all are healthy, and one array serves for both */
	size_t pointers = count + (healthy_count == count ? 0 : healthy_count);
	struct service *service = calloc(1, sizeof(*service) + pointers * sizeof(struct member *) +
	                                            (count + slot_count) * sizeof(uint32_t));

	if (service == NULL)
		return NULL;

	const struct member **members = (const struct member **)(void *)(service + 1);
	const struct member **healthy = healthy_count == count ? members : members + count;
	uint32_t *id_hashes = (uint32_t *)(void *)(members + pointers);
	uint32_t *slots = id_hashes + count;
	uint32_t at = 0;
	uint32_t healthy_at = 0;

	for (uint32_t i = 0; i < build->count; i++) {
		const struct member *member = build->members[i];

		if (member == NULL)
			continue;
		members[at] = member;
		id_hashes[at] = build->id_hashes[i];
		at++;
		if (member->value.status == STATUS_HEALTHY)
			healthy[healthy_at++] = member;
		service->status_count[member->value.status]++;
		service->can_expire += instance_can_expire(&member->value);

		uint32_t slot = id_hashes[at - 1] & (slot_count - 1);
		while (slots[slot] != 0)
			slot = (slot + 1) & (slot_count - 1);
		slots[slot] = at;
	}
	service->life = build->life;
	service->name = (struct str){build->life->name, build->life->name_len};
	service->hash = build->hash;
	service->count = count;
	service->members = members;
	service->healthy = healthy;
	service->id_hashes = id_hashes;
	service->slots = slots;
	service->slot_mask = slot_count - 1;
	return service;
}

void service_free(void *object)
{
	struct service *service = object;

	blob_retire(atomic_load_explicit(&service->answer, memory_order_acquire));
	for (size_t i = 0; i < SERVICE_INDEXES; i++) {
		struct service_index *index =
			atomic_load_explicit(&service->index[i], memory_order_acquire);

		if (index != NULL)
			index->free(index);
	}
	for (size_t i = 0; i < SERVICE_VIEWS; i++) {
		struct service_index *view =
			atomic_load_explicit(&service->view[i], memory_order_acquire);

		if (view != NULL)
			view->free(view);
	}
	free(service);
}

void member_put_json(struct buf *out, const struct member *member)
{
	buf_put_str(out, member->json);
	instance_put_json_close(out, &member->value);
}

size_t member_json_len(const struct member *member)
{
	return member->json.len + instance_json_close_len(&member->value);
}

void member_put_json_live(struct buf *out, const struct member *member, int64_t now_real_ms)
{
	int64_t last = atomic_load_explicit(&member->lease->renewed_real_ms, memory_order_relaxed);

	buf_put_str(out, member->json);
	buf_put(out, ",\"last_heartbeat\":");
	buf_put_time(out, last);
	buf_put(out, ",\"heartbeat_age_ms\":");
	buf_put_i64(out, now_real_ms > last ? now_real_ms - last : 0);
	instance_put_json_close(out, &member->value);
}

static struct blob *service_render(const struct service *service)
{
	struct buf out;
	struct blob *blob = NULL;

	buf_init(&out, ANSWER_MOST);
	buf_put(&out, "{\"service\":");
	buf_put_json(&out, service->name);
	buf_put(&out, ",\"revision\":");
	buf_put_u64(&out, service->status_revision[STATUS_HEALTHY]);
	buf_put(&out, ",\"instances\":[");
	for (uint32_t i = 0; i < service->status_count[STATUS_HEALTHY]; i++) {
		if (i > 0)
			buf_put_char(&out, ',');
		member_put_json(&out, service->healthy[i]);
	}
	buf_put(&out, "]}\n");
	if (buf_error(&out) == 0)
		blob = blob_from(out.data, out.len);
	buf_fini(&out);
	return blob;
}

struct blob *service_answer(const struct service *service)
{
	/* The caches are the one part of a frozen service that readers may fill. */
	_Atomic(struct blob *) *cache =
		(_Atomic(struct blob *) *)&((struct service *)(uintptr_t)service)->answer;
	struct blob *answer = atomic_load_explicit(cache, memory_order_acquire);

	if (answer != NULL)
		return answer;

	struct blob *mine = service_render(service);
	if (mine == NULL)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(cache, &answer, mine, memory_order_acq_rel,
	                                            memory_order_acquire))
		return mine;
	blob_unref(mine); /* another reader was faster */
	return answer;
}
