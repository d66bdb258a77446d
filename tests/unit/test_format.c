/* SPDX-License-Identifier: MIT */
/**
 * Rows, keyframes and JSON against files that the first release of the schema wrote: what is stored
 * stays readable, and what is said stays as it was.
 *
 * tests/cases/format_001.sql holds the rows of both tables, format_events.jsonl and
 * format_instances.jsonl what they read as, format_keyframe.hex the keyframe after the last event.
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

/* The columns of schema 001. */
#define INSTANCE_001                                                                        \
	"revision, service, id, incarnation, host, port, weight, ttl_ms, remove_after_ms, " \
	"wants_drain, lease_out, drained, drained_until_ms, status_reason, status_by, "     \
	"status_since_ms, registered_ms, metadata_count, metadata, checksum"
#define EVENT_001 INSTANCE_001 ", time_ms, kind, author, agent, reason"

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

/** Compares what is in `text`, and leaves it in the file that a failed comparison names. */
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

/* --- what they hold -------------------------------------------------------------- */

/** Each kind of event, each field empty and at its most, what JSON must escape. */
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
}

static void put_rows(const char *table, const char *columns)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	char sql[1024];

	(void)snprintf(sql, sizeof(sql), "SELECT %s FROM %s ORDER BY revision", columns, table);
	ck_assert_int_eq(sqlite3_open(statedir_file("rollcall.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		buf_printf(&text, "INSERT INTO %s (%s) VALUES (", table, columns);
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			int type = sqlite3_column_type(stmt, i);
			const char *value = type == SQLITE_BLOB
			                            ? sqlite3_column_blob(stmt, i)
			                            : (const char *)sqlite3_column_text(stmt, i);
			int len = sqlite3_column_bytes(stmt, i);

			buf_put(&text, i > 0 ? ", " : "");
			if (type == SQLITE_INTEGER) {
				buf_put(&text, value);
				continue;
			}
			buf_put(&text, type == SQLITE_BLOB ? "x'" : "'");
			for (int n = 0; n < len; n++) {
				if (type == SQLITE_BLOB)
					buf_printf(&text, "%02x", (unsigned char)value[n]);
				else
					buf_put_char(&text, value[n]);
			}
			buf_put_char(&text, '\'');
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
	ck_assert_int_eq(sqlite3_exec(db, schema_migrations[0], NULL, NULL, NULL), SQLITE_OK);
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

/** Of the instances that are registered, in one service each. */
static void write_keyframe(struct journal *journal, int dir_fd)
{
	struct keyframe_draft draft;
	const struct keyframe_mark mark = {
		.revision = journal_revision(journal), .time_ms = 1790000000131, .checksum = 77};

	keyframe_init(&draft);
	ck_ok(journal_restore(journal, add_instance, &draft));
	ck_ok(keyframe_write(&draft, dir_fd, &mark));
	keyframe_fini(&draft);
}

/* --- cases ------------------------------------------------------------------------- */

START_TEST(the_rows_that_are_written_are_those_of_the_first_release)
{
	struct journal *journal = statedir_open();

	make_events(journal);
	journal_close(journal);
	put_rows("events", EVENT_001);
	put_rows("instances", INSTANCE_001);
	agree_with("format_001.sql");
}
END_TEST

START_TEST(the_keyframe_that_is_written_is_that_of_the_first_release)
{
	int dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	make_001();
	struct journal *journal = statedir_open();
	write_keyframe(journal, dir_fd);
	journal_close(journal);
	put_hex(statedir_find(KEYFRAME_PREFIX));
	agree_with("format_keyframe.hex");
	(void)close(dir_fd);
}
END_TEST

START_TEST(the_rows_of_the_first_release_read_as_they_did)
{
	struct journal_query query = {.limit = 100};
	struct journal_reader *reader = NULL;
	uint64_t last = 0;
	uint64_t oldest = 0;

	make_001();
	struct journal *journal = statedir_open();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	ck_ok(journal_reader_open(statedir_path(), &reader));
	ck_ok(journal_reader_events(reader, &query, put_event, NULL, &last, &oldest));
	journal_reader_close(reader);
	agree_with("format_events.jsonl");
	ck_ok(journal_restore(journal, put_instance, NULL));
	agree_with("format_instances.jsonl");
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
	static const char *const instance[] = {"checksum", INSTANCE_FIELDS(NAME)};
	static const char *const event[] = {EVENT_FIELDS(NAME)};

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

SUITE("format", setup, teardown, the_rows_that_are_written_are_those_of_the_first_release,
      the_keyframe_that_is_written_is_that_of_the_first_release,
      the_rows_of_the_first_release_read_as_they_did,
      the_keyframe_of_the_first_release_reads_as_it_did,
      the_tables_have_the_columns_of_the_lists_and_no_others, the_view_names_each_kind)
