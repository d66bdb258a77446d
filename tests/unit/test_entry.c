/* SPDX-License-Identifier: MIT */
/*
 * Entries in the model and in the journal: events about them, current ones, past states,
 * verification, salvage. The journal is real, in a state directory behind the fault VFS; past
 * states are compared with a model at each revision.
 */
#include "faultvfs.h"
#include "journal/journal.h"
#include "journal/keyframe.h"
#include "journal/pack.h"
#include "journal/past.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <sqlite3.h>

#define TEXT_MAX (1 << 20)

static struct journal *journal;
static struct buf text;

static void setup(void)
{
	faultvfs_install();
	statedir_make();
	buf_init(&text, TEXT_MAX);
	journal = statedir_open();
}

static void teardown(void)
{
	journal_close(journal);
	buf_fini(&text);
	statedir_remove();
}

static struct event entry_event(enum event_kind kind, const char *service, const char *name,
                                const char *document)
{
	return (struct event){
		.kind = kind,
		.time_ms = 1790000000123,
		.author = STR("operator:ann"),
		.reason = STR("because"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = str_of(service),
	                  .name = str_of(name),
	                  .document = str_of(document)},
	};
}

static void append(struct event *event)
{
	ck_ok(journal_append(journal, event, 1));
}

static int put_entry(void *arg, const struct entry *entry)
{
	(void)arg;
	buf_printf(&text, "%.*s/%.*s=%.*s@%llu-%llu ", (int)entry->service.len, entry->service.data,
	           (int)entry->name.len, entry->name.data, (int)entry->document.len,
	           entry->document.data, (unsigned long long)entry->incarnation,
	           (unsigned long long)entry->revision);
	ck_assert(str_equal(entry->author, STR("operator:ann")));
	ck_assert_int_eq(entry->time_ms, 1790000000123);
	return 0;
}

static const char *text_end(void)
{
	ck_assert_int_eq(buf_error(&text), 0);
	buf_add(&text, "", 1);
	text.len = 0;
	return text.data;
}

static const char *entries(void)
{
	ck_ok(journal_restore_entries(journal, put_entry, NULL));
	return text_end();
}

static void say(void *arg, const char *line)
{
	(void)arg;
	buf_put(&text, line);
	buf_put_char(&text, '\n');
}

/** Closes the journal and verifies it. @return the findings */
static const char *findings(void)
{
	journal_close(journal);
	journal = NULL;
	int r = journal_verify(statedir_path(), say, NULL);
	ck_assert_int_eq(r, text.len > 0 ? -EBADMSG : 0);
	return text_end();
}

/* --- the model --------------------------------------------------------------------- */

START_TEST(kinds_have_names)
{
	enum entry_kind kind;

	for (int k = 1; k < ENTRY_KIND_COUNT; k++) {
		ck_ok(entry_kind_parse(str_of(entry_kind_name((enum entry_kind)k)), &kind));
		ck_assert_int_eq(kind, k);
	}
	ck_fails(entry_kind_parse(STR("split"), &kind), EINVAL);
	ck_assert_str_eq(entry_kind_name(ENTRY_KIND_COUNT), "unknown");
	ck_assert_str_eq(entry_kind_name(0), "unknown");
}
END_TEST

START_TEST(an_entry_is_valid_within_its_limits)
{
	char document[ENTRY_DOCUMENT_MAX + 2];
	struct entry sound = entry_event(EVENT_ENTRY_PUT, "a", "1", "{}").entry;
	struct entry entry = sound;

	ck_assert(entry_is_valid(&sound));
	entry.kind = ENTRY_KIND_COUNT;
	ck_assert(!entry_is_valid(&entry));
	entry.kind = 0;
	ck_assert(!entry_is_valid(&entry));
	entry = sound;
	entry.service = STR("");
	ck_assert(!entry_is_valid(&entry));
	entry = sound;
	entry.name = STR("a b");
	ck_assert(!entry_is_valid(&entry));
	static const char *const wrong[] = {"",         "{",           "[]",
	                                    "{\"a\":1", "{\"a\":\n1}", "{\"\xff\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		entry = sound;
		entry.document = str_of(wrong[i]);
		ck_assert_msg(!entry_is_valid(&entry), "%s", wrong[i]);
	}
	memset(document, ' ', sizeof(document));
	document[0] = '{';
	document[ENTRY_DOCUMENT_MAX - 1] = '}';
	entry.document = (struct str){document, ENTRY_DOCUMENT_MAX};
	ck_assert(entry_is_valid(&entry));
	document[ENTRY_DOCUMENT_MAX - 1] = ' ';
	document[ENTRY_DOCUMENT_MAX] = '}';
	entry.document.len++;
	ck_assert(!entry_is_valid(&entry));
}
END_TEST

