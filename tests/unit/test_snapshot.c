/* SPDX-License-Identifier: MIT */
/*
 * The read model: drafts, publication, rendering, out of memory, random changes against a naive
 * model, and readers on other threads. The test plays the writer (readmodel.h).
 */
#include "fault.h"
#include "readmodel.h"

#include <stdatomic.h>
#include <stdio.h>

static const struct service *service_now(const struct snapshot *now, const char *name)
{
	return snapshot_service(now, str_of(name));
}

START_TEST(an_empty_store_knows_nothing)
{
	const struct snapshot *now = snapshot_enter(store);

	ck_assert_uint_eq(snapshot_revision(now), 0);
	ck_assert_ptr_null(service_now(now, "web"));
	ck_assert_uint_eq(snapshot_directory(now)->count, 0);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_registered_instance_is_found_with_its_revision)
{
	add("web", "a", 7);

	const struct snapshot *now = snapshot_enter(store);
	const struct service *web = service_now(now, "web");
	const struct member *a = service_member(web, STR("a"));
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(a->value.revision, 1);
	ck_assert_uint_eq(a->value.incarnation, 1);
	ck_assert_uint_eq(a->value.weight, 7);
	ck_assert_uint_eq(snapshot_revision(now), 1);
	ck_assert_uint_eq(snapshot_counts(now).services, 1);
	ck_assert_uint_eq(snapshot_counts(now).instances[STATUS_HEALTHY], 1);
	ck_assert_ptr_null(service_member(web, STR("b")));
	snapshot_leave(store);
}
END_TEST

START_TEST(a_visit_keeps_what_it_saw)
{
	add("web", "a", 1);

	const struct snapshot *before = snapshot_enter(store);
	const struct member *a = service_member(service_now(before, "web"), STR("a"));
	drop("web", "a");
	add("web", "b", 2);
	ck_assert_uint_eq(snapshot_revision(before), 1);
	ck_assert_uint_eq(a->value.weight, 1);
	ck_assert_ptr_eq(service_member(service_now(before, "web"), STR("a")), a);
	ck_assert_ptr_null(service_member(service_now(before, "web"), STR("b")));
	snapshot_leave(store);

	const struct snapshot *after = snapshot_enter(store);
	ck_assert_ptr_null(service_member(service_now(after, "web"), STR("a")));
	ck_assert_ptr_nonnull(service_member(service_now(after, "web"), STR("b")));
	snapshot_leave(store);
}
END_TEST

START_TEST(a_service_is_gone_with_its_last_instance)
{
	add("web", "a", 1);
	add("api", "a", 1);
	drop("web", "a");

	const struct snapshot *now = snapshot_enter(store);
	ck_assert_ptr_null(service_now(now, "web"));
	ck_assert_uint_eq(snapshot_counts(now).services, 1);
	ck_assert_uint_eq(snapshot_directory(now)->count, 1);
	ck_assert(str_equal(snapshot_directory(now)->names[0], STR("api")));
	snapshot_leave(store);
}
END_TEST

START_TEST(members_stand_in_registration_order)
{
	add("web", "c", 1);
	add("web", "a", 1);
	add("web", "b", 1);
	struct instance a = sample("web", "a");
	a.port = 9;
	publish_event(EVENT_UPDATED, &a);

	const struct snapshot *now = snapshot_enter(store);
	const struct service *web = service_now(now, "web");
	ck_assert(str_equal(web->members[0]->value.id, STR("c")));
	ck_assert(str_equal(web->members[1]->value.id, STR("a")));
	ck_assert(str_equal(web->members[2]->value.id, STR("b")));
	ck_assert_uint_eq(web->members[1]->value.port, 9);
	ck_assert_uint_eq(web->members[1]->value.incarnation, 2);
	ck_assert_uint_eq(web->members[1]->value.revision, 4);
	snapshot_leave(store);
}
END_TEST

START_TEST(each_status_has_the_revision_of_its_latest_change)
{
	add("web", "a", 1);
	add("web", "b", 1);
	struct instance a = sample("web", "a");
	a.lease_out = true;
	publish_event(EVENT_EXPIRED, &a); /* 3: leaves healthy, enters unhealthy */
	a.weight = 5;
	publish_event(EVENT_UPDATED, &a); /* 4: only within unhealthy */

	const struct snapshot *now = snapshot_enter(store);
	const struct service *web = service_now(now, "web");
	ck_assert_uint_eq(web->revision, 4);
	ck_assert_uint_eq(web->status_revision[STATUS_HEALTHY], 3);
	ck_assert_uint_eq(web->status_revision[STATUS_UNHEALTHY], 4);
	ck_assert_uint_eq(web->status_revision[STATUS_DRAINING],
	                  1); /* the revision that created the service */
	ck_assert_uint_eq(web->status_count[STATUS_HEALTHY], 1);
	ck_assert(str_equal(web->healthy[0]->value.id, STR("b")));
	snapshot_leave(store);
}
END_TEST

