/* SPDX-License-Identifier: MIT */
#include "journal/row.h"

#include <endian.h>
#include <errno.h>
#include <zlib.h>

enum column {
	COL_REVISION,
	COL_CHECKSUM,
	COL_SERVICE,
	COL_ID,
	COL_INCARNATION,
	COL_HOST,
	COL_PORT,
	COL_WEIGHT,
	COL_TTL_MS,
	COL_REMOVE_AFTER_MS,
	COL_WANTS_DRAIN,
	COL_LEASE_OUT,
	COL_DRAINED,
	COL_DRAINED_UNTIL_MS,
	COL_STATUS_REASON,
	COL_STATUS_BY,
	COL_STATUS_SINCE_MS,
	COL_REGISTERED_MS,
	COL_METADATA_COUNT,
	COL_METADATA,
	/* of events only */
	COL_TIME_MS,
	COL_KIND,
	COL_AUTHOR,
	COL_AGENT,
	COL_REASON,
};

static uint32_t add_numbers(uint32_t crc, int64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		numbers[i] = (int64_t)htole64((uint64_t)numbers[i]);
	return (uint32_t)crc32(crc, (const Bytef *)numbers, (uInt)(count * sizeof(numbers[0])));
}

static uint32_t add_str(uint32_t crc, struct str text)
{
	return text.len == 0 ? crc : (uint32_t)crc32(crc, (const Bytef *)text.data, (uInt)text.len);
}

/* The lengths are among the numbers, so no byte can move from one string to the next. */
static uint32_t instance_checksum(const struct instance *i)
{
	int64_t numbers[] = {
		(int64_t)i->revision,
		(int64_t)i->incarnation,
		i->port,
		i->weight,
		i->ttl_ms,
		i->remove_after_ms,
		i->wants_drain | i->lease_out << 1 | i->drained << 2,
		i->drained_until_ms,
		i->status_since_ms,
		i->registered_ms,
		i->metadata_count,
		(int64_t)i->service.len,
		(int64_t)i->id.len,
		(int64_t)i->host.len,
		(int64_t)i->status_reason.len,
		(int64_t)i->status_by.len,
		(int64_t)i->metadata.len,
	};
	uint32_t crc = add_numbers(0, numbers, ARRAY_LEN(numbers));

	crc = add_str(crc, i->service);
	crc = add_str(crc, i->id);
	crc = add_str(crc, i->host);
	crc = add_str(crc, i->status_reason);
	crc = add_str(crc, i->status_by);
	return add_str(crc, i->metadata);
}

static uint32_t event_checksum(const struct event *e)
{
	int64_t numbers[] = {
		e->time_ms,
		(int64_t)e->kind,
		(int64_t)e->author.len,
		(int64_t)e->agent.len,
		(int64_t)e->reason.len,
	};
	uint32_t crc = add_numbers(instance_checksum(&e->instance), numbers, ARRAY_LEN(numbers));

	crc = add_str(crc, e->author);
	crc = add_str(crc, e->agent);
	return add_str(crc, e->reason);
}

/* Parameters count from 1. A missing string is an empty one: SQLite would take it for NULL. */
static int bind_text(sqlite3_stmt *stmt, enum column column, struct str text)
{
	return sqlite3_bind_text(stmt, (int)column + 1, text.len == 0 ? "" : text.data,
	                         (int)text.len, SQLITE_STATIC);
}

static int bind_blob(sqlite3_stmt *stmt, enum column column, struct str bytes)
{
	return sqlite3_bind_blob(stmt, (int)column + 1, bytes.len == 0 ? "" : bytes.data,
	                         (int)bytes.len, SQLITE_STATIC);
}

static int bind_int(sqlite3_stmt *stmt, enum column column, int64_t value)
{
	return sqlite3_bind_int64(stmt, (int)column + 1, value);
}

static int bind_content(sqlite3_stmt *stmt, const struct instance *i, uint32_t checksum)
{
	int failed = 0;

	failed |= bind_int(stmt, COL_REVISION, (int64_t)i->revision);
	failed |= bind_int(stmt, COL_CHECKSUM, checksum);
	failed |= bind_text(stmt, COL_SERVICE, i->service);
	failed |= bind_text(stmt, COL_ID, i->id);
	failed |= bind_int(stmt, COL_INCARNATION, (int64_t)i->incarnation);
	failed |= bind_text(stmt, COL_HOST, i->host);
	failed |= bind_int(stmt, COL_PORT, i->port);
	failed |= bind_int(stmt, COL_WEIGHT, i->weight);
	failed |= bind_int(stmt, COL_TTL_MS, i->ttl_ms);
	failed |= bind_int(stmt, COL_REMOVE_AFTER_MS, i->remove_after_ms);
	failed |= bind_int(stmt, COL_WANTS_DRAIN, i->wants_drain);
	failed |= bind_int(stmt, COL_LEASE_OUT, i->lease_out);
	failed |= bind_int(stmt, COL_DRAINED, i->drained);
	failed |= bind_int(stmt, COL_DRAINED_UNTIL_MS, i->drained_until_ms);
	failed |= bind_text(stmt, COL_STATUS_REASON, i->status_reason);
	failed |= bind_text(stmt, COL_STATUS_BY, i->status_by);
	failed |= bind_int(stmt, COL_STATUS_SINCE_MS, i->status_since_ms);
	failed |= bind_int(stmt, COL_REGISTERED_MS, i->registered_ms);
	failed |= bind_int(stmt, COL_METADATA_COUNT, i->metadata_count);
	failed |= bind_blob(stmt, COL_METADATA, i->metadata);
	return failed != 0 ? -ENOMEM : 0;
}

