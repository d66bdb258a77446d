/* SPDX-License-Identifier: MIT */
/*
 * Entries in the read model: drafts, publication, visits, and random changes against a plain array.
 * The test plays the writer.
 */
#include "fault.h"
#include "readmodel.h"

#include <errno.h>

static struct event entry_event(enum event_kind kind, const char *service, const char *name,
                                const char *document)
{
	return (struct event){
		.kind = kind,
		.time_ms = 77,
		.author = STR("operator:ann"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = str_of(service),
	                  .name = str_of(name),
	                  .document = str_of(document)},
	};
}

/** Gives the event the numbers that the journal gives it. */
static void commit_entry(struct event *event)
{
	event->revision = event->entry.revision = ++last_revision;
	if (event->entry.incarnation == 0)
		event->entry.incarnation = event->revision;
}

static const struct entry *find(const char *service, const char *name)
{
	const struct snapshot *now = snapshot_enter(store);
	const struct entry *entry =
		snapshot_entry(now, ENTRY_INTENT, str_of(service), str_of(name));

	snapshot_leave(store);
	return entry; /* valid until the next publication */
}

static void publish_entry(enum event_kind kind, const char *service, const char *name,
                          const char *document)
{
	struct event event = entry_event(kind, service, name, document);
	struct snapshot_draft *draft = snapshot_draft_new(store);
	const struct entry *before = find(service, name);

	if (before != NULL)
		event.entry.incarnation = before->incarnation;
	ck_assert_ptr_nonnull(snapshot_draft_apply_entry(draft, &event));
	ck_ok(snapshot_draft_finish(draft));
	commit_entry(&event);
	snapshot_draft_publish(draft);
}

static struct snapshot_counts counts(void)
{
	struct snapshot_counts counts = snapshot_counts(snapshot_enter(store));

	snapshot_leave(store);
	return counts;
}

static const char *list(const char *service)
{
	static char text[1024];
	const struct snapshot *now = snapshot_enter(store);
	const struct entry *entry;

	text[0] = '\0';
	for (size_t pos = 0; (entry = snapshot_entry_next(now, str_of(service), &pos)) != NULL;) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "%.*s@%llu ", (int)entry->name.len,
		               entry->name.data, (unsigned long long)entry->revision);
	}
	snapshot_leave(store);
	return text;
}

static uint64_t entries_revision(void)
{
	uint64_t revision = snapshot_entries_revision(snapshot_enter(store));

	snapshot_leave(store);
	return revision;
}

START_TEST(an_entry_is_found_by_kind_service_and_name)
{
	ck_assert_ptr_null(find("web", "a"));
	ck_assert_str_eq(list("web"), "");
	publish_entry(EVENT_ENTRY_PUT, "web", "b", "{\"n\":1}");
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}");
	publish_entry(EVENT_ENTRY_PUT, "db", "a", "{\"n\":3}");
	const struct entry *entry = find("web", "a");
	ck_assert(str_equal(entry->document, STR("{\"n\":2}")));
	ck_assert(str_equal(entry->author, STR("operator:ann")));
	ck_assert_int_eq(entry->time_ms, 77);
	ck_assert_uint_eq(entry->revision, 2);
	ck_assert_uint_eq(entry->incarnation, 2);
	ck_assert_ptr_null(find("we", "a"));
	ck_assert_ptr_null(find("web", "c"));
	ck_assert_str_eq(list("web"), "a@2 b@1 ");
	ck_assert_str_eq(list("db"), "a@3 ");
	ck_assert_uint_eq(counts().entries, 3);
	ck_assert_uint_eq(counts().services, 0);
}
END_TEST

START_TEST(an_entry_is_replaced_and_removed)
{
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");
	uint64_t bytes = counts().bytes;
	ck_assert_uint_gt(bytes, 0);
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":12}");
	ck_assert_uint_eq(find("web", "a")->incarnation, 1);
	ck_assert_uint_eq(find("web", "a")->revision, 2);
	ck_assert_uint_eq(counts().entries, 1);
	ck_assert_uint_eq(counts().bytes, bytes + 1);
	ck_assert_uint_eq(entries_revision(), 2);
	publish_entry(EVENT_ENTRY_REMOVED, "web", "a", "");
	ck_assert_ptr_null(find("web", "a"));
	ck_assert_uint_eq(counts().entries, 0);
	ck_assert_uint_eq(counts().bytes, 0);
	ck_assert_uint_eq(entries_revision(), 3);
}
END_TEST