START_TEST(the_answer_is_rendered_once_with_healthy_instances_only)
{
	add("web", "a", 1);
	add("web", "b", 1);
	struct instance a = sample("web", "a");
	a.drained = true;
	publish_event(EVENT_DRAINED, &a);

	const struct snapshot *now = snapshot_enter(store);
	struct blob *first = service_answer(service_now(now, "web"));
	ck_assert_ptr_eq(first, service_answer(service_now(now, "web")));
	ck_assert_ptr_nonnull(strstr(first->data, "\"id\":\"b\""));
	ck_assert_ptr_null(strstr(first->data, "\"id\":\"a\""));
	ck_assert_ptr_nonnull(strstr(first->data, "\"revision\":3,\"instances\":[{"));
	struct blob *kept = blob_ref(first);
	snapshot_leave(store);

	drop("web", "b");
	rcu_drain();
	ck_assert_ptr_nonnull(strstr(kept->data, "\"id\":\"b\"")); /* the reference keeps it */
	blob_unref(kept);
}
END_TEST

START_TEST(the_directory_is_sorted_and_searched)
{
	add("b.x", "1", 1);
	add("a", "1", 1);
	add("b", "1", 1);
	add("c", "1", 1);

	const struct directory *directory = snapshot_directory(snapshot_enter(store));
	ck_assert_uint_eq(directory->count, 4);
	ck_assert(str_equal(directory->names[0], STR("a")));
	ck_assert(str_equal(directory->names[1], STR("b")));
	ck_assert(str_equal(directory->names[2], STR("b.x")));
	ck_assert_uint_eq(directory_find(directory, STR("b"), false), 1);
	ck_assert_uint_eq(directory_find(directory, STR("b"), true), 2);
	ck_assert_uint_eq(directory_find(directory, STR("bz"), false), 3);
	ck_assert_uint_eq(directory_find(directory, STR("z"), false), 4);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_draft_sees_its_own_events)
{
	struct instance a = sample("web", "a");
	struct event registered = event_of(EVENT_REGISTERED, &a);
	struct event gone = event_of(EVENT_DEREGISTERED, &a);
	struct event again = event_of(EVENT_REGISTERED, &a);
	uint32_t count[STATUS_COUNT];

	struct snapshot_draft *draft = snapshot_draft_new(store);
	ck_assert_ptr_null(snapshot_draft_member(draft, STR("web"), STR("a")));
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &registered, lease_new()));
	ck_assert_ptr_nonnull(snapshot_draft_member(draft, STR("web"), STR("a")));
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &gone, NULL));
	ck_assert_ptr_null(snapshot_draft_member(draft, STR("web"), STR("a")));
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &again, lease_new()));
	ck_assert_ptr_nonnull(snapshot_draft_count(draft, STR("web"), count));
	ck_assert_uint_eq(count[STATUS_HEALTHY], 1);
	ck_ok(snapshot_draft_finish(draft));
	commit_event(&registered);
	commit_event(&gone);
	commit_event(&again);
	snapshot_draft_publish(draft);

	const struct snapshot *now = snapshot_enter(store);
	ck_assert_uint_eq(service_member(service_now(now, "web"), STR("a"))->value.incarnation, 3);
	ck_assert_uint_eq(snapshot_revision(now), 3);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_service_that_comes_and_goes_in_one_draft_leaves_no_trace)
{
	struct instance a = sample("web", "a");
	struct event registered = event_of(EVENT_REGISTERED, &a);
	struct event gone = event_of(EVENT_DEREGISTERED, &a);

	struct snapshot_draft *draft = snapshot_draft_new(store);
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &registered, lease_new()));
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &gone, NULL));
	ck_ok(snapshot_draft_finish(draft));
	commit_event(&registered);
	commit_event(&gone);
	snapshot_draft_publish(draft);

	const struct snapshot *now = snapshot_enter(store);
	ck_assert_ptr_null(service_now(now, "web"));
	ck_assert_uint_eq(snapshot_counts(now).services, 0);
	ck_assert_uint_eq(snapshot_revision(now), 2);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_discarded_draft_changes_nothing)
{
	add("web", "a", 1);
	struct instance b = sample("web", "b");
	struct event event = event_of(EVENT_REGISTERED, &b);
	struct instance other = sample("api", "b");
	struct event other_event = event_of(EVENT_REGISTERED, &other);

	struct snapshot_draft *draft = snapshot_draft_new(store);
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &event, lease_new()));
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &other_event, lease_new()));
	ck_ok(snapshot_draft_finish(draft));
	snapshot_draft_discard(draft);

	const struct snapshot *now = snapshot_enter(store);
	ck_assert_uint_eq(snapshot_revision(now), 1);
	ck_assert_uint_eq(service_now(now, "web")->count, 1);
	ck_assert_ptr_null(service_now(now, "api"));
	snapshot_leave(store);
}
END_TEST

