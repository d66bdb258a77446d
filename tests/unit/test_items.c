/* SPDX-License-Identifier: MIT */
/*
 * The writer above a ledger that answers later, and through which other daemons commit
 * (fake_ledger.h). The writer does not run: registry_step() is one pass of it, so the test decides
 * what happens between two passes. The clock is virtual.
 */
#include "fake_ledger.h"
#include "fault.h"
#include "faultvfs.h"
#include "instance_limits.h"
#include "metrics/metrics.h"
#include "registry_fixture.h"

#include <sqlite3.h>

static void setup_fake(void)
{
	faultvfs_install();
	setup();
	close_registry();
	faultvfs_reset();
	options.write_by_hand = true;
	options.ledger.engine = &fake_engine;
	open_registry();
}

static void teardown_fake(void)
{
	faultvfs_reset();
	teardown();
}

/* --- what is committed elsewhere ---------------------------------------------- */

static struct event foreign(enum event_kind kind, const char *id, uint64_t revision,
                            uint64_t incarnation)
{
	struct event event = {
		.revision = revision,
		.time_ms = clock_real_ms(),
		.kind = kind,
		.author = STR("192.0.2.7:1"),
		.instance = registration("web", id).instance,
	};

	event.instance.revision = revision;
	event.instance.incarnation = incarnation;
	event.instance.lease_out = kind == EVENT_EXPIRED;
	event.instance.status_reason = STR("registered");
	event.instance.status_by = STR("instance");
	return event;
}

static struct event foreign_entry(enum event_kind kind, const char *id, uint64_t revision,
                                  uint64_t incarnation)
{
	return (struct event){
		.revision = revision,
		.time_ms = clock_real_ms(),
		.kind = kind,
		.author = STR("192.0.2.7:1"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = STR("web"),
	                  .name = str_of(id),
	                  .document = STR("{}"),
	                  .incarnation = incarnation,
	                  .revision = revision},
	};
}

/* Another daemon commits one event, and the writer takes it. */
static void others(struct event event)
{
	fake_foreign(&event, 1);
	registry_step(registry);
	ck_assert_uint_eq(fake.count, 0);
}

/* --- what is decided here --------------------------------------------------------- */

static unsigned completed_count;

static void note_done(struct command *command)
{
	(void)command;
	completed_count++;
}

/* Submits a command; one pass proposes its events. */
static void submit(struct command *command)
{
	completed_count = 0;
	command->author = STR("192.0.2.9:1");
	command->done = note_done;
	ck_ok(registry_submit(registry, command));
	registry_step(registry);
}

/* Registers @p id; the registration gets @p revision. */
static void put_here(const char *id, uint64_t revision)
{
	struct command command = registration("web", id);

	submit(&command);
	fake_win(revision);
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 1);
	ck_ok(command.error);
}

static void pass_by_hand(int64_t ms)
{
	for (int64_t passed = 0; passed < ms; passed += 100) {
		clock_virtual_advance(100);
		registry_sweep(registry);
		registry_step(registry);
	}
}

static uint64_t revision_now(void)
{
	uint64_t revision = snapshot_revision(snapshot_enter(registry_store(registry)));

	snapshot_leave(registry_store(registry));
	return revision;
}

static void put_short(struct history *history, const struct event *event)
{
	buf_put(history->out, event_kind_name(event->kind));
	buf_put_char(history->out, ' ');
	buf_put_str(history->out, event->instance.id);
	buf_put_char(history->out, ';');
}

static void check_history(const char *want)
{
	check_events(0, put_short, want);
}

START_TEST(a_command_completes_when_its_proposal_has_won_and_not_before)
{
	struct command command = registration("web", "a");

	submit(&command);
	ck_assert_uint_eq(fake.proposed_count, 1);
	for (int i = 0; i < 3; i++)
		registry_step(registry);
	ck_assert_uint_eq(fake.proposals, 1);
	ck_assert_uint_eq(completed_count, 0);
	ck_assert_int_eq(status_of("web", "a"), -1);
	fake_win(1);
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 1);
	ck_ok(command.error);
	ck_assert_uint_eq(command.revision, 1);
	ck_assert_uint_eq(command.instance.incarnation, 1);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	check_history("registered a;");
}
END_TEST