START_TEST(entries_are_in_order_of_service_kind_and_name)
{
	static const struct entry in_order[] = {
		{.kind = 2, .service = {"a", 1}, .name = {"b", 1}},
		{.kind = 1, .service = {"b", 1}, .name = {"b", 1}},
		{.kind = 1, .service = {"b", 1}, .name = {"c", 1}},
		{.kind = 2, .service = {"b", 1}, .name = {"a", 1}},
	};

	for (size_t i = 0; i < ARRAY_LEN(in_order); i++) {
		for (size_t k = 0; k < ARRAY_LEN(in_order); k++) {
			int order = entry_compare(&in_order[i], &in_order[k]);

			ck_assert_int_eq((order > 0) - (order < 0), (i > k) - (i < k));
		}
	}
}
END_TEST

START_TEST(an_event_about_an_entry_reads_as_json)
{
	struct event event =
		entry_event(EVENT_ENTRY_PUT, "web", "a\"b", "{\"status\":\"draining\"}");

	append(&event);
	event_put_json(&text, &event);
	ck_assert_str_eq(
		text_end(),
		"{\"revision\":1,\"time\":\"2026-09-21T14:13:20.123Z\",\"kind\":\"entry-put\","
		"\"service\":\"web\",\"id\":\"a\\\"b\",\"author\":\"operator:ann\","
		"\"reason\":\"because\",\"entry\":{\"kind\":\"intent\",\"service\":\"web\","
		"\"name\":\"a\\\"b\",\"document\":{\"status\":\"draining\"},"
		"\"author\":\"operator:ann\",\"time\":\"2026-09-21T14:13:20.123Z\","
		"\"incarnation\":1,\"revision\":1}}");
}
END_TEST

/* --- current ones ------------------------------------------------------------------ */

START_TEST(an_entry_is_put_replaced_and_removed)
{
	struct event put = entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");

	append(&put);
	ck_assert_uint_eq(put.revision, 1);
	ck_assert_uint_eq(put.entry.incarnation, 1);
	ck_assert_str_eq(entries(), "web/a={\"n\":1}@1-1 ");
	put.entry.document = STR("{}");
	append(&put);
	ck_assert_str_eq(entries(), "web/a={}@1-2 ");
	struct event other = entry_event(EVENT_ENTRY_PUT, "db", "a", "{}");
	append(&other);
	journal_close(journal);
	journal = statedir_open();
	ck_assert_str_eq(entries(), "web/a={}@1-2 db/a={}@3-3 ");
	put.kind = EVENT_ENTRY_REMOVED;
	append(&put);
	ck_assert_str_eq(entries(), "db/a={}@3-3 ");
	put = entry_event(EVENT_ENTRY_PUT, "web", "a", "{}");
	append(&put);
	ck_assert_str_eq(entries(), "db/a={}@3-3 web/a={}@5-5 ");
	ck_assert_str_eq(findings(), "");
	journal = statedir_open();
}
END_TEST

START_TEST(a_batch_knows_the_lives_that_began_in_it)
{
	struct event events[] = {
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}"),
		statedir_event(EVENT_REGISTERED, "web", "a"),
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}"),
		entry_event(EVENT_ENTRY_PUT, "web", "b", "{}"),
		entry_event(EVENT_ENTRY_REMOVED, "web", "a", "{\"n\":2}"),
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":3}"),
		entry_event(EVENT_ENTRY_REMOVED, "web", "b", "{}"),
		statedir_event(EVENT_DEREGISTERED, "web", "a"),
	};

	ck_ok(journal_append(journal, events, ARRAY_LEN(events)));
	ck_assert_uint_eq(events[2].entry.incarnation, 1);
	ck_assert_uint_eq(events[4].entry.incarnation, 1);
	ck_assert_uint_eq(events[5].entry.incarnation, 6);
	ck_assert_uint_eq(events[7].instance.incarnation, 2);
	ck_assert_str_eq(entries(), "web/a={\"n\":3}@6-6 ");
	ck_assert_str_eq(findings(), "");
	journal = statedir_open();
}
END_TEST