START_TEST(what_was_committed_before_keeps_its_revision)
{
	struct instance a = sample("web", "a");
	a.revision = 5;
	a.incarnation = 3;
	struct event event = event_of(EVENT_REGISTERED, &a);
	event.revision = 9; /* the journal's latest */

	struct snapshot_draft *draft = snapshot_draft_new(store);
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &event, lease_new()));
	memset(&event, 0xff, sizeof(event)); /* it is not needed any more */
	ck_ok(snapshot_draft_finish(draft));
	snapshot_draft_publish(draft);

	const struct snapshot *now = snapshot_enter(store);
	const struct service *web = service_now(now, "web");
	ck_assert_uint_eq(service_member(web, STR("a"))->value.revision, 5);
	ck_assert_uint_eq(service_member(web, STR("a"))->value.incarnation, 3);
	ck_assert_uint_eq(web->status_revision[STATUS_HEALTHY], 9);
	ck_assert_uint_eq(snapshot_revision(now), 9);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_removal_that_was_committed_before_keeps_nothing_of_its_event)
{
	add("web", "a", 100);
	add("web", "b", 100);

	struct instance a = sample("web", "a");
	struct event event = event_of(EVENT_DEREGISTERED, &a);
	event.revision = 9;

	struct snapshot_draft *draft = snapshot_draft_new(store);
	ck_assert_ptr_nonnull(snapshot_draft_apply(draft, &event, NULL));
	memset(&event, 0xff, sizeof(event)); /* it is not needed any more */
	ck_ok(snapshot_draft_finish(draft));
	snapshot_draft_publish(draft);

	const struct snapshot *now = snapshot_enter(store);
	const struct service *web = service_now(now, "web");
	ck_assert_uint_eq(web->count, 1);
	ck_assert_uint_eq(web->revision, 9);
	ck_assert_uint_eq(web->status_revision[STATUS_HEALTHY], 9);
	ck_assert_uint_eq(snapshot_revision(now), 9);
	snapshot_leave(store);
}
END_TEST

START_TEST(out_of_memory_anywhere_changes_nothing)
{
	add("web", "a", 1);
	struct lease *lease = lease_new();
	struct instance b = sample("web", "b");
	struct instance other = sample("api", "b");
	struct instance a = sample("web", "a");

	for (int n = 0;; n++) {
		struct event events[] = {
			event_of(EVENT_REGISTERED, &b),
			event_of(EVENT_REGISTERED, &other),
			event_of(EVENT_DEREGISTERED, &a),
		};
		bool ok = true;

		fault_arm(n);
		struct snapshot_draft *draft = snapshot_draft_new(store);
		for (size_t i = 0; i < 3 && draft != NULL && ok; i++)
			ok = snapshot_draft_apply(draft, &events[i], lease) != NULL;
		ok = ok && draft != NULL && snapshot_draft_finish(draft) == 0;
		if (!fault_hit()) {
			ck_assert(ok);
			snapshot_draft_discard(draft);
			ck_assert_int_gt(n, 5);
			break;
		}
		ck_assert(!ok);
		snapshot_draft_discard(draft);

		const struct snapshot *now = snapshot_enter(store);
		ck_assert_uint_eq(snapshot_counts(now).instances[STATUS_HEALTHY], 1);
		ck_assert_ptr_nonnull(service_member(service_now(now, "web"), STR("a")));
		snapshot_leave(store);
	}
}
END_TEST

/* --- against a naive model ------------------------------------------------------ */

#define SERVICES 7
#define IDS      40

static bool present[SERVICES][IDS];
static bool expired[SERVICES][IDS];