START_TEST(commands_wait_while_a_proposal_is_open)
{
	struct command first = registration("web", "a");
	struct command second = registration("web", "b");

	submit(&first);
	submit(&second);
	ck_assert_uint_eq(fake.proposals, 1);
	fake_win(1);
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 1);
	registry_step(registry);
	ck_assert_uint_eq(fake.proposals, 2);
	fake_win(2);
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 2);
	ck_assert_uint_eq(second.revision, 2);
}
END_TEST

static unsigned woken;

static void note_wake(struct watcher *watcher)
{
	(void)watcher;
	woken++;
}

START_TEST(a_foreign_registration_is_in_the_snapshot_the_log_the_metrics_and_wakes)
{
	uint64_t registered = metrics_counter(METRIC_EVENTS_REGISTERED);
	struct watcher watcher = {
		.topic = STR("web"), .aspects = 1u << STATUS_HEALTHY, .wake = note_wake};
	struct watcher listing = {.topic = STR("w"), .by_prefix = true, .wake = note_wake};

	woken = 0;
	watch_add(registry_watch(registry), &watcher);
	watch_add(registry_watch(registry), &listing);
	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	ck_assert_uint_eq(woken, 2);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_uint_eq(revision_now(), 1);
	ck_assert_uint_eq(registry_recounted_revision(registry), 1);
	ck_assert_uint_eq(metrics_counter(METRIC_EVENTS_REGISTERED), registered + 1);
	check_history("registered a;");
	others(foreign(EVENT_DEREGISTERED, "a", 2, 1));
	ck_assert_int_eq(status_of("web", "a"), -1);
	ck_assert_uint_eq(registry_removed_revision(registry, STR("web")), 2);
	check_history("registered a;deregistered a;");
}
END_TEST

START_TEST(what_others_committed_is_there_after_a_restart)
{
	struct event events[] = {
		foreign(EVENT_REGISTERED, "a", 1, 1),
		foreign(EVENT_REGISTERED, "b", 2, 2),
		foreign(EVENT_UPDATED, "a", 3, 1),
	};

	fake_foreign(events, 3);
	registry_step(registry);
	close_registry();
	open_registry();
	ck_assert_uint_eq(revision_now(), 3);
	ck_assert_int_eq(count_status("web", STATUS_HEALTHY), 2);
	put_here("c", 4);
}
END_TEST

static bool has_entry(const char *id)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	bool has = snapshot_entry(now, ENTRY_INTENT, STR("web"), str_of(id)) != NULL;

	snapshot_leave(registry_store(registry));
	return has;
}

START_TEST(foreign_entries_come_and_go_and_are_there_after_a_restart)
{
	others(foreign_entry(EVENT_ENTRY_PUT, "a", 1, 1));
	others(foreign_entry(EVENT_ENTRY_PUT, "b", 2, 2));
	others(foreign_entry(EVENT_ENTRY_PUT, "a", 3, 1));
	ck_assert(has_entry("a") && has_entry("b"));
	others(foreign_entry(EVENT_ENTRY_REMOVED, "b", 4, 2));
	ck_assert(has_entry("a") && !has_entry("b"));

	close_registry();
	open_registry();
	ck_assert(has_entry("a") && !has_entry("b"));
	ck_assert_uint_eq(revision_now(), 4);
}
END_TEST

START_TEST(the_lease_of_a_foreign_registration_runs_out)
{
	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	pass_by_hand(TTL_MS - 200);
	ck_assert_uint_eq(fake.proposals, 0);
	pass_by_hand(400);
	ck_assert_uint_eq(fake.proposals, 1);
	ck_assert_int_eq(fake.proposed_kind, EVENT_EXPIRED);
	fake_win(2);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	pass_by_hand(REMOVE_MS + 200);
	ck_assert_int_eq(fake.proposed_kind, EVENT_REMOVED);
	fake_win(3);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), -1);
}
END_TEST

START_TEST(a_foreign_update_is_a_sign_of_life)
{
	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	pass_by_hand(TTL_MS - 500);
	others(foreign(EVENT_UPDATED, "a", 2, 1));
	pass_by_hand(TTL_MS - 500);
	ck_assert_uint_eq(fake.proposals, 0);
	pass_by_hand(800);
	ck_assert_int_eq(fake.proposed_kind, EVENT_EXPIRED);
	fake_win(3);
	registry_step(registry);
}
END_TEST

