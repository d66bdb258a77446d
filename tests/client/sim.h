/* SPDX-License-Identifier: MIT */
/**
 * Simulates everything around a client in virtual time: a clock, random numbers from a seed, a
 * registry that a test can stop, and instances whose answers a test defines. Opens no socket, never
 * sleeps.
 *
 *	sim_open(&sim, 1);               // seed 1; sim.client is open, with the default policy
 *	sim_add(&sim, "a");              // an instance of "web"
 *	sim.serve = my_answers;
 *	sim_call(&sim, "/", &response);  // blocking, in virtual time
 */
#pragma once

#include "lib/client/open.h"
#include "lib/transport/transport.h"
#include "rollcall.h"

#include <stdbool.h>

#define SIM_INSTANCES 64
#define SIM_RECORDS   1200
#define SIM_MS        1000
#define SIM_S         1000000

struct sim;

/** A request to an instance. */
struct sim_request {
	int instance; /* index in sim->instances */
	const struct exchange *exchange;
	int nth; /* counts requests to all instances, from 0 */
};

/** Its answer: a status after the latency, unless refused or reset. */
struct sim_reply {
	int64_t latency_us;
	int status;
	bool refuse; /* no connection */
	bool reset;  /* the connection is closed after the request */
	bool hang;   /* no answer */
	char head[256];
	char body[2048];
};

struct sim_record {
	char id[64];
	char body[1024];
	unsigned puts;
	unsigned heartbeats;
	int64_t last_us;
	bool here;
	bool draining;
};

struct sim {
	int64_t now_us;
	uint64_t random;
	rollcall_options options; /* changed by a test between sim_init() and sim_start() */
	rollcall_client *client;

	/* instances of "web" */
	struct {
		char id[32];
		bool gone;
		uint32_t weight;
		uint64_t sent; /* requests that reached this instance */
	} instances[SIM_INSTANCES];
	int count;
	void (*serve)(struct sim *sim, const struct sim_request *request, struct sim_reply *reply);
	void *arg;
	int sent; /* requests to any instance */

	/* the registry */
	bool down;
	bool knows_web;
	bool polls;          /* supports long polls */
	int64_t registry_us; /* from a request to its answer: 1 ms */
	int registry_status; /* not 0: the status of every answer */
	char registry_head[128];
	char registry_body[2048]; /* with registry_status */
	uint64_t revision;
	uint64_t history[2]; /* of the first address and the second; 0: not named in answers */
	bool alternates;     /* the history is another one in each answer */
	unsigned refused;    /* long polls with a token of another history */
	char last_poll[64];  /* the query of the last long poll */
	unsigned lookups;
	unsigned poll_requests;
	unsigned asked[2]; /* requests to the first address and the second */
	bool down_one;     /* the first address is down */
	struct sim_record *records;
	int record_count;
	uint64_t seen_heartbeats;

	/* the last request to an instance */
	char last_headers[16384];
	char last_method[16];
	char last_url[256];

	struct sim_transport *transports;
	char fail_start; /* the next start() fails with -ENOMEM */
};

/** Sets up the simulation with the client's defaults, without a client. */
void sim_init(struct sim *sim, uint64_t seed);
/** Opens the client. */
void sim_start(struct sim *sim);
/** Calls sim_init() and sim_start(). */
void sim_open(struct sim *sim, uint64_t seed);
void sim_close(struct sim *sim);

/** Adds an instance of "web" with weight 100. @return its index */
int sim_add(struct sim *sim, const char *id);
void sim_remove(struct sim *sim, int index);

/** Runs the client for @p ms of virtual time. */
void sim_run_ms(struct sim *sim, uint32_t ms);
/** Advances the clock only. */
void sim_pass_ms(struct sim *sim, uint32_t ms);
/** Clears @p response, and sends a blocking GET to "web". */
int sim_call(struct sim *sim, const char *path, rollcall_response *response);
/** @return the value of a header of the last request to an instance; NULL: none */
const char *sim_header(struct sim *sim, const char *name);
/** The statistics of "web". */
rollcall_stats_view sim_stats(struct sim *sim);
struct sim_record *sim_record(struct sim *sim, const char *id);
/** Sets the policy of "web". */
void sim_policy(struct sim *sim, const rollcall_policy *policy);
