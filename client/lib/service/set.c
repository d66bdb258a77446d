/* SPDX-License-Identifier: MIT */
/*
 * Builds sets from answers of the registry, and counts references to sets and members. Parsing runs
 * in the thread that runs the client's loop, the rest in any thread. Invariant: members, infos and
 * healths have the same order, that of the registry, and slots finds each id. A set that is changed
 * in place would need no copies, but every reader would need a lock, and a strategy's state would
 * have to follow each change.
 */
#include "lib/service/set.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCES_MAX 100000

/* --- members -------------------------------------------------------------------------------- */

struct member *member_ref(struct member *member)
{
	(void)atomic_fetch_add_explicit(&member->refs, 1, memory_order_relaxed);
	return member;
}

void member_unref(struct member *member)
{
	if (member != NULL &&
	    atomic_fetch_sub_explicit(&member->refs, 1, memory_order_acq_rel) == 1)
		free(member);
}

/* One allocation holds the member, its metadata pairs, then all texts. */
static struct member *member_new(const rollcall_instance *info, const json_t *metadata)
{
	size_t pairs = json_object_size(metadata);
	size_t size = sizeof(struct member) + pairs * sizeof(rollcall_pair) + strlen(info->id) +
	              strlen(info->host) + 2;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)metadata, name, value) size +=
		strlen(name) + json_string_length(value) + 2;

	struct member *member = calloc(1, size);
	if (member == NULL)
		return NULL;
	rollcall_pair *pair = (rollcall_pair *)(void *)(member + 1);
	char *text = (char *)(pair + pairs);

	atomic_init(&member->refs, 1);
	member->info = *info;
	member->info.metadata = pair;
	member->info.id = text_pack(&text, info->id);
	member->info.host = text_pack(&text, info->host);
	json_object_foreach((json_t *)(uintptr_t)metadata, name, value)
	{
		if (!json_is_string(value))
			continue;
		*pair++ = (rollcall_pair){text_pack(&text, name),
		                          text_pack(&text, json_string_value(value))};
		member->info.metadata_count++;
	}
	return member;
}

static bool same_metadata(const struct member *member, const json_t *metadata)
{
	if (member->info.metadata_count != json_object_size(metadata))
		return false;
	for (size_t i = 0; i < member->info.metadata_count; i++) {
		const rollcall_pair *pair = &member->info.metadata[i];
		const char *value = json_string_value(json_object_get(metadata, pair->name));

		if (value == NULL || strcmp(value, pair->value) != 0)
			return false;
	}
	return true;
}