int row_bind_instance(sqlite3_stmt *stmt, const struct instance *instance)
{
	return bind_content(stmt, instance, instance_checksum(instance));
}

int row_bind_event(sqlite3_stmt *stmt, const struct event *event)
{
	int failed = bind_content(stmt, &event->instance, event_checksum(event));

	failed |= bind_int(stmt, COL_TIME_MS, event->time_ms);
	failed |= bind_int(stmt, COL_KIND, (int64_t)event->kind);
	failed |= bind_text(stmt, COL_AUTHOR, event->author);
	failed |= bind_text(stmt, COL_AGENT, event->agent);
	failed |= bind_text(stmt, COL_REASON, event->reason);
	return failed != 0 ? -ENOMEM : 0;
}

/* The bytes of a text are a blob's too, and then SQLite need not end them in NUL. */
static struct str column_str(sqlite3_stmt *stmt, enum column column)
{
	const void *data = sqlite3_column_blob(stmt, (int)column);

	/* of an empty one SQLite gives none */
	return (struct str){data != NULL ? data : "",
	                    (size_t)sqlite3_column_bytes(stmt, (int)column)};
}

static int64_t column_int(sqlite3_stmt *stmt, enum column column)
{
	return sqlite3_column_int64(stmt, (int)column);
}

static bool is_revision(int64_t value)
{
	return value > 0 && value <= ROW_REVISION_MAX;
}

/* What does not fit the types below was not written by us. */
static bool fits(sqlite3_stmt *stmt)
{
	return is_revision(column_int(stmt, COL_REVISION)) &&
	       is_revision(column_int(stmt, COL_INCARNATION)) &&
	       column_int(stmt, COL_INCARNATION) <= column_int(stmt, COL_REVISION) &&
	       (column_int(stmt, COL_PORT) & ~0xffffLL) == 0 &&
	       (column_int(stmt, COL_WEIGHT) & ~0xffffLL) == 0 &&
	       (column_int(stmt, COL_METADATA_COUNT) & ~0xffffLL) == 0;
}

static void read_content(sqlite3_stmt *stmt, struct instance *ret_instance)
{
	*ret_instance = (struct instance){
		.service = column_str(stmt, COL_SERVICE),
		.id = column_str(stmt, COL_ID),
		.host = column_str(stmt, COL_HOST),
		.metadata = column_str(stmt, COL_METADATA),
		.ttl_ms = column_int(stmt, COL_TTL_MS),
		.remove_after_ms = column_int(stmt, COL_REMOVE_AFTER_MS),
		.port = (uint16_t)column_int(stmt, COL_PORT),
		.weight = (uint16_t)column_int(stmt, COL_WEIGHT),
		.metadata_count = (uint16_t)column_int(stmt, COL_METADATA_COUNT),
		.wants_drain = column_int(stmt, COL_WANTS_DRAIN) != 0,
		.lease_out = column_int(stmt, COL_LEASE_OUT) != 0,
		.drained = column_int(stmt, COL_DRAINED) != 0,
		.drained_until_ms = column_int(stmt, COL_DRAINED_UNTIL_MS),
		.status_reason = column_str(stmt, COL_STATUS_REASON),
		.status_by = column_str(stmt, COL_STATUS_BY),
		.status_since_ms = column_int(stmt, COL_STATUS_SINCE_MS),
		.registered_ms = column_int(stmt, COL_REGISTERED_MS),
		.incarnation = (uint64_t)column_int(stmt, COL_INCARNATION),
		.revision = (uint64_t)column_int(stmt, COL_REVISION),
	};
	ret_instance->status = instance_status(ret_instance);
}

/* SQLite gives out empty values when memory ran out: that must not pass for damage. */
static int judge(sqlite3_stmt *stmt, const struct instance *instance, uint32_t checksum)
{
	if (column_int(stmt, COL_CHECKSUM) == (int64_t)checksum &&
	    metadata_is_valid(instance->metadata, instance->metadata_count))
		return 0;
	return sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM ? -ENOMEM : -EBADMSG;
}

int row_instance(sqlite3_stmt *stmt, struct instance *ret_instance)
{
	struct instance instance;

	if (!fits(stmt))
		return -EBADMSG;
	read_content(stmt, &instance);

	int r = judge(stmt, &instance, instance_checksum(&instance));
	if (r == 0)
		*ret_instance = instance;
	return r;
}

int row_event(sqlite3_stmt *stmt, struct event *ret_event)
{
	struct event event;
	int64_t kind = column_int(stmt, COL_KIND);

	if (!fits(stmt) || kind < EVENT_REGISTERED || kind >= EVENT_KIND_COUNT)
		return -EBADMSG;
	event = (struct event){
		.revision = (uint64_t)column_int(stmt, COL_REVISION),
		.time_ms = column_int(stmt, COL_TIME_MS),
		.kind = (enum event_kind)kind,
		.author = column_str(stmt, COL_AUTHOR),
		.agent = column_str(stmt, COL_AGENT),
		.reason = column_str(stmt, COL_REASON),
	};
	read_content(stmt, &event.instance);

	int r = judge(stmt, &event.instance, event_checksum(&event));
	if (r == 0)
		*ret_event = event;
	return r;
}