START_TEST(a_foreign_recovery_is_one_too)
{
	put_here("a", 1);
	pass_by_hand(TTL_MS + 200);
	fake_win(2);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	others(foreign(EVENT_RECOVERED, "a", 3, 1));
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass_by_hand(TTL_MS - 500);
	ck_assert_uint_eq(fake.proposals, 2);
}
END_TEST

START_TEST(a_foreign_instance_without_a_lease_never_expires)
{
	struct event event = foreign(EVENT_REGISTERED, "a", 1, 1);

	event.instance.ttl_ms = 0;
	others(event);
	pass_by_hand(10 * TTL_MS);
	ck_assert_uint_eq(fake.proposals, 0);
	event = foreign(EVENT_EXPIRED, "a", 2, 1); /* by a version that knows no better */
	event.instance.ttl_ms = 0;
	others(event);
	pass_by_hand(200);
	ck_assert_uint_eq(fake.proposals, 1);
	ck_assert_int_eq(fake.proposed_kind, EVENT_RECOVERED);
	fake_win(3);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	pass_by_hand(10 * TTL_MS);
	ck_assert_uint_eq(fake.proposals, 1);
}
END_TEST

START_TEST(an_instance_that_others_expire_and_that_was_heard_of_here_recovers)
{
	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	pass_by_hand(TTL_MS / 2);
	beat("web", "a");
	others(foreign(EVENT_EXPIRED, "a", 2, 1));
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	pass_by_hand(200);
	ck_assert_uint_eq(fake.proposals, 1);
	ck_assert_int_eq(fake.proposed_kind, EVENT_RECOVERED);
	fake_win(3);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(no_lease_runs_out_beyond_the_horizon)
{
	put_here("a", 1);
	atomic_store(&fake.ledger.horizon_ms, registry_lease_ms(registry));
	pass_by_hand(3 * TTL_MS);
	ck_assert_uint_eq(fake.proposals, 1);
	atomic_store(&fake.ledger.horizon_ms, registry_lease_ms(registry) - 2 * TTL_MS + 100);
	pass_by_hand(200);
	ck_assert_int_eq(fake.proposed_kind, EVENT_EXPIRED);
	fake_win(2);
	registry_step(registry);
}
END_TEST

START_TEST(a_drain_that_ends_before_the_horizon_lets_no_lease_run_out_beyond_it)
{
	struct command drained = on(COMMAND_STATUS, "web", "a");

	put_here("a", 1);
	drained.drained = true;
	drained.for_ms = TTL_MS / 2;
	drained.reason = STR("maintenance");
	submit(&drained);
	fake_win(2);
	registry_step(registry);
	int64_t begun_ms = registry_lease_ms(registry);
	atomic_store(&fake.ledger.horizon_ms, begun_ms);
	pass_by_hand(2 * TTL_MS);
	ck_assert_uint_eq(fake.proposals, 2);
	atomic_store(&fake.ledger.horizon_ms, begun_ms + TTL_MS - 1000); /* after the drain's end */
	pass_by_hand(200);
	ck_assert_uint_eq(fake.proposals, 3);
	ck_assert_uint_eq(fake.proposed_count, 2); /* of the intent, and of the instance */
	ck_assert_int_eq(fake.proposed_kind, EVENT_ENTRY_REMOVED);
}
END_TEST

/* --- deciding anew ------------------------------------------------------------------ */

/* The open proposal loses against @p event, in one pass. */
static void lose_against(struct event event)
{
	fake_foreign(&event, 1);
	fake_lose(-ESTALE);
	registry_step(registry);
	ck_assert_uint_eq(fake.count, 0);
}

START_TEST(what_has_lost_is_decided_anew_and_may_win)
{
	struct command command = registration("web", "a");

	submit(&command);
	lose_against(foreign(EVENT_REGISTERED, "b", 1, 1));
	ck_assert_uint_eq(completed_count, 0);
	ck_assert_uint_eq(fake.proposals, 2);
	fake_win(2);
	registry_step(registry);
	ck_ok(command.error);
	ck_assert_uint_eq(command.revision, 2);
	ck_assert_uint_eq(command.instance.incarnation, 2);
	ck_assert_int_eq(count_status("web", STATUS_HEALTHY), 2);
	check_history("registered b;registered a;");
}
END_TEST

/* An operator's word about web/a, made by @p drained. */
static struct command word(bool drained)
{
	struct command command = on(COMMAND_STATUS, "web", "a");

	command.drained = drained;
	command.reason = STR("maintenance");
	return command;
}

START_TEST(an_instance_and_its_intent_that_lost_are_both_decided_anew)
{
	struct command drained = word(true);

	put_here("a", 1);
	submit(&drained);
	ck_assert_uint_eq(fake.proposed_count, 2);
	lose_against(foreign(EVENT_UPDATED, "a", 2, 1));
	ck_assert_uint_eq(completed_count, 0);
	ck_assert(!has_entry("a"));
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_uint_eq(fake.proposals, 3);
	ck_assert_uint_eq(fake.proposed_count, 2);
	fake_win(3);
	registry_step(registry);
	ck_ok(drained.error);
	ck_assert_uint_eq(drained.revision, 4);
	ck_assert(has_entry("a"));
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	check_history("registered a;updated a;entry-put ;drained a;");
}
END_TEST

START_TEST(a_drain_that_lost_against_the_end_of_its_instance_is_refused)
{
	struct command drained = word(true);

	put_here("a", 1);
	submit(&drained);
	lose_against(foreign(EVENT_DEREGISTERED, "a", 2, 1));
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(drained.error, -ENOENT);
	ck_assert(!has_entry("a"));
}
END_TEST

START_TEST(what_others_intend_is_kept_and_ended_here)
{
	struct event events[] = {
		foreign(EVENT_REGISTERED, "a", 1, 1),
		foreign_entry(EVENT_ENTRY_PUT, "a", 2, 2),
		foreign(EVENT_DRAINED, "a", 3, 1),
	};
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	struct command again = registration("web", "a");
	struct command resumed = word(false);

	events[2].instance.drained = true;
	fake_foreign(events, 3);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	submit(&gone);
	ck_assert_uint_eq(fake.proposed_count, 2);
	fake_win(4);
	registry_step(registry);
	ck_assert(has_entry("a"));
	submit(&again);
	fake_win(6);
	registry_step(registry);
	ck_ok(again.error);
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	close_registry();
	open_registry();
	ck_assert_int_eq(status_of("web", "a"), STATUS_DRAINING);
	submit(&resumed);
	fake_win(7);
	registry_step(registry);
	ck_assert(!has_entry("a"));
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	check_history("registered a;entry-put ;drained a;deregistered a;entry-put ;registered a;"
	              "entry-removed ;resumed a;");
}
END_TEST

START_TEST(what_others_drain_without_an_intent_keeps_its_drain)
{
	struct event drained = foreign(EVENT_DRAINED, "a", 2, 1);
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");

	put_here("a", 1);
	drained.instance.drained = true;
	others(drained);
	submit(&gone);
	ck_assert_uint_eq(fake.proposed_count, 2);
	fake_win(3);
	registry_step(registry);
	ck_assert(has_entry("a"));
}
END_TEST

/* As many of two events as one batch can hold. */
START_TEST(a_full_batch_of_two_events_each_fits)
{
	enum { COUNT = 70 }; /* more than there is room besides */
	static char ids[COUNT][8];
	static struct command commands[COUNT];

	close_registry();
	options.batch_max = COUNT;
	open_registry();
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "i%d", i);
		put_here(ids[i], (uint64_t)i + 1);
	}
	for (int i = 0; i < COUNT; i++) {
		commands[i] = on(COMMAND_STATUS, "web", ids[i]);
		commands[i].drained = true;
		commands[i].author = STR("operator:x");
		commands[i].done = note_done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	registry_step(registry);
	ck_assert_uint_eq(fake.proposed_count, 2 * COUNT);
	fake_win(COUNT + 1);
	registry_step(registry);
	for (int i = 0; i < COUNT; i++) {
		ck_ok(commands[i].error);
		ck_assert(has_entry(ids[i]));
	}
}
END_TEST