static bool same_address(const rollcall_instance *a, const rollcall_instance *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* --- sets ----------------------------------------------------------------------------------- */

rollcall_instances *set_ref(rollcall_instances *set)
{
	(void)atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void set_unref(rollcall_instances *set)
{
	if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (set->balance != NULL)
		set->strategy->destroy(set->balance);
	for (size_t i = 0; i < set->count; i++)
		member_unref(set->members[i]);
	free(set->members);
	free(set->infos);
	free(set->healths);
	free(set->skip);
	free(set->slots);
	free(set);
}

static rollcall_instances *set_new(uint64_t revision, size_t room)
{
	rollcall_instances *set = calloc(1, sizeof(*set));
	size_t slots = 8;

	if (set == NULL)
		return NULL;
	while (slots < room * 2)
		slots *= 2;
	atomic_init(&set->refs, 1);
	atomic_init(&set->revision, revision);
	set->members = calloc(room + 1, sizeof(struct member *));
	set->infos = calloc(room + 1, sizeof(set->infos[0]));
	set->healths = calloc(room + 1, sizeof(struct health *));
	set->skip = calloc(room + 1, 1);
	set->slots = calloc(slots, sizeof(set->slots[0]));
	set->slot_mask = slots - 1;
	if (set->members == NULL || set->infos == NULL || set->healths == NULL ||
	    set->skip == NULL || set->slots == NULL) {
		set_unref(set);
		return NULL;
	}
	return set;
}

rollcall_instances *set_new_empty(uint64_t revision)
{
	return set_new(revision, 0);
}

/* @return the slot that has @p id, or the empty one where it would go */
static uint32_t *set_slot(const rollcall_instances *set, const char *id)
{
	size_t at = hash_text(id) & set->slot_mask;

	while (set->slots[at] != 0 && strcmp(set->infos[set->slots[at] - 1].id, id) != 0)
		at = (at + 1) & set->slot_mask;
	return &set->slots[at];
}

size_t set_find(const rollcall_instances *set, const char *id)
{
	return (size_t)*set_slot(set, id) - 1; /* 0 wraps to ROLLCALL_NONE */
}

/* Owns the reference from now on. */
static void set_add_member(rollcall_instances *set, struct member *member)
{
	size_t n = set->count++;

	set->members[n] = member;
	set->infos[n] = member->info;
	set->healths[n] = &member->health;
	*set_slot(set, member->info.id) = (uint32_t)n + 1;
}

rollcall_instances *set_copy(const rollcall_instances *set)
{
	rollcall_instances *copy = set_new(atomic_load(&set->revision), set->count);

	for (size_t i = 0; copy != NULL && i < set->count; i++)
		set_add_member(copy, member_ref(set->members[i]));
	return copy;
}

int set_balance(rollcall_instances *set, const rollcall_strategy *strategy, const struct env *env)
{
	void *balance = strategy->create(set->infos, set->count, env_random(env), strategy->arg);

	if (balance == NULL)
		return -ENOMEM;
	set->strategy = strategy;
	set->balance = balance;
	return 0;
}

bool set_same(const rollcall_instances *a, const rollcall_instances *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->members[i] != b->members[i])
			return false;
	return true;
}

void set_carry_health(rollcall_instances *to, const rollcall_instances *from)
{
	for (size_t i = 0; i < to->count; i++) {
		size_t j = set_find(from, to->infos[i].id);

		if (j == ROLLCALL_NONE || from->members[j] == to->members[i] ||
		    !same_address(&from->infos[j], &to->infos[i]))
			continue;
		to->members[i]->health = from->members[j]->health;
		to->members[i]->health.pending = 0; /* calls under way end at the old member */
	}
}

/* --- parsing -------------------------------------------------------------------------------- */

static bool read_info(const json_t *item, rollcall_instance *info)
{
	json_int_t port = json_integer_value(json_object_get(item, "port"));
	const json_t *weight = json_object_get(item, "weight");
	json_int_t w = json_is_integer(weight) ? json_integer_value(weight) : 100;

	*info = (rollcall_instance){
		.id = json_string_value(json_object_get(item, "id")),
		.host = json_string_value(json_object_get(item, "host")),
		.port = (uint16_t)port,
		.weight = (uint32_t)w,
	};
	return info->id != NULL && info->host != NULL && strlen(info->id) <= ROLLCALL_ID_MAX &&
	       info->id[0] != '\0' && info->host[0] != '\0' &&
	       strlen(info->host) <= ROLLCALL_HOST_MAX &&
	       strpbrk(info->host, "/@?#[] \t\r\n") == NULL && port > 0 && port <= UINT16_MAX &&
	       w >= 0 && w <= UINT16_MAX;
}

static int set_add_item(rollcall_instances *set, const json_t *item,
                        const rollcall_instances *previous)
{
	const json_t *metadata = json_object_get(item, "metadata");
	struct member *member = NULL;
	rollcall_instance info;

	if (!read_info(item, &info) || set_find(set, info.id) != ROLLCALL_NONE)
		return 0;
	size_t old = previous == NULL ? ROLLCALL_NONE : set_find(previous, info.id);
	if (old != ROLLCALL_NONE && same_address(&previous->infos[old], &info) &&
	    previous->infos[old].weight == info.weight &&
	    same_metadata(previous->members[old], metadata))
		member = member_ref(previous->members[old]);
	else
		member = member_new(&info, metadata);
	if (member == NULL)
		return -ENOMEM;
	set_add_member(set, member);
	return 0;
}

int set_parse(const char *json, size_t len, const rollcall_instances *previous,
              rollcall_instances **ret_set)
{
	json_t *answer = json_loadb(json == NULL ? "" : json, len, 0, NULL);
	const json_t *items = json_object_get(answer, "instances");
	size_t count = json_array_size(items);
	rollcall_instances *set = NULL;
	int r = -EPROTO;

	if (!json_is_array(items) || count > INSTANCES_MAX)
		goto out;
	r = -ENOMEM;
	set = set_new((uint64_t)json_integer_value(json_object_get(answer, "revision")), count);
	if (set == NULL)
		goto out;
	r = 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = set_add_item(set, json_array_get(items, i), previous);
	if (r < 0)
		goto out;
	*ret_set = set;
	set = NULL;

out:
	set_unref(set);
	json_decref(answer);
	return r;
}