static void compare_with_model(void)
{
	const struct snapshot *now = snapshot_enter(store);
	uint64_t services = 0;
	uint64_t healthy = 0;
	char name[16];
	char id[16];

	for (int s = 0; s < SERVICES; s++) {
		uint32_t count = 0;

		(void)snprintf(name, sizeof(name), "s%d", s);
		const struct service *service = service_now(now, name);
		for (int i = 0; i < IDS; i++) {
			(void)snprintf(id, sizeof(id), "i%d", i);
			const struct member *member =
				service != NULL ? service_member(service, str_of(id)) : NULL;
			ck_assert_int_eq(member != NULL, present[s][i]);
			if (member != NULL)
				ck_assert_int_eq(member->value.lease_out, expired[s][i]);
			count += present[s][i];
			healthy += present[s][i] && !expired[s][i];
		}
		ck_assert_int_eq(service != NULL, count > 0);
		if (service != NULL)
			ck_assert_uint_eq(service->count, count);
		services += count > 0;
	}
	ck_assert_uint_eq(snapshot_counts(now).services, services);
	ck_assert_uint_eq(snapshot_counts(now).instances[STATUS_HEALTHY], healthy);
	ck_assert_uint_eq(snapshot_directory(now)->count, services);
	snapshot_leave(store);
}

START_TEST(random_changes_agree_with_a_naive_model)
{
	unsigned seed = 20261123;
	char name[16];
	char id[16];

	for (int step = 0; step < 3000; step++) {
		int s = (int)(seed = seed * 1103515245 + 12345, (seed >> 16) % SERVICES);
		int i = (int)(seed = seed * 1103515245 + 12345, (seed >> 16) % IDS);
		int what = (int)(seed = seed * 1103515245 + 12345, (seed >> 16) % 3);

		(void)snprintf(name, sizeof(name), "s%d", s);
		(void)snprintf(id, sizeof(id), "i%d", i);
		struct instance instance = sample(name, id);
		if (!present[s][i]) {
			publish_event(EVENT_REGISTERED, &instance);
			present[s][i] = true;
		} else if (what == 0) {
			instance.lease_out = !expired[s][i];
			publish_event(EVENT_EXPIRED, &instance);
			expired[s][i] = instance.lease_out;
		} else {
			publish_event(EVENT_DEREGISTERED, &instance);
			present[s][i] = expired[s][i] = false;
		}
		if (step % 50 == 0)
			compare_with_model();
	}
	compare_with_model();
}
END_TEST

/* --- with readers ------------------------------------------------------------------ */

static _Atomic bool done_reading;

static void read_all_the_time(void *arg)
{
	_Atomic uint64_t *visits = arg;
	uint64_t latest = 0;

	while (!atomic_load(&done_reading)) {
		const struct snapshot *now = snapshot_enter(store);
		const struct service *web = service_now(now, "web");

		ck_assert_uint_ge(snapshot_revision(now), latest);
		latest = snapshot_revision(now);
		if (web != NULL) {
			struct blob *answer = service_answer(web);

			ck_assert_ptr_nonnull(answer);
			ck_assert_uint_eq(answer->data[answer->len - 1], '\n');
			for (uint32_t i = 0; i < web->count; i++)
				ck_assert(str_equal(web->members[i]->value.service, STR("web")));
		}
		(void)snapshot_directory(now);
		snapshot_leave(store);
		atomic_fetch_add(visits, 1);
	}
}

START_TEST(readers_never_see_half_a_change)
{
	static _Atomic uint64_t visits[2];
	pthread_t reader[2];

	for (size_t t = 0; t < 2; t++)
		ck_ok(thread_start(&reader[t], "reader", read_all_the_time, &visits[t]));
	for (int round = 0;
	     round < 300 || atomic_load(&visits[0]) < 100 || atomic_load(&visits[1]) < 100;
	     round++) {
		if (lease_count > 4000)
			break;
		add("web", "a", 1);
		add("web", "b", 1);
		drop("web", "a");
		drop("web", "b");
	}
	atomic_store(&done_reading, true);
	for (size_t t = 0; t < 2; t++)
		thread_join(reader[t]);
	ck_assert_uint_gt(atomic_load(&visits[0]) + atomic_load(&visits[1]), 0);
}
END_TEST

SUITE("snapshot", readmodel_setup, readmodel_teardown, an_empty_store_knows_nothing,
      a_registered_instance_is_found_with_its_revision, a_visit_keeps_what_it_saw,
      a_service_is_gone_with_its_last_instance, members_stand_in_registration_order,
      each_status_has_the_revision_of_its_latest_change,
      the_answer_is_rendered_once_with_healthy_instances_only, the_directory_is_sorted_and_searched,
      a_draft_sees_its_own_events, a_service_that_comes_and_goes_in_one_draft_leaves_no_trace,
      a_discarded_draft_changes_nothing, what_was_committed_before_keeps_its_revision,
      a_removal_that_was_committed_before_keeps_nothing_of_its_event,
      out_of_memory_anywhere_changes_nothing, random_changes_agree_with_a_naive_model,
      readers_never_see_half_a_change)
