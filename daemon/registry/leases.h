/* SPDX-License-Identifier: MIT */
/**
 * Leases: when each instance was last heard of, and when something is to happen to it.
 *
 * Owns the lease clock, the timers and the sweeper thread. A heartbeat is a store into the lease
 * (leases_renew()). The sweeper finds what is due and reports it; the writer takes it, decides, and
 * gives each tenure back by one of three verbs:
 *
 *	count = leases_take_due(leases, due, most);
 *	leases_settle(leases, tenure, member, ...);   // an event changed its instance
 *	leases_postpone(leases, tenure, at_ms);       // nothing changed: look again
 *	leases_end(leases, tenure);                   // an event removed its instance
 *
 * Times are of the lease clock: clock_ms() less the time in which no heartbeat could be taken.
 */
#pragma once

#include "base/attr.h"
#include "snapshot/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How often the sweeper looks for due leases. */
#define SWEEP_MS INT64_C(100)
#define NEVER    INT64_MAX

struct leases;
/** The lease and the timers of one incarnation. Lasts until leases_end(), and after that until all
 * visits that may have found it have ended. */
struct tenure;

struct leases_options {
	bool sweep_by_hand; /* no thread: leases_sweep() instead */
	/** Nothing is due whose time is after this. Any thread. NULL: no such limit. */
	int64_t (*horizon_ms)(void *arg);
	/** There are due leases. On the sweeper's thread, which holds no lock; must not block. */
	void (*found)(void *arg);
	void *arg;
};

int leases_open(const struct leases_options *options, struct leases **ret_leases) MUST_USE;
/** Starts the sweeper. @return 0, -ENOMEM or -EAGAIN */
int leases_start(struct leases *leases) MUST_USE;
/** Ends the sweeper; twice is fine. */
void leases_stop(struct leases *leases);
/** Takes NULL. The tenures that have not ended are the caller's to free. */
void leases_close(struct leases *leases);

/** The lease clock. Any thread. */
int64_t leases_now(const struct leases *leases);
/** A sign of life, now. Any thread; wait-free. */
void leases_renew(const struct leases *leases, struct lease *lease);
/** One tick of the sweeper. Its thread, or anyone's with sweep_by_hand. */
void leases_sweep(struct leases *leases);

/** A tenure that was renewed now, with neither timer nor member before its first
 * leases_settle(). @return NULL when out of memory */
struct tenure *tenure_new(int64_t now_lease_ms, int64_t now_real_ms) MUST_USE;
/** Frees one that was never settled, or whose members nobody can read any more. Takes NULL. */
void tenure_free(struct tenure *tenure);
/** For the members of its instance. */
struct lease *tenure_lease(struct tenure *tenure);
/** @param member  with the lease of a tenure */
struct tenure *tenure_of(const struct member *member);

/** A lease that was found due, as the decision about it needs it. */
struct due_lease {
	struct tenure *tenure;
	const struct member *member; /* as of its latest event */
	bool is_counted;             /* in its service's count of due leases (service_life.due) */
	int64_t drain_end_ms;        /* NEVER, or when an operator's drain ends */
	int64_t remove_at_ms;        /* NEVER, or when an expired instance is to be removed */
};
/** Takes up to @p most due leases off the list. Writer only. @return how many */
size_t leases_take_due(struct leases *leases, struct due_lease *ret, size_t most);
/**
 * The lease follows what an event made of its instance: arms its timer anew. Writer only, after
 * publishing, in the visit in which it published.
 * @param decided_on_ms  the heartbeat that the decision was made on: after a later one the lease is
 * due at once; NEVER: the decision was not about the lease
 * @param now_real_ms  real time, to compare with the end of a drain
 */
void leases_settle(struct leases *leases, struct tenure *tenure, const struct member *member,
                   int64_t decided_on_ms, int64_t now_real_ms);
/** Looks at the lease again at @p at_ms, not before. Writer only. */
void leases_postpone(struct leases *leases, struct tenure *tenure, int64_t at_ms);
/** Nothing will happen to it any more; freed after a grace period. Writer only, as leases_settle().
 */
void leases_end(struct leases *leases, struct tenure *tenure);
