/* SPDX-License-Identifier: MIT */
/*
 * Instances as plain values: status, comparison, packed metadata and JSON. No state, any thread.
 *
 * Invariant: the code for records and for JSON is generated from INSTANCE_FIELDS (model/fields.h).
 * With handwritten lists, a field that is missing from one of them would still compile: a PUT that
 * changes only that field would be taken for a repetition and be lost.
 */
#include "model/instance.h"

#include "model/fields.h"

#include <errno.h>

static const char *const status_names[STATUS_COUNT] = {
	[STATUS_HEALTHY] = "healthy",
	[STATUS_UNHEALTHY] = "unhealthy",
	[STATUS_DRAINING] = "draining",
};

enum status_cause instance_status_cause(const struct instance *instance)
{
	return instance->drained             ? CAUSE_OPERATOR
	       : instance->lease_out         ? CAUSE_LEASE
	       : instance->reports_unhealthy ? CAUSE_REPORT
	       : instance->wants_drain       ? CAUSE_OWNER
	                                     : CAUSE_NONE;
}

enum status instance_status(const struct instance *instance)
{
	static const enum status of_cause[CAUSE_COUNT] = {
		[CAUSE_OPERATOR] = STATUS_DRAINING, [CAUSE_LEASE] = STATUS_UNHEALTHY,
		[CAUSE_REPORT] = STATUS_UNHEALTHY,  [CAUSE_OWNER] = STATUS_DRAINING,
		[CAUSE_NONE] = STATUS_HEALTHY,
	};

	return of_cause[instance_status_cause(instance)];
}

bool instance_can_expire(const struct instance *instance)
{
	return instance->ttl_ms != TTL_MS_NONE && !instance->lease_out;
}

#define SAME_NUMBER(member)       &&a->member == b->member
#define SAME_FLAG(member)         &&a->member == b->member
#define SAME_TEXT(member)         &&str_equal(a->member, b->member)
#define SAME_BYTES(member)        SAME_TEXT(member)
#define SAME_RECORD(type, member) SAME_##type(member)
#define SAME_STATE(type, member)
#define SAME_FIELD(type, member, place, since, part, json, name) SAME_##part(type, member)

bool instance_same_record(const struct instance *a, const struct instance *b)
{
	return true INSTANCE_FIELDS(SAME_FIELD);
}

#define COPY_RECORD(member) instance->member = record->member;
#define COPY_STATE(member)
#define COPY_FIELD(type, member, place, since, part, json, name) COPY_##part(member)

void instance_set_record(struct instance *instance, const struct instance *record)
{
	INSTANCE_FIELDS(COPY_FIELD)
}

const char *status_name(enum status status)
{
	return status_names[status];
}

