/* SPDX-License-Identifier: MIT */
/*
 * agent: checks the programs of its file and keeps the healthy ones registered. One thread, which
 * waits in pump_turn() for checks, signals and the client library.
 *
 * Invariant: the state file lists every instance that the agent may have registered. An instance in
 * it that should not be registered, because it fails its checks, has left the file, or is of an
 * agent that crashed, is deregistered (agent_tidy()), one per turn. Relying on the TTL instead
 * would leave such an instance in lookups until its lease expires, and as unhealthy for long after.
 */
#include "tool/agent_file.h"
#include "tool/api.h"
#include "tool/check.h"
#include "tool/commands.h"
#include "tool/library.h"
#include "tool/owned.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define LEAVE_MS 2000
#define CLOSE_MS 5000
#define TIDY_MS  5000

enum verdict { UNDECIDED, FINE, FAILING };

struct item {
	struct agent *agent;
	json_t *record; /* of the file */
	const char *service;
	const char *id;
	struct check check;
	rollcall_registration *registration; /* NULL: not registered */
	struct reminder reminder;
	enum verdict verdict;
	json_int_t passes; /* consecutive */
	json_int_t fails;
	int64_t due_ms;
};

struct agent {
	struct tool *tool;
	const char *path;
	struct pump pump;
	rollcall_client *client;
	struct owned owned;
	struct item **items;
	size_t count;
	struct reminder tidying;
	int64_t tidy_ms; /* when agent_tidy() is due */
	int64_t save_ms; /* when to write the state file again if the last write failed */
	bool ended;
};

static json_int_t item_number(const struct item *item, const char *key)
{
	return json_integer_value(json_object_get(item->record, key));
}

static void item_join(struct item *item)
{
	owned_set(&item->agent->owned, item->service, item->id, true);
	item->reminder = (struct reminder){0};
	item->registration = library_register(item->agent->client, item->record);
	if (item->registration == NULL)
		(void)reminder_failed(
			&item->reminder,
			(int)ROLLCALL_PENDING); /* library_register() has reported it */
}

/** Deregisters an instance. If the registry does not answer, agent_tidy() retries. */
static void item_leave(struct item *item)
{
	if (item->registration == NULL)
		return;
	int r = rollcall_deregister(item->registration, LEAVE_MS);
	item->registration = NULL;
	if (r == 0)
		owned_set(&item->agent->owned, item->service, item->id, false);
	else
		item->agent->tidy_ms = tool_now_ms() + TIDY_MS;
}

static void agent_decide(struct item *item, bool fine)
{
	item->passes = fine ? item->passes + 1 : 0;
	item->fails = fine ? 0 : item->fails + 1;
	if (fine && item->verdict != FINE && item->passes >= item_number(item, "pass")) {
		item->verdict = FINE;
		tool_warn("%s %s: healthy, registering", item->service, item->id);
		item_join(item);
	} else if (fine && item->verdict == FINE && item->registration == NULL) {
		if (reminder_failed(&item->reminder, (int)ROLLCALL_PENDING))
			item_join(item);
	} else if (!fine && item->verdict != FAILING && item->fails >= item_number(item, "fail")) {
		item->verdict = FAILING;
		tool_warn("%s %s: failing (%s), not registered", item->service, item->id,
		          item->check.why);
		item_leave(item);
		item->agent->tidy_ms = tool_now_ms(); /* a former agent may have registered it */
	}
}

static void agent_checked(struct check *check, bool fine, void *arg)
{
	struct item *item = arg;

	(void)check;
	item->due_ms = tool_now_ms() + item_number(item, "interval_ms");
	agent_decide(item, fine);
}

static struct item *item_new(struct agent *agent, json_t *record)
{
	struct item *item = memory_get(sizeof(*item));
	const char *host = json_string_value(json_object_get(record, "host"));

	item->agent = agent;
	item->record = json_incref(record);
	item->service = api_text(record, "service");
	item->id = api_text(record, "id");
	/* agent_file_read() has checked it. */
	(void)check_read(&item->check, api_text(record, "check"), host != NULL ? host : "localhost",
	                 (unsigned)item_number(item, "port"));
	item->check.timeout_ms = item_number(item, "timeout_ms");
	item->check.done = agent_checked;
	item->check.arg = item;
	item->due_ms = tool_now_ms();
	return item;
}