START_TEST(a_condition_is_judged_after_what_came_first)
{
	struct command command = registration("web", "a");

	put_here("a", 1);
	command.instance.port = 81;
	command.revision_is = 1;
	submit(&command);
	ck_assert_int_eq(fake.proposed_kind, EVENT_UPDATED);
	lose_against(foreign(EVENT_UPDATED, "a", 2, 1));
	ck_assert_uint_eq(fake.proposals,
	                  2); /* that of put_here() and that of the update, which is not repeated */
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(command.error, -ESTALE);
}
END_TEST

START_TEST(the_last_place_is_taken_once)
{
	struct command command = registration("web", "a");

	close_registry();
	options.instances_max = 1;
	open_registry();
	submit(&command);
	lose_against(foreign(EVENT_REGISTERED, "b", 1, 1));
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(command.error, -EDQUOT);
	ck_assert_int_eq(status_of("web", "a"), -1);
}
END_TEST

START_TEST(the_same_registration_by_others_leaves_only_a_renewal)
{
	struct command command = registration("web", "a");

	submit(&command);
	lose_against(foreign(EVENT_REGISTERED, "a", 1, 1));
	ck_assert_uint_eq(completed_count, 1);
	ck_ok(command.error);
	ck_assert_int_eq(command.outcome, OUTCOME_RENEWED);
	ck_assert_uint_eq(command.revision, 1);
}
END_TEST

