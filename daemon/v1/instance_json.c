/* SPDX-License-Identifier: MIT */
/*
 * Reads the bodies of registrations, heartbeats and status changes. No state, any thread.
 *
 * Invariant: the result is written only after all fields have been read without an error, so a
 * refused body changes nothing. Reading does not stop at the first wrong field: the client gets the
 * errors of all fields at once.
 */
#include "v1/instance_json.h"

#include "base/check.h"
#include "model/valid.h"
#include "v1/fields.h"
#include "v1/limits.h"

#include <errno.h>
#include <stdlib.h>

struct pair {
	struct str key;
	struct str value;
};

static int compare_keys(const void *a, const void *b)
{
	const struct pair *x = a;
	const struct pair *y = b;

	return str_compare(x->key, y->key);
}

/* Lists the keys and values; the strings are borrowed from jansson. @return their number; or
 * -EINVAL, with an error in @p fields */
static int metadata_list(struct fields *fields, json_t *object, struct pair *pairs)
{
	size_t count = json_object_size(object);
	char text[FIELD_TEXT_SIZE];
	const char *key;
	json_t *value;
	size_t bytes = 0;
	int n = 0;

	if (count > METADATA_ENTRIES_MAX) {
		field_error(fields->errors, STR("metadata"), "metadata has %zu entries; at most %d",
		            count, METADATA_ENTRIES_MAX);
		return -EINVAL;
	}
	json_object_foreach(object, key, value)
	{
		if (key[0] == '\0' || !json_is_string(value)) {
			field_error(fields->errors, STR("metadata"),
			            key[0] == '\0' ? "a key of metadata is empty"
			                           : "metadata '%.64s' must be a string, not %s",
			            key, field_text(value, text));
			return -EINVAL;
		}
		pairs[n].key = str_of(key);
		pairs[n].value = (struct str){json_string_value(value), json_string_length(value)};
		bytes += pairs[n].key.len + pairs[n].value.len;
		n++;
	}
	if (bytes > METADATA_BYTES_MAX) {
		field_error(fields->errors, STR("metadata"),
		            "metadata has %zu bytes in keys and values; at most %d", bytes,
		            METADATA_BYTES_MAX);
		return -EINVAL;
	}
	return n;
}

/* Packs the metadata into @p memory. @return the end of what was written */
static char *metadata_read(struct fields *fields, char *memory, struct instance *instance)
{
	struct pair pairs[METADATA_ENTRIES_MAX];
	json_t *object = fields_object(fields, "metadata");
	int count = object != NULL ? metadata_list(fields, object, pairs) : 0;

	if (count <= 0)
		return memory;
	qsort(pairs, (size_t)count, sizeof(pairs[0]), compare_keys);
	char *end = memory;
	for (int i = 0; i < count; i++) {
		(void)str_copy_with_nul(&end, pairs[i].key);
		(void)str_copy_with_nul(&end, pairs[i].value);
	}
	instance->metadata = (struct str){memory, (size_t)(end - memory)};
	instance->metadata_count = (uint16_t)count;
	return end;
}

/* Checks the client's address, which @p instance has as its host when the body has no host. */
static void host_check_peer(struct fields *fields, const struct instance *instance)
{
	struct str peer = instance->host;
	const char *fault = peer.len > 0 ? host_fault(peer) : NULL;

	if (peer.len == 0)
		field_error(fields->errors, STR("host"),
		            "host is required: the request came over a Unix socket");
	else if (fault != NULL)
		field_error(fields->errors, STR("host"),
		            "host is required: the request came from '%.*s', and host %s",
		            (int)peer.len, peer.data, fault);
}

static char *host_read(struct fields *fields, char *memory, struct instance *instance)
{
	struct str host;

	if (!fields_has(fields, "host")) {
		host_check_peer(fields, instance);
		return memory;
	}
	if (!fields_string(fields, "host", &host, FIELD_OPTIONAL))
		return memory;
	const char *fault = host_fault(host);
	if (fault != NULL) {
		field_error(fields->errors, STR("host"), "host %s, not '%.64s'", fault, host.data);
		return memory;
	}
	instance->host = str_copy_with_nul(&memory, host);
	return memory;
}

