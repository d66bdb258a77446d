/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include "lib/base/env.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_flight {
	struct sim_flight *next;
	struct exchange *exchange;
	int64_t due_us;
	struct sim_reply reply;
	int error;
	bool sent;
	bool poll;
	uint64_t poll_revision;
	bool has_body;
	char body[16384]; /* of the registry */
};

struct sim_transport {
	struct transport transport;
	struct sim *sim;
	struct sim_transport *next;
	struct sim_flight *flights;
	bool woken;
};

/* --- time and chance ------------------------------------------------------------------------ */

static int64_t sim_now(void *arg)
{
	return ((struct sim *)arg)->now_us;
}

static uint64_t sim_random(void *arg)
{
	return random_step(&((struct sim *)arg)->random);
}

/* --- the registry --------------------------------------------------------------------------- */

static void make_lookup(struct sim *sim, struct sim_flight *flight)
{
	char *body = flight->body;
	int len = snprintf(body, 16384, "{\"service\":\"web\",\"revision\":%llu,\"instances\":[",
	                   (unsigned long long)sim->revision);
	const char *comma = "";

	for (int i = 0; i < sim->count; i++) {
		if (sim->instances[i].gone)
			continue;
		len += snprintf(body + len, 16384 - len,
		                "%s{\"service\":\"web\",\"id\":\"%s\",\"host\":\"10.0.0.%d\","
		                "\"port\":80,\"weight\":%u,\"metadata\":{\"zone\":\"a\"}}",
		                comma, sim->instances[i].id, i + 1, sim->instances[i].weight);
		comma = ",";
	}
	(void)snprintf(body + len, 16384 - len, "]}");
	flight->has_body = true;
}

struct sim_record *sim_record(struct sim *sim, const char *id)
{
	for (int i = 0; i < sim->record_count; i++)
		if (id == NULL || strcmp(sim->records[i].id, id) == 0)
			return &sim->records[i];
	return NULL;
}

static struct sim_record *put_record(struct sim *sim, const char *id)
{
	struct sim_record *record = sim_record(sim, id);

	if (record == NULL) {
		ck_assert_int_lt(sim->record_count, SIM_RECORDS);
		record = &sim->records[sim->record_count++];
		(void)snprintf(record->id, sizeof(record->id), "%s", id);
	}
	return record;
}

static void answer_instance(struct sim *sim, struct sim_flight *flight, const char *path)
{
	const struct exchange *exchange = flight->exchange;
	const char *id = strstr(path, "/instances/") + 11;
	char name[64];
	const char *slash = strchr(id, '/');
	size_t len = slash != NULL ? (size_t)(slash - id) : strlen(id);
	const char *body = exchange->body != NULL ? exchange->body : "";

	ck_assert_uint_lt(len, sizeof(name));
	memcpy(name, id, len);
	name[len] = '\0';
	struct sim_record *record = sim_record(sim, name);
	bool known = record != NULL && record->here;

	if (slash == NULL && strcmp(exchange->method, "PUT") == 0) {
		record = put_record(sim, name);
		record->puts++;
		record->here = true;
		record->last_us = sim->now_us;
		record->draining |= strstr(body, "\"draining\"") != NULL;
		(void)snprintf(record->body, sizeof(record->body), "%s", body);
		flight->reply.status = known ? 200 : 201;
	} else if (slash == NULL && strcmp(exchange->method, "DELETE") == 0) {
		if (known)
			record->here = false;
		flight->reply.status = 204;
		return;
	} else if (!known) {
		flight->reply.status = 404;
		return;
	} else {
		ck_assert_str_eq(slash, "/heartbeat");
		if (strstr(body, "\"status\"") != NULL)
			record->draining = strstr(body, "draining") != NULL;
		record->heartbeats++;
		record->last_us = sim->now_us;
		sim->seen_heartbeats++;
		(void)snprintf(record->body, sizeof(record->body), "%s", body);
		flight->reply.status = 200;
	}
	(void)snprintf(flight->reply.body, sizeof(flight->reply.body), "{\"status\":\"%s\"}",
	               record->draining ? "draining" : "healthy");
}

