/* SPDX-License-Identifier: MIT */
/*
 * Converts instances and entries to the lines of an export and back. No state, any thread.
 *
 * A value passes through struct parts, as on its way to a row of the journal. Invariant: a line has
 * exactly the fields of model/fields.h, so a new field cannot be forgotten in an export. This file
 * checks each field by itself, so that an error names the field and its value; parts_to_instance()
 * and the journal, which check whole values, could not. They check what remains.
 */
#include "backup/record.h"

#include "backup/reader.h"
#include "base/check.h"
#include "base/parse.h"
#include "journal/pack.h"
#include "model/valid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum type { NUMBER, FLAG, TEXT, BYTES };

/* A field of a line; its key is the name of the member. */
struct field {
	const char *name;
	enum type type;
	size_t place;
};
#define FIELD(type, member, place, ...) {#member, type, place},
static const struct field instance_fields[] = {INSTANCE_FIELDS(FIELD)};
static const struct field entry_fields[] = {ENTRY_FIELDS(FIELD)};
_Static_assert(ARRAY_LEN(instance_fields) <= 32 && ARRAY_LEN(entry_fields) <= 32,
               "record_read_fields() keeps one bit for each");

/* The document of an entry is itself JSON. */
static bool field_is_document(const struct field *field)
{
	return strcmp(field->name, "document") == 0;
}

/* --- writing -------------------------------------------------------------------------- */

static void record_put_packed(struct buf *out, struct str metadata)
{
	struct str key;
	struct str value;

	buf_put_char(out, '{');
	for (size_t pos = 0; metadata_next(metadata, &pos, &key, &value);) {
		if (out->len > 0 && out->data[out->len - 1] != '{')
			buf_put_char(out, ',');
		buf_put_json(out, key);
		buf_put_char(out, ':');
		buf_put_json(out, value);
	}
	buf_put_char(out, '}');
}

static void record_put_value(struct buf *out, const struct field *field, const struct parts *parts)
{
	switch (field->type) {
	case NUMBER:
		buf_put_i64(out, (int64_t)parts->numbers[field->place]);
		break;
	case FLAG:
		buf_put(out, (parts->numbers[INSTANCE_FLAGS_PLACE] >> field->place & 1) != 0
		                     ? "true"
		                     : "false");
		break;
	case TEXT:
		if (field_is_document(field))
			buf_put_str(out, parts->texts[field->place]);
		else
			buf_put_json(out, parts->texts[field->place]);
		break;
	case BYTES:
		record_put_packed(out, parts->texts[field->place]);
		break;
	}
}

static void record_put_fields(struct buf *out, const char *what, const struct field *fields,
                              size_t count, const struct parts *parts)
{
	buf_put(out, "{\"");
	buf_put(out, what);
	buf_put(out, "\":");
	for (size_t i = 0; i < count; i++) {
		buf_put(out, i == 0 ? "{\"" : ",\"");
		buf_put(out, fields[i].name);
		buf_put(out, "\":");
		record_put_value(out, &fields[i], parts);
	}
	buf_put(out, "}}\n");
}

void record_put_header(struct buf *out, const struct record_header *header)
{
	buf_printf(out,
	           "{\"rollcall_export\":%d,\"history\":\"%016" PRIx64 "\",\"revision\":%" PRIu64
	           ",\"exported_at\":",
	           RECORD_FORMAT, header->history, header->revision);
	buf_put_time(out, header->exported_ms);
	buf_printf(out, ",\"instances\":%" PRIu64 ",\"entries\":%" PRIu64 "}\n", header->instances,
	           header->entries);
}

void record_put_instance(struct buf *out, const struct instance *instance)
{
	struct parts parts;

	parts_of_instance(instance, &parts);
	record_put_fields(out, "instance", instance_fields, ARRAY_LEN(instance_fields), &parts);
}

void record_put_entry(struct buf *out, const struct entry *entry)
{
	struct parts parts;

	parts_of_entry(entry, &parts);
	record_put_fields(out, "entry", entry_fields, ARRAY_LEN(entry_fields), &parts);
}

void record_put_end(struct buf *out, const struct record_end *end)
{
	buf_printf(out, "{\"end\":true,\"lines\":%" PRIu64 ",\"crc32\":\"%08" PRIx32 "\"}\n",
	           end->lines, end->crc);
}

/* --- limits --------------------------------------------------------------------------- */

/* Of texts only the length is checked: older journals may hold hosts that are refused today. */
static const struct limit {
	const char *name;
	int64_t least; /* a number, or the length of a text in bytes */
	int64_t most;
} limits[] = {
	{"host", 1, HOST_MAX},
	{"port", 1, UINT16_MAX},
	{"weight", 0, WEIGHT_MAX},
	{"metadata_count", 0, METADATA_ENTRIES_MAX},
	{"ttl_ms", TTL_MS_NONE, TTL_MS_MAX},
	{"remove_after_ms", 0, REMOVE_AFTER_MS_MAX},
	{"status_reason", 0, REASON_MAX},
	{"status_by", 0, AUTHOR_MAX + 16},
	{"drained_until_ms", 0, INT64_MAX / 2},
	{"owner", 0, AUTHOR_MAX + 16},
	{"kind", 1, ENTRY_KIND_COUNT - 1},
	{"document", 2, ENTRY_DOCUMENT_MAX},
	{"author", 0, AUTHOR_MAX + 16},
	{"incarnation", 1, INT64_C(1) << 53},
	{"revision", 1, INT64_C(1) << 53},
};

