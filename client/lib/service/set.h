/* SPDX-License-Identifier: MIT */
/**
 * The healthy instances of a service at one revision: what the cache holds and programs read as
 * rollcall_instances. A set never changes once it is built; its references are counted. Any thread.
 */
#pragma once

#include "lib/base/util.h"
#include "lib/policy/health.h"
#include "rollcall.h"

#include <stdatomic.h>
#include <stdbool.h>

/** One instance. Successive sets share it as long as its record stays the same. */
struct member {
	atomic_uint refs;
	rollcall_instance info;
	struct health health; /* guarded by the service's lock */
			      /* the text of info follows */
};

struct rollcall_instances {
	atomic_uint refs;
	_Atomic(uint64_t) revision; /* the only member that changes, when a new answer is equal */
	size_t count;
	struct member **members;
	rollcall_instance *infos; /* copies of their info, for strategies and programs */
	struct health **healths;

	/* guarded by the service's lock while this is the current set */
	const rollcall_strategy *strategy;
	void *balance;       /* the strategy's state */
	unsigned char *skip; /* scratch memory of a pick */

	uint32_t *slots; /* index by id: member number + 1, 0 is empty */
	size_t slot_mask;
};

/** Adds a reference. @return @p set */
rollcall_instances *set_ref(rollcall_instances *set);
/** Drops a reference; the last one frees the set. Takes NULL. */
void set_unref(rollcall_instances *set);
/** The same for one member. */
struct member *member_ref(struct member *member);
void member_unref(struct member *member);

/** @return the index of the instance, or ROLLCALL_NONE */
size_t set_find(const rollcall_instances *set, const char *id);

/**
 * Reads the answer to a lookup. Instances with invalid fields are left out.
 * @param previous  the previous set, whose unchanged members are shared; NULL: none
 * @return 0; -ENOMEM; -EPROTO (not JSON, no "instances", or more than 100000 of them)
 */
int set_parse(const char *json, size_t len, const rollcall_instances *previous,
              rollcall_instances **ret_set) MUST_USE;
/** @return an empty set; NULL when out of memory */
rollcall_instances *set_new_empty(uint64_t revision) MUST_USE;
/** @return a set of the same members, without a strategy; NULL when out of memory */
rollcall_instances *set_copy(const rollcall_instances *set) MUST_USE;
/** Sets the strategy and makes its state. @return 0; -ENOMEM (nothing changed) */
int set_balance(rollcall_instances *set, const rollcall_strategy *strategy,
                const struct env *env) MUST_USE;
/** @return whether both have the same members in the same order */
bool set_same(const rollcall_instances *a, const rollcall_instances *b);
/** Copies the health of instances that are in both sets, by id and address, as different members:
 * their record has changed. */
void set_carry_health(rollcall_instances *to, const rollcall_instances *from);