/* Does the query have a token of another history? */
static bool is_foreign(const struct sim *sim, const char *revision, int address)
{
	char *end;

	(void)strtoull(revision + 9, &end, 10);
	return *end == '.' && strtoull(end + 1, NULL, 16) != sim->history[address] >> 32;
}

static void answer_lookup(struct sim *sim, struct sim_flight *flight, const char *path, int address)
{
	const char *wait = strstr(path, "wait_ms=");
	const char *revision = strstr(path, "revision=");

	sim->lookups++;
	if (revision != NULL)
		(void)snprintf(sim->last_poll, sizeof(sim->last_poll), "%s", revision);
	if (revision != NULL && is_foreign(sim, revision, address)) {
		sim->refused++;
		flight->reply.status = 410;
		return;
	}
	if (strncmp(path, "/v1/services/web", 16) != 0 || !sim->knows_web) {
		flight->reply.status = 404;
		return;
	}
	flight->reply.status = 200;
	if (wait != NULL) {
		sim->poll_requests++;
		if (sim->polls && strtoull(revision + 9, NULL, 10) >= sim->revision) {
			flight->poll = true;
			flight->poll_revision = sim->revision;
			flight->due_us = sim->now_us + strtoll(wait + 8, NULL, 10) * SIM_MS;
			return;
		}
	}
	make_lookup(sim, flight);
}

static void ask_registry(struct sim *sim, struct sim_flight *flight, const char *path, int address)
{
	sim->asked[address]++;
	flight->due_us = sim->now_us + sim->registry_us;
	if (sim->down || (sim->down_one && address == 0)) {
		flight->error = -ECONNREFUSED;
		return;
	}
	flight->sent = true;
	(void)snprintf(flight->reply.head, sizeof(flight->reply.head),
	               "X-Rollcall-Revision: %llu\r\n%s", (unsigned long long)sim->revision,
	               sim->registry_head);
	if (sim->alternates)
		sim->history[address] ^= UINT64_C(1) << 40;
	if (sim->history[address] != 0) {
		size_t len = strlen(flight->reply.head);

		(void)snprintf(flight->reply.head + len, sizeof(flight->reply.head) - len,
		               "X-Rollcall-History: %016llx\r\n",
		               (unsigned long long)sim->history[address]);
	}
	if (sim->registry_status != 0) {
		flight->reply.status = sim->registry_status;
		(void)snprintf(flight->reply.body, sizeof(flight->reply.body), "%s",
		               sim->registry_body);
	} else if (strcmp(path, "/healthz") == 0) {
		flight->reply.status = 200;
	} else if (strstr(path, "/instances/") != NULL) {
		answer_instance(sim, flight, path);
	} else {
		answer_lookup(sim, flight, path, address);
	}
}

/* --- the instances -------------------------------------------------------------------------- */

static void remember(struct sim *sim, const struct exchange *exchange)
{
	size_t len = 0;

	for (size_t i = 0; i < exchange->header_count; i++)
		len += (size_t)snprintf(sim->last_headers + len, sizeof(sim->last_headers) - len,
		                        "%s: %s\r\n", exchange->headers[i].name,
		                        exchange->headers[i].value);
	(void)snprintf(sim->last_method, sizeof(sim->last_method), "%s", exchange->method);
	(void)snprintf(sim->last_url, sizeof(sim->last_url), "%s", exchange->url);
}

static void ask_instance(struct sim *sim, struct sim_flight *flight)
{
	const struct exchange *exchange = flight->exchange;
	int index = -1;

	ck_assert_int_eq(sscanf(exchange->url, "http://10.0.0.%d:80/", &index), 1);
	struct sim_request request = {index - 1, exchange, sim->sent};

	sim->sent++;
	remember(sim, exchange);
	flight->reply.status = 200;
	flight->reply.latency_us = SIM_MS;
	if (sim->serve != NULL)
		sim->serve(sim, &request, &flight->reply);
	flight->due_us = sim->now_us + flight->reply.latency_us;
	if (flight->reply.refuse) {
		flight->error = -ECONNREFUSED;
		return;
	}
	sim->instances[index - 1].sent++;
	flight->sent = true;
	if (flight->reply.hang)
		flight->due_us = INT64_MAX;
	if (flight->reply.reset)
		flight->error = -ECONNRESET;
}