START_TEST(entries_and_instances_leave_each_other_alone)
{
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{}");
	add("web", "a", 100);
	ck_assert_uint_eq(entries_revision(), 1);
	drop("web", "a");
	ck_assert_ptr_nonnull(find("web", "a"));
	const struct snapshot *now = snapshot_enter(store);
	ck_assert_ptr_null(snapshot_service(now, STR("web")));
	ck_assert_uint_eq(snapshot_revision(now), 3);
	snapshot_leave(store);
	add("web", "b", 100);
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{}");
	now = snapshot_enter(store);
	ck_assert_uint_eq(snapshot_revision(now), 5);
	ck_assert_uint_eq(snapshot_service(now, STR("web"))->revision, 4);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_reader_keeps_what_it_found)
{
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");
	const struct snapshot *before = snapshot_enter(store);
	const struct entry *entry = snapshot_entry(before, ENTRY_INTENT, STR("web"), STR("a"));
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}");
	publish_entry(EVENT_ENTRY_REMOVED, "web", "a", "");
	ck_assert(str_equal(entry->document, STR("{\"n\":1}")));
	ck_assert_ptr_eq(snapshot_entry(before, ENTRY_INTENT, STR("web"), STR("a")), entry);
	snapshot_leave(store);
	ck_assert_ptr_null(find("web", "a"));
}
END_TEST

START_TEST(a_draft_shows_what_was_applied)
{
	struct event put = entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");
	struct event again = entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}");
	struct event gone = entry_event(EVENT_ENTRY_REMOVED, "web", "a", "");
	struct event last = entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":3}");
	struct snapshot_draft *draft = snapshot_draft_new(store);

	ck_assert_ptr_null(snapshot_draft_entry(draft, ENTRY_INTENT, STR("web"), STR("a")));
	ck_assert_ptr_nonnull(snapshot_draft_apply_entry(draft, &put));
	ck_assert_ptr_nonnull(snapshot_draft_apply_entry(draft, &again));
	const struct entry *entry = snapshot_draft_entry(draft, ENTRY_INTENT, STR("web"), STR("a"));
	ck_assert(str_equal(entry->document, STR("{\"n\":2}")));
	ck_assert_ptr_eq(snapshot_draft_apply_entry(draft, &gone), entry);
	ck_assert_ptr_null(snapshot_draft_entry(draft, ENTRY_INTENT, STR("web"), STR("a")));
	ck_assert_ptr_nonnull(snapshot_draft_apply_entry(draft, &last));
	ck_assert_ptr_null(find("web", "a"));
	ck_assert_uint_eq(snapshot_draft_counts(draft).entries, 1);
	ck_ok(snapshot_draft_finish(draft));
	commit_entry(&put);
	again.entry.incarnation = gone.entry.incarnation = put.entry.incarnation;
	commit_entry(&again);
	commit_entry(&gone);
	commit_entry(&last);
	snapshot_draft_publish(draft);
	ck_assert_uint_eq(find("web", "a")->incarnation, 4);
	ck_assert_uint_eq(find("web", "a")->revision, 4);
}
END_TEST

START_TEST(a_discarded_draft_leaves_no_trace)
{
	struct event events[] = {
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}"),
		entry_event(EVENT_ENTRY_PUT, "web", "b", "{}"),
		entry_event(EVENT_ENTRY_REMOVED, "web", "a", ""),
		entry_event(EVENT_ENTRY_PUT, "db", "a", "{}"),
	};

	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");
	for (int finishes = 0; finishes < 2; finishes++) {
		struct snapshot_draft *draft = snapshot_draft_new(store);

		for (size_t i = 0; i < ARRAY_LEN(events); i++)
			ck_assert_ptr_nonnull(snapshot_draft_apply_entry(draft, &events[i]));
		if (finishes > 0)
			ck_ok(snapshot_draft_finish(draft));
		snapshot_draft_discard(draft);
		ck_assert(str_equal(find("web", "a")->document, STR("{\"n\":1}")));
		ck_assert_ptr_null(find("web", "b"));
		ck_assert_uint_eq(counts().entries, 1);
	}
}
END_TEST