/* Reads "status": "healthy" or "draining". @return is the field present and valid? */
static bool status_read_drain(struct fields *fields, enum field_need need, bool *ret_drain)
{
	struct str text;

	if (!fields_string(fields, "status", &text, need))
		return false;
	if (str_equal(text, STR("draining"))) {
		*ret_drain = true;
	} else if (str_equal(text, STR("healthy"))) {
		*ret_drain = false;
	} else {
		field_error(fields->errors, STR("status"),
		            "status must be 'healthy' or 'draining', not '%.64s'", text.data);
		return false;
	}
	return true;
}

int instance_from_json(struct str body, char *memory, struct instance *instance,
                       struct field_errors *errors)
{
	struct instance read = *instance;
	struct fields fields;
	int64_t port = 0;
	int64_t weight = instance->weight;

	int r = fields_open(body, errors, &fields);
	if (r < 0)
		return r;
	char *end = host_read(&fields, memory, &read);
	end = metadata_read(&fields, end, &read);
	CHECK((size_t)(end - memory) <= body.len);
	fields_int(&fields, "port", 1, 65535, &port, FIELD_REQUIRED);
	fields_int(&fields, "weight", 0, WEIGHT_MAX, &weight, FIELD_OPTIONAL);
	fields_int_or_0(&fields, "ttl_ms", TTL_MS_MIN, TTL_MS_MAX, &read.ttl_ms);
	fields_int(&fields, "remove_after_ms", 0, REMOVE_AFTER_MS_MAX, &read.remove_after_ms,
	           FIELD_OPTIONAL);
	(void)status_read_drain(&fields, FIELD_OPTIONAL, &read.wants_drain);
	read.port = (uint16_t)port;
	read.weight = (uint16_t)weight;

	r = fields_close(&fields);
	if (r < 0)
		return r;
	*instance = read;
	return 0;
}

/* Reads "status": any status. @return is the field present and valid? */
static bool status_read_any(struct fields *fields, struct heartbeat *heartbeat)
{
	struct str text;
	enum status status;

	if (!fields_string(fields, "status", &text, FIELD_OPTIONAL))
		return false;
	if (status_parse(text, &status) < 0) {
		field_error(fields->errors, STR("status"),
		            "status must be 'healthy', 'unhealthy' or 'draining', not '%.64s'",
		            text.data);
		return false;
	}
	heartbeat->wants_drain = status == STATUS_DRAINING;
	heartbeat->reports_unhealthy = status == STATUS_UNHEALTHY;
	return true;
}

int heartbeat_from_json(struct str body, struct heartbeat *ret_heartbeat,
                        struct field_errors *errors)
{
	struct heartbeat read = {0};
	struct fields fields;
	double load = 0;

	int r = fields_open(body, errors, &fields);
	if (r < 0)
		return r;
	read.set_status = status_read_any(&fields, &read);
	read.set_load = fields_number(&fields, "load", 0, 1, &load);
	read.load_ppm = (uint32_t)(load * 1e6 + 0.5);
	r = fields_close(&fields);
	if (r < 0)
		return r;
	*ret_heartbeat = read;
	return 0;
}

int intent_from_json(struct str body, char *memory, struct intent *ret_intent,
                     struct field_errors *errors)
{
	struct intent read = {0};
	struct fields fields;
	struct str reason;

	int r = fields_open(body, errors, &fields);
	if (r < 0)
		return r;
	bool known = status_read_drain(&fields, FIELD_REQUIRED, &read.drained);
	fields_int(&fields, "wait_ms", 0, WAIT_MS_MAX, &read.wait_ms, FIELD_OPTIONAL);
	fields_int(&fields, "for_ms", 1, DRAIN_FOR_MS_MAX, &read.for_ms, FIELD_OPTIONAL);
	if (known && !read.drained && read.for_ms != 0)
		field_error(errors, STR("for_ms"), "for_ms needs status 'draining'");
	if (fields_string(&fields, "reason", &reason, FIELD_OPTIONAL)) {
		if (valid_text(reason, REASON_MAX))
			read.reason = str_copy_with_nul(&memory, reason);
		else
			field_error(errors, STR("reason"),
			            "reason must be at most %d bytes without control characters",
			            REASON_MAX);
	}
	r = fields_close(&fields);
	if (r < 0)
		return r;
	*ret_intent = read;
	return 0;
}
