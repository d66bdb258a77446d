/* SPDX-License-Identifier: MIT */
/**
 * Takes values apart, puts them together, and packs them. Functions without state: any thread.
 *
 * Invariant: the numbers and strings of a version, and their order, never change, as checksums and
 * keyframes on disks depend on them. So the code is generated from the lists in model/fields.h,
 * which give each field a place and the version that added it; struct layouts, which differ between
 * compilers and releases, are never written.
 */
#include "journal/pack.h"

#include "journal/row.h"

#include <endian.h>
#include <errno.h>
#include <zlib.h>

/* --- counts of a version ------------------------------------------------------- */

#define NUMBER_IS_NUMBER 1
#define NUMBER_IS_FLAG   0
#define NUMBER_IS_TEXT   0
#define NUMBER_IS_BYTES  0
#define FLAG_IS_NUMBER   0
#define FLAG_IS_FLAG     1
#define FLAG_IS_TEXT     0
#define FLAG_IS_BYTES    0
/* Terms that count the fields of a type up to `version`. */
#define COUNT_NUMBER(type, member, place, since, ...) \
	+(NUMBER_IS_##type && (since) <= version ? 1u : 0u)
#define COUNT_FLAG(type, member, place, since, ...) \
	+(FLAG_IS_##type && (since) <= version ? 1u : 0u)
#define COUNT_TEXT(type, member, place, since, ...) \
	+(!(NUMBER_IS_##type || FLAG_IS_##type) && (since) <= version ? 1u : 0u)

/* An event has one number more, its entry's kind, and one string more, the entry's document. */
#define ENTRY_COUNT (EVENT_ENTRY_SINCE <= version ? 1u : 0u)

/* Parts that a version lacks stay empty. */
static const struct parts no_parts;

void parts_for_instance(struct parts *ret_parts, unsigned version)
{
	*ret_parts = no_parts;
	ret_parts->number_count = 1 INSTANCE_FIELDS(COUNT_NUMBER);
	ret_parts->text_count = 0 INSTANCE_FIELDS(COUNT_TEXT);
}

void parts_for_event(struct parts *ret_parts, unsigned version)
{
	*ret_parts = no_parts;
	ret_parts->number_count = ENTRY_COUNT EVENT_FIELDS(COUNT_NUMBER);
	ret_parts->text_count = ENTRY_COUNT EVENT_FIELDS(COUNT_TEXT);
}

void parts_for_entry(struct parts *ret_parts, unsigned version)
{
	*ret_parts = no_parts;
	ret_parts->number_count = 0 ENTRY_FIELDS(COUNT_NUMBER);
	ret_parts->text_count = 0 ENTRY_FIELDS(COUNT_TEXT);
}

/* --- taking apart and putting together --------------------------------------------- */

#define SPLIT_NUMBER(member, place) ret_parts->numbers[place] = (uint64_t)from->member;
#define SPLIT_FLAG(member, place) \
	ret_parts->numbers[INSTANCE_FLAGS_PLACE] |= (uint64_t)from->member << (place);
#define SPLIT_TEXT(member, place)                           ret_parts->texts[place] = from->member;
#define SPLIT_BYTES(member, place)                          SPLIT_TEXT(member, place)
#define SPLIT(type, member, place, since, part, json, name) SPLIT_##type(member, place)

#define JOIN_NUMBER(member, place) .member = (__typeof__(to.member))parts->numbers[place],
#define JOIN_FLAG(member, place) \
	.member = ((parts->numbers[INSTANCE_FLAGS_PLACE] >> (place)) & 1) != 0,
#define JOIN_TEXT(member, place)                           .member = parts->texts[place],
#define JOIN_BYTES(member, place)                          JOIN_TEXT(member, place)
#define JOIN(type, member, place, since, part, json, name) JOIN_##type(member, place)

/* Does each number fit into its member? rollcall writes no other. */
#define FITS_NUMBER(member, place) &&(uint64_t)to.member == parts->numbers[place]
#define FITS_FLAG(member, place)
#define FITS_TEXT(member, place)
#define FITS_BYTES(member, place)
#define FITS(type, member, place, since, part, json, name) FITS_##type(member, place)

void parts_of_instance(const struct instance *from, struct parts *ret_parts)
{
	enum { version = FIELDS_VERSION };

	_Static_assert((1 INSTANCE_FIELDS(COUNT_NUMBER)) <= PARTS_NUMBERS,
	               "too many fields for struct parts");
	_Static_assert((0 INSTANCE_FIELDS(COUNT_TEXT)) <= PARTS_TEXTS,
	               "too many fields for struct parts");
	parts_for_instance(ret_parts, version);
	INSTANCE_FIELDS(SPLIT)
}

int parts_to_instance(const struct parts *parts, struct instance *ret_instance)
{
	enum { version = FIELDS_VERSION };
	static const uint64_t flags_all = (1u << (0 INSTANCE_FIELDS(COUNT_FLAG))) - 1;
	struct instance to = {INSTANCE_FIELDS(JOIN)};
	bool fits = parts->numbers[INSTANCE_FLAGS_PLACE] <= flags_all INSTANCE_FIELDS(FITS);

	if (!fits || to.incarnation == 0 || to.incarnation > to.revision ||
	    to.revision > (uint64_t)ROW_REVISION_MAX || !instance_is_within_limits(&to))
		return -EBADMSG;
	to.status = instance_status(&to);
	*ret_instance = to;
	return 0;
}

void parts_of_event(const struct event *from, struct parts *ret_parts)
{
	enum { version = FIELDS_VERSION };

	_Static_assert((0 EVENT_FIELDS(COUNT_NUMBER)) < PARTS_NUMBERS,
	               "too many fields for struct parts");
	_Static_assert((0 EVENT_FIELDS(COUNT_TEXT)) < PARTS_TEXTS,
	               "too many fields for struct parts");
	parts_for_event(ret_parts, version);
	EVENT_FIELDS(SPLIT)
	if (event_subject(from->kind) == SUBJECT_ENTRY) {
		ret_parts->numbers[EVENT_ENTRY_PLACE] = (uint64_t)from->entry.kind;
		ret_parts->texts[EVENT_DOCUMENT_PLACE] = from->entry.document;
	}
}

#define SET(type, member, place, since, part, json, name) event->member = to.member;

int parts_to_event(const struct parts *parts, struct event *event)
{
	struct event to = {EVENT_FIELDS(JOIN)};
	bool fits = true EVENT_FIELDS(FITS);

	if (!fits || to.kind < EVENT_REGISTERED || to.kind >= EVENT_KIND_COUNT ||
	    to.time_ms < -EVENT_TIME_MS_MAX || to.time_ms > EVENT_TIME_MS_MAX)
		return -EBADMSG;
	EVENT_FIELDS(SET)
	bool has_entry = parts->numbers[EVENT_ENTRY_PLACE] != 0;
	if (has_entry != (event_subject(to.kind) == SUBJECT_ENTRY) ||
	    parts->numbers[EVENT_ENTRY_PLACE] >= ENTRY_KIND_COUNT)
		return -EBADMSG;
	event->entry = (struct entry){
		.kind = (enum entry_kind)parts->numbers[EVENT_ENTRY_PLACE],
		.document = parts->texts[EVENT_DOCUMENT_PLACE],
	};
	return 0;
}

void parts_of_entry(const struct entry *from, struct parts *ret_parts)
{
	enum { version = FIELDS_VERSION };

	_Static_assert((0 ENTRY_FIELDS(COUNT_NUMBER)) <= PARTS_NUMBERS,
	               "too many fields for struct parts");
	_Static_assert((0 ENTRY_FIELDS(COUNT_TEXT)) <= PARTS_TEXTS,
	               "too many fields for struct parts");
	parts_for_entry(ret_parts, version);
	ENTRY_FIELDS(SPLIT)
}

int parts_to_entry(const struct parts *parts, struct entry *ret_entry)
{
	struct entry to = {ENTRY_FIELDS(JOIN)};
	bool fits = true ENTRY_FIELDS(FITS);

	if (!fits || to.incarnation == 0 || to.incarnation > to.revision ||
	    to.revision > (uint64_t)ROW_REVISION_MAX || !entry_is_valid(&to))
		return -EBADMSG;
	*ret_entry = to;
	return 0;
}

/* --- bytes ---------------------------------------------------------------------------- */

/* Little-endian on disk, so that a state directory can move to any machine. */
struct head {
	uint64_t numbers[PARTS_NUMBERS + PARTS_TEXTS];
};

/** Encodes the numbers and the lengths of the strings. @return the number of bytes */
static size_t head_of(const struct parts *parts, struct head *ret_head)
{
	size_t count = parts->number_count;

	for (size_t n = 0; n < count; n++)
		ret_head->numbers[n] = htole64(parts->numbers[n]);
	for (size_t t = 0; t < parts->text_count; t++)
		ret_head->numbers[count++] = htole64(parts->texts[t].len);
	return count * sizeof(ret_head->numbers[0]);
}

uint32_t parts_checksum(uint32_t crc, const struct parts *parts)
{
	struct head head;
	size_t len = head_of(parts, &head);

	crc = (uint32_t)crc32(crc, (const Bytef *)head.numbers, (uInt)len);
	for (size_t t = 0; t < parts->text_count; t++) {
		struct str text = parts->texts[t];

		if (text.len > 0)
			crc = (uint32_t)crc32(crc, (const Bytef *)text.data, (uInt)text.len);
	}
	return crc;
}

/*
 * The tag of a packed value: its version, and TAG_ENTRY for an entry. It is stored in the top byte
 * of the first number, which is a revision and does not need it. Instances of version 1 were packed
 * without a tag, so 0 stands for them.
 */
#define TAG_SHIFT 56
#define TAG_ENTRY 0x80u

static void put_parts(struct buf *out, const struct parts *parts, uint64_t tag)
{
	struct head head;
	size_t len = head_of(parts, &head);

	head.numbers[0] |= htole64(tag << TAG_SHIFT);
	buf_add(out, &head, len);
	for (size_t t = 0; t < parts->text_count; t++)
		buf_put_str(out, parts->texts[t]);
}

static unsigned tag_of(struct str bytes)
{
	uint64_t first = 0;

	if (bytes.len < sizeof(first))
		return 0;
	memcpy(&first, bytes.data, sizeof(first));
	return (unsigned)(le64toh(first) >> TAG_SHIFT);
}

/** @param parts  the counts are set by the caller. @return 0 or -EBADMSG */
static int take_parts(struct str *rest, struct parts *parts)
{
	struct head head;
	struct str left = *rest;
	size_t len = (parts->number_count + parts->text_count) * sizeof(head.numbers[0]);

	if (left.len < len)
		return -EBADMSG;
	memcpy(&head, left.data, len);
	left = (struct str){left.data + len, left.len - len};
	for (size_t n = 0; n < parts->number_count; n++)
		parts->numbers[n] = le64toh(head.numbers[n]);
	parts->numbers[0] &= ((uint64_t)1 << TAG_SHIFT) - 1;
	for (size_t t = 0; t < parts->text_count; t++) {
		uint64_t text_len = le64toh(head.numbers[parts->number_count + t]);

		if (text_len > left.len)
			return -EBADMSG;
		parts->texts[t] = (struct str){left.data, (size_t)text_len};
		left = (struct str){left.data + text_len, left.len - (size_t)text_len};
	}
	*rest = left;
	return 0;
}

void pack_instance(struct buf *out, const struct instance *instance)
{
	struct parts parts;

	parts_of_instance(instance, &parts);
	put_parts(out, &parts, FIELDS_VERSION);
}

int unpack_instance(struct str *rest, struct instance *ret_instance)
{
	struct parts parts;
	struct str left = *rest;
	unsigned tag = tag_of(left);

	if (tag > FIELDS_VERSION)
		return -EBADMSG;
	parts_for_instance(&parts, tag == 0 ? 1 : tag);
	int r = take_parts(&left, &parts);
	if (r == 0)
		r = parts_to_instance(&parts, ret_instance);
	if (r == 0)
		*rest = left;
	return r;
}

bool pack_is_entry(struct str bytes)
{
	return (tag_of(bytes) & TAG_ENTRY) != 0;
}

void pack_entry(struct buf *out, const struct entry *entry)
{
	struct parts parts;

	parts_of_entry(entry, &parts);
	put_parts(out, &parts, TAG_ENTRY | FIELDS_VERSION);
}

int unpack_entry(struct str *rest, struct entry *ret_entry)
{
	struct parts parts;
	struct str left = *rest;
	unsigned version = tag_of(left) & ~TAG_ENTRY;

	if (!pack_is_entry(left) || version > FIELDS_VERSION)
		return -EBADMSG;
	parts_for_entry(&parts, version);
	int r = take_parts(&left, &parts);
	if (r == 0)
		r = parts_to_entry(&parts, ret_entry);
	if (r == 0)
		*rest = left;
	return r;
}