START_TEST(a_commit_that_fails_takes_the_numbers_back)
{
	struct event put = entry_event(EVENT_ENTRY_PUT, "web", "a", "{}");

	append(&put);
	struct event events[] = {put, entry_event(EVENT_ENTRY_PUT, "web", "b", "{}")};
	faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, 0, SQLITE_FULL);
	ck_fails(journal_append(journal, events, 2), ENOSPC);
	faultvfs_reset();
	ck_assert_uint_eq(events[0].revision, 0);
	ck_assert_uint_eq(events[0].entry.revision, 0);
	ck_assert_uint_eq(events[0].entry.incarnation, 1);
	ck_assert_uint_eq(events[1].entry.incarnation, 0);
	ck_assert_str_eq(entries(), "web/a={}@1-1 ");
	ck_ok(journal_append(journal, events, 2));
	ck_assert_str_eq(entries(), "web/a={}@1-2 web/b={}@3-3 ");
}
END_TEST

START_TEST(an_entry_that_the_file_does_not_have_cannot_be_removed)
{
	struct event gone = entry_event(EVENT_ENTRY_REMOVED, "web", "a", "{}");

	gone.entry.incarnation = 1;
	ck_fails(journal_append(journal, &gone, 1), EIO);
	ck_assert(statedir_has("rollcall.db.suspect"));
}
END_TEST

static int put_revision(void *arg, const struct event *event)
{
	(void)arg;
	buf_printf(&text, "%llu ", (unsigned long long)event->revision);
	return 0;
}

static const char *select_events(struct journal_query query)
{
	struct journal_reader *reader = NULL;
	uint64_t last = 0;
	uint64_t oldest = 0;

	query.limit = 100;
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_ok(journal_reader_events(reader, &query, put_revision, NULL, &last, &oldest));
	journal_reader_close(reader);
	return text_end();
}

START_TEST(events_about_entries_are_found_by_what_they_are_about)
{
	struct event events[] = {
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{}"),
		statedir_event(EVENT_REGISTERED, "web", "a"),
		entry_event(EVENT_ENTRY_PUT, "db", "a", "{}"),
		entry_event(EVENT_ENTRY_REMOVED, "web", "a", "{}"),
	};

	ck_ok(journal_append(journal, events, ARRAY_LEN(events)));
	ck_assert_str_eq(select_events((struct journal_query){.limit = 1}), "1 2 3 4 ");
	ck_assert_str_eq(select_events((struct journal_query){.service = STR("web")}), "1 2 4 ");
	ck_assert_str_eq(
		select_events((struct journal_query){.service = STR("web"), .id = STR("a")}),
		"1 2 4 ");
	ck_assert_str_eq(
		select_events((struct journal_query){.service = STR("web"), .id = STR("b")}), "");
	ck_assert_str_eq(select_events((struct journal_query){.kinds = 1u << EVENT_ENTRY_PUT}),
	                 "1 3 ");
}
END_TEST

/* --- the past ---------------------------------------------------------------------- */

#define EVENTS 40
static struct event current[3]; /* the model: the latest event of each entry */
static bool is_there[3];
static uint64_t then[EVENTS + 1][3]; /* the revision of each after each event; 0: none */

/** Makes events that put, replace and remove the entries in turn, with registrations between. */
static void make_events(unsigned from, unsigned through)
{
	static const char *const names[] = {"a", "b", "c"};
	static char ids[EVENTS + 1][8];

	for (unsigned i = from; i <= through; i++) {
		unsigned n = (i * 7 + i / 5) % 4;
		struct event event;

		if (n == 3) {
			(void)snprintf(ids[i], sizeof(ids[i]), "%u", i);
			event = statedir_event(EVENT_REGISTERED, "web", ids[i]);
		} else if (is_there[n]) {
			event = current[n];
			event.kind = i % 3 == 0 ? EVENT_ENTRY_REMOVED : EVENT_ENTRY_PUT;
		} else {
			event = entry_event(EVENT_ENTRY_PUT, n < 2 ? "web" : "db", names[n], "{}");
		}
		event.time_ms = 1000 * (int64_t)i;
		append(&event);
		if (n < 3) {
			current[n] = event;
			is_there[n] = event.kind == EVENT_ENTRY_PUT;
		}
		for (unsigned k = 0; k < 3; k++)
			then[i][k] = is_there[k] ? current[k].revision : 0;
	}
}