START_TEST(an_expiry_that_lost_against_the_removal_of_its_instance_is_forgotten)
{
	put_here("a", 1);
	pass_by_hand(TTL_MS + 200);
	ck_assert_int_eq(fake.proposed_kind, EVENT_EXPIRED);
	lose_against(foreign(EVENT_DEREGISTERED, "a", 2, 1));
	ck_assert_int_eq(status_of("web", "a"), -1);
	unsigned proposals = fake.proposals;
	pass_by_hand(2 * TTL_MS);
	ck_assert_uint_eq(fake.proposals, proposals);
}
END_TEST

START_TEST(an_expiry_that_lost_is_found_again)
{
	put_here("a", 1);
	pass_by_hand(TTL_MS + 200);
	ck_assert_int_eq(fake.proposed_kind, EVENT_EXPIRED);
	lose_against(foreign(EVENT_REGISTERED, "b", 2, 2));
	unsigned proposals = fake.proposals;
	pass_by_hand(200);
	ck_assert_uint_eq(fake.proposals, proposals + 1);
	ck_assert_int_eq(fake.proposed_kind, EVENT_EXPIRED);
	fake_win(3);
	registry_step(registry);
	ck_assert_int_eq(status_of("web", "a"), STATUS_UNHEALTHY);
	ck_assert_int_eq(status_of("web", "b"), STATUS_HEALTHY);
}
END_TEST

START_TEST(a_proposal_of_unknown_outcome_is_said_to_be_so_and_may_come_later)
{
	struct command command = registration("web", "a");

	submit(&command);
	fake_lose(-ETIMEDOUT);
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(command.error, -ENOTRECOVERABLE);
	ck_assert_int_eq(status_of("web", "a"), -1);
	ck_assert(!registry_has_failed(registry));
	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(stopping_ends_what_is_open)
{
	struct command command = registration("web", "a");
	struct command waiting = registration("web", "b");

	submit(&command);
	submit(&waiting);
	registry_stop(registry);
	ck_assert_uint_eq(completed_count, 2);
	ck_assert_int_eq(command.error, -ESHUTDOWN);
	ck_assert_int_eq(waiting.error, -ESHUTDOWN);
}
END_TEST

/* --- what cannot be taken -------------------------------------------------------------- */

START_TEST(what_was_taken_before_is_taken_once)
{
	struct command command = registration("web", "b");

	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	submit(&command);
	others(foreign(EVENT_REGISTERED, "a", 1, 1)); /* the open proposal does not lose */
	fake_win(2);
	registry_step(registry);
	ck_ok(command.error);
	check_history("registered a;registered b;");
}
END_TEST

START_TEST(on_a_full_disk_it_waits_and_nothing_is_decided_before_it)
{
	struct event event = foreign(EVENT_REGISTERED, "b", 2, 2);
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");

	put_here("a", 1);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	fake_foreign(&event, 1);
	registry_step(registry);
	ck_assert(faultvfs_hit());
	ck_assert_uint_eq(fake.count, 1);
	submit(&gone);
	ck_assert_int_eq(gone.error, -ENOSPC);
	ck_assert_uint_eq(fake.proposals, 1); /* that of put_here() */
	ck_assert_int_eq(status_of("web", "b"), -1);
	faultvfs_reset();
	registry_step(registry);
	ck_assert_uint_eq(fake.count, 0);
	ck_assert_int_eq(status_of("web", "b"), STATUS_HEALTHY);
}
END_TEST

START_TEST(the_room_that_is_kept_is_for_it_too)
{
	faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	others(foreign(EVENT_REGISTERED, "a", 1, 1));
	ck_assert(faultvfs_hit());
	ck_assert(registry_is_full(registry));
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
}
END_TEST

START_TEST(a_journal_that_fails_meanwhile_ends_what_is_open)
{
	struct command command = registration("web", "c");

	close_registry();
	options.journal.events_max_age_ms = 60000;
	open_registry();
	put_here("a", 1);
	put_here("b", 2);
	submit(&command);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_IOERR_WRITE);
	clock_virtual_advance(3600000);
	registry_step(registry); /* fails to remove old events */
	ck_assert(faultvfs_hit());
	ck_assert(registry_has_failed(registry));
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(command.error, -ENOTRECOVERABLE);
}
END_TEST

