/* SPDX-License-Identifier: MIT */
/** An operator's drain belongs to a service and an id: over the lives of instances, restarts, full
 * disks, and what others commit. */
#include "fault.h"
#include "faultvfs.h"
#include "model/intent.h"
#include "registry_fixture.h"
#include "watch/receipt.h"

#include <sqlite3.h>

#define TTL_OF_INTENTS (INT64_C(6) * 60000)

static void setup_intents(void)
{
	faultvfs_install();
	setup();
	faultvfs_reset();
	options.intent_ttl_ms = TTL_OF_INTENTS;
	close_registry();
	open_registry();
}

static void teardown_intents(void)
{
	faultvfs_reset();
	teardown();
}

/* The intent of web/a, or NULL. */
static const struct drain_intent *intended(void)
{
	static struct drain_intent intent;
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct entry *entry = snapshot_entry(now, ENTRY_INTENT, STR("web"), STR("a"));

	if (entry != NULL)
		ck_ok(drain_intent_parse(entry->document, &intent));
	snapshot_leave(registry_store(registry));
	return entry != NULL ? &intent : NULL;
}

/* Of web/a, as it stands. */
static void check(enum status status, const char *reason, const char *by)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *found = snapshot_service(now, STR("web"));
	const struct member *member = found != NULL ? service_member(found, STR("a")) : NULL;

	ck_assert_ptr_nonnull(member);
	const struct instance *value = &member->value;
	ck_assert_int_eq(value->status, status);
	ck_assert_msg(str_equal(value->status_reason, str_of(reason)), "%.*s",
	              (int)value->status_reason.len, value->status_reason.data);
	ck_assert_msg(str_equal(value->status_by, str_of(by)), "%.*s", (int)value->status_by.len,
	              value->status_by.data);
	ck_assert_int_eq(value->drained, status == STATUS_DRAINING && by[0] == 'o');
	snapshot_leave(registry_store(registry));
}

static void check_drained(void)
{
	check(STATUS_DRAINING, "maintenance", "operator:192.0.2.9");
}

static void deregister(void)
{
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");

	run(&gone);
	ck_ok(gone.error);
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
	buf_put_char(history->out, '/');
	buf_put_str(history->out, event->author);
	buf_put_char(history->out, ' ');
}

/* The kinds and authors of all events after @p since. */
static void check_log(uint64_t since, const char *want)
{
	check_events(since, append_kind, want);
}

START_TEST(a_drain_outlives_its_instance)
{
	put("web", "a");
	drain("a", true, 0);
	deregister();
	ck_assert_int_eq(intended()->absent_since_ms, clock_real_ms());
	struct command again = registration("web", "a");
	run(&again);
	ck_assert_int_eq(again.outcome, OUTCOME_CREATED);
	ck_assert_int_eq(again.instance.status, STATUS_DRAINING);
	ck_assert(str_equal(again.instance.status_reason, STR("maintenance")));
	ck_assert(str_equal(again.instance.status_by, STR("operator:192.0.2.9")));
	check_drained();
	check_log(0, "registered/instance entry-put/operator:192.0.2.9 drained/operator:192.0.2.9 "
	             "deregistered/instance entry-put/instance registered/instance ");
}
END_TEST

START_TEST(a_drain_outlives_expiry_removal_and_a_restart)
{
	put("web", "a");
	drain("a", true, 0);
	pass(TTL_MS + 100);
	check_drained();
	heartbeat(NULL);
	check_drained();
	pass(TTL_MS + 100);
	pass(REMOVE_MS + 100);
	ck_assert_int_eq(status_of("web", "a"), -1);
	close_registry();
	open_registry();
	put("web", "a");
	check_drained();
	check_log(3, "expired/sweeper recovered/instance expired/sweeper removed/sweeper "
	             "entry-put/sweeper registered/instance ");
}
END_TEST

START_TEST(what_an_owner_says_meanwhile_counts_afterwards)
{
	put("web", "a");
	drain("a", true, 0);
	heartbeat("draining");
	check_drained();
	heartbeat("healthy");
	check_drained();
	heartbeat("unhealthy");
	check_drained();
	struct command changed = registration("web", "a");
	changed.instance.port = 99;
	run(&changed);
	check_drained();
	heartbeat("draining");
	drain("a", false, 0);
	ck_assert_ptr_null(intended());
	check(STATUS_DRAINING, "draining by itself", "instance");
	heartbeat("healthy");
	check(STATUS_HEALTHY, "heartbeat", "instance");
}
END_TEST