static const struct limit *record_limit(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (strcmp(limits[i].name, name) == 0)
			return &limits[i];
	return NULL;
}

static bool record_check_number(struct reader *reader, const char *name, int64_t value)
{
	const struct limit *limit = record_limit(name);

	if (limit == NULL || (value >= limit->least && value <= limit->most))
		return true;
	return reader_fail(reader, "%s must be from %" PRId64 " to %" PRId64 ", not %" PRId64, name,
	                   limit->least, limit->most, value);
}

static bool record_check_text(struct reader *reader, const char *name, struct str text)
{
	const struct limit *limit = record_limit(name);
	int64_t len = (int64_t)text.len;

	if (strcmp(name, "service") == 0 && !valid_service_name(text))
		return reader_fail(reader, "service '%.*s' is not a valid service name",
		                   (int)(text.len < 80 ? text.len : 80), text.data);
	if ((strcmp(name, "id") == 0 || strcmp(name, "name") == 0) && !valid_instance_id(text))
		return reader_fail(reader, "%s '%.*s' is not a valid id", name,
		                   (int)(text.len < 80 ? text.len : 80), text.data);
	if (limit == NULL || (len >= limit->least && len <= limit->most))
		return true;
	return reader_fail(reader, "%s must have from %" PRId64 " to %" PRId64 " bytes, not %zu",
	                   name, limit->least, limit->most, text.len);
}

/* --- reading -------------------------------------------------------------------------- */

static bool record_read_value(struct reader *reader, const struct field *field, struct parts *parts)
{
	struct str text = {NULL, 0};
	int64_t number = 0;
	bool flag = false;

	switch (field->type) {
	case NUMBER:
		if (!reader_number(reader, &number) ||
		    !record_check_number(reader, field->name, number))
			return false;
		parts->numbers[field->place] = (uint64_t)number;
		return true;
	case FLAG:
		if (!reader_bool(reader, &flag))
			return false;
		parts->numbers[INSTANCE_FLAGS_PLACE] |= (uint64_t)flag << field->place;
		return true;
	case TEXT:
		if (field_is_document(field) ? !reader_object(reader, &text)
		                             : !reader_string(reader, &text))
			return false;
		parts->texts[field->place] = text;
		return record_check_text(reader, field->name, text);
	case BYTES:
		if (!reader_packed(reader, &text))
			return false;
		parts->texts[field->place] = text;
		return true;
	}
	return false;
}

/* Prepends the field's name to the reason, unless the reason begins with it. @return false */
static bool record_in_field(struct reader *reader, const char *name)
{
	char why[RECORD_WHY_SIZE];

	if (strncmp(reader->why, name, strlen(name)) == 0)
		return false;
	(void)snprintf(why, sizeof(why), "%s", reader->why);
	(void)snprintf(reader->why, reader->why_size, "%s: %.250s", name, why);
	return false;
}

static bool record_read_field(struct reader *reader, const struct field *fields, size_t count,
                              uint32_t *seen, struct parts *parts)
{
	struct str key;

	if (!reader_key(reader, &key))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!str_equal(key, str_of(fields[i].name)))
			continue;
		if ((*seen >> i & 1) != 0)
			return reader_fail(reader, "%s appears twice", fields[i].name);
		*seen |= UINT32_C(1) << i;
		return record_read_value(reader, &fields[i], parts) ||
		       record_in_field(reader, fields[i].name);
	}
	return reader_fail(reader, "unknown field '%.*s'", (int)(key.len < 64 ? key.len : 64),
	                   key.data);
}

/* Reads an object that has all of @p fields and no others. */
static bool record_read_fields(struct reader *reader, const struct field *fields, size_t count,
                               struct parts *parts)
{
	uint32_t seen = 0;

	if (!reader_expect(reader, '{'))
		return false;
	do {
		if (!record_read_field(reader, fields, count, &seen, parts))
			return false;
	} while (reader_accept(reader, ','));
	if (!reader_expect(reader, '}'))
		return false;
	for (size_t i = 0; i < count; i++)
		if ((seen >> i & 1) == 0)
			return reader_fail(reader, "%s is missing", fields[i].name);
	return true;
}

static bool record_read_instance(struct reader *reader, struct instance *ret)
{
	struct parts parts;

	parts_for_instance(&parts, FIELDS_VERSION);
	if (!record_read_fields(reader, instance_fields, ARRAY_LEN(instance_fields), &parts))
		return false;
	if (parts_to_instance(&parts, ret) == 0)
		return true;
	return reader_fail(reader, "incarnation is above revision, or metadata is not of "
	                           "metadata_count entries within their limits");
}