/* --- the transport -------------------------------------------------------------------------- */

static struct sim_transport *self(struct transport *transport)
{
	return container_of(transport, struct sim_transport, transport);
}

static int start(struct transport *transport, struct exchange *exchange)
{
	struct sim_transport *st = self(transport);
	struct sim *sim = st->sim;

	if (sim->fail_start) {
		sim->fail_start = 0;
		return -ENOMEM;
	}
	struct sim_flight *flight = calloc(1, sizeof(*flight));
	if (flight == NULL)
		return -ENOMEM;
	flight->exchange = exchange;
	if (strncmp(exchange->url, "http://registry", 15) == 0) {
		int address = exchange->url[15] == '2';
		const char *path = strchr(exchange->url + 10, '/');

		ask_registry(sim, flight, path, address);
	} else {
		ask_instance(sim, flight);
	}
	if (exchange->timeout_ms > 0 &&
	    flight->due_us > sim->now_us + (int64_t)exchange->timeout_ms * SIM_MS) {
		flight->due_us = sim->now_us + (int64_t)exchange->timeout_ms * SIM_MS;
		flight->error = -ETIMEDOUT;
	}
	exchange->carrier = flight;
	flight->next = st->flights;
	st->flights = flight;
	return 0;
}

static void unlink_flight(struct sim_transport *st, struct sim_flight *flight)
{
	struct sim_flight **at = &st->flights;

	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
}

static void cancel(struct transport *transport, struct exchange *exchange)
{
	struct sim_flight *flight = exchange->carrier;

	if (flight == NULL)
		return;
	exchange->sent = flight->sent;
	exchange->carrier = NULL;
	unlink_flight(self(transport), flight);
	free(flight);
}

static int64_t next_flight_us(const struct sim_transport *st)
{
	int64_t due = INT64_MAX;

	for (const struct sim_flight *flight = st->flights; flight != NULL; flight = flight->next) {
		int64_t at = flight->due_us;

		if (flight->poll && (st->sim->down || flight->poll_revision < st->sim->revision))
			at = 0;
		due = at < due ? at : due;
	}
	return due;
}

static void wait(struct transport *transport, int64_t until_us)
{
	struct sim_transport *st = self(transport);
	int64_t due = next_flight_us(st);

	if (st->woken)
		return;
	if (until_us >= 0 && until_us < due)
		due = until_us;
	ck_assert_msg(due < INT64_MAX, "nothing will ever happen");
	if (due > st->sim->now_us)
		st->sim->now_us = due;
}

static void land(struct sim_transport *st, struct sim_flight *flight)
{
	struct exchange *exchange = flight->exchange;
	struct sim *sim = st->sim;

	unlink_flight(st, flight);
	if (flight->poll && sim->down)
		flight->error = -ECONNRESET;
	if (flight->poll && flight->error == 0)
		make_lookup(sim, flight);
	exchange->error = flight->error;
	exchange->sent = flight->sent;
	exchange->status = flight->error == 0 ? flight->reply.status : 0;
	(void)snprintf(exchange->local_ip, sizeof(exchange->local_ip), "192.0.2.9");
	if (flight->error == 0) {
		bytes_put(&exchange->answer, flight->has_body ? flight->body : flight->reply.body);
		bytes_put(&exchange->head, flight->reply.head);
		if (exchange->answer.error < 0)
			exchange->error = exchange->answer.error;
	}
	exchange->carrier = NULL;
	free(flight);
	exchange->done(exchange);
}

static struct sim_flight *due_flight(struct sim_transport *st)
{
	struct sim_flight *due = NULL;

	for (struct sim_flight *flight = st->flights; flight != NULL; flight = flight->next) {
		bool changed = flight->poll &&
		               (st->sim->down || flight->poll_revision < st->sim->revision);

		if ((flight->due_us <= st->sim->now_us || changed) &&
		    (due == NULL || flight->due_us <= due->due_us))
			due = flight;
	}
	return due;
}

static void step(struct transport *transport)
{
	struct sim_transport *st = self(transport);
	struct sim_flight *flight;

	st->woken = false;
	while ((flight = due_flight(st)) != NULL)
		land(st, flight);
}

