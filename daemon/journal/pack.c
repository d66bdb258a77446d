/* SPDX-License-Identifier: MIT */
#include "journal/pack.h"

#include "journal/row.h"

#include <endian.h>
#include <errno.h>

/* Little-endian on disk, so that a state directory can move to any machine. */
enum number {
	NUM_REVISION,
	NUM_INCARNATION,
	NUM_PORT,
	NUM_WEIGHT,
	NUM_TTL_MS,
	NUM_REMOVE_AFTER_MS,
	NUM_FLAGS,
	NUM_DRAINED_UNTIL_MS,
	NUM_STATUS_SINCE_MS,
	NUM_REGISTERED_MS,
	NUM_METADATA_COUNT,
	NUM_TEXTS, /* from here on: the lengths of the strings */
};
#define TEXTS 6
enum { FLAG_WANTS_DRAIN = 1, FLAG_LEASE_OUT = 2, FLAG_DRAINED = 4, FLAGS_ALL = 7 };

void pack_instance(struct buf *out, const struct instance *i)
{
	const struct str texts[TEXTS] = {i->service,       i->id,        i->host,
	                                 i->status_reason, i->status_by, i->metadata};
	uint64_t numbers[NUM_TEXTS + TEXTS] = {
		[NUM_REVISION] = i->revision,
		[NUM_INCARNATION] = i->incarnation,
		[NUM_PORT] = i->port,
		[NUM_WEIGHT] = i->weight,
		[NUM_TTL_MS] = (uint64_t)i->ttl_ms,
		[NUM_REMOVE_AFTER_MS] = (uint64_t)i->remove_after_ms,
		[NUM_FLAGS] = (i->wants_drain ? FLAG_WANTS_DRAIN : 0u) |
	                      (i->lease_out ? FLAG_LEASE_OUT : 0u) |
	                      (i->drained ? FLAG_DRAINED : 0u),
		[NUM_DRAINED_UNTIL_MS] = (uint64_t)i->drained_until_ms,
		[NUM_STATUS_SINCE_MS] = (uint64_t)i->status_since_ms,
		[NUM_REGISTERED_MS] = (uint64_t)i->registered_ms,
		[NUM_METADATA_COUNT] = i->metadata_count,
	};

	for (size_t t = 0; t < TEXTS; t++)
		numbers[NUM_TEXTS + t] = texts[t].len;
	for (size_t n = 0; n < ARRAY_LEN(numbers); n++)
		numbers[n] = htole64(numbers[n]);
	buf_add(out, numbers, sizeof(numbers));
	for (size_t t = 0; t < TEXTS; t++)
		buf_put_str(out, texts[t]);
}

static bool fits(const uint64_t *numbers)
{
	return numbers[NUM_INCARNATION] > 0 && numbers[NUM_INCARNATION] <= numbers[NUM_REVISION] &&
	       numbers[NUM_REVISION] <= (uint64_t)ROW_REVISION_MAX &&
	       numbers[NUM_PORT] <= UINT16_MAX && numbers[NUM_WEIGHT] <= UINT16_MAX &&
	       numbers[NUM_METADATA_COUNT] <= UINT16_MAX && numbers[NUM_FLAGS] <= FLAGS_ALL;
}

int unpack_instance(struct str *rest, struct instance *ret_instance)
{
	uint64_t numbers[NUM_TEXTS + TEXTS];
	struct str texts[TEXTS];
	struct str left = *rest;

	if (left.len < sizeof(numbers))
		return -EBADMSG;
	memcpy(numbers, left.data, sizeof(numbers));
	left = (struct str){left.data + sizeof(numbers), left.len - sizeof(numbers)};
	for (size_t n = 0; n < ARRAY_LEN(numbers); n++)
		numbers[n] = le64toh(numbers[n]);
	if (!fits(numbers))
		return -EBADMSG;
	for (size_t t = 0; t < TEXTS; t++) {
		uint64_t len = numbers[NUM_TEXTS + t];

		if (len > left.len)
			return -EBADMSG;
		texts[t] = (struct str){left.data, (size_t)len};
		left = (struct str){left.data + len, left.len - (size_t)len};
	}
	if (!metadata_is_valid(texts[5], (uint16_t)numbers[NUM_METADATA_COUNT]))
		return -EBADMSG;
	*ret_instance = (struct instance){
		.service = texts[0],
		.id = texts[1],
		.host = texts[2],
		.status_reason = texts[3],
		.status_by = texts[4],
		.metadata = texts[5],
		.ttl_ms = (int64_t)numbers[NUM_TTL_MS],
		.remove_after_ms = (int64_t)numbers[NUM_REMOVE_AFTER_MS],
		.port = (uint16_t)numbers[NUM_PORT],
		.weight = (uint16_t)numbers[NUM_WEIGHT],
		.metadata_count = (uint16_t)numbers[NUM_METADATA_COUNT],
		.wants_drain = (numbers[NUM_FLAGS] & FLAG_WANTS_DRAIN) != 0,
		.lease_out = (numbers[NUM_FLAGS] & FLAG_LEASE_OUT) != 0,
		.drained = (numbers[NUM_FLAGS] & FLAG_DRAINED) != 0,
		.drained_until_ms = (int64_t)numbers[NUM_DRAINED_UNTIL_MS],
		.status_since_ms = (int64_t)numbers[NUM_STATUS_SINCE_MS],
		.registered_ms = (int64_t)numbers[NUM_REGISTERED_MS],
		.incarnation = numbers[NUM_INCARNATION],
		.revision = numbers[NUM_REVISION],
	};
	ret_instance->status = instance_status(ret_instance);
	*rest = left;
	return 0;
}
