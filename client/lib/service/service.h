/* SPDX-License-Identifier: MIT */
/**
 * service/ is what the client knows of the services that it calls: the cached instances (set.h),
 * how the cache is kept current (refresh.h), watches (watch.h), the state of policies (route.h),
 * and the functions for discovery (discover.h). This header has one service: made on first use and
 * freed with the client, so pointers to it stay valid.
 *
 * service->lock guards all members but the name and the refresh. A thread holds it for one pick or
 * one report, and never while it waits.
 */
#pragma once

#include "lib/core/client.h"
#include "lib/service/route.h"
#include "lib/service/set.h"

/** Waits for the first answer about a service. Embedded; set up by refresh_wait(). */
struct answer_waiter {
	struct answer_waiter *next;
	/** Called when there is an answer, with the engine's lock held. The waiter stays in the
	 * list until refresh_stop_waiting(), which this must not call. */
	void (*answered)(struct answer_waiter *waiter);
	bool waiting;
};

/** How refresh.c keeps a service's cache current. Guarded by the engine's lock. */
struct refresh {
	struct registry_request request;
	struct timer timer;
	bool started;
	bool polling;             /* the request under way is a long poll */
	bool holds_poll;          /* counted in client->long_polls */
	int64_t asked_us;         /* when the last request was sent */
	int64_t no_poll_until_us; /* the registry answered a long poll at once: it has none */
	bool keeps_set;           /* the registry lost its past: keep the present set for now */
	uint64_t history;         /* that the revision of the set belongs to; 0: not known */
	bool anew;                /* the set is of another history: the next request is a lookup */
	int64_t anew_us;          /* when the last such lookup was sent; 0: never */
	unsigned failures;        /* consecutive */
	int64_t pause_us;         /* the last pause after a failure */
	struct answer_waiter *waiting; /* for the first answer; the latest is the first */
};

struct service {
	struct service *next; /* in its bucket */
	rollcall_client *client;
	char *name;
	struct refresh refresh;

	pthread_mutex_t lock;
	rollcall_instances *set; /* NULL before the first answer */
	/** 0, or why there is nothing to pick from: -EAGAIN (no answer yet), -ENOTCONN (no answer,
	 * and the registry fails), -ENOENT, -EACCES. */
	int answer;
	int64_t confirmed_us; /* when the registry last confirmed the set */
	bool stale;           /* the last request to the registry got no good answer */
	const rollcall_strategy *strategy;
	struct ejector ejector;
	struct route base;
	struct route *routes; /* longest prefix first */
	unsigned route_count;

	/* statistics */
	uint64_t calls[ROLLCALL_CLASS_COUNT];
	uint64_t attempts[ROLLCALL_CLASS_COUNT];
	uint64_t retries;
	uint64_t denied_budget;
	uint64_t denied_deadline;
	uint64_t hedges;
	uint64_t hedges_won;
	uint64_t fallbacks;
	uint64_t latency[ROLLCALL_LATENCY_BUCKETS];
};

/** @return the service; NULL: the client has not used it. Any thread, no lock. */
struct service *service_find(rollcall_client *client, const char *name);
/** Finds or makes a service. Takes the engine's lock. @return 0; -EINVAL (not a valid name);
 * -ENOMEM; -ENOSPC (more than options.max_services) */
int service_get(rollcall_client *client, const char *name, struct service **ret_service) MUST_USE;
/** Frees all services, whose refreshes must have ended; rollcall_close() only. */
void services_free(rollcall_client *client);
/** Calls @p visit with each service, in no order. */
void services_visit(rollcall_client *client, void (*visit)(struct service *service));

/** Has the registry answered a lookup of @p service at least once, or refused to? Takes the
 * service's lock. */
bool service_is_answered(struct service *service);

void service_lock(struct service *service);
void service_unlock(struct service *service);

/** The inputs of a pick. */
struct pick {
	const char *key;
	struct member *const *tried; /* to be avoided, unless all usable ones were tried */
	size_t tried_count;
	int64_t now_us;
};

/** Locked. @return the index in service->set, or ROLLCALL_NONE */
size_t service_pick(struct service *service, const struct pick *pick);
/** Locked. Counts the outcome of a call of @p member, for the strategy and for ejection. */
void service_observe(struct service *service, struct member *member, rollcall_class outcome,
                     int64_t latency_us);
/** Locked. @return the route of @p path: the one with the longest prefix, or the service's own */
struct route *service_route(struct service *service, const char *path);

/** Makes @p set the current set and owns the reference. Takes the service's lock. */
void service_install(struct service *service, rollcall_instances *set);