START_TEST(what_has_won_waits_for_room_too)
{
	struct command command = registration("web", "a");

	submit(&command);
	fake_win(1);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	registry_step(registry);
	registry_step(registry);
	ck_assert(faultvfs_hit());
	ck_assert_uint_eq(completed_count, 0);
	faultvfs_reset();
	registry_step(registry);
	ck_assert_uint_eq(completed_count, 1);
	ck_ok(command.error);
	ck_assert_uint_eq(command.revision, 1);
}
END_TEST

START_TEST(stopping_does_not_wait_for_room)
{
	struct command command = registration("web", "a");

	submit(&command);
	fake_win(1);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	registry_stop(registry);
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(command.error, -ENOTRECOVERABLE);
}
END_TEST

START_TEST(without_memory_it_is_taken_later_and_once)
{
	struct event events[] = {
		foreign(EVENT_REGISTERED, "a", 1, 1),
		foreign(EVENT_REGISTERED, "b", 2, 2),
		foreign(EVENT_DEREGISTERED, "a", 3, 1),
	};
	int failures = 0;

	fake_foreign(events, 3);
	for (int n = 0; fake.count > 0 && n < 1000; n++) {
		fault_arm(n);
		registry_step(registry);
		if (fault_hit() && fake.count > 0) {
			failures++;
			ck_assert_int_eq(status_of("web", "b"), -1);
			ck_assert_uint_eq(revision_now(), 0);
		}
	}
	ck_assert_int_ge(failures, 10);
	ck_assert_uint_eq(fake.count, 0);
	ck_assert_int_eq(status_of("web", "b"), STATUS_HEALTHY);
	ck_assert_int_eq(status_of("web", "a"), -1);
	ck_assert_uint_eq(revision_now(), 3);
}
END_TEST

/* Checks that @p event, which is impossible, makes the registry and the open command fail. */
static void check_refused(struct event event)
{
	struct command command = registration("web", "z");

	submit(&command);
	fake_foreign(&event, 1);
	registry_step(registry);
	ck_assert(registry_has_failed(registry));
	ck_assert_ptr_nonnull(strstr(registry_trouble(registry), "contradicts"));
	ck_assert_uint_eq(completed_count, 1);
	ck_assert_int_eq(command.error, -ENOTRECOVERABLE);
	ck_assert_uint_eq(revision_now(), 1);
	ck_assert_int_eq(registry_submit(registry, &command), -EIO);
}

static const struct impossible {
	enum event_kind kind;
	const char *id;
	uint64_t revision;
	uint64_t incarnation;
} impossible[] = {
	{EVENT_DEREGISTERED, "b", 2, 1},                                /* of an unknown instance */
	{EVENT_UPDATED, "b", 2, 1},      {EVENT_REGISTERED, "a", 2, 2}, /* of a registered one */
	{EVENT_UPDATED, "a", 2, 2},                                     /* of another incarnation */
	{EVENT_REGISTERED, "b", 3, 3},                                  /* skips a revision */
	{EVENT_REGISTERED, "b", 2, 0},                                  /* without an incarnation */
	{EVENT_KIND_COUNT, "a", 2, 1},
};

START_TEST(an_event_that_is_not_possible_ends_it_and_does_not_abort)
{
	const struct impossible *of = &impossible[0];

	for (size_t i = 0; i < ARRAY_LEN(impossible); i++, of++) {
		char command[128];

		put_here("a", 1);
		check_refused(foreign(of->kind, of->id, of->revision, of->incarnation));
		close_registry();
		(void)snprintf(command, sizeof(command), "rm -rf %s/*", dir);
		ck_assert_int_eq(system(command), 0);
		open_registry();
	}
}
END_TEST

