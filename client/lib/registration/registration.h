/* SPDX-License-Identifier: MIT */
/**
 * registration/ keeps instances of the program registered: registration.c drives the life of one
 * registration, register.c has the public functions, failure.h the reasons of failed requests.
 */
#pragma once

#include "lib/core/client.h"

#define METADATA_MAX 64

enum doing {
	DOING_NOTHING,
	DOING_LOCATE,
	DOING_PUT,
	DOING_STATUS, /* a heartbeat with the status that the program wants */
	DOING_HEARTBEAT,
	DOING_DELETE
};

struct rollcall_registration {
	rollcall_client *client;
	rollcall_registration *next; /* in client->registrations */

	/* set when made, never changed */
	char *service;
	rollcall_pair *metadata; /* owned, with its strings */
	size_t metadata_count;
	uint32_t port;
	uint32_t weight;
	uint32_t ttl_ms; /* 0: no lease */
	int64_t interval_us;
	int64_t remove_after_ms;

	/* guarded by the engine's lock */
	void (*on_state)(rollcall_registration *registration, rollcall_state state, void *arg);
	void *arg;
	char *host; /* NULL: not known yet */
	char *id;
	rollcall_state state;
	int refused; /* -EACCES or -EPERM while the registry refuses the record; else 0 */
	enum doing doing;
	struct registry_request request;
	struct timer timer;
	struct notice notice;
	unsigned failures; /* consecutive */
	int64_t pause_us;  /* the last pause after a failure */
	int64_t grid_us;   /* heartbeats are due at this and every interval after */
	int64_t sent_us;   /* when the request under way was sent */
	int64_t lease_until_us;
	struct timer lease; /* fires at lease_until_us */
	double load;        /* below 0: none reported */
	bool draining;      /* wanted by the program */
	bool sent_draining; /* in the request under way */
	bool confirmed;     /* the registry has confirmed the present value of draining */
	bool ordered;       /* the program has called rollcall_drain() or rollcall_resume() */
	bool put_sent;      /* a record was sent: the registry may have it */
	bool accepted;      /* the registry has taken a record */
	bool put_again;     /* to a registry of another history than the one that answers now */
	int64_t put_us;     /* when the last record was sent */
	bool leaving;       /* rollcall_deregister() waits */
	bool left;          /* the registry has no record any more */
	char *failure;      /* why the last request failed; NULL: it succeeded */
};

/* In registration.c, with the engine's lock held. */

/** Sets up a zeroed registration. */
void registration_init(rollcall_registration *registration, rollcall_client *client);
/** @return the state now: ROLLCALL_UNCONFIRMED once the lease may have expired, even if the loop
 * has not run since */
rollcall_state registration_state(const rollcall_registration *registration);
/** Plans the next request for @p due_us. */
void registration_schedule(rollcall_registration *registration, int64_t due_us);

/** Sends the records of all registrations again, at once, because the registry answers with another
 * history: it may have none of them, or others. With the engine's lock held. */
void registrations_send_again(rollcall_client *client);

/* In register.c. */

/** Ends all registrations of @p client; with the engine's lock held. @return 0, or -ETIMEDOUT at
 * @p deadline_us */
int registrations_close(rollcall_client *client, int64_t deadline_us);
/** Frees all registrations without a request. With the engine's lock held, except in a child of
 * fork(). */
void registrations_free(rollcall_client *client);

static inline struct engine *engine_of(const rollcall_registration *registration)
{
	return &registration->client->engine;
}

static inline int64_t now_us(const rollcall_registration *registration)
{
	return env_now(&registration->client->env);
}
