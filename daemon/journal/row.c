/* SPDX-License-Identifier: MIT */
/**
 * Values as rows: binds them to statements and reads them from results. Functions without state.
 *
 * Invariant: what row_x() returns is what row_bind_x() got. SQLite has no checksums of its own: it
 * reads a row with a flipped bit without an error. The checksum is computed over the value's parts
 * (pack.h), which depend on neither the order nor the number of columns, so rows of an older
 * version stay valid after a migration adds columns.
 */
#include "journal/row.h"

#include "journal/pack.h"

#include <errno.h>

enum type { NUMBER, FLAG, TEXT, BYTES };

/** The part of a value that a column holds. */
struct column {
	size_t place;
	enum type type;
	unsigned since;
};
#define COLUMN(type, member, place, since, ...) {place, type, since},
static const struct column instance_columns[] = {INSTANCE_FIELDS(COLUMN)};
static const struct column entry_columns[] = {ENTRY_FIELDS(COLUMN)};
static const struct column event_columns[] = {
	EVENT_FIELDS(COLUMN){EVENT_ENTRY_PLACE, NUMBER, EVENT_ENTRY_SINCE},
	{EVENT_DOCUMENT_PLACE, TEXT, EVENT_ENTRY_SINCE},
};
#define FIRST_INSTANCE (ROW_VERSION + 1)
#define FIRST_EVENT    (FIRST_INSTANCE + (int)ARRAY_LEN(instance_columns))

/* --- writing ---------------------------------------------------------------------- */

/* Parameters count from 1. An empty string may have no data, which SQLite would bind as NULL. */
static int bind_parts(sqlite3_stmt *stmt, int first, const struct column *columns, size_t count,
                      const struct parts *parts)
{
	int failed = 0;

	for (size_t i = 0; i < count; i++) {
		size_t place = columns[i].place;
		int at = first + (int)i + 1;

		switch (columns[i].type) {
		case NUMBER:
			failed |= sqlite3_bind_int64(stmt, at, (int64_t)parts->numbers[place]);
			break;
		case FLAG:
			failed |= sqlite3_bind_int(
				stmt, at, (int)(parts->numbers[INSTANCE_FLAGS_PLACE] >> place & 1));
			break;
		case TEXT:
			failed |= sqlite3_bind_text(
				stmt, at,
				parts->texts[place].len > 0 ? parts->texts[place].data : "",
				(int)parts->texts[place].len, SQLITE_STATIC);
			break;
		case BYTES:
			failed |= sqlite3_bind_blob(
				stmt, at,
				parts->texts[place].len > 0 ? parts->texts[place].data : "",
				(int)parts->texts[place].len, SQLITE_STATIC);
			break;
		}
	}
	return failed;
}

static int bind_proof(sqlite3_stmt *stmt, uint32_t checksum)
{
	int failed = sqlite3_bind_int64(stmt, ROW_CHECKSUM + 1, checksum);

	return failed | sqlite3_bind_int(stmt, ROW_VERSION + 1, FIELDS_VERSION);
}

static int bind_instance(sqlite3_stmt *stmt, const struct parts *parts, uint32_t checksum)
{
	int failed = bind_parts(stmt, FIRST_INSTANCE, instance_columns, ARRAY_LEN(instance_columns),
	                        parts);

	return failed | bind_proof(stmt, checksum);
}

int row_bind_instance(sqlite3_stmt *stmt, const struct instance *instance)
{
	struct parts parts;

	parts_of_instance(instance, &parts);
	return bind_instance(stmt, &parts, parts_checksum(0, &parts)) != 0 ? -ENOMEM : 0;
}

int row_bind_entry(sqlite3_stmt *stmt, const struct entry *entry)
{
	struct parts parts;

	parts_of_entry(entry, &parts);
	int failed =
		bind_parts(stmt, FIRST_INSTANCE, entry_columns, ARRAY_LEN(entry_columns), &parts);
	failed |= bind_proof(stmt, parts_checksum(0, &parts));
	return failed != 0 ? -ENOMEM : 0;
}

/** The columns of the instance in the row of an event about an entry. */
static struct instance instance_of_entry(const struct entry *entry)
{
	return (struct instance){
		.service = entry->service,
		.id = entry->name,
		.incarnation = entry->incarnation,
		.revision = entry->revision,
	};
}

int row_bind_event(sqlite3_stmt *stmt, const struct event *event)
{
	bool has_entry = event_subject(event->kind) == SUBJECT_ENTRY;
	struct instance of_entry = instance_of_entry(&event->entry);
	struct parts instance;
	struct parts parts;

	parts_of_instance(has_entry ? &of_entry : &event->instance, &instance);
	parts_of_event(event, &parts);
	int failed = bind_instance(stmt, &instance,
	                           parts_checksum(parts_checksum(0, &instance), &parts));
	failed |= bind_parts(stmt, FIRST_EVENT, event_columns, ARRAY_LEN(event_columns), &parts);
	return failed != 0 ? -ENOMEM : 0;
}