static const struct impossible impossible_entries[] = {
	{EVENT_ENTRY_REMOVED, "b", 2, 1}, /* of an unknown entry */
	{EVENT_ENTRY_PUT, "b", 2, 1},     /* a new entry with an earlier incarnation */
	{EVENT_ENTRY_PUT, "a", 2, 2},     /* of another incarnation */
	{EVENT_ENTRY_REMOVED, "a", 2, 2}, {EVENT_ENTRY_PUT, "a b", 2, 2}, /* its name is none */
};

START_TEST(an_entry_that_is_not_possible_ends_it_and_does_not_abort)
{
	const struct impossible *of = &impossible_entries[0];

	for (size_t i = 0; i < ARRAY_LEN(impossible_entries); i++, of++) {
		char command[128];

		others(foreign_entry(EVENT_ENTRY_PUT, "a", 1, 1));
		check_refused(foreign_entry(of->kind, of->id, of->revision, of->incarnation));
		close_registry();
		(void)snprintf(command, sizeof(command), "rm -rf %s/*", dir);
		ck_assert_int_eq(system(command), 0);
		open_registry();
	}
}
END_TEST

START_TEST(a_value_beyond_its_limit_is_not_possible)
{
	struct event event;

	put_here("a", 1);
	event = foreign(EVENT_REGISTERED, "b", 2, 2);
	event.instance.status_reason = text_of_len(REASON_MAX + 1);
	check_refused(event);
}
END_TEST

START_TEST(what_wins_after_others_came_first_is_not_possible)
{
	struct command command = registration("web", "a");
	struct event event = foreign(EVENT_REGISTERED, "b", 1, 1);

	submit(&command);
	fake_foreign(&event, 1);
	fake_win(2);
	registry_step(registry);
	ck_assert(registry_has_failed(registry));
	ck_assert_int_eq(command.error, -ENOTRECOVERABLE);
}
END_TEST

SUITE("items", setup_fake, teardown_fake,
      a_command_completes_when_its_proposal_has_won_and_not_before,
      commands_wait_while_a_proposal_is_open,
      a_foreign_registration_is_in_the_snapshot_the_log_the_metrics_and_wakes,
      what_others_committed_is_there_after_a_restart,
      foreign_entries_come_and_go_and_are_there_after_a_restart,
      the_lease_of_a_foreign_registration_runs_out, a_foreign_update_is_a_sign_of_life,
      a_foreign_recovery_is_one_too, a_foreign_instance_without_a_lease_never_expires,
      an_instance_that_others_expire_and_that_was_heard_of_here_recovers,
      no_lease_runs_out_beyond_the_horizon,
      a_drain_that_ends_before_the_horizon_lets_no_lease_run_out_beyond_it,
      what_has_lost_is_decided_anew_and_may_win,
      an_instance_and_its_intent_that_lost_are_both_decided_anew,
      a_drain_that_lost_against_the_end_of_its_instance_is_refused,
      what_others_intend_is_kept_and_ended_here,
      what_others_drain_without_an_intent_keeps_its_drain, a_full_batch_of_two_events_each_fits,
      a_condition_is_judged_after_what_came_first, the_last_place_is_taken_once,
      the_same_registration_by_others_leaves_only_a_renewal,
      an_expiry_that_lost_against_the_removal_of_its_instance_is_forgotten,
      an_expiry_that_lost_is_found_again,
      a_proposal_of_unknown_outcome_is_said_to_be_so_and_may_come_later, stopping_ends_what_is_open,
      what_was_taken_before_is_taken_once, on_a_full_disk_it_waits_and_nothing_is_decided_before_it,
      the_room_that_is_kept_is_for_it_too, a_journal_that_fails_meanwhile_ends_what_is_open,
      what_has_won_waits_for_room_too, stopping_does_not_wait_for_room,
      without_memory_it_is_taken_later_and_once,
      an_event_that_is_not_possible_ends_it_and_does_not_abort,
      an_entry_that_is_not_possible_ends_it_and_does_not_abort,
      a_value_beyond_its_limit_is_not_possible, what_wins_after_others_came_first_is_not_possible)
