/* SPDX-License-Identifier: MIT */
/** One registration: registration.c drives it, register.c is what callers see of it. */
#pragma once

#include "lib/core/client.h"

#define METADATA_MAX 64

enum doing { DOING_NOTHING, DOING_LOCATE, DOING_PUT, DOING_STATUS, DOING_HEARTBEAT, DOING_DELETE };

struct rollcall_registration {
	rollcall_client *client;
	rollcall_registration *next; /* in client->registrations */

	/* set when made, never changed */
	char *service;
	rollcall_pair *metadata; /* owned, with its strings */
	size_t metadata_count;
	uint32_t port;
	uint32_t weight;
	uint32_t ttl_ms;
	int64_t interval_us;
	int64_t remove_after_ms;

	/* guarded by the engine's lock */
	void (*on_state)(rollcall_registration *registration, rollcall_state state, void *arg);
	void *arg;
	char *host; /* NULL: not known yet */
	char *id;
	rollcall_state state;
	int refused; /* the errno of ROLLCALL_REFUSED */
	enum doing doing;
	struct registry_request request;
	struct timer timer;
	struct notice notice;
	unsigned failures;
	int64_t pause_us;
	int64_t grid_us; /* heartbeats are due at this and every interval after */
	int64_t beat_us; /* the next one, with its jitter */
	int64_t sent_us; /* when the request under way was sent */
	int64_t lease_until_us;
	struct timer lease; /* fires then */
	double load;        /* below 0: none reported */
	bool draining;      /* wanted */
	bool sent_draining; /* in the request under way */
	bool told;          /* the registry knows whether we drain */
	bool put_sent;      /* it may know of us */
	bool leaving;
	bool left;
	char *failure; /* why the last request failed; NULL: it did not */
};

/* In registration.c, with the engine's lock held. */

/** Sets up what drives it. */
void registration_init(rollcall_registration *registration, rollcall_client *client);
/** As it is now, whether or not the loop has run since the lease may have run out. */
rollcall_state registration_state(const rollcall_registration *registration);
/** Looks at what is to be done next, at @p due_us. */
void registration_schedule(rollcall_registration *registration, int64_t due_us);

/* In register.c. */

/** Ends all registrations of @p client; with the engine's lock held. @return 0, or -ETIMEDOUT at
 * @p deadline_us */
int registrations_close(rollcall_client *client, int64_t deadline_us);
/** Frees all without a request. In a child of fork() without the engine's lock, else with it. */
void registrations_free(rollcall_client *client);

static inline struct engine *engine_of(const rollcall_registration *registration)
{
	return &registration->client->engine;
}

static inline int64_t now_us(const rollcall_registration *registration)
{
	return env_now(&registration->client->env);
}
