/* SPDX-License-Identifier: MIT */
/**
 * Rows, keyframes and JSON compared with files that the first release of the schema wrote: stored
 * data must stay readable, and answers must stay the same.
 *
 * tests/cases/format_001.sql has the rows of both tables, format_events.jsonl and
 * format_instances.jsonl their JSON, format_keyframe.hex the keyframe after the last event.
 * format_002.sql and format_keyframe_002.hex are what today's version writes.
 */
#include "base/check.h"
#include "faultvfs.h"
#include "journal/journal.h"
#include "journal/keyframe.h"
#include "journal/migrations.h"
#include "journal/pack.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#define TEXT_MAX (1 << 20)

static struct buf text;

static void setup(void)
{
	faultvfs_install();
	statedir_make();
	buf_init(&text, TEXT_MAX);
}

static void teardown(void)
{
	buf_fini(&text);
	statedir_remove();
}

/* --- the golden files ---------------------------------------------------------- */

static char *golden(const char *name)
{
	char path[512];
	static char content[TEXT_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", CASES_DIR, name);
	FILE *file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s", path);
	size_t len = fread(content, 1, sizeof(content) - 1, file);
	(void)fclose(file);
	content[len] = '\0';
	return content;
}

/** Compares `text` with a golden file. A failed comparison writes it to a file and names that. */
static void agree_with(const char *name)
{
	char path[256];

	ck_assert_int_eq(buf_error(&text), 0);
	buf_add(&text, "", 1);
	if (strcmp(text.data, golden(name)) != 0) {
		(void)snprintf(path, sizeof(path), "/tmp/%s.differs", name);
		FILE *file = fopen(path, "we");
		ck_assert_ptr_nonnull(file);
		(void)fputs(text.data, file);
		(void)fclose(file);
		ck_abort_msg("%s differs: see %s", name, path);
	}
	buf_reset(&text);
}

/* --- their content ---------------------------------------------------------------- */

static void make_entries(struct journal *journal)
{
	struct event put = {
		.time_ms = 1790000000300,
		.kind = EVENT_ENTRY_PUT,
		.author = STR("operator:ann"),
		.reason = STR("because"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = STR("none"),
	                  .name = STR("1"),
	                  .document = STR("{\"n\":1}")},
	};

	ck_ok(journal_append(journal, &put, 1));
	put.kind = EVENT_ENTRY_REMOVED;
	ck_ok(journal_append(journal, &put, 1));
	put.kind = EVENT_ENTRY_PUT;
	put.entry.incarnation = 0;
	ck_ok(journal_append(journal, &put, 1));
}

/** Each kind of event, each field empty and at its limit, and bytes that JSON must escape. */
static void make_events(struct journal *journal)
{
	struct event a = statedir_event(EVENT_REGISTERED, "order-service", "order-1");
	struct event b = {
		.time_ms = 1790000000200,
		.kind = EVENT_REGISTERED,
		.author = STR("2001:db8::1"),
		.instance = {.service = STR("a"), .id = STR("1"), .host = STR("2001:db8::1")},
	};
	struct event c = statedir_event(EVENT_REGISTERED, "order-service", "order-2");
	struct event d = statedir_event(EVENT_REGISTERED, "db", "~");
	struct event e = b;

	ck_ok(journal_append(journal, &a, 1));
	ck_ok(journal_append(journal, &b, 1));
	ck_ok(journal_append(journal, &c, 1));
	d.instance.lease_out = d.instance.drained = true;
	d.instance.wants_drain = false;
	d.instance.drained_until_ms = 1790000009999;
	d.instance.status = instance_status(&d.instance);
	ck_ok(journal_append(journal, &d, 1));
	e.revision = e.instance.revision = e.instance.incarnation = 0;
	e.instance.id = STR("2");
	ck_ok(journal_append(journal, &e, 1));
	for (int kind = EVENT_UPDATED; kind <= EVENT_REMOVED; kind++) {
		struct event *of = kind == EVENT_DEREGISTERED ? &b
		                   : kind == EVENT_REMOVED    ? &c
		                                              : &a;
		struct event event = statedir_event_of((enum event_kind)kind, &of->instance);
		struct instance *instance = &event.instance;

		event.time_ms += kind;
		instance->weight = (uint16_t)(WEIGHT_MAX - kind);
		instance->wants_drain = kind % 2 == 0;
		instance->lease_out = kind == EVENT_EXPIRED;
		instance->drained = kind == EVENT_DRAINED;
		instance->drained_until_ms = kind == EVENT_DRAINED ? 1790000009999 : 0;
		instance->status_since_ms += kind;
		instance->status_by = STR("operator:\"ann\"\\\t");
		instance->status_reason = STR("\xf0\x9f\x9a\xa7 <b>");
		instance->remove_after_ms = REMOVE_AFTER_MS_MAX;
		instance->status = instance_status(instance);
		ck_ok(journal_append(journal, &event, 1));
		of->instance = event.instance;
	}
	a = statedir_event(EVENT_REGISTERED, "owned", "1");
	a.instance.owner = STR("ann");
	a.peer = STR("192.0.2.1");
	a.via = STR("token:ann-1");
	a.trace = STR("0af7651916cd43dd8448eb211c80319c");
	ck_ok(journal_append(journal, &a, 1));
	a = statedir_event_of(EVENT_FAILED, &a.instance);
	a.instance.reports_unhealthy = true;
	ck_ok(journal_append(journal, &a, 1));
	make_entries(journal);
}

/** All columns, in the order of the table. */
static void put_rows(const char *table)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY revision", table);
	ck_assert_int_eq(sqlite3_open(statedir_file("rollcall.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		buf_printf(&text, "INSERT INTO %s (", table);
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			buf_printf(&text, "%s%s", i > 0 ? ", " : "", sqlite3_column_name(stmt, i));
		buf_put(&text, ") VALUES (");
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			int type = sqlite3_column_type(stmt, i);
			const char *value = type == SQLITE_BLOB
			                            ? sqlite3_column_blob(stmt, i)
			                            : (const char *)sqlite3_column_text(stmt, i);
			int len = sqlite3_column_bytes(stmt, i);

			buf_put(&text, i > 0 ? ", " : "");
			buf_put(&text, type == SQLITE_BLOB ? "x'" : type == SQLITE_TEXT ? "'" : "");
			for (int n = 0; n < len && type == SQLITE_BLOB; n++)
				buf_printf(&text, "%02x", (unsigned char)value[n]);
			buf_put(&text, type == SQLITE_BLOB ? "" : value);
			buf_put(&text, type == SQLITE_INTEGER ? "" : "'");
		}
		buf_put(&text, ");\n");
	}
	ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/** A journal of schema 001 with the rows of format_001.sql. */
static void make_001(void)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(statedir_file("rollcall.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, schema_migrations[0].text, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, golden("format_001.sql"), NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
	                              "PRAGMA application_id=1919904876; PRAGMA user_version=1;"
	                              "PRAGMA journal_mode=WAL",
	                              NULL, NULL, NULL),
	                 SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static int put_event(void *arg, const struct event *event)
{
	(void)arg;
	event_put_json(&text, event);
	buf_put_char(&text, '\n');
	return 0;
}

static int put_instance(void *arg, const struct instance *instance)
{
	(void)arg;
	instance_put_json_open(&text, instance);
	instance_put_json_close(&text, instance);
	buf_put_char(&text, '\n');
	return 0;
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

/** Writes a keyframe of the present state. */
static void write_keyframe(struct journal *journal, int dir_fd)
{
	struct keyframe_draft draft;
	const struct keyframe_mark mark = {
		.revision = journal_revision(journal), .time_ms = 1790000000300, .checksum = 77};

	keyframe_init(&draft);
	ck_ok(journal_restore(journal, add_instance, &draft));
	ck_ok(journal_restore_entries(journal, add_entry, &draft));
	ck_ok(keyframe_write(&draft, dir_fd, &mark));
	keyframe_fini(&draft);
}

static void put_hex(const char *name)
{
	unsigned char bytes[4096];
	int fd = open(statedir_file(name), O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, bytes, sizeof(bytes));

	ck_assert_int_gt(len, 0);
	(void)close(fd);
	for (ssize_t i = 0; i < len; i++)
		buf_printf(&text, "%02x%s", bytes[i], i % 32 == 31 || i == len - 1 ? "\n" : "");
}

/* --- cases ------------------------------------------------------------------------- */

START_TEST(what_is_written_is_version_2)
{
	int dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct journal *journal = statedir_open();

	make_events(journal);
	write_keyframe(journal, dir_fd);
	journal_close(journal);
	put_rows("events");
	put_rows("instances");
	put_rows("entries");
	agree_with("format_002.sql");
	put_hex(statedir_find(KEYFRAME_PREFIX));
	agree_with("format_keyframe_002.hex");
	(void)close(dir_fd);
}
END_TEST

/** Checks that the journal has the content that the first release wrote. */
static void agree_with_001(struct journal *journal)
{
	struct journal_query query = {.limit = 12};
	struct journal_reader *reader = NULL;
	uint64_t last = 0;
	uint64_t oldest = 0;

	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_ok(journal_reader_events(reader, &query, put_event, NULL, &last, &oldest));
	journal_reader_close(reader);
	agree_with("format_events.jsonl");
	ck_ok(journal_restore(journal, put_instance, NULL));
	agree_with("format_instances.jsonl");
}

static void say(void *arg, const char *line)
{
	(void)arg;
	buf_put(&text, line);
	buf_put_char(&text, '\n');
}

/** Verifies the closed journal. @return the findings */
static const char *findings(void)
{
	buf_reset(&text);
	int r = journal_verify(statedir_path(), say, NULL);
	buf_add(&text, "", 1);
	ck_assert_int_eq(r, text.len > 1 ? -EBADMSG : 0);
	text.len = 0;
	return text.data;
}

START_TEST(the_rows_of_the_first_release_read_as_they_did)
{
	make_001();
	struct journal *journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	agree_with_001(journal);
	journal_close(journal);
	ck_assert_str_eq(findings(), "");
	ck_assert_int_eq(statedir_number("PRAGMA user_version"), schema_migrations_count);
}
END_TEST

static int take_last(void *arg, const struct instance *instance)
{
	static char id[2];

	if (str_equal(instance->service, STR("a"))) {
		struct instance *ret = arg;

		*ret = *instance;
		memcpy(id, instance->id.data, 1);
		ret->service = STR("a");
		ret->id = str_of(id);
		ret->host = STR("h");
		ret->metadata = ret->status_by = ret->status_reason = ret->owner = STR("");
	}
	return 0;
}

START_TEST(a_journal_of_the_first_release_goes_on)
{
	struct instance instance = {.port = 0};

	make_001();
	struct journal *journal = statedir_open();
	ck_ok(journal_restore(journal, take_last, &instance));
	struct event event = statedir_event_of(EVENT_UPDATED, &instance);
	ck_ok(journal_append(journal, &event, 1));
	ck_assert_uint_eq(event.revision, 13);
	event = statedir_event_of(EVENT_DEREGISTERED, &event.instance);
	ck_ok(journal_append(journal, &event, 1));
	journal_close(journal);
	ck_assert_str_eq(findings(), "");
	ck_assert_int_eq(statedir_number("SELECT count(*) FROM instances"), 2);
}
END_TEST

static int see_no_owner(void *arg, const struct instance *instance)
{
	ck_assert_uint_eq(instance->owner.len, 0);
	(*(int *)arg)++;
	return 0;
}

/** The checksum of a row covers only the fields of its version. */
START_TEST(a_row_of_the_first_release_has_no_later_fields)
{
	int count = 0;

	make_001();
	journal_close(statedir_open());
	statedir_sql("UPDATE instances SET owner = 'x'");
	struct journal *journal = statedir_open();
	ck_ok(journal_restore(journal, see_no_owner, &count));
	ck_assert_int_eq(count, 3);
	journal_close(journal);
}
END_TEST

START_TEST(a_journal_of_the_first_release_verifies_as_it_is)
{
	static const struct {
		const char *sql;
		const char *finding;
	} cases[] = {
		{"UPDATE events SET reason = 'x' WHERE revision = 4", "event 4: its content"},
		{"UPDATE instances SET weight = 1 WHERE id = '2'",
	         "instance '2' of 'a': its content"},
		{"DELETE FROM instances WHERE id = '2'", "instance '2' of 'a': is missing"},
		{"UPDATE events SET checksum = 0", "event 1: its content"},
		{"DROP TABLE events", "events: unreadable"},
	};

	for (size_t i = 0; i <= ARRAY_LEN(cases); i++) {
		statedir_remove();
		statedir_make();
		make_001();
		if (i > 0)
			statedir_sql(cases[i - 1].sql);
		const char *found = findings();
		ck_assert_msg(i == 0 ? found[0] == '\0'
		                     : strstr(found, cases[i - 1].finding) != NULL,
		              "%u: %s", (unsigned)i, found);
		ck_assert_int_eq(statedir_number("PRAGMA user_version"), 1);
	}
}
END_TEST

START_TEST(a_journal_that_was_damaged_before_its_migration_is_salvaged)
{
	static const struct {
		const char *sql;
		int left;
	} cases[] = {
		{"UPDATE instances SET weight = 1 WHERE id = '2'", 3}, /* its event has it */
		{"DROP TABLE events", 3},
		{"DROP TABLE instances", 3},
		{"DROP TABLE counters", 3},
		{"UPDATE instances SET weight = 1 WHERE id = '2'; DROP TABLE events", 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		statedir_remove();
		statedir_make();
		make_001();
		statedir_sql(cases[i].sql);
		struct journal *journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		journal_close(journal);
		ck_assert_int_eq(statedir_number("SELECT count(*) FROM instances"), cases[i].left);
		ck_assert_str_eq(findings(), "");
	}
}
END_TEST

/** Ends the process in the middle of a migration. */
static void end_migration_at(enum faultvfs_op op, int nth, bool *ret_ended)
{
	struct journal_options options = {.dir = statedir_path()};
	struct journal *journal = NULL;
	struct journal_error error = {""};

	statedir_remove();
	statedir_make();
	faultvfs_reset();
	make_001();
	faultvfs_fail(op, FAULTVFS_ANY, nth,
	              op == FAULTVFS_SYNC ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE);
	if (journal_open(&options, &journal, &error) == 0)
		journal_close(journal);
	*ret_ended = faultvfs_hit();
	faultvfs_reset();
}

START_TEST(a_migration_that_ends_anywhere_leaves_the_old_or_the_new)
{
	static const enum faultvfs_op ops[] = {FAULTVFS_WRITE, FAULTVFS_SYNC};
	bool was[3] = {false};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		bool ended = true;

		for (int nth = 0; ended; nth++) {
			end_migration_at(ops[i], nth, &ended);
			long long version = statedir_number("PRAGMA user_version");
			ck_assert_msg(version == 1 || version == 2, "%lld", version);
			was[version] = true;
			ck_assert_str_eq(findings(), "");
			struct journal *journal = statedir_open();
			ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
			agree_with_001(journal);
			journal_close(journal);
		}
	}
	ck_assert(was[1] && was[2]);
}
END_TEST

START_TEST(what_a_later_version_has_is_proved_as_well)
{
	static const char *const changes[] = {
		"UPDATE events SET peer = 'x'",     "UPDATE events SET via = ''",
		"UPDATE events SET trace = 'y'",    "UPDATE events SET owner = 'x'",
		"UPDATE instances SET owner = 'x'", "UPDATE instances SET version = 1",
		"UPDATE events SET version = 1",    "UPDATE events SET version = 3",
		"UPDATE events SET version = 0",
	};
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	struct journal *journal = statedir_open();

	event.instance.owner = STR("ann");
	event.peer = STR("192.0.2.1");
	event.via = STR("token:ann-1");
	event.trace = STR("0af7651916cd43dd8448eb211c80319c");
	ck_ok(journal_append(journal, &event, 1));
	journal_close(journal);
	ck_assert_str_eq(findings(), "");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		char sql[256];

		(void)snprintf(sql, sizeof(sql),
		               "CREATE TABLE e AS SELECT * FROM events;"
		               "CREATE TABLE i AS SELECT * FROM instances; %s",
		               changes[i]);
		statedir_sql(sql);
		ck_assert_ptr_nonnull(
			strstr(findings(), "its content does not match its checksum"));
		statedir_sql("DELETE FROM events; INSERT INTO events SELECT * FROM e; DROP TABLE e;"
		             "DELETE FROM instances; INSERT INTO instances SELECT * FROM i;"
		             "DROP TABLE i");
		ck_assert_str_eq(findings(), "");
	}
}
END_TEST

static int see_origin(void *arg, const struct event *event)
{
	(void)arg;
	ck_assert(str_equal(event->instance.owner, STR("ann")));
	ck_assert(str_equal(event->peer, STR("192.0.2.1")));
	ck_assert(str_equal(event->via, STR("token:ann-1")));
	ck_assert(str_equal(event->trace, STR("0af7651916cd43dd8448eb211c80319c")));
	return 0;
}

START_TEST(who_asked_for_an_event_is_kept_with_it)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	struct journal *journal = statedir_open();
	struct journal_reader *reader = NULL;
	struct journal_query query = {.limit = 1};
	struct instance instance;
	uint64_t last = 0;
	uint64_t oldest = 0;
	struct buf rows;

	event.instance.owner = STR("ann");
	event.peer = STR("192.0.2.1");
	event.via = STR("token:ann-1");
	event.trace = STR("0af7651916cd43dd8448eb211c80319c");
	ck_ok(journal_append(journal, &event, 1));
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_assert_int_ge(journal_reader_events(reader, &query, see_origin, NULL, &last, &oldest),
	                 0);
	ck_assert_uint_eq(last, 1);
	journal_reader_close(reader);
	journal_close(journal);
	buf_init(&rows, TEXT_MAX);
	pack_instance(&rows, &event.instance);
	struct str rest = {rows.data, rows.len};
	ck_ok(unpack_instance(&rest, &instance));
	ck_assert(str_equal(instance.owner, STR("ann")));
	rows.data[7] = FIELDS_VERSION + 1; /* of a later release */
	rest = (struct str){rows.data, rows.len};
	ck_fails(unpack_instance(&rest, &instance), EBADMSG);
	buf_fini(&rows);
}
END_TEST

/* --- the id of the history ------------------------------------------------------------ */

START_TEST(a_history_keeps_its_id_until_it_is_salvaged)
{
	struct event event = statedir_event(EVENT_REGISTERED, "a", "1");
	struct journal *journal = statedir_open();
	uint64_t id = journal_history_id(journal);

	ck_assert_uint_ne(id, 0);
	ck_ok(journal_append(journal, &event, 1));
	journal_close(journal);
	journal = statedir_open();
	ck_assert_uint_eq(journal_history_id(journal), id);
	journal_close(journal);
	statedir_sql("UPDATE instances SET weight = 1");
	journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_uint_ne(journal_history_id(journal), id);
	ck_assert_uint_ne(journal_history_id(journal), journal_revision(journal));
	journal_close(journal);
}
END_TEST

START_TEST(each_journal_has_an_id_of_its_own)
{
	uint64_t ids[3];

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		statedir_remove();
		statedir_make();
		if (i == 2)
			make_001();
		struct journal *journal = statedir_open();
		ids[i] = journal_history_id(journal);
		journal_close(journal);
	}
	ck_assert(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}
END_TEST

START_TEST(a_journal_without_an_id_is_damaged)
{
	journal_close(statedir_open());
	statedir_sql("DELETE FROM counters WHERE name = 'history'");
	ck_assert_ptr_nonnull(strstr(findings(), "the id of the history is missing"));
	struct journal *journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_uint_ne(journal_history_id(journal), 0);
	journal_close(journal);
}
END_TEST

/** Puts the keyframe of format_keyframe.hex into the directory. */
static void put_keyframe(void)
{
	const char *at = golden("format_keyframe.hex");
	unsigned byte;
	int read = 0;
	FILE *file = fopen(statedir_file(KEYFRAME_PREFIX "0000000000000012"), "we");

	ck_assert_ptr_nonnull(file);
	for (; sscanf(at, "%2x%n", &byte, &read) == 1; at += read)
		(void)fputc((int)byte, file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(the_keyframe_of_the_first_release_reads_as_it_did)
{
	int dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct keyframe_mark mark;
	struct buf rows;

	put_keyframe();
	ck_ok(keyframe_check(dir_fd, 12, &mark));
	ck_assert_int_eq(mark.time_ms, 1790000000131);
	ck_assert_uint_eq(mark.checksum, 77);
	buf_init(&rows, TEXT_MAX);
	ck_ok(keyframe_read(dir_fd, 12, (struct str){NULL, 0}, &rows));
	for (struct str rest = {rows.data, rows.len}; rest.len > 0;) {
		struct instance instance;

		ck_ok(unpack_instance(&rest, &instance));
		ck_ok(put_instance(NULL, &instance));
	}
	buf_fini(&rows);
	agree_with("format_instances.jsonl");
	(void)close(dir_fd);
}
END_TEST

static long long count_columns(const char *table, const char *of)
{
	char sql[512];

	(void)snprintf(
		sql, sizeof(sql),
		"SELECT count(*) FROM pragma_table_info('%s') WHERE '%s' = '' OR name = '%s'",
		table, of, of);
	return statedir_number(sql);
}

START_TEST(the_tables_have_the_columns_of_the_lists_and_no_others)
{
#define NAME(type, member, ...) #member,
	static const char *const instance[] = {"checksum", "version", INSTANCE_FIELDS(NAME)};
	static const char *const event[] = {EVENT_FIELDS(NAME) "entry", "document"};

	journal_close(statedir_open());
	for (size_t i = 0; i < ARRAY_LEN(instance); i++) {
		ck_assert_msg(count_columns("instances", instance[i]) == 1, "%s", instance[i]);
		ck_assert_msg(count_columns("events", instance[i]) == 1, "%s", instance[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(event); i++)
		ck_assert_msg(count_columns("events", event[i]) == 1, "%s", event[i]);
	ck_assert_int_eq(count_columns("instances", ""), ARRAY_LEN(instance));
	ck_assert_int_eq(count_columns("events", ""), ARRAY_LEN(instance) + ARRAY_LEN(event));
}
END_TEST

START_TEST(the_view_names_each_kind)
{
	struct journal *journal = statedir_open();
	char sql[256];

	make_events(journal);
	journal_close(journal);
	for (int kind = EVENT_REGISTERED; kind < EVENT_KIND_COUNT; kind++) {
		(void)snprintf(sql, sizeof(sql),
		               "SELECT count(*) FROM history JOIN events e USING (revision)"
		               " WHERE e.kind = %d AND history.kind = '%s'",
		               kind, event_kind_name((enum event_kind)kind));
		ck_assert_msg(statedir_number(sql) > 0, "%s", sql);
	}
}
END_TEST

SUITE("format", setup, teardown, what_is_written_is_version_2,
      the_rows_of_the_first_release_read_as_they_did,
      the_keyframe_of_the_first_release_reads_as_it_did,
      the_tables_have_the_columns_of_the_lists_and_no_others, the_view_names_each_kind,
      a_journal_of_the_first_release_goes_on, a_row_of_the_first_release_has_no_later_fields,
      a_journal_of_the_first_release_verifies_as_it_is,
      a_journal_that_was_damaged_before_its_migration_is_salvaged,
      a_migration_that_ends_anywhere_leaves_the_old_or_the_new,
      what_a_later_version_has_is_proved_as_well, who_asked_for_an_event_is_kept_with_it,
      a_history_keeps_its_id_until_it_is_salvaged, each_journal_has_an_id_of_its_own,
      a_journal_without_an_id_is_damaged)
