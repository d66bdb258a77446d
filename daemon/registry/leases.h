/* SPDX-License-Identifier: MIT */
/**
 * Leases: when each instance sent its latest heartbeat, and when its lease or drain ends.
 *
 * Owns the lease clock, the timers and the sweeper thread. A heartbeat is a store into the lease
 * (leases_renew()). The sweeper finds due leases and wakes the writer; the writer takes them,
 * decides, and returns each tenure by one of three functions:
 *
 *	count = leases_take_due(leases, due, most);
 *	leases_settle(leases, tenure, member, ...);   // an event changed its instance
 *	leases_postpone(leases, tenure, at_ms);       // nothing changed: examine it again
 *	leases_end(leases, tenure);                   // an event removed its instance
 *
 * Times are in ms of the lease clock: clock_ms() less the time in which the daemon could not
 * receive heartbeats.
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
/** The lease and the timers of one incarnation. leases_end() frees it, once all visits that may
 * have found it have ended. */
struct tenure;

struct leases_options {
	bool sweep_by_hand; /* no thread: leases_sweep() instead */
	/** Returns a time; no lease that expires after it counts as due yet. Called on any thread.
	 * NULL: no such limit. */
	int64_t (*horizon_ms)(void *arg);
	/** Called when there are due leases, on the sweeper thread, which holds no lock; must not
	 * block. */
	void (*found)(void *arg);
	void *arg;
};

/** @return 0 or -ENOMEM */
int leases_open(const struct leases_options *options, struct leases **ret_leases) MUST_USE;
/** Starts the sweeper. @return 0, -ENOMEM or -EAGAIN */
int leases_start(struct leases *leases) MUST_USE;
/** Ends the sweeper; twice is fine. */
void leases_stop(struct leases *leases);
/** Takes NULL. The caller frees the tenures that have not ended. */
void leases_close(struct leases *leases);

/** The lease clock. Any thread. */
int64_t leases_now(const struct leases *leases);
/** Renews @p lease: its instance has sent a heartbeat now. Any thread; wait-free. */
void leases_renew(const struct leases *leases, struct lease *lease);
/** One pass of the sweeper: on its thread, or on any thread with sweep_by_hand. */
void leases_sweep(struct leases *leases);

/** Makes a tenure that was renewed now. It has neither timer nor member before its first
 * leases_settle(). @return NULL when out of memory */
struct tenure *tenure_new(int64_t now_lease_ms, int64_t now_real_ms) MUST_USE;
/** Frees a tenure that was never settled, or whose members no thread can read any more. Takes NULL.
 */
void tenure_free(struct tenure *tenure);
/** The lease, for the members of the tenure's instance to point to. */
struct lease *tenure_lease(struct tenure *tenure);
/** The tenure of @p member. @param member  has a lease from tenure_lease() */
struct tenure *tenure_of(const struct member *member);

/** A due lease, with what the decision about it reads. */
struct due_lease {
	struct tenure *tenure;
	const struct member *member; /* after its latest event */
	bool is_counted;             /* service_life.due of its service counts it */
	int64_t drain_end_ms;        /* when an operator's drain ends; or NEVER */
	int64_t remove_at_ms;        /* when the expired instance is to be removed; or NEVER */
};
/** Takes up to @p most due leases off the list. Writer only. @return their number */
size_t leases_take_due(struct leases *leases, struct due_lease *ret, size_t most);
/**
 * Updates the tenure after an event about its instance, and arms its timer again. Writer only,
 * after publishing, in the visit in which it published.
 * @param decided_on_ms  the latest heartbeat that the decision knew: if a later one has arrived,
 * the lease is due at once; NEVER: the decision was not about the lease
 * @param now_real_ms  real time, which is compared with the end of a drain
 */
void leases_settle(struct leases *leases, struct tenure *tenure, const struct member *member,
                   int64_t decided_on_ms, int64_t now_real_ms);
/** Makes the lease due at @p at_ms at the earliest. Writer only. */
void leases_postpone(struct leases *leases, struct tenure *tenure, int64_t at_ms);
/** Disarms the timers; frees the tenure after a grace period. Writer only, as leases_settle(). */
void leases_end(struct leases *leases, struct tenure *tenure);