/* --- reading ---------------------------------------------------------------------- */

/* Reading a text as a blob gives the same bytes, and SQLite need not add a NUL. */
static struct str column_str(sqlite3_stmt *stmt, int column)
{
	const void *data = sqlite3_column_blob(stmt, column);

	/* for an empty one SQLite returns NULL */
	return (struct str){data != NULL ? data : "", (size_t)sqlite3_column_bytes(stmt, column)};
}

static int row_version(sqlite3_stmt *stmt, unsigned *ret_version)
{
	int64_t version = sqlite3_column_int64(stmt, ROW_VERSION);

	if (version < 1 || version > FIELDS_VERSION)
		return -EBADMSG;
	*ret_version = (unsigned)version;
	return 0;
}

/** Leaves out columns that the row's version does not have: its checksum does not cover them. */
static void read_parts(sqlite3_stmt *stmt, int first, const struct column *columns, size_t count,
                       unsigned version, struct parts *parts)
{
	for (size_t i = 0; i < count; i++) {
		size_t place = columns[i].place;
		int at = first + (int)i;

		if (columns[i].since > version)
			continue;
		if (columns[i].type == NUMBER)
			parts->numbers[place] = (uint64_t)sqlite3_column_int64(stmt, at);
		else if (columns[i].type == FLAG)
			parts->numbers[INSTANCE_FLAGS_PLACE] |=
				(uint64_t)(sqlite3_column_int64(stmt, at) != 0) << place;
		else
			parts->texts[place] = column_str(stmt, at);
	}
}

static int read_instance_parts(sqlite3_stmt *stmt, unsigned *ret_version, struct parts *ret_parts)
{
	int r = row_version(stmt, ret_version);

	if (r < 0)
		return r;
	parts_for_instance(ret_parts, *ret_version);
	read_parts(stmt, FIRST_INSTANCE, instance_columns, ARRAY_LEN(instance_columns),
	           *ret_version, ret_parts);
	return 0;
}

/* SQLite returns empty values when it runs out of memory, which must not be reported as damage. */
static int row_verify(sqlite3_stmt *stmt, int r, uint32_t checksum)
{
	if (r == 0 && sqlite3_column_int64(stmt, ROW_CHECKSUM) == (int64_t)checksum)
		return 0;
	return sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM ? -ENOMEM : -EBADMSG;
}

int row_instance(sqlite3_stmt *stmt, struct instance *ret_instance)
{
	struct instance instance;
	struct parts parts;
	unsigned version = 0;
	int r = read_instance_parts(stmt, &version, &parts);

	if (r < 0)
		return r;
	r = row_verify(stmt, parts_to_instance(&parts, &instance), parts_checksum(0, &parts));
	if (r == 0)
		*ret_instance = instance;
	return r;
}

int row_entry(sqlite3_stmt *stmt, struct entry *ret_entry)
{
	struct entry entry;
	struct parts parts;
	unsigned version = 0;
	int r = row_version(stmt, &version);

	if (r < 0)
		return r;
	parts_for_entry(&parts, version);
	read_parts(stmt, FIRST_INSTANCE, entry_columns, ARRAY_LEN(entry_columns), version, &parts);
	r = row_verify(stmt, parts_to_entry(&parts, &entry), parts_checksum(0, &parts));
	if (r == 0)
		*ret_entry = entry;
	return r;
}

/** Moves the entry out of the columns of the instance. */
static void move_entry(struct event *event)
{
	const struct instance *instance = &event->instance;

	event->entry.service = instance->service;
	event->entry.name = instance->id;
	event->entry.incarnation = instance->incarnation;
	event->entry.revision = instance->revision;
	event->entry.author = event->author;
	event->entry.time_ms = event->time_ms;
	event->instance = (struct instance){.revision = 0};
}

int row_event(sqlite3_stmt *stmt, struct event *ret_event)
{
	struct parts instance;
	struct parts parts;
	struct event event = {.revision = 0};
	unsigned version = 0;
	int r = read_instance_parts(stmt, &version, &instance);

	if (r < 0)
		return r;
	parts_for_event(&parts, version);
	read_parts(stmt, FIRST_EVENT, event_columns, ARRAY_LEN(event_columns), version, &parts);
	r = parts_to_instance(&instance, &event.instance);
	if (r == 0)
		r = parts_to_event(&parts, &event);
	r = row_verify(stmt, r, parts_checksum(parts_checksum(0, &instance), &parts));
	if (r < 0)
		return r;
	event.revision = event.instance.revision;
	if (event_subject(event.kind) == SUBJECT_ENTRY) {
		move_entry(&event);
		if (!entry_is_valid(&event.entry))
			return -EBADMSG;
	}
	*ret_event = event;
	return 0;
}
