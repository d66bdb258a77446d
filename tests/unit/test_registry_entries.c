/* SPDX-License-Identifier: MIT */
/*
 * Entries over the life of a registry: restored at the start, rebuilt for past states, and written
 * to keyframes.
 */
#include "journal/keyframe.h"
#include "journal/pack.h"
#include "registry_fixture.h"

#include <fcntl.h>

static struct event entry_event(enum event_kind kind, const char *service, const char *document)
{
	return (struct event){
		.kind = kind,
		.time_ms = 1000,
		.author = STR("operator:ann"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = str_of(service),
	                  .name = STR("a"),
	                  .document = str_of(document)},
	};
}

/** Makes events: 1 an entry of web, 2 an instance of web, 3 an entry of db, 4 and 5 an entry that
 * is removed again. */
static void fill(void)
{
	struct event events[] = {
		entry_event(EVENT_ENTRY_PUT, "web", "{\"n\":1}"),
		{.kind = EVENT_REGISTERED,
	         .time_ms = 1000,
	         .instance = registration("web", "a").instance},
		entry_event(EVENT_ENTRY_PUT, "db", "{\"n\":3}"),
		entry_event(EVENT_ENTRY_PUT, "api", "{\"n\":4}"),
		entry_event(EVENT_ENTRY_REMOVED, "api", "{\"n\":4}"),
	};
	struct journal_error error = {""};
	struct journal *journal = NULL;

	close_registry();
	ck_ok(journal_open(&options.journal, &journal, &error));
	ck_ok(journal_append(journal, events, ARRAY_LEN(events)));
	journal_close(journal);
	open_registry();
}

static const char *document_in(struct snapshot_store *store, const char *service)
{
	static char text[64];
	const struct snapshot *now = snapshot_enter(store);
	const struct entry *entry = snapshot_entry(now, ENTRY_INTENT, str_of(service), STR("a"));

	(void)snprintf(text, sizeof(text), "%.*s", entry != NULL ? (int)entry->document.len : 0,
	               entry != NULL ? entry->document.data : "");
	snapshot_leave(store);
	return text;
}

static void past_done(struct archive_query *query)
{
	(void)query;
	ck_assert_int_eq(sem_post(&completed), 0);
}

static void read_past(struct archive_query *query)
{
	query->kind = ARCHIVE_STATE;
	query->done = past_done;
	ck_ok(registry_read_past(registry, query));
	while (sem_wait(&completed) != 0)
		ck_assert_int_eq(errno, EINTR);
	ck_ok(query->error);
}

START_TEST(a_start_restores_entries)
{
	fill();
	struct snapshot_store *now = registry_store(registry);
	ck_assert_str_eq(document_in(now, "web"), "{\"n\":1}");
	ck_assert_str_eq(document_in(now, "db"), "{\"n\":3}");
	ck_assert_str_eq(document_in(now, "api"), "");
	ck_assert_int_eq(status_of("web", "a"), STATUS_HEALTHY);
	ck_assert_int_eq(status_of("db", "a"), -1);
}
END_TEST

START_TEST(a_state_of_the_past_has_its_entries)
{
	static const char *const then[][3] = {
		{"", "", ""},
		{"{\"n\":1}", "", ""},
		{"{\"n\":1}", "", ""},
		{"{\"n\":1}", "{\"n\":3}", ""},
		{"{\"n\":1}", "{\"n\":3}", "{\"n\":4}"},
		{"{\"n\":1}", "{\"n\":3}", ""},
	};

	fill();
	for (uint64_t revision = 0; revision < ARRAY_LEN(then); revision++) {
		struct archive_query query = {.at = {.revision = revision}};

		read_past(&query);
		ck_assert_str_eq(document_in(query.store, "web"), then[revision][0]);
		ck_assert_str_eq(document_in(query.store, "db"), then[revision][1]);
		ck_assert_str_eq(document_in(query.store, "api"), then[revision][2]);
		registry_drop_past(registry, &query);
		while (sem_wait(&completed) != 0)
			ck_assert_int_eq(errno, EINTR);
	}
}
END_TEST

START_TEST(a_keyframe_has_the_entries_of_services_with_and_without_instances)
{
	struct archive_query query = {.at = {.revision = 6}};
	struct entry entry;
	struct instance instance;
	struct buf rows;
	int count;

	options.journal.events_max_count = 10; /* so that a keyframe is due */
	fill();
	(void)put("web", "b");
	read_past(&query); /* the answer comes after the keyframe was written */
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	buf_init(&rows, 1 << 20);
	ck_ok(keyframe_read(dir_fd, 6, STR("db"), &rows));
	struct str rest = {rows.data, rows.len};
	ck_ok(unpack_entry(&rest, &entry));
	ck_assert(str_equal(entry.document, STR("{\"n\":3}")));
	ck_assert_uint_eq(rest.len, 0);
	buf_reset(&rows);
	ck_ok(keyframe_read(dir_fd, 6, STR("web"), &rows));
	rest = (struct str){rows.data, rows.len};
	ck_ok(unpack_instance(&rest, &instance));
	ck_ok(unpack_instance(&rest, &instance));
	ck_ok(unpack_entry(&rest, &entry));
	ck_assert(str_equal(entry.document, STR("{\"n\":1}")));
	ck_assert_uint_eq(rest.len, 0);
	buf_reset(&rows);
	ck_ok(keyframe_read(dir_fd, 6, STR("api"), &rows));
	ck_assert_uint_eq(rows.len, 0);
	ck_ok(keyframe_read(dir_fd, 6, STR(""), &rows));
	rest = (struct str){rows.data, rows.len};
	for (count = 0; rest.len > 0; count++)
		ck_ok(pack_is_entry(rest) ? unpack_entry(&rest, &entry)
		                          : unpack_instance(&rest, &instance));
	ck_assert_int_eq(count, 4); /* each once */
	buf_fini(&rows);
	(void)close(dir_fd);
	registry_drop_past(registry, &query);
	while (sem_wait(&completed) != 0)
		ck_assert_int_eq(errno, EINTR);
}
END_TEST

SUITE("registry_entries", setup, teardown, a_start_restores_entries,
      a_state_of_the_past_has_its_entries,
      a_keyframe_has_the_entries_of_services_with_and_without_instances)
