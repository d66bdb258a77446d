/* SPDX-License-Identifier: MIT */
/*
 * Owns the tenures' timers and the list of due leases. The sweeper thread moves tenures from the
 * timer wheel to the list; the writer takes them off. The lock guards the wheel, the list and the
 * times of each tenure.
 *
 * Invariant: each tenure is in at most one of three places: in the wheel, on the list, or taken by
 * the writer. Heartbeats only store into struct lease, without the lock, so they never wait. Arming
 * the timer on each heartbeat would need the lock; instead a timer is often stale when it fires,
 * and the sweeper reads the lease and arms the timer again, which is one visit per TTL.
 */
#include "registry/leases.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "base/timer.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

/* Timers that the sweeper visits before it releases the lock for a moment. */
#define SWEEP_BATCH 256
/* A sweep that is later than this, or an ingress thread that is silent for longer, is a stall. */
#define STALL_MS INT64_C(300)
_Static_assert(SWEEP_MS <= PROGRESS_IDLE_MS, "the sweeper must be seen to make progress");

struct tenure {
	struct lease lease;

	union {
		/* until leases_end(); guarded by LOCK_LEASES */
		struct {
			struct timer timer;
			TAILQ_ENTRY(tenure) due; /* linked while is_due */
		};
		struct retired retired; /* after leases_end() */
	};

	/* guarded by LOCK_LEASES; times are of the lease clock */
	const struct member *member; /* after its latest event */
	bool is_due;
	bool is_counted; /* service_life.due counts it: its lease was found expired */
	bool recheck;    /* due at once, whatever the times are */
	bool lease_out;
	int64_t ttl_ms;
	int64_t remove_at_ms;     /* when the expired instance is to be removed; or NEVER */
	int64_t drain_end_ms;     /* when an operator's drain ends; or NEVER */
	int64_t drained_until_ms; /* real time from which drain_end_ms was computed */
	int64_t not_before_ms;    /* set by leases_postpone(): not due before */
};

TAILQ_HEAD(tenure_list, tenure);

struct leases {
	/* set in leases_open(), never changed */
	struct leases_options options;

	/* atomic */
	_Atomic int64_t blind_ms; /* time in which no heartbeat could be received, which the lease
	                             clock leaves out */

	/* guarded by lock */
	struct lock lock;
	pthread_cond_t wake; /* ends the sweeper's sleep */
	struct timers timers;
	struct tenure_list due;
	bool stopping;

	/* sweeper only */
	int64_t swept_ms; /* clock_ms() of the last sweep */
	int64_t gate_ms;  /* clock_ms() of the latest stall: no lease expires until each ingress
	                    thread has made a pass since; 0: leases may expire */
	struct progress progress;
	pthread_t thread;
	bool started;
};

/* --- one lease ----------------------------------------------------------------- */

int64_t leases_now(const struct leases *leases)
{
	return clock_ms() - atomic_load_explicit(&leases->blind_ms, memory_order_relaxed);
}

static void lease_renew(struct lease *lease, int64_t now_lease_ms, int64_t now_real_ms)
{
	atomic_store_explicit(&lease->renewed_real_ms, now_real_ms, memory_order_relaxed);
	atomic_store_explicit(&lease->renewed_ms, now_lease_ms, memory_order_relaxed);
}

void leases_renew(const struct leases *leases, struct lease *lease)
{
	lease_renew(lease, leases_now(leases), clock_real_ms());
}

struct tenure *tenure_new(int64_t now_lease_ms, int64_t now_real_ms)
{
	struct tenure *tenure = calloc(1, sizeof(*tenure));

	if (tenure == NULL)
		return NULL;
	tenure->remove_at_ms = NEVER;
	tenure->drain_end_ms = NEVER;
	lease_renew(&tenure->lease, now_lease_ms, now_real_ms);
	return tenure;
}

void tenure_free(struct tenure *tenure)
{
	free(tenure);
}

struct tenure *tenure_of(const struct member *member)
{
	return container_of(member->lease, struct tenure, lease);
}

struct lease *tenure_lease(struct tenure *tenure)
{
	return &tenure->lease;
}

/* --- timers ---------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When the lease expires; or NEVER. */
static int64_t tenure_expires_at_locked(const struct tenure *tenure)
{
	int64_t renewed = atomic_load_explicit(&tenure->lease.renewed_ms, memory_order_relaxed);

	if (tenure->lease_out || tenure->ttl_ms == TTL_MS_NONE)
		return NEVER;
	return renewed + tenure->ttl_ms;
}

static int64_t tenure_due_at_locked(const struct tenure *tenure)
{
	if (tenure->recheck)
		return 0;
	int64_t at = tenure->lease_out ? tenure->remove_at_ms : tenure_expires_at_locked(tenure);

	at = earlier(at, tenure->drain_end_ms);
	return at < tenure->not_before_ms ? tenure->not_before_ms : at;
}

