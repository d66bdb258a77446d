/* SPDX-License-Identifier: MIT */
/** Publishes events to a snapshot store as the writer does; each call is a batch of one event. */
#pragma once

#include "balance/balance.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "snapshot/snapshot.h"
#include "suite.h"

static struct snapshot_store *store;
static uint64_t last_revision;
static struct lease *leases[4096];
static size_t lease_count;

__attribute__((unused)) static void readmodel_setup(void)
{
	thread_adopt();
	store = snapshot_store_new(0);
	ck_assert_ptr_nonnull(store);
	last_revision = 0;
	lease_count = 0;
}

__attribute__((unused)) static void readmodel_teardown(void)
{
	snapshot_store_free(store);
	while (lease_count > 0)
		free(leases[--lease_count]);
	thread_abandon();
}

/** A healthy instance of weight 100; the test changes the fields that it needs. */
__attribute__((unused)) static struct instance sample(const char *service, const char *id)
{
	return (struct instance){
		.service = str_of(service),
		.id = str_of(id),
		.host = STR("192.0.2.1"),
		.port = 8080,
		.weight = 100,
		.ttl_ms = 30000,
		.remove_after_ms = 600000,
		.status_reason = STR("registered"),
		.status_by = STR("instance"),
	};
}

__attribute__((unused)) static struct event event_of(enum event_kind kind,
                                                     const struct instance *instance)
{
	return (struct event){
		.kind = kind, .time_ms = 1, .author = STR("test"), .instance = *instance};
}

/** Gives the event the next revision, as the journal does. */
__attribute__((unused)) static void commit_event(struct event *event)
{
	event->revision = event->instance.revision = ++last_revision;
	if (event->kind == EVENT_REGISTERED)
		event->instance.incarnation = event->revision;
}

__attribute__((unused)) static struct lease *lease_new(void)
{
	ck_assert_uint_lt(lease_count, sizeof(leases) / sizeof(leases[0]));
	struct lease *lease = calloc(1, sizeof(*lease));
	ck_assert_ptr_nonnull(lease);
	leases[lease_count++] = lease;
	return lease;
}

__attribute__((unused)) static void publish_event(enum event_kind kind,
                                                  const struct instance *instance)
{
	struct event event = event_of(kind, instance);
	struct snapshot_draft *draft = snapshot_draft_new(store);
	const struct member *before = snapshot_draft_member(draft, instance->service, instance->id);
	struct service *service;
	const struct service *previous;
	size_t pos = 0;

	event.instance.status = instance_status(instance);
	if (before != NULL)
		event.instance.incarnation = before->value.incarnation;
	ck_assert_ptr_nonnull(
		snapshot_draft_apply(draft, &event, before != NULL ? before->lease : lease_new()));
	ck_ok(snapshot_draft_finish(draft));
	while ((service = snapshot_draft_next(draft, &pos, &previous)) != NULL)
		ck_ok(balance_build(service, previous));
	commit_event(&event);
	snapshot_draft_publish(draft);
}

__attribute__((unused)) static void add(const char *service, const char *id, uint16_t weight)
{
	struct instance instance = sample(service, id);

	instance.weight = weight;
	publish_event(EVENT_REGISTERED, &instance);
}

__attribute__((unused)) static void drop(const char *service, const char *id)
{
	struct instance instance = sample(service, id);

	publish_event(EVENT_DEREGISTERED, &instance);
}