START_TEST(out_of_memory_anywhere_changes_nothing)
{
	publish_entry(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");
	for (int nth = 0;; nth++) {
		struct event events[] = {
			entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}"),
			entry_event(EVENT_ENTRY_PUT, "web", "b", "{}"),
			entry_event(EVENT_ENTRY_REMOVED, "web", "a", ""),
		};

		fault_arm(nth);
		struct snapshot_draft *draft = snapshot_draft_new(store);
		bool ok = draft != NULL;
		for (size_t i = 0; ok && i < ARRAY_LEN(events); i++)
			ok = snapshot_draft_apply_entry(draft, &events[i]) != NULL;
		ok = ok && snapshot_draft_finish(draft) == 0;
		bool hit = fault_hit();
		snapshot_draft_discard(draft);
		ck_assert(str_equal(find("web", "a")->document, STR("{\"n\":1}")));
		ck_assert_uint_eq(counts().entries, 1);
		if (!hit) {
			ck_assert(ok);
			ck_assert_int_gt(nth, 3);
			break;
		}
	}
}
END_TEST

/** Compared with a plain array; buckets grow, shrink and are shared. */
START_TEST(many_entries_agree_with_a_model)
{
	enum { NAMES = 64, SERVICES = 5, STEPS = 2000 };
	static uint64_t revision[SERVICES][NAMES];
	static const char *const services[SERVICES] = {"a", "b", "c", "web", "web2"};
	static char names[NAMES][8];
	uint64_t seed = 1;

	for (int n = 0; n < NAMES; n++)
		(void)snprintf(names[n], sizeof(names[n]), "%d", n);
	for (int step = 0; step < STEPS; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned s = (unsigned)(seed >> 33) % SERVICES;
		unsigned n = (unsigned)(seed >> 40) % NAMES;
		bool removes = revision[s][n] != 0 && (seed >> 60) % 2 == 0;

		publish_entry(removes ? EVENT_ENTRY_REMOVED : EVENT_ENTRY_PUT, services[s],
		              names[n], "{}");
		revision[s][n] = removes ? 0 : last_revision;
	}
	const struct snapshot *now = snapshot_enter(store);
	const struct entry *entry;
	size_t count = 0;
	for (unsigned s = 0; s < SERVICES; s++) {
		for (unsigned n = 0; n < NAMES; n++) {
			entry = snapshot_entry(now, ENTRY_INTENT, str_of(services[s]),
			                       str_of(names[n]));
			ck_assert_uint_eq(entry != NULL ? entry->revision : 0, revision[s][n]);
			count += entry != NULL;
		}
	}
	ck_assert_uint_eq(snapshot_counts(now).entries, count);
	for (unsigned s = 0; s < SERVICES; s++)
		for (size_t pos = 0; snapshot_entry_next(now, str_of(services[s]), &pos) != NULL;)
			count--;
	ck_assert_uint_eq(count, 0);
	struct str last = {NULL, 0};
	size_t runs = 0;
	for (uint64_t pos = 0; (entry = snapshot_entries_next(now, &pos)) != NULL; count++) {
		runs += !str_equal(last, entry->service);
		last = entry->service;
	}
	ck_assert_uint_eq(count, snapshot_counts(now).entries);
	ck_assert_uint_eq(runs, SERVICES); /* the entries of a service are adjacent */
	snapshot_leave(store);
}
END_TEST

START_TEST(a_restored_entry_keeps_its_numbers)
{
	struct event event = entry_event(EVENT_ENTRY_PUT, "web", "a", "{}");
	struct snapshot_draft *draft = snapshot_draft_new(store);

	event.revision = 100;
	event.author = STR("");
	event.time_ms = 0;
	event.entry.author = STR("operator:bob");
	event.entry.time_ms = 5;
	event.entry.incarnation = 7;
	event.entry.revision = 9;
	ck_assert_ptr_nonnull(snapshot_draft_apply_entry(draft, &event));
	ck_ok(snapshot_draft_finish(draft));
	snapshot_draft_publish(draft);
	const struct entry *entry = find("web", "a");
	ck_assert_uint_eq(entry->incarnation, 7);
	ck_assert_uint_eq(entry->revision, 9);
	ck_assert(str_equal(entry->author, STR("operator:bob")));
	ck_assert_int_eq(entry->time_ms, 5);
	ck_assert_uint_eq(entries_revision(), 100);
}
END_TEST

SUITE("snapshot_entries", readmodel_setup, readmodel_teardown,
      an_entry_is_found_by_kind_service_and_name, an_entry_is_replaced_and_removed,
      entries_and_instances_leave_each_other_alone, a_reader_keeps_what_it_found,
      a_draft_shows_what_was_applied, a_discarded_draft_leaves_no_trace,
      out_of_memory_anywhere_changes_nothing, many_entries_agree_with_a_model,
      a_restored_entry_keeps_its_numbers)