START_TEST(a_drain_over_an_owners_word_keeps_its_reason)
{
	put("web", "a");
	heartbeat("draining");
	drain("a", true, 0);
	check_drained();
	drain("a", false, 0);
	check(STATUS_DRAINING, "draining by itself", "instance");
	heartbeat("unhealthy");
	drain("a", true, 0);
	check_drained();
	drain("a", false, 0);
	check(STATUS_UNHEALTHY, "reported by the instance", "instance");
}
END_TEST

START_TEST(one_that_is_resumed_while_it_is_silent_is_unhealthy)
{
	put("web", "a");
	drain("a", true, 0);
	pass(TTL_MS + 100);
	drain("a", false, 0);
	check(STATUS_UNHEALTHY, "lease expired", "sweeper");
	heartbeat(NULL);
	check(STATUS_HEALTHY, "heartbeat", "instance");
}
END_TEST

START_TEST(only_an_id_with_an_intent_is_drained_while_it_is_absent)
{
	ck_assert_int_eq(drain("a", true, 0).error, -ENOENT);
	ck_assert_int_eq(drain("a", false, 0).error, -ENOENT);
	put("web", "a");
	drain("a", true, 0);
	deregister();
	int64_t absent_ms = intended()->absent_since_ms;

	ck_assert_int_eq(drain("a", true, 0).outcome, OUTCOME_RENEWED); /* said again */
	clock_virtual_advance(1000);
	struct command other = on(COMMAND_STATUS, "web", "a");
	other.drained = true;
	other.reason = STR("a new disk");
	run(&other);
	ck_ok(other.error);
	ck_assert_int_eq(other.outcome, OUTCOME_CHANGED);
	ck_assert(str_equal(intended()->reason, STR("a new disk")));
	ck_assert_int_eq(intended()->absent_since_ms, absent_ms);
	put("web", "a");
	check(STATUS_DRAINING, "a new disk", "operator:192.0.2.9");
	deregister();
	struct command resumed = drain("a", false, 0);
	ck_ok(resumed.error);
	ck_assert_int_eq(resumed.outcome, OUTCOME_CHANGED);
	ck_assert_ptr_null(intended());
	put("web", "a");
	check(STATUS_HEALTHY, "registered", "instance");
	ck_assert_int_eq(drain("b", false, 0).error, -ENOENT);
}
END_TEST

START_TEST(a_condition_on_an_absent_instance_does_not_hold)
{
	put("web", "a");
	drain("a", true, 0);
	deregister();
	struct command command = on(COMMAND_STATUS, "web", "a");
	command.must_exist = true;
	run(&command);
	ck_assert_int_eq(command.error, -ESTALE);
	ck_assert_ptr_nonnull(intended());
}
END_TEST

static unsigned woken;

static void note_wake(struct watcher *watcher)
{
	(void)watcher;
	woken++;
}

START_TEST(the_watchers_of_an_absent_id_are_neither_waited_for_nor_woken)
{
	struct command command = on(COMMAND_STATUS, "web", "a");
	struct watcher any = {.topic = STR("")};
	struct watcher lookup = {
		.topic = STR("web"), .aspects = (1u << STATUS_COUNT) - 1, .wake = note_wake};
	struct watcher log = {
		.topic = STR("web"), .aspects = (1u << WATCH_ASPECTS) - 1, .wake = note_wake};

	put("web", "a");
	drain("a", true, 0);
	deregister();
	woken = 0;
	watch_join(registry_watch(registry), &any, 0);
	lookup.seen = log.seen = 5;
	watch_add(registry_watch(registry), &lookup);
	watch_add(registry_watch(registry), &log);
	for (int i = 0; i < 2; i++) { /* a change, and the same again */
		unsigned sent;
		unsigned open;

		command.drained = true;
		command.reason = STR("other");
		command.receipt = watch_receipt_new(registry_watch(registry));
		run(&command);
		ck_ok(command.error);
		watch_receipt_count(command.receipt, &sent, &open);
		ck_assert_uint_eq(sent + open, 0);
		watch_receipt_free(command.receipt);
	}
	watch_leave(&any);
	ck_assert_uint_eq(woken, 1); /* the one that follows events */
	ck_assert(watch_cancel(registry_watch(registry), &lookup));
	ck_assert(!watch_cancel(registry_watch(registry), &log));
}
END_TEST