static bool record_read_entry(struct reader *reader, struct entry *ret)
{
	struct parts parts;

	parts_for_entry(&parts, FIELDS_VERSION);
	if (!record_read_fields(reader, entry_fields, ARRAY_LEN(entry_fields), &parts))
		return false;
	if (parts_to_entry(&parts, ret) < 0)
		return reader_fail(reader, "incarnation is above revision");
	return entry_is_valid(ret) ||
	       reader_fail(reader, "document must be one JSON object without control characters");
}

/* --- the first and the last line ------------------------------------------------------ */

static bool record_expect_key(struct reader *reader, const char *name)
{
	struct str key;

	if (!reader_key(reader, &key))
		return false;
	return str_equal(key, str_of(name)) ||
	       reader_fail(reader, "'%s' was expected, not '%.*s'", name,
	                   (int)(key.len < 64 ? key.len : 64), key.data);
}

static bool record_read_count(struct reader *reader, const char *name, uint64_t *ret)
{
	int64_t number = 0;

	if (!record_expect_key(reader, name))
		return false;
	if (!reader_number(reader, &number))
		return record_in_field(reader, name);
	*ret = (uint64_t)number;
	return number >= 0 || reader_fail(reader, "%s must not be below 0", name);
}

/* Reads the key @p name and a string of exactly @p digits hexadecimal digits. */
static bool record_read_hex(struct reader *reader, const char *name, size_t digits, uint64_t *ret)
{
	struct str text;

	if (!record_expect_key(reader, name) || !reader_string(reader, &text))
		return record_in_field(reader, name);
	*ret = 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *hex = "0123456789abcdef";
		const char *found = text.data[i] != '\0' ? strchr(hex, text.data[i]) : NULL;

		if (found == NULL || i == digits)
			break;
		*ret = *ret << 4 | (uint64_t)(found - hex);
		if (i + 1 == digits && text.len == digits)
			return true;
	}
	return reader_fail(reader, "%s must be %zu hexadecimal digits in lower case", name, digits);
}

/* Reads what follows {"rollcall_export":. */
static bool record_read_header(struct reader *reader, struct record_header *ret)
{
	int64_t format = 0;
	struct str time;

	if (!reader_number(reader, &format))
		return record_in_field(reader, "rollcall_export");
	if (format != RECORD_FORMAT)
		return reader_fail(reader,
		                   "rollcall_export is %" PRId64 "; this version reads only %d",
		                   format, RECORD_FORMAT);
	if (!reader_expect(reader, ',') || !record_read_hex(reader, "history", 16, &ret->history) ||
	    !reader_expect(reader, ',') || !record_read_count(reader, "revision", &ret->revision) ||
	    !reader_expect(reader, ',') || !record_expect_key(reader, "exported_at") ||
	    !reader_string(reader, &time))
		return false;
	if (parse_rfc3339(time, &ret->exported_ms) < 0)
		return reader_fail(reader, "exported_at is not an RFC 3339 time");
	return reader_expect(reader, ',') &&
	       record_read_count(reader, "instances", &ret->instances) &&
	       reader_expect(reader, ',') && record_read_count(reader, "entries", &ret->entries);
}

/* Reads what follows {"end":. */
static bool record_read_end(struct reader *reader, struct record_end *ret)
{
	bool is_true = false;
	uint64_t crc = 0;

	if (!reader_bool(reader, &is_true))
		return record_in_field(reader, "end");
	if (!is_true)
		return reader_fail(reader, "end must be true");
	if (!reader_expect(reader, ',') || !record_read_count(reader, "lines", &ret->lines) ||
	    !reader_expect(reader, ',') || !record_read_hex(reader, "crc32", 8, &crc))
		return false;
	ret->crc = (uint32_t)crc;
	return true;
}

static bool record_read_any(struct reader *reader, struct record *ret)
{
	struct str key;

	if (!reader_expect(reader, '{') || !reader_key(reader, &key))
		return false;
	if (str_equal(key, STR("instance"))) {
		ret->kind = RECORD_INSTANCE;
		return record_read_instance(reader, &ret->instance);
	}
	if (str_equal(key, STR("entry"))) {
		ret->kind = RECORD_ENTRY;
		return record_read_entry(reader, &ret->entry);
	}
	if (str_equal(key, STR("rollcall_export"))) {
		ret->kind = RECORD_HEADER;
		return record_read_header(reader, &ret->header);
	}
	if (str_equal(key, STR("end"))) {
		ret->kind = RECORD_END;
		return record_read_end(reader, &ret->end);
	}
	return reader_fail(reader, "unknown field '%.*s'", (int)(key.len < 64 ? key.len : 64),
	                   key.data);
}

int record_read(char *line, size_t len, struct record *ret_record, char ret_why[RECORD_WHY_SIZE])
{
	struct reader reader = {line, line, line + len, ret_why, RECORD_WHY_SIZE};
	struct record record = {.kind = RECORD_END};

	ret_why[0] = '\0';
	if (!record_read_any(&reader, &record) || !reader_expect(&reader, '}'))
		return -EINVAL;
	if (!reader_at_end(&reader)) {
		(void)reader_fail(&reader, "unexpected data after the object");
		return -EINVAL;
	}
	*ret_record = record;
	return 0;
}