static void agree(struct past *past, uint64_t revision)
{
	struct past_query query = {.revision = revision};
	struct past_bounds bounds;
	struct past_state *state;
	struct entry entry;
	size_t count = 0;

	ck_ok(past_read(past, &query, &state, &bounds));
	for (size_t i = 0; i < past_entry_count(state); i++) {
		past_get_entry(state, i, &entry);
		ck_assert_uint_eq(entry.revision, then[revision][entry.name.data[0] - 'a']);
		ck_assert_int_eq(entry.time_ms, 1000 * (int64_t)entry.revision);
		count++;
	}
	for (size_t k = 0; k < 3; k++)
		count -= then[revision][k] != 0;
	ck_assert_uint_eq(count, 0);
	past_state_free(state);
}

static int add_instance(void *arg, const struct instance *instance)
{
	keyframe_add(arg, instance);
	return 0;
}

static int add_entry(void *arg, const struct entry *entry)
{
	keyframe_add_entry(arg, entry);
	return 0;
}

START_TEST(each_state_has_the_entries_of_the_model_with_and_without_keyframes)
{
	struct past *past = NULL;
	struct keyframe_draft draft;
	int64_t ms = 0;

	ck_ok(past_open(statedir_path(), &past));
	make_events(1, 20);
	for (uint64_t r = 0; r <= 20; r++)
		agree(past, r);
	keyframe_init(&draft);
	ck_ok(journal_restore(journal, add_instance, &draft));
	ck_ok(journal_restore_entries(journal, add_entry, &draft));
	ck_ok(past_put_keyframe(past, &draft, 20, &ms));
	keyframe_fini(&draft);
	make_events(21, EVENTS);
	for (uint64_t r = 0; r <= EVENTS; r++)
		agree(past, r);
	/* after this only the keyframe and the present state have them */
	journal_set_retention(journal, 0, EVENTS - 19);
	while (journal_tidy(journal, 1) > 0)
		;
	for (uint64_t r = 20; r <= EVENTS; r++)
		agree(past, r);
	journal_set_retention(journal, 0, 1);
	while (journal_tidy(journal, 1) > 0)
		;
	agree(past, EVENTS);
	past_close(past);
}
END_TEST

START_TEST(a_state_holds_the_entries_that_were_asked_for)
{
	static const struct {
		const char *service;
		const char *id;
		size_t count;
	} cases[] = {{"", "", 3}, {"web", "", 2}, {"web", "b", 1}, {"web", "x", 0}, {"x", "", 0}};
	struct event events[] = {
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{}"),
		entry_event(EVENT_ENTRY_PUT, "web", "b", "{}"),
		entry_event(EVENT_ENTRY_PUT, "db", "b", "{}"),
	};
	struct past *past = NULL;

	ck_ok(journal_append(journal, events, 3));
	ck_ok(past_open(statedir_path(), &past));
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			struct past_query query = {.revision = 3,
			                           .service = str_of(cases[i].service),
			                           .id = str_of(cases[i].id)};
			struct past_bounds bounds;
			struct past_state *state;

			ck_ok(past_read(past, &query, &state, &bounds));
			ck_assert_uint_eq(past_entry_count(state), cases[i].count);
			ck_assert_uint_eq(past_count(state), 0);
			past_state_free(state);
		}
		struct keyframe_draft draft;
		int64_t ms = 0;
		keyframe_init(&draft);
		ck_ok(journal_restore_entries(journal, add_entry, &draft));
		ck_ok(past_put_keyframe(past, &draft, 3, &ms));
		keyframe_fini(&draft);
	}
	past_close(past);
}
END_TEST