/* The sweeper's times: those of absent ids are looked at once a second. */
static void wait_ms(int64_t ms)
{
	for (int64_t passed = 0; passed < ms; passed += 1000)
		pass(1000);
}

START_TEST(a_drain_for_a_time_ends_for_an_absent_id_too)
{
	put("web", "a");
	drain("a", true, 5000);
	int64_t until_ms = clock_real_ms() + 5000;
	deregister();
	put("web", "a");
	ck_assert_int_eq(intended()->until_ms, until_ms);
	check_drained();
	deregister();
	wait_ms(4000);
	ck_assert_ptr_nonnull(intended());
	wait_ms(3000);
	ck_assert_ptr_null(intended());
	check_log(8, "entry-removed/sweeper ");
	put("web", "a");
	check(STATUS_HEALTHY, "registered", "instance");
}
END_TEST

START_TEST(a_drain_for_a_time_ends_in_a_later_life)
{
	put("web", "a");
	drain("a", true, 5000);
	deregister();
	put("web", "a");
	pass(4900);
	check_drained();
	beat("web", "a");
	pass(400);
	check(STATUS_HEALTHY, "the drain's time is over", "sweeper");
	ck_assert_ptr_null(intended());
	check_log(6, "entry-removed/sweeper resumed/sweeper ");
}
END_TEST

START_TEST(an_intent_ends_when_its_id_has_been_absent_for_long)
{
	put("web", "a");
	drain("a", true, 0);
	deregister();
	wait_ms(TTL_OF_INTENTS / 2);
	close_registry();
	open_registry(); /* goes on counting */
	wait_ms(TTL_OF_INTENTS / 2 - 2000);
	ck_assert_ptr_nonnull(intended());
	wait_ms(4000);
	ck_assert_ptr_null(intended());
	check_log(5, "entry-removed/sweeper ");
}
END_TEST

START_TEST(an_intent_does_not_end_while_its_id_is_registered)
{
	put("web", "a");
	drain("a", true, 0);
	deregister();
	wait_ms(TTL_OF_INTENTS - 5000);
	put("web", "a");
	for (int64_t passed = 0; passed < 2 * TTL_OF_INTENTS; passed += TTL_MS / 2) {
		pass(TTL_MS / 2);
		beat("web", "a");
	}
	check_drained();
	deregister(); /* absent anew */
	wait_ms(TTL_OF_INTENTS - 2000);
	ck_assert_ptr_nonnull(intended());
	wait_ms(4000);
	ck_assert_ptr_null(intended());
}
END_TEST

START_TEST(a_shorter_time_counts_from_a_reload_on_and_0_is_for_ever)
{
	options.intent_ttl_ms = 0;
	registry_reload(registry, &options);
	put("web", "a");
	drain("a", true, 0);
	deregister();
	for (int i = 0; i < 3; i++) {
		clock_virtual_advance(TTL_OF_INTENTS);
		pass(2000);
	}
	ck_assert_ptr_nonnull(intended());
	options.intent_ttl_ms = TTL_OF_INTENTS;
	registry_reload(registry, &options);
	pass(2000);
	ck_assert_ptr_null(intended());
}
END_TEST

START_TEST(a_wrong_clock_ends_no_intent)
{
	put("web", "a");
	drain("a", true, 5000);
	deregister();
	close_registry();
	clock_virtual_advance(INT64_C(10) * 365 * 86400 * 1000);
	open_registry();
	wait_ms(3000);
	ck_assert_ptr_nonnull(intended());
	wait_ms(4000);
	ck_assert_ptr_null(intended());
}
END_TEST

/* More than one look hands over, and more than one pass looks at. */
START_TEST(many_absent_ids_are_all_looked_at)
{
	enum { MANY = 900 };
	const struct snapshot *now;

	for (int i = 0; i < MANY; i++) {
		char service[16];
		struct command gone;

		(void)snprintf(service, sizeof(service), "s%d", i);
		struct command drained = on(COMMAND_STATUS, service, "a");
		drained.drained = true;
		(void)put(service, "a");
		run(&drained);
		gone = on(COMMAND_DEREGISTER, service, "a");
		if (i % 3 != 0)
			run(&gone);
	}
	clock_virtual_advance(TTL_OF_INTENTS); /* the registered ones are kept: no sweep yet */
	for (int i = 0; i < 60; i++) {
		clock_virtual_advance(1000);
		settle();
	}
	now = snapshot_enter(registry_store(registry));
	ck_assert_uint_eq(snapshot_counts(now).entries, MANY / 3);
	snapshot_leave(registry_store(registry));
}
END_TEST