/* Removes the tenure from the list, if it is there, and from its service's count of due leases. */
static void leases_leave_due_locked(struct leases *leases, struct tenure *tenure)
{
	CHECK(lock_held(&leases->lock));
	if (tenure->is_due)
		TAILQ_REMOVE(&leases->due, tenure, due);
	tenure->is_due = false;
	if (tenure->is_counted)
		atomic_fetch_sub_explicit(&member_life(tenure->member)->due, 1,
		                          memory_order_relaxed);
	tenure->is_counted = false;
}

/* Counts the tenure only if its lease has expired: it may be due for the end of a drain. */
static void leases_enter_due_locked(struct leases *leases, struct tenure *tenure, int64_t until)
{
	TAILQ_INSERT_TAIL(&leases->due, tenure, due);
	tenure->is_due = true;
	tenure->is_counted = tenure_expires_at_locked(tenure) <= until;
	if (tenure->is_counted)
		atomic_fetch_add_explicit(&member_life(tenure->member)->due, 1,
		                          memory_order_relaxed);
}

static void leases_arm_locked(struct leases *leases, struct tenure *tenure)
{
	int64_t at = tenure_due_at_locked(tenure);

	leases_leave_due_locked(leases, tenure);
	if (at == NEVER)
		timers_disarm(&leases->timers, &tenure->timer);
	else
		timers_arm(&leases->timers, &tenure->timer, at);
}

/* Converts the end of a drain to the lease clock once, when it is set: real time may jump later. */
static void tenure_set_drain_end(struct tenure *tenure, const struct instance *instance,
                                 int64_t now_lease_ms, int64_t now_real_ms)
{
	int64_t until = instance->drained ? instance->drained_until_ms : 0;

	if (until == tenure->drained_until_ms)
		return;
	tenure->drained_until_ms = until;
	tenure->drain_end_ms = until == 0 ? NEVER : now_lease_ms + (until - now_real_ms);
}

/* --- the writer's functions --------------------------------------------------------- */

void leases_settle(struct leases *leases, struct tenure *tenure, const struct member *member,
                   int64_t decided_on_ms, int64_t now_real_ms)
{
	const struct instance *instance = &member->value;
	int64_t now = leases_now(leases);

	lock_take(&leases->lock);
	int64_t latest_ms = atomic_load_explicit(&tenure->lease.renewed_ms, memory_order_relaxed);
	if (instance->lease_out && !tenure->lease_out)
		tenure->remove_at_ms =
			instance->remove_after_ms == 0 ? NEVER : now + instance->remove_after_ms;
	tenure->lease_out = instance->lease_out;
	tenure->ttl_ms = instance->ttl_ms;
	tenure->not_before_ms = 0;
	tenure->recheck = latest_ms > decided_on_ms;
	tenure->member = member;
	tenure_set_drain_end(tenure, instance, now, now_real_ms);
	leases_arm_locked(leases, tenure);
	lock_release(&leases->lock);
}

void leases_postpone(struct leases *leases, struct tenure *tenure, int64_t at_ms)
{
	lock_take(&leases->lock);
	tenure->not_before_ms = at_ms;
	tenure->recheck = false;
	leases_arm_locked(leases, tenure);
	lock_release(&leases->lock);
}

static void tenure_reclaim(struct retired *retired)
{
	free(container_of(retired, struct tenure, retired));
}

void leases_end(struct leases *leases, struct tenure *tenure)
{
	lock_take(&leases->lock);
	timers_disarm(&leases->timers, &tenure->timer);
	leases_leave_due_locked(leases, tenure);
	lock_release(&leases->lock);
	rcu_retire(&tenure->retired, tenure_reclaim);
}

size_t leases_take_due(struct leases *leases, struct due_lease *ret, size_t most)
{
	size_t count = 0;

	lock_take(&leases->lock);
	while (count < most && !TAILQ_EMPTY(&leases->due)) {
		struct tenure *tenure = TAILQ_FIRST(&leases->due);

		TAILQ_REMOVE(&leases->due, tenure, due);
		tenure->is_due = false;
		ret[count++] = (struct due_lease){
			.tenure = tenure,
			.member = tenure->member,
			.is_counted = tenure->is_counted,
			.drain_end_ms = tenure->drain_end_ms,
			.remove_at_ms = tenure->remove_at_ms,
		};
	}
	lock_release(&leases->lock);
	return count;
}

/* --- the sweeper ---------------------------------------------------------------------- */

/*
 * Limits the time of the latest heartbeat to now. A heartbeat that arrives after a stall, before
 * the sweeper has noticed the stall, has a time of a lease clock that still includes the stall. Its
 * lease would last longer by the length of the stall.
 */
static void lease_clamp(struct lease *lease, int64_t now)
{
	int64_t renewed = atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed);

	if (renewed > now)
		(void)atomic_compare_exchange_strong_explicit(&lease->renewed_ms, &renewed, now,
		                                              memory_order_relaxed,
		                                              memory_order_relaxed);
}