static void item_free(struct item *item)
{
	check_fini(&item->check);
	json_decref(item->record);
	free(item);
}

static struct item *agent_find(const struct agent *agent, const char *service, const char *id)
{
	for (size_t i = 0; i < agent->count; i++)
		if (strcmp(agent->items[i]->service, service) == 0 &&
		    strcmp(agent->items[i]->id, id) == 0)
			return agent->items[i];
	return NULL;
}

/** @return whether an instance of the state file may be registered now */
static bool agent_owns(const char *service, const char *id, void *arg)
{
	const struct item *item = agent_find(arg, service, id);

	return item != NULL && (item->registration != NULL || item->verdict == UNDECIDED);
}

static void report_tidying(struct agent *agent, const char *service, const char *id,
                           const struct http_answer *answer)
{
	const char *detail = answer != NULL ? api_text(answer->json, "detail") : "";

	if (!reminder_failed(&agent->tidying, answer == NULL ? 0 : (int)answer->status))
		return;
	if (answer == NULL)
		tool_warn("cannot deregister '%s %s'; retrying: %s", service, id,
		          http_error(agent->tool->http));
	else
		tool_warn("cannot deregister '%s %s'; retrying: %s (status %ld)", service, id,
		          detail, answer->status);
}

/** Deregisters one instance of the state file that should not be registered; the next turn takes
 * the next. */
static void agent_tidy(struct agent *agent)
{
	struct http_request request = {.method = "DELETE", .timeout_ms = LEAVE_MS};
	struct http_answer answer;
	char *service;
	char *id;

	if (!owned_find(&agent->owned, agent_owns, agent, &service, &id)) {
		agent->tidy_ms = INT64_MAX;
		return;
	}
	struct text path = api_path(service, id, "");
	request.path = path.data;
	agent->tidy_ms = tool_now_ms() + TIDY_MS;
	if (http_send(agent->tool->http, &request, &answer) < 0) {
		report_tidying(agent, service, id, NULL);
	} else {
		if (answer.status < 300 || api_is_absent(&answer)) {
			tool_warn("%s %s: deregistered, it no longer runs here", service, id);
			(void)reminder_succeeded(&agent->tidying);
			owned_set(&agent->owned, service, id, false);
			agent->tidy_ms = tool_now_ms();
		} else {
			report_tidying(agent, service, id, &answer);
		}
		http_answer_free(&answer);
	}
	text_free(&path);
	free(service);
	free(id);
}

/** Makes @p services those of the agent. One whose record is unchanged keeps its state. */
static void agent_adopt(struct agent *agent, json_t *services)
{
	struct item **before = agent->items;
	size_t count = agent->count;
	size_t n = 0;
	struct item **items = memory_get(json_array_size(services) * sizeof(struct item *));
	json_t *record;
	size_t i;

	for (i = 0; i < count; i++) {
		struct item *item = before[i];
		bool stays = false;
		json_t *one;
		size_t k;

		json_array_foreach(services, k, one) stays = stays || json_equal(one, item->record);
		if (stays) {
			items[n++] = item;
			continue;
		}
		item_leave(item);
		item_free(item);
	}
	agent->items = items;
	agent->count = n;
	json_array_foreach(services, i, record)
	{
		if (agent_find(agent, api_text(record, "service"), api_text(record, "id")) == NULL)
			agent->items[agent->count++] = item_new(agent, record);
	}
	free(before);
	agent->tidy_ms = tool_now_ms();
}

static void agent_reload(struct agent *agent)
{
	json_t *services;

	if (agent_file_read(agent->path, &services) < 0) {
		tool_warn("keeping the services of the last valid file");
		return;
	}
	agent_adopt(agent, services);
	json_decref(services);
}

static void agent_reap(struct agent *agent)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < agent->count; i++)
			if (check_reaped(&agent->items[i]->check, pid, status))
				break;
}