/* State with entries alone: ids 0 to @p count, of which those from @p until on end at @p until_ms.
 */
static void store_intents(int count, int until, int64_t until_ms)
{
	static struct event events[1200];
	static char ids[1200][8];
	static char documents[1200][128];
	struct journal_error error = {""};
	struct journal *journal = NULL;

	close_registry();
	for (int i = 0; i < count; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "i%05d", i);
		(void)snprintf(documents[i], sizeof(documents[i]),
		               "{\"status\":\"draining\",\"by\":\"operator:x\",\"since_ms\":%lld,"
		               "\"until_ms\":%lld}",
		               (long long)clock_real_ms(),
		               (long long)(i < until ? until_ms + 1000000 : until_ms));
		events[i] = (struct event){.kind = EVENT_ENTRY_PUT,
		                           .time_ms = clock_real_ms(),
		                           .author = STR("operator:x"),
		                           .entry = {.kind = ENTRY_INTENT,
		                                     .service = STR("web"),
		                                     .name = str_of(ids[i]),
		                                     .document = str_of(documents[i])}};
	}
	ck_ok(journal_open(&options.journal, &journal, &error));
	ck_ok(journal_append(journal, events, (size_t)count));
	journal_close(journal);
	options.write_by_hand = true;
	open_registry();
}

static uint64_t count_entries(void)
{
	uint64_t count = snapshot_counts(snapshot_enter(registry_store(registry))).entries;

	snapshot_leave(registry_store(registry));
	return count;
}

/* What goes meanwhile moves the rest past the look. */
START_TEST(a_look_over_entries_that_move_is_made_again)
{
	enum { ALL = 1100, SHORT = 1024, GONE = 100 };
	static struct command commands[GONE];
	static char ids[GONE][8];

	store_intents(ALL, SHORT, clock_real_ms() + 5000);
	registry_step(registry);
	registry_step(registry);
	clock_virtual_advance(6000);
	registry_step(registry); /* the first part, none of which has ended */
	ck_assert_uint_eq(count_entries(), ALL);
	for (int i = 0; i < GONE; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "i%05d", i);
		commands[i] = on(COMMAND_STATUS, "web", ids[i]);
		commands[i].author = STR("operator:x");
		commands[i].done = done;
		ck_ok(registry_submit(registry, &commands[i]));
	}
	registry_step(registry); /* and the rest, as far as it has not moved */
	ck_assert_uint_eq(count_entries(), ALL - GONE);
	for (int i = 0; i < 10; i++) {
		clock_virtual_advance(1000);
		registry_step(registry);
	}
	ck_assert_uint_eq(count_entries(), SHORT - GONE);
}
END_TEST

static struct command *next_command;

/* Comes before what the writer finds in this pass. */
static void submit_next(struct command *command)
{
	done(command);
	ck_ok(registry_submit(registry, next_command));
}

/* In one batch with the end that was found, and before it. */
static void found_late(struct command *command)
{
	struct command first = on(COMMAND_HEARTBEAT, "nobody", "nobody");

	store_intents(1, 0, clock_real_ms() + 5000);
	registry_step(registry);
	clock_virtual_advance(6000);
	next_command = command;
	command->author = STR("x");
	command->done = done;
	first.done = submit_next;
	ck_ok(registry_submit(registry, &first));
	registry_step(registry);
	registry_step(registry);
	ck_ok(command->error);
}

START_TEST(an_end_that_was_found_is_judged_after_a_registration)
{
	struct command command = registration("web", "i00000");

	found_late(&command);
	ck_assert_int_eq(status_of("web", "i00000"), STATUS_DRAINING);
	ck_assert_uint_eq(count_entries(), 1); /* its own time ends it, with the instance's */
}
END_TEST

START_TEST(an_end_that_was_found_is_judged_after_another_drain)
{
	struct command command = on(COMMAND_STATUS, "web", "i00000");

	command.drained = true;
	command.for_ms = 60000;
	found_late(&command);
	ck_assert_uint_eq(count_entries(), 1);
}
END_TEST

/* --- failures -------------------------------------------------------------------- */

