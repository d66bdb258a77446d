/* SPDX-License-Identifier: MIT */
/** Who decides an instance's status: an operator, the lease, or the owner's word. */
#include "registry_fixture.h"

static const struct instance *instance_of(const char *id)
{
	static struct instance value;
	static char reason[REASON_MAX + 1];
	static char by[STATUS_BY_MAX + 1];
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *found = snapshot_service(now, STR("web"));
	const struct member *member = found != NULL ? service_member(found, str_of(id)) : NULL;

	ck_assert_ptr_nonnull(member);
	value = member->value;
	(void)snprintf(reason, sizeof(reason), "%.*s", (int)value.status_reason.len,
	               value.status_reason.data);
	(void)snprintf(by, sizeof(by), "%.*s", (int)value.status_by.len, value.status_by.data);
	value.status_reason = str_of(reason);
	value.status_by = str_of(by);
	snapshot_leave(registry_store(registry));
	return &value;
}

static void check(enum status status, const char *reason, const char *by)
{
	const struct instance *value = instance_of("a");

	ck_assert_int_eq(value->status, status);
	ck_assert_str_eq(value->status_reason.data, reason);
	ck_assert_str_eq(value->status_by.data, by);
}

static struct command heartbeat(const char *word)
{
	struct command command = on(COMMAND_HEARTBEAT, "web", "a");

	command.set_status = word != NULL;
	command.instance.wants_drain = word != NULL && strcmp(word, "draining") == 0;
	command.instance.reports_unhealthy = word != NULL && strcmp(word, "unhealthy") == 0;
	run(&command);
	ck_ok(command.error);
	return command;
}

static void append_kind(struct history *history, const struct event *event)
{
	buf_put(history->out, event_kind_name(event->kind));
	buf_put_char(history->out, ' ');
}

/* The kinds of all events after @p since. */
static void check_kinds(uint64_t since, const char *want)
{
	check_events(since, append_kind, want);
}

START_TEST(an_owner_reports_itself_unhealthy_and_healthy_again)
{
	put("web", "a");
	ck_assert_int_eq(heartbeat("unhealthy").outcome, OUTCOME_CHANGED);
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	ck_assert_int_eq(heartbeat("unhealthy").outcome, OUTCOME_RENEWED);
	ck_assert_int_eq(heartbeat(NULL).outcome, OUTCOME_RENEWED);
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	ck_assert_int_eq(heartbeat("healthy").outcome, OUTCOME_CHANGED);
	check(STATUS_HEALTHY, "heartbeat", "instance");
	check_kinds(1, "failed recovered ");
}
END_TEST

START_TEST(the_latest_word_of_an_owner_counts)
{
	put("web", "a");
	heartbeat("draining");
	check(STATUS_DRAINING, "draining by itself", "instance");
	heartbeat("unhealthy");
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	heartbeat("draining");
	check(STATUS_DRAINING, "draining by itself", "instance");
	heartbeat("healthy");
	check(STATUS_HEALTHY, "heartbeat", "instance");
	check_kinds(1, "drained failed drained resumed ");
}
END_TEST

START_TEST(registering_lifts_a_report)
{
	put("web", "a");
	heartbeat("unhealthy");
	ck_assert_int_eq(put("web", "a").outcome, OUTCOME_CHANGED);
	check(STATUS_HEALTHY, "heartbeat", "instance");
	heartbeat("unhealthy");
	struct command command = registration("web", "a");
	command.instance.wants_drain = true;
	run(&command);
	check(STATUS_DRAINING, "draining by itself", "instance");
	check_kinds(1, "failed recovered failed updated ");
}
END_TEST

START_TEST(a_report_outlives_the_lease_and_a_restart)
{
	put("web", "a");
	heartbeat("unhealthy");
	pass(REMOVE_MS / 2); /* no heartbeat: silent too */
	check(STATUS_UNHEALTHY, "lease expired", "sweeper");
	heartbeat(NULL);
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	close_registry();
	open_registry();
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	check_kinds(1, "failed expired recovered ");
}
END_TEST

START_TEST(a_report_by_itself_removes_nothing)
{
	put("web", "a");
	heartbeat("unhealthy");
	for (int i = 0; i < 10; i++) {
		pass(TTL_MS - 1000);
		beat("web", "a");
	}
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	pass(TTL_MS + 100);
	pass(REMOVE_MS + 100);
	ck_assert_int_eq(status_of("web", "a"), -1);
}
END_TEST

START_TEST(an_unhealthy_word_of_one_that_was_silent_is_a_report)
{
	put("web", "a");
	pass(TTL_MS + 100);
	heartbeat("unhealthy");
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	pass(TTL_MS - 200);
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
	check_kinds(1, "expired failed ");
}
END_TEST

START_TEST(reports_do_not_count_as_silence)
{
	static const char *const ids[] = {"a", "b", "c", "d"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		put("web", ids[i]);
	heartbeat("unhealthy");
	pass(TTL_MS - 500);
	for (size_t i = 0; i < 2; i++)
		beat("web", ids[i]);
	pass(700); /* two of four that are alive: no more than half */
	ck_assert_int_eq(count_status("web", STATUS_UNHEALTHY), 3);
	ck_assert_uint_eq(registry_held_services(registry), 0);
}
END_TEST

SUITE("registry_status", setup, teardown, an_owner_reports_itself_unhealthy_and_healthy_again,
      the_latest_word_of_an_owner_counts, registering_lifts_a_report,
      a_report_outlives_the_lease_and_a_restart, a_report_by_itself_removes_nothing,
      an_unhealthy_word_of_one_that_was_silent_is_a_report, reports_do_not_count_as_silence)