int status_parse(struct str text, enum status *ret_status)
{
	for (size_t i = 0; i < STATUS_COUNT; i++) {
		if (str_equal(text, str_of(status_names[i]))) {
			*ret_status = (enum status)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* One NUL-terminated word of packed metadata. */
static bool metadata_next_word(struct str metadata, size_t *pos, struct str *ret_word)
{
	if (*pos >= metadata.len)
		return false;

	const char *start = metadata.data + *pos;
	const char *end = memchr(start, '\0', metadata.len - *pos);

	if (end == NULL)
		return false;
	*ret_word = (struct str){start, (size_t)(end - start)};
	*pos += ret_word->len + 1;
	return true;
}

bool metadata_next(struct str metadata, size_t *pos, struct str *ret_key, struct str *ret_value)
{
	return metadata_next_word(metadata, pos, ret_key) &&
	       metadata_next_word(metadata, pos, ret_value);
}

bool metadata_get(struct str metadata, struct str key, struct str *ret_value)
{
	struct str k;
	struct str v;

	for (size_t pos = 0; metadata_next(metadata, &pos, &k, &v);) {
		if (str_equal(k, key)) {
			*ret_value = v;
			return true;
		}
	}
	return false;
}

bool metadata_is_valid(struct str metadata, uint16_t count)
{
	struct str previous = {NULL, 0};
	struct str key;
	struct str value;
	size_t entries = 0;
	size_t pos = 0;

	if (count > METADATA_ENTRIES_MAX || metadata.len > METADATA_BYTES_MAX + 2u * count)
		return false;
	while (metadata_next(metadata, &pos, &key, &value)) {
		if (entries > 0 && str_compare(previous, key) >= 0)
			return false;
		previous = key;
		entries++;
	}
	return entries == count && pos == metadata.len;
}

static bool is_length_within(struct str text, size_t least, size_t most)
{
	return text.len >= least && text.len <= most;
}

bool instance_is_within_limits(const struct instance *instance)
{
	return is_length_within(instance->service, 1, SERVICE_NAME_MAX) &&
	       is_length_within(instance->id, 1, INSTANCE_ID_MAX) &&
	       is_length_within(instance->host, 0, HOST_MAX) &&
	       is_length_within(instance->status_reason, 0, REASON_MAX) &&
	       is_length_within(instance->status_by, 0, STATUS_BY_MAX) && instance->ttl_ms >= 0 &&
	       instance->ttl_ms <= TTL_MS_MAX && instance->remove_after_ms >= 0 &&
	       instance->remove_after_ms <= REMOVE_AFTER_MS_MAX &&
	       /* a clock may have been wrong, but sums with this time must not overflow */
	       instance->drained_until_ms >= 0 && instance->drained_until_ms <= INT64_MAX / 2 &&
	       metadata_is_valid(instance->metadata, instance->metadata_count);
}

void instance_put_address(struct buf *out, const struct instance *instance)
{
	bool v6 = memchr(instance->host.data, ':', instance->host.len) != NULL;

	if (v6)
		buf_put_char(out, '[');
	buf_put_str(out, instance->host);
	if (v6)
		buf_put_char(out, ']');
	buf_put_char(out, ':');
	buf_put_u64(out, instance->port);
}

static void instance_put_metadata(struct buf *out, struct str metadata)
{
	struct str key;
	struct str value;
	bool first = true;

	buf_put_char(out, '{');
	for (size_t pos = 0; metadata_next(metadata, &pos, &key, &value); first = false) {
		if (!first)
			buf_put_char(out, ',');
		buf_put_json(out, key);
		buf_put_char(out, ':');
		buf_put_json(out, value);
	}
	buf_put_char(out, '}');
}

static void instance_put_status(struct buf *out, const struct instance *instance)
{
	buf_put(out, ",\"status\":\"");
	buf_put(out, status_name(instance->status));
	buf_put_char(out, '"');
}

static void instance_put_until(struct buf *out, const struct instance *instance, const char *name)
{
	if (!instance->drained || instance->drained_until_ms == 0)
		return;
	buf_put(out, name);
	buf_put_time(out, instance->drained_until_ms);
}

#define PUT_NONE(member, name)
#define PUT_FIRST(member, name)         \
	buf_put(out, "{\"" name "\":"); \
	buf_put_json(out, member);
#define PUT_TEXT(member, name)          \
	buf_put(out, ",\"" name "\":"); \
	buf_put_json(out, member);
#define PUT_NUMBER(member, name)        \
	buf_put(out, ",\"" name "\":"); \
	buf_put_i64(out, member);
#define PUT_TIME(member, name)          \
	buf_put(out, ",\"" name "\":"); \
	buf_put_time(out, member);
/* The port, then the address, which needs no escapes: a valid host has no such characters. */
#define PUT_PORT(member, name)               \
	PUT_NUMBER(member, name)             \
	buf_put(out, ",\"address\":\"");     \
	instance_put_address(out, instance); \
	buf_put_char(out, '"');
#define PUT_METADATA(member, name)      \
	buf_put(out, ",\"" name "\":"); \
	instance_put_metadata(out, member);
/* The status is derived from all flags. */
#define PUT_STATUS(member, name) instance_put_status(out, instance);
#define PUT_UNTIL(member, name)  instance_put_until(out, instance, ",\"" name "\":");
#define PUT_CLOSE(member, name)
#define PUT_FIELD(type, member, place, since, part, json, name) PUT_##json(instance->member, name)

void instance_put_json_open(struct buf *out, const struct instance *instance)
{
	INSTANCE_FIELDS(PUT_FIELD)
}

void instance_put_json_close(struct buf *out, const struct instance *instance)
{
	buf_put(out, ",\"incarnation\":");
	buf_put_u64(out, instance->incarnation);
	buf_put(out, ",\"revision\":");
	buf_put_u64(out, instance->revision);
	buf_put_char(out, '}');
}

size_t instance_json_close_len(const struct instance *instance)
{
	return strlen(",\"incarnation\":,\"revision\":}") + u64_len(instance->incarnation) +
	       u64_len(instance->revision);
}
