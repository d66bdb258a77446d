/* SPDX-License-Identifier: MIT */
/**
 * The healthy instances of a service at one revision: what the cache holds and callers read. Never
 * changes once built; counted references, any thread.
 */
#pragma once

#include "lib/base/util.h"
#include "lib/policy/health.h"
#include "rollcall.h"

#include <stdatomic.h>
#include <stdbool.h>

/** One instance. Shared by successive sets as long as the registry says the same of it. */
struct member {
	atomic_uint refs;
	rollcall_instance info;
	struct health health; /* guarded by the service's lock */
			      /* the text of info follows */
};

struct rollcall_instances {
	atomic_uint refs;
	_Atomic(uint64_t) revision; /* rises alone when the registry confirms the same members */
	size_t count;
	struct member **members;
	rollcall_instance *infos; /* the same, as strategies and callers see them */
	struct health **healths;

	/* guarded by the service's lock while it is the current set */
	const rollcall_strategy *strategy;
	void *balance;       /* the strategy's state */
	unsigned char *skip; /* room for one pick */

	uint32_t *slots; /* index by id: member number + 1, 0 is empty */
	size_t slot_mask;
};

/** @return a reference more */
rollcall_instances *set_ref(rollcall_instances *set);
/** Takes NULL. */
void set_unref(rollcall_instances *set);
struct member *member_ref(struct member *member);
/** Takes NULL. */
void member_unref(struct member *member);

/** @return the index of the instance, or ROLLCALL_NONE */
size_t set_find(const rollcall_instances *set, const char *id);

/**
 * Reads an answer to a lookup.
 * @param previous  NULL, or the set before, whose unchanged members are used again
 * @return 0; -ENOMEM; -EPROTO: not such an answer. Instances with impossible fields are left out
 */
int set_parse(const char *json, size_t len, const rollcall_instances *previous,
              rollcall_instances **ret_set) MUST_USE;
/** An empty set. NULL when out of memory. */
rollcall_instances *set_new_empty(uint64_t revision) MUST_USE;
/** The same members with another strategy. NULL when out of memory. */
rollcall_instances *set_copy(const rollcall_instances *set) MUST_USE;
/** Makes the strategy's state. @return 0 or -ENOMEM */
int set_balance(rollcall_instances *set, const rollcall_strategy *strategy,
                const struct env *env) MUST_USE;
/** The same members in the same order? */
bool set_same(const rollcall_instances *a, const rollcall_instances *b);
/** What was learnt of members that are in both by name and address, but not the same object. */
void set_carry_health(rollcall_instances *to, const rollcall_instances *from);