START_TEST(a_packed_entry_is_read_or_refused)
{
	struct event event = entry_event(EVENT_ENTRY_PUT, "web", "a", "{}");
	struct instance instance;
	struct entry entry;

	append(&event);
	pack_entry(&text, &event.entry);
	ck_assert(pack_is_entry((struct str){text.data, text.len}));
	for (size_t len = 0; len < text.len; len++) {
		struct str rest = {text.data, len};

		ck_fails(unpack_entry(&rest, &entry), EBADMSG);
		ck_assert_uint_eq(rest.len, len);
	}
	struct str rest = {text.data, text.len};
	ck_fails(unpack_instance(&rest, &instance), EBADMSG);
	ck_ok(unpack_entry(&rest, &entry));
	ck_assert_uint_eq(rest.len, 0);
	ck_assert_int_eq(entry_compare(&entry, &event.entry), 0);
	ck_assert(str_equal(entry.document, STR("{}")));
	static const char tags[] = {'\x00', '\x02', '\x80', '\x81', '\x83', '\x7f'};
	for (size_t i = 0; i < sizeof(tags); i++) {
		text.data[7] = tags[i];
		rest = (struct str){text.data, text.len};
		ck_fails(unpack_entry(&rest, &entry), EBADMSG);
	}
	text.data[7] = '\x82';
	for (int kind = 0; kind <= ENTRY_KIND_COUNT; kind++) {
		text.data[16] = (char)kind;
		rest = (struct str){text.data, text.len};
		ck_assert_int_eq(unpack_entry(&rest, &entry),
		                 kind == 0 || kind == ENTRY_KIND_COUNT ? -EBADMSG : 0);
	}
}
END_TEST

/* --- damage ------------------------------------------------------------------------ */

static void fill(void)
{
	struct event events[] = {
		entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}"),
		entry_event(EVENT_ENTRY_PUT, "web", "b", "{\"n\":2}"),
		entry_event(EVENT_ENTRY_PUT, "web", "c", "{\"n\":3}"),
		entry_event(EVENT_ENTRY_REMOVED, "web", "c", "{\"n\":3}"),
		statedir_event(EVENT_REGISTERED, "web", "a"),
		entry_event(EVENT_ENTRY_PUT, "web", "b", "{\"n\":4}"),
	};

	ck_ok(journal_append(journal, events, ARRAY_LEN(events)));
}

START_TEST(verify_finds_what_is_wrong_with_entries)
{
	static const struct {
		const char *sql;
		const char *finding;
	} cases[] = {
		{"UPDATE events SET document = '{}' WHERE revision = 1", "event 1: its content"},
		{"UPDATE events SET entry = 0 WHERE revision = 1", "event 1: its content"},
		{"UPDATE events SET entry = 9 WHERE revision = 1", "event 1: its content"},
		{"UPDATE events SET entry = 1 WHERE revision = 5", "event 5: its content"},
		{"UPDATE events SET document = '{}' WHERE revision = 5", "event 5: its content"},
		{"UPDATE events SET kind = 1 WHERE revision = 1", "event 1: its content"},
		{"UPDATE events SET host = 'x' WHERE revision = 1", "event 1: its content"},
		{"UPDATE entries SET document = '{}' WHERE name = 'a'",
	         "entry 'a' of 'web': its content"},
		{"UPDATE entries SET version = 1", "entry 'a' of 'web': its content"},
		{"UPDATE entries SET kind = 0", "entry 'a' of 'web': its content"},
		{"UPDATE entries SET author = 'x' WHERE name = 'b'",
	         "entry 'b' of 'web': its content"},
		{"DELETE FROM entries WHERE name = 'a'",
	         "entry 'a' of 'web': is missing after event"},
		{"DELETE FROM events WHERE revision = 1",
	         "event 2: the event before it is missing"},
		{"DELETE FROM events WHERE revision = 6", "entry 'b' of 'web': has no event"},
		{"DROP TABLE entries", "entries: unreadable"},
	};

	fill();
	ck_assert_str_eq(findings(), "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		statedir_remove();
		statedir_make();
		journal = statedir_open();
		fill();
		journal_close(journal);
		journal = NULL;
		statedir_sql(cases[i].sql);
		const char *found = findings();
		ck_assert_msg(strstr(found, cases[i].finding) != NULL, "%s: %s", cases[i].sql,
		              found);
	}
}
END_TEST

/** Rows with right checksums can still contradict each other. */
START_TEST(verify_compares_entries_with_events)
{
	static const char *const columns =
		"revision, kind, service, name, document, author, time_ms, version, checksum";
	char sql[512];

	fill();
	journal_close(journal);
	journal = NULL;
	statedir_sql("CREATE TABLE kept AS SELECT * FROM entries");
	journal = statedir_open();
	struct event gone = entry_event(EVENT_ENTRY_REMOVED, "web", "a", "{\"n\":1}");
	gone.entry.incarnation = 1;
	append(&gone);
	struct event again = entry_event(EVENT_ENTRY_PUT, "web", "b", "{\"n\":5}");
	again.entry.incarnation = 2;
	append(&again);
	journal_close(journal);
	journal = NULL;
	statedir_sql("DELETE FROM entries; INSERT INTO entries SELECT * FROM kept");
	const char *found = findings();
	ck_assert_ptr_nonnull(strstr(found, "entry 'a' of 'web': was removed by event"));
	ck_assert_ptr_nonnull(strstr(found, "entry 'b' of 'web': lags behind event"));
	(void)snprintf(sql, sizeof(sql),
	               "INSERT INTO entries (incarnation, %s) SELECT 9, %s FROM kept LIMIT 1",
	               columns, columns);
	statedir_sql(sql);
	ck_assert_ptr_nonnull(strstr(findings(), "its content does not match its checksum"));
}
END_TEST