START_TEST(an_end_that_cannot_be_committed_comes_later)
{
	store_intents(1, 0, clock_real_ms() + 5000);
	registry_step(registry);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	for (int i = 0; i < 10; i++) {
		clock_virtual_advance(1000);
		registry_step(registry);
	}
	ck_assert(faultvfs_hit());
	ck_assert_uint_eq(count_entries(), 1);
	faultvfs_reset();
	for (int i = 0; i < 3; i++) {
		clock_virtual_advance(1000);
		registry_step(registry);
	}
	ck_assert_uint_eq(count_entries(), 0);
}
END_TEST

START_TEST(a_full_disk_between_two_decisions_changes_nothing_twice)
{
	put("web", "a");
	faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	ck_ok(drain("a", true, 0).error);
	ck_assert(faultvfs_hit() && registry_is_full(registry));
	check_drained();
	deregister();
	ck_assert_ptr_nonnull(intended());
	check_log(0, "registered/instance entry-put/operator:192.0.2.9 drained/operator:192.0.2.9 "
	             "deregistered/instance entry-put/instance ");
	close_registry();
	open_registry();
	put("web", "a");
	check_drained();
}
END_TEST

START_TEST(what_cannot_be_committed_leaves_both_as_they_were)
{
	put("web", "a");
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	ck_assert_int_eq(drain("a", true, 0).error, -ENOSPC);
	ck_assert_ptr_null(intended());
	check(STATUS_HEALTHY, "registered", "instance");
	faultvfs_reset();
	ck_ok(drain("a", true, 0).error);
	faultvfs_fail(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	ck_assert_int_eq(drain("a", false, 0).error, -ENOSPC);
	struct command gone = on(COMMAND_DEREGISTER, "web", "a");
	run(&gone);
	ck_assert_int_eq(gone.error, -ENOSPC);
	check_drained();
	ck_assert_int_eq(intended()->absent_since_ms, 0);
	faultvfs_reset();
	deregister();
	ck_assert_int_ne(intended()->absent_since_ms, 0);
}
END_TEST

static uint64_t revision_now(void)
{
	uint64_t revision = snapshot_revision(snapshot_enter(registry_store(registry)));

	snapshot_leave(registry_store(registry));
	return revision;
}

/* Whatever allocation fails: both have changed, or neither. */
START_TEST(without_memory_an_instance_and_its_intent_change_together)
{
	int failures = 0;

	close_registry();
	options.write_by_hand = true;
	open_registry();
	struct command put_a = registration("web", "a");
	put_a.author = STR("instance");
	put_a.done = done;
	ck_ok(registry_submit(registry, &put_a));
	registry_step(registry);
	ck_ok(put_a.error);
	for (int n = 0; n < 200; n++) {
		uint64_t before = revision_now();
		bool was_intended = intended() != NULL;
		struct command command = on(COMMAND_STATUS, "web", "a");

		command.drained = !was_intended;
		command.author = STR("operator:x");
		command.done = done;
		ck_ok(registry_submit(registry, &command));
		fault_arm(n);
		registry_step(registry);
		failures += fault_hit();
		if (command.error < 0) {
			ck_assert_int_eq(command.error, -ENOMEM);
			ck_assert_uint_eq(revision_now(), before);
		}
		bool is_intended = intended() != NULL;
		ck_assert_int_eq(is_intended, was_intended ^ (command.error == 0));
		ck_assert_int_eq(status_of("web", "a"),
		                 is_intended ? STATUS_DRAINING : STATUS_HEALTHY);
	}
	ck_assert_int_ge(failures, 10);
}
END_TEST

/* --- what was stored before ---------------------------------------------------------- */

static struct event stored(enum event_kind kind, struct instance instance)
{
	instance.status_since_ms = instance.registered_ms = 1000;
	return (struct event){.kind = kind, .time_ms = 1000, .instance = instance};
}

/* The state of a daemon that knew no intents: web/a is drained. */
static void store_drained(const char *by, const char *reason)
{
	struct instance instance = registration("web", "a").instance;
	struct journal_error error = {""};
	struct journal *journal = NULL;

	close_registry();
	ck_ok(journal_open(&options.journal, &journal, &error));
	instance.status_by = STR("instance");
	struct event event = stored(EVENT_REGISTERED, instance);
	ck_ok(journal_append(journal, &event, 1));
	instance.incarnation = event.instance.incarnation;
	instance.drained = true;
	instance.status_reason = str_of(reason);
	instance.status_by = str_of(by);
	event = stored(EVENT_DRAINED, instance);
	ck_ok(journal_append(journal, &event, 1));
	journal_close(journal);
	open_registry();
}

START_TEST(one_that_was_drained_before_gets_an_intent)
{
	store_drained("operator:192.0.2.9", "maintenance");
	settle();
	settle();
	check_drained();
	ck_assert(str_equal(intended()->by, STR("operator:192.0.2.9")));
	ck_assert_int_eq(intended()->since_ms, 1000);
	check_log(2, "entry-put/sweeper ");
	close_registry();
	open_registry();
	settle();
	check_log(3, "");
	deregister();
	put("web", "a");
	check_drained();
	drain("a", false, 0);
	check(STATUS_HEALTHY, "maintenance", "operator:192.0.2.9");
}
END_TEST

START_TEST(what_only_the_status_knew_of_a_drain_is_kept)
{
	static const struct {
		const char *by, *reason, *want_by, *want_reason;
	} cases[] = {
		{"sweeper", "lease expired", "operator", ""},
		{"operator:192.0.2.9", DRAIN_REASON, "operator:192.0.2.9", ""},
		{"operator:\x01", "x", "operator", ""},
		{"operator:y", "a\nb", "operator:y", ""},
		{"", "", "operator", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		store_drained(cases[i].by, cases[i].reason);
		settle();
		settle();
		ck_assert_ptr_nonnull(intended());
		ck_assert(str_equal(intended()->by, str_of(cases[i].want_by)));
		ck_assert(str_equal(intended()->reason, str_of(cases[i].want_reason)));
		deregister();
		drain("a", false, 0);
		ck_assert_ptr_null(intended());
	}
}
END_TEST

START_TEST(one_that_cannot_be_read_still_drains)
{
	static const char *const documents[] = {
		"{\"n\":1}",
		"{}",
		"{\"status\":\"draining\"}",
		"{\"status\":\"healthy\",\"by\":\"x\",\"since_ms\":1}",
		"{\"status\":\"draining\",\"by\":\"\",\"since_ms\":1}",
	};

	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		struct journal_error error = {""};
		struct journal *journal = NULL;
		struct event event = {.kind = EVENT_ENTRY_PUT,
		                      .time_ms = i % 2 == 0 ? INT64_C(9000000000000000) : -5,
		                      .author = STR("x"),
		                      .entry = {.kind = ENTRY_INTENT,
		                                .service = STR("web"),
		                                .name = STR("a"),
		                                .document = str_of(documents[i])}};

		close_registry();
		ck_ok(journal_open(&options.journal, &journal, &error));
		ck_ok(journal_append(journal, &event, 1));
		journal_close(journal);
		options.intent_ttl_ms = 0;
		open_registry();
		put("web", "a");
		check(STATUS_DRAINING, DRAIN_REASON, "operator");
		deregister();
		ck_assert(str_equal(intended()->by, STR("operator")));
		drain("a", false, 0);
		ck_assert_ptr_null(intended());
	}
}
END_TEST

SUITE("registry_intents", setup_intents, teardown_intents, a_drain_outlives_its_instance,
      a_drain_outlives_expiry_removal_and_a_restart, what_an_owner_says_meanwhile_counts_afterwards,
      a_drain_over_an_owners_word_keeps_its_reason,
      one_that_is_resumed_while_it_is_silent_is_unhealthy,
      only_an_id_with_an_intent_is_drained_while_it_is_absent,
      a_condition_on_an_absent_instance_does_not_hold,
      the_watchers_of_an_absent_id_are_neither_waited_for_nor_woken,
      a_drain_for_a_time_ends_for_an_absent_id_too, a_drain_for_a_time_ends_in_a_later_life,
      an_intent_ends_when_its_id_has_been_absent_for_long,
      an_intent_does_not_end_while_its_id_is_registered,
      a_shorter_time_counts_from_a_reload_on_and_0_is_for_ever, a_wrong_clock_ends_no_intent,
      many_absent_ids_are_all_looked_at, a_look_over_entries_that_move_is_made_again,
      an_end_that_was_found_is_judged_after_a_registration,
      an_end_that_was_found_is_judged_after_another_drain,
      an_end_that_cannot_be_committed_comes_later,
      a_full_disk_between_two_decisions_changes_nothing_twice,
      what_cannot_be_committed_leaves_both_as_they_were,
      without_memory_an_instance_and_its_intent_change_together,
      one_that_was_drained_before_gets_an_intent, what_only_the_status_knew_of_a_drain_is_kept,
      one_that_cannot_be_read_still_drains)