static void wake(struct transport *transport)
{
	self(transport)->woken = true;
}

static int fd(struct transport *transport)
{
	(void)transport;
	return 0;
}

static void set_alarm(struct transport *transport, int64_t due_us)
{
	(void)transport;
	(void)due_us;
}

static int64_t due_us(struct transport *transport)
{
	int64_t due = next_flight_us(self(transport));

	return due == INT64_MAX ? -1 : due;
}

static void free_transport(struct transport *transport, bool forked)
{
	struct sim_transport *st = self(transport);
	struct sim_transport **at = &st->sim->transports;

	(void)forked;
	ck_assert_ptr_null(st->flights); /* all were cancelled */
	while (*at != st)
		at = &(*at)->next;
	*at = st->next;
	free(st);
}

static int make_transport(const struct transport_options *options, void *arg,
                          struct transport **ret_transport)
{
	struct sim_transport *st = calloc(1, sizeof(*st));

	(void)options;
	if (st == NULL)
		return -ENOMEM;
	st->sim = arg;
	st->transport = (struct transport){
		.start = start,
		.cancel = cancel,
		.wait = wait,
		.step = step,
		.wake = wake,
		.fd = fd,
		.set_alarm = set_alarm,
		.due_us = due_us,
		.free = free_transport,
	};
	st->next = st->sim->transports;
	st->sim->transports = st;
	*ret_transport = &st->transport;
	return 0;
}

/* --- for tests ------------------------------------------------------------------------------ */

void sim_init(struct sim *sim, uint64_t seed)
{
	*sim = (struct sim){
		.now_us = 1000 * (int64_t)SIM_S,
		.random = seed,
		.knows_web = true,
		.polls = true,
		.registry_us = SIM_MS,
		.revision = 1,
	};
	sim->records = calloc(SIM_RECORDS, sizeof(sim->records[0]));
	rollcall_options_init(&sim->options);
	sim->options.registry = "http://registry1:7655";
	sim->options.env = (rollcall_env){sim_now, sim_random, sim};
}

void sim_start(struct sim *sim)
{
	ck_ok(client_open(&sim->options, make_transport, sim, &sim->client));
}

void sim_open(struct sim *sim, uint64_t seed)
{
	sim_init(sim, seed);
	sim_start(sim);
}

void sim_close(struct sim *sim)
{
	(void)rollcall_close(sim->client, 1000);
	ck_assert_ptr_null(sim->transports);
	free(sim->records);
}

int sim_add(struct sim *sim, const char *id)
{
	int index = sim->count++;

	ck_assert_int_lt(index, SIM_INSTANCES);
	(void)snprintf(sim->instances[index].id, sizeof(sim->instances[index].id), "%s", id);
	sim->instances[index].weight = 100;
	sim->revision++;
	return index;
}

void sim_remove(struct sim *sim, int index)
{
	sim->instances[index].gone = true;
	sim->revision++;
}

void sim_run_ms(struct sim *sim, uint32_t ms)
{
	ck_ok(rollcall_wait(sim->client, ms));
}

void sim_pass_ms(struct sim *sim, uint32_t ms)
{
	sim->now_us += (int64_t)ms * SIM_MS;
}

int sim_call(struct sim *sim, const char *path, rollcall_response *response)
{
	rollcall_request request;

	rollcall_request_init(&request);
	request.path = path;
	return rollcall_call(sim->client, "web", &request, response);
}

const char *sim_header(struct sim *sim, const char *name)
{
	static char value[256];
	size_t len;
	const char *found = head_find(sim->last_headers, name, &len);

	if (found == NULL)
		return NULL;
	ck_assert_uint_lt(len, sizeof(value));
	memcpy(value, found, len);
	value[len] = '\0';
	return value;
}

rollcall_stats_view sim_stats(struct sim *sim)
{
	rollcall_stats_view view;

	rollcall_stats_view_init(&view);
	ck_ok(rollcall_stats(sim->client, "web", &view));
	return view;
}

void sim_policy(struct sim *sim, const rollcall_policy *policy)
{
	ck_ok(rollcall_set_policy(sim->client, "web", NULL, policy));
}