/* Moves tenures that are due from the wheel to the list; arms stale timers again. @return is there
 * a tenure on the list? */
static bool sweeper_collect(struct leases *leases, int64_t now)
{
	int64_t horizon = leases->options.horizon_ms != NULL
	                          ? leases->options.horizon_ms(leases->options.arg)
	                          : NEVER;
	int64_t until = earlier(now, horizon);
	bool more = true;
	bool found;

	do {
		lock_take(&leases->lock);
		for (int i = 0; i < SWEEP_BATCH; i++) {
			more = timers_next_ms(&leases->timers) <= until;
			if (!more)
				break;

			struct timer *timer = timers_expired(&leases->timers, until);
			if (timer == NULL)
				continue;
			struct tenure *tenure = container_of(timer, struct tenure, timer);
			lease_clamp(&tenure->lease, now);
			if (tenure_due_at_locked(tenure) > until)
				leases_arm_locked(leases, tenure);
			else
				leases_enter_due_locked(leases, tenure, until);
		}
		found = !TAILQ_EMPTY(&leases->due);
		lock_release(&leases->lock);
	} while (more);
	return found;
}

/*
 * Leaves time in which heartbeats could not be received out of the lease clock: the time since the
 * last sweep when this sweep is late (the process was stopped: SIGSTOP, suspend, no processor), or
 * when an ingress thread makes no passes. After such a stall no lease expires until each ingress
 * thread has made one more pass over its sockets, where heartbeats that arrived meanwhile wait.
 * @return may leases expire now?
 */
static bool sweeper_can_expire(struct leases *leases)
{
	int64_t now = clock_ms();
	int64_t gap = now - leases->swept_ms;
	const char *name = "sweeper";
	bool late = gap > STALL_MS;
	bool stuck = !late && progress_oldest_ms(PROGRESS_INGRESS, &name) > STALL_MS;
	bool gated = leases->gate_ms != 0 && !progress_ingress_passed(leases->gate_ms);

	leases->swept_ms = now;
	if (late || stuck) {
		if (leases->gate_ms == 0) {
			metrics_count(METRIC_STALLS, 1);
			log_line(LOG_NOTICE,
			         "stalled for %lld ms: leases are extended by as much thread=%s",
			         (long long)gap, name);
		}
		leases->gate_ms = now;
	} else if (leases->gate_ms != 0 && !gated) {
		leases->gate_ms = 0;
	}
	if (leases->gate_ms != 0)
		atomic_fetch_add_explicit(&leases->blind_ms, gap, memory_order_relaxed);
	return leases->gate_ms == 0;
}

void leases_sweep(struct leases *leases)
{
	if (sweeper_can_expire(leases) && sweeper_collect(leases, leases_now(leases)))
		leases->options.found(leases->options.arg);
}

static void sweeper_main(void *arg)
{
	struct leases *leases = arg;
	bool stopping;

	progress_add(&leases->progress, "sweeper", PROGRESS_WORKER);
	do {
		leases_sweep(leases);
		progress_mark(&leases->progress);
		lock_take(&leases->lock);
		if (!leases->stopping)
			(void)lock_wait_until(&leases->lock, &leases->wake, clock_ms() + SWEEP_MS);
		stopping = leases->stopping;
		lock_release(&leases->lock);
	} while (!stopping);
	progress_remove(&leases->progress);
}

/* --- open and close ---------------------------------------------------------------------- */

int leases_open(const struct leases_options *options, struct leases **ret_leases)
{
	struct leases *leases = calloc(1, sizeof(*leases));

	if (leases == NULL)
		return -ENOMEM;
	leases->options = *options;
	lock_init(&leases->lock, LOCK_LEASES);
	lock_cond_init(&leases->wake);
	TAILQ_INIT(&leases->due);
	timers_init(&leases->timers, clock_ms());
	leases->swept_ms = clock_ms();
	*ret_leases = leases;
	return 0;
}

int leases_start(struct leases *leases)
{
	leases->swept_ms = clock_ms();
	if (leases->options.sweep_by_hand)
		return 0;

	int r = thread_start(&leases->thread, "sweeper", sweeper_main, leases);
	leases->started = r == 0;
	return r;
}

void leases_stop(struct leases *leases)
{
	if (!leases->started)
		return;
	lock_take(&leases->lock);
	leases->stopping = true;
	CHECK_OK(pthread_cond_signal(&leases->wake));
	lock_release(&leases->lock);
	thread_join(leases->thread);
	leases->started = false;
}

void leases_close(struct leases *leases)
{
	if (leases == NULL)
		return;
	CHECK(!leases->started);
	CHECK_OK(pthread_cond_destroy(&leases->wake));
	lock_fini(&leases->lock);
	free(leases);
}
