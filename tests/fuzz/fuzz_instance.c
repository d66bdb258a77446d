/* SPDX-License-Identifier: MIT */
/**
 * Fuzzes the readers of request bodies: an accepted instance is valid, and written as JSON and read
 * back it is the same; the batch reader accepts nothing that jansson refuses; no reader reads
 * beyond the end.
 */
#include "base/check.h"
#include "model/valid.h"
#include "v1/batch_json.h"
#include "v1/instance_json.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_record(struct str body, char *memory, struct instance *instance)
{
	struct field_errors errors;

	*instance = (struct instance){.service = STR("s"),
	                              .id = STR("i"),
	                              .host = STR("2001:db8::1"),
	                              .weight = WEIGHT_DEFAULT,
	                              .ttl_ms = TTL_MS_DEFAULT,
	                              .remove_after_ms = REMOVE_AFTER_DEFAULT};
	field_errors_init(&errors);
	int r = instance_from_json(body, memory, instance, &errors);
	CHECK(r != 0 || errors.count == 0);
	field_errors_fini(&errors);
	return r;
}

/** Writes the record as its owner sends it. */
static void put_record(struct buf *out, const struct instance *instance)
{
	struct str key;
	struct str value;

	buf_put(out, "{\"host\":");
	buf_put_json(out, instance->host);
	buf_printf(out, ",\"port\":%u,\"weight\":%u,\"status\":\"%s\"", instance->port,
	           instance->weight, instance->wants_drain ? "draining" : "healthy");
	buf_printf(out, ",\"ttl_ms\":%lld,\"remove_after_ms\":%lld,\"metadata\":{",
	           (long long)instance->ttl_ms, (long long)instance->remove_after_ms);
	for (size_t pos = 0; metadata_next(instance->metadata, &pos, &key, &value);) {
		if (out->data[out->len - 1] != '{')
			buf_put_char(out, ',');
		buf_put_json(out, key);
		buf_put_char(out, ':');
		buf_put_json(out, value);
	}
	buf_put(out, "}}");
	CHECK(buf_error(out) == 0);
}

static void check_record(struct str body)
{
	char *memory = malloc(body.len + 1);
	struct instance instance;
	struct instance again;
	struct buf out;

	CHECK(memory != NULL);
	if (read_record(body, memory, &instance) == 0) {
		CHECK(host_fault(instance.host) == NULL && instance.port > 0);
		CHECK(instance.ttl_ms == TTL_MS_NONE ||
		      (instance.ttl_ms >= TTL_MS_MIN && instance.ttl_ms <= TTL_MS_MAX));
		CHECK(instance.remove_after_ms >= 0);
		CHECK(metadata_is_valid(instance.metadata, instance.metadata_count));
		buf_init(&out, 1 << 20);
		put_record(&out, &instance);
		char *more = malloc(out.len);
		CHECK(more != NULL);
		CHECK_OK(read_record((struct str){out.data, out.len}, more, &again));
		CHECK(instance_same_record(&instance, &again));
		free(more);
		buf_fini(&out);
	}
	free(memory);
}

static void check_others(struct str body)
{
	char *memory = malloc(body.len + 1);
	struct heartbeat heartbeat;
	struct field_errors errors;
	struct intent intent;

	CHECK(memory != NULL);
	field_errors_init(&errors);
	if (heartbeat_from_json(body, &heartbeat, &errors) == 0)
		CHECK(heartbeat.load_ppm <= 1000000);
	field_errors_fini(&errors);
	field_errors_init(&errors);
	if (intent_from_json(body, memory, &intent, &errors) == 0)
		CHECK(valid_text(intent.reason, REASON_MAX) && intent.for_ms >= 0);
	field_errors_fini(&errors);
	free(memory);
}

static void check_batch(struct str body)
{
	struct batch_entry entry;
	struct batch batch;
	int r;

	batch_init(&batch, body);
	do {
		r = batch_next(&batch, &entry);
		CHECK(r != 1 || (valid_service_name(entry.service) && valid_instance_id(entry.id)));
	} while (r == 1);
	CHECK(batch.pos <= body.len);
	if (r < 0)
		return;
	json_t *root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
	CHECK(root != NULL);
	CHECK(json_array_size(json_object_get(root, "instances")) == batch.count);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly this length, so that a sanitizer reports each read beyond it. */
	char *copy = malloc(size + (size == 0));

	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	struct str body = {copy, size};
	check_record(body);
	check_others(body);
	check_batch(body);
	free(copy);
	return 0;
}