/** Starts what is due. @return milliseconds until more is due; below 0: never */
static int64_t agent_work(struct agent *agent)
{
	int64_t next = -1;

	if (tool_now_ms() >= agent->tidy_ms)
		agent_tidy(agent);
	for (size_t i = 0; i < agent->count; i++) {
		struct item *item = agent->items[i];

		if (!check_is_active(&item->check) && tool_now_ms() >= item->due_ms)
			check_start(&item->check, &agent->pump);
		if (check_is_active(&item->check))
			next = pump_sooner(next, check_work(&item->check));
		if (check_is_active(&item->check))
			continue;
		int64_t left = item->due_ms - tool_now_ms();
		next = pump_sooner(next, left > 0 ? left : 0);
	}
	if (agent->owned.unsaved && tool_now_ms() >= agent->save_ms && !owned_save(&agent->owned))
		agent->save_ms = tool_now_ms() + TIDY_MS;
	if (agent->owned.unsaved)
		next = pump_sooner(next, TIDY_MS);
	if (agent->tidy_ms != INT64_MAX) {
		int64_t left = agent->tidy_ms - tool_now_ms();
		next = pump_sooner(next, left > 0 ? left : 0);
	}
	return next;
}

static void agent_report(struct agent *agent)
{
	for (size_t i = 0; i < agent->count; i++) {
		struct item *item = agent->items[i];

		if (item->registration != NULL)
			library_report(&item->reminder, item->registration, item->record, item->id);
	}
}

static void agent_loop(struct agent *agent)
{
	struct signalfd_siginfo info;

	while (!agent->ended) {
		int number = pump_turn(&agent->pump, agent_work(agent), &info);

		if (number == SIGTERM || number == SIGINT)
			agent->ended = true;
		else if (number == SIGHUP)
			agent_reload(agent);
		else if (number == SIGCHLD)
			agent_reap(agent);
		agent_report(agent);
	}
}

/** Deregisters all instances at once. Those without an answer stay in the state file for the next
 * start. */
static void agent_finish(struct agent *agent)
{
	for (size_t i = 0; i < agent->count; i++)
		check_cancel(&agent->items[i]->check);
	if (rollcall_close(agent->client, CLOSE_MS) == 0) {
		for (size_t i = 0; i < agent->count; i++)
			if (agent->items[i]->registration != NULL)
				owned_set(&agent->owned, agent->items[i]->service,
				          agent->items[i]->id, false);
	} else {
		tool_warn(
			"cannot deregister: the leases will expire, and instances without a lease "
			"stay registered until the agent runs again");
	}
	(void)owned_save(&agent->owned);
	for (size_t i = 0; i < agent->count; i++)
		item_free(agent->items[i]);
	free(agent->items);
	owned_close(&agent->owned);
}

static char *state_path(const struct args *args)
{
	struct text path = {NULL, 0, 0};

	if (args->value[OPT_STATE] != NULL)
		return memory_copy(args->value[OPT_STATE]);
	text_printf(&path, "%s.state", args->operands[0]);
	return path.data;
}

int agent_run(struct tool *tool, const struct args *args)
{
	struct agent agent = {.tool = tool, .path = args->operands[0]};
	sigset_t signals;
	json_t *services;

	if (agent_file_read(agent.path, &services) < 0)
		return EXIT_USAGE;
	if (args->value[OPT_CHECK_CONFIG] != NULL) {
		(void)printf("%s: %zu services\n", agent.path, json_array_size(services));
		json_decref(services);
		return EXIT_OK;
	}
	char *path = state_path(args);
	int r = owned_open(path, &agent.owned);
	free(path);
	agent.client = r == 0 ? library_open(tool, NULL) : NULL;
	if (agent.client == NULL) {
		if (r == 0)
			owned_close(&agent.owned);
		json_decref(services);
		return r == 0 || r == -EINVAL ? EXIT_USAGE : EXIT_ERROR;
	}
	pump_end_signals(&signals);
	(void)sigaddset(&signals, SIGHUP);
	pump_init(&agent.pump, &signals);
	agent.pump.client = agent.client;
	agent_adopt(&agent, services);
	json_decref(services);
	agent_loop(&agent);
	agent_finish(&agent);
	pump_fini(&agent.pump);
	return EXIT_OK;
}