START_TEST(entries_are_salvaged_from_rows_and_from_events)
{
	static const struct {
		const char *sql;
		const char *left;
	} cases[] = {
		{"UPDATE entries SET document = '{}' WHERE name = 'a'",
	         "web/a={\"n\":1}@1-1 web/b={\"n\":4}@2-6 "},
		{"DELETE FROM counters WHERE name = 'history'",
	         "web/a={\"n\":1}@1-1 web/b={\"n\":4}@2-6 "},
		{"DROP TABLE entries", "web/a={\"n\":1}@1-1 web/b={\"n\":4}@2-6 "},
		{"DROP TABLE instances", "web/a={\"n\":1}@1-1 web/b={\"n\":4}@2-6 "},
		{"DROP TABLE events", "web/a={\"n\":1}@1-1 web/b={\"n\":4}@2-6 "},
		{"UPDATE entries SET document = '{}' WHERE name = 'a'; DROP TABLE events",
	         "web/b={\"n\":4}@2-6 "},
		{"DROP TABLE entries; DELETE FROM events WHERE revision = 6",
	         "web/a={\"n\":1}@1-1 web/b={\"n\":2}@2-2 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		journal_close(journal);
		statedir_remove();
		statedir_make();
		journal = statedir_open();
		fill();
		journal_close(journal);
		statedir_sql(cases[i].sql);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		ck_assert_str_eq(entries(), cases[i].left);
		ck_assert_str_eq(findings(), "");
		journal = statedir_open();
	}
}
END_TEST

START_TEST(an_entry_that_is_newer_than_the_events_is_damage)
{
	fill();
	journal_close(journal);
	statedir_sql("DELETE FROM events WHERE revision = 6");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_str_eq(entries(), "web/a={\"n\":1}@1-1 web/b={\"n\":4}@2-6 ");
}
END_TEST

START_TEST(an_event_must_be_about_what_its_kind_says)
{
	struct event event = entry_event(EVENT_ENTRY_PUT, "web", "a", "{}");

	event.entry.kind = 0;
	append(&event);
	ck_assert_ptr_nonnull(strstr(findings(), "event 1: its content"));
}
END_TEST

START_TEST(of_two_lives_of_an_entry_a_salvage_keeps_the_later)
{
	struct event put = entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":1}");

	append(&put);
	put.kind = EVENT_ENTRY_REMOVED;
	append(&put);
	put = entry_event(EVENT_ENTRY_PUT, "web", "a", "{\"n\":2}");
	append(&put);
	journal_close(journal);
	statedir_sql("DROP TABLE entries; DELETE FROM events WHERE revision = 2");
	journal = statedir_open();
	ck_assert_str_eq(entries(), "web/a={\"n\":2}@3-3 ");
}
END_TEST

SUITE("entry", setup, teardown, kinds_have_names, an_entry_is_valid_within_its_limits,
      entries_are_in_order_of_service_kind_and_name, an_event_about_an_entry_reads_as_json,
      an_entry_is_put_replaced_and_removed, a_batch_knows_the_lives_that_began_in_it,
      a_commit_that_fails_takes_the_numbers_back,
      an_entry_that_the_file_does_not_have_cannot_be_removed,
      events_about_entries_are_found_by_what_they_are_about,
      each_state_has_the_entries_of_the_model_with_and_without_keyframes,
      a_state_holds_the_entries_that_were_asked_for, a_packed_entry_is_read_or_refused,
      verify_finds_what_is_wrong_with_entries, verify_compares_entries_with_events,
      entries_are_salvaged_from_rows_and_from_events,
      an_entry_that_is_newer_than_the_events_is_damage, an_event_must_be_about_what_its_kind_says,
      of_two_lives_of_an_entry_a_salvage_keeps_the_later)
