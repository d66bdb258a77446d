/* SPDX-License-Identifier: MIT */
/**
 * The whole registry on a real journal. The clock is virtual and the sweeper does not run by
 * itself: pass() moves both. The writer is a real thread; run() waits until it has completed a
 * command.
 */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread.h"
#include "registry/registry.h"
#include "suite.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#define TTL_MS    10000
#define REMOVE_MS 60000

static char dir[64];
static struct registry *registry;
static struct registry_options options;
static sem_t completed;

__attribute__((unused)) static void open_registry(void)
{
	struct journal_error error = {""};
	int r = registry_open(&options, &registry, &error);

	ck_assert_msg(r == 0, "%d %s", r, error.text);
	ck_ok(registry_start(registry));
}

__attribute__((unused)) static void close_registry(void)
{
	registry_stop(registry);
	registry_close(registry);
	registry = NULL;
}

__attribute__((unused)) static void setup(void)
{
	log_open(LOG_FORMAT_TEXT);
	log_set_level(LOG_ERR);
	thread_adopt();
	clock_virtual_set(1000000000);
	ck_assert_int_eq(sem_init(&completed, 0, 0), 0);
	(void)snprintf(dir, sizeof(dir), "/tmp/rollcall-registry-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	options = (struct registry_options){
		.journal = {.dir = dir},
		.queue_max = 1000,
		.batch_max = 100,
		.instances_max = 1000,
		.hold_expiry = true,
		.hold_min_instances = 3,
		.hold_percent = 50,
		.sweep_by_hand = true,
	};
	open_registry();
}

__attribute__((unused)) static void teardown(void)
{
	char command[128];

	if (registry != NULL)
		close_registry();
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
	clock_virtual_off();
	thread_abandon();
}

__attribute__((unused)) static void done(struct command *command)
{
	(void)command;
	ck_assert_int_eq(sem_post(&completed), 0);
}

__attribute__((unused)) static void run(struct command *command)
{
	command->author =
		command->kind == COMMAND_STATUS ? STR("operator:192.0.2.9") : STR("instance");
	command->peer = STR("192.0.2.9");
	command->done = done;
	ck_ok(registry_submit(registry, command));
	while (sem_wait(&completed) != 0)
		ck_assert_int_eq(errno, EINTR);
}

__attribute__((unused)) static struct command registration(const char *service, const char *id)
{
	return (struct command){
		.kind = COMMAND_REGISTER,
		.instance =
			{
				.service = str_of(service),
				.id = str_of(id),
				.host = STR("192.0.2.1"),
				.port = 80,
				.weight = 100,
				.ttl_ms = TTL_MS,
				.remove_after_ms = REMOVE_MS,
			},
	};
}

__attribute__((unused)) static struct command put(const char *service, const char *id)
{
	struct command command = registration(service, id);

	run(&command);
	return command;
}

__attribute__((unused)) static struct command on(enum command_kind kind, const char *service,
                                                 const char *id)
{
	return (struct command){
		.kind = kind,
		.instance = {.service = str_of(service), .id = str_of(id)},
	};
}

__attribute__((unused)) static struct command drain(const char *id, bool drained, int64_t for_ms)
{
	struct command command = on(COMMAND_STATUS, "web", id);

	command.drained = drained;
	command.for_ms = for_ms;
	command.reason = STR("maintenance");
	run(&command);
	return command;
}

/* @return enum status; -1: no such instance */
__attribute__((unused)) static int status_of(const char *service, const char *id)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *found = snapshot_service(now, str_of(service));
	const struct member *member = found != NULL ? service_member(found, str_of(id)) : NULL;
	int status = member != NULL ? (int)member->value.status : -1;

	snapshot_leave(registry_store(registry));
	return status;
}

__attribute__((unused)) static void beat(const char *service, const char *id)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *found = snapshot_service(now, str_of(service));

	ck_assert_ptr_nonnull(found);
	ck_ok(registry_renew(registry, service_member(found, str_of(id))));
	snapshot_leave(registry_store(registry));
}

/* Waits until the writer has handled all that the sweeper handed over: commands are in order. */
__attribute__((unused)) static void settle(void)
{
	struct command command = on(COMMAND_HEARTBEAT, "nobody", "nobody");

	run(&command);
	run(&command);
}

/* Moves the clock on by @p ms, and sweeps every 100 ms as the sweeper does. */
__attribute__((unused)) static void pass(int64_t ms)
{
	for (int64_t passed = 0; passed < ms; passed += 100) {
		clock_virtual_advance(100);
		registry_sweep(registry);
	}
	settle();
}

__attribute__((unused)) static int count_status(const char *service, enum status status)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *found = snapshot_service(now, str_of(service));
	int count = found != NULL ? (int)found->status_count[status] : 0;

	snapshot_leave(registry_store(registry));
	return count;
}

static inline void read_done(struct history *history)
{
	(void)history;
	ck_ok(sem_post(&completed));
}

/** Compares what @p append adds to the buffer for each event after @p since with @p want. */
static inline void check_events(uint64_t since,
                                void (*append)(struct history *history, const struct event *event),
                                const char *want)
{
	struct buf out;
	struct history history = {.query = {.since = since, .limit = 100},
	                          .out = &out,
	                          .put = append,
	                          .done = read_done};

	buf_init(&out, 4000);
	ck_ok(registry_read_history(registry, &history));
	while (sem_wait(&completed) != 0)
		ck_assert_int_eq(errno, EINTR);
	ck_ok(history.error);
	ck_assert_msg(str_equal((struct str){out.data, out.len}, str_of(want)), "%.*s",
	              (int)out.len, out.data);
	buf_fini(&out);
}
