/* SPDX-License-Identifier: MIT */
/**
 * The form in which instances, entries and events are stored: numbers and strings ("parts"), each
 * at the place that model/fields.h gives its field. Checksums of rows are computed over the parts;
 * keyframes and past states hold the parts as bytes ("packed"), one value after the other.
 *
 * A version says which fields a value has (FIELDS_VERSION is the latest); parts of an older version
 * have fewer. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#define PARTS_NUMBERS 16
#define PARTS_TEXTS   8

struct parts {
	size_t number_count;
	size_t text_count;
	uint64_t numbers[PARTS_NUMBERS];
	struct str texts[PARTS_TEXTS];
};

/** Takes apart all fields but the status, which follows from the others. The strings are borrowed
 * from @p from. */
void parts_of_instance(const struct instance *from, struct parts *ret_parts);
/** Sets the counts that an instance of @p version has, and empties all numbers and strings, for a
 * caller that reads them. */
void parts_for_instance(struct parts *ret_parts, unsigned version);
/** @param ret_instance  its strings are borrowed from @p parts. @return 0; -EBADMSG: the parts are
 * no valid instance */
int parts_to_instance(const struct parts *parts, struct instance *ret_instance) MUST_USE;

/** As for instances. */
void parts_of_entry(const struct entry *from, struct parts *ret_parts);
void parts_for_entry(struct parts *ret_parts, unsigned version);
int parts_to_entry(const struct parts *parts, struct entry *ret_entry) MUST_USE;

/** As for instances; the parts of an event are the fields that it has besides its instance. */
void parts_of_event(const struct event *from, struct parts *ret_parts);
void parts_for_event(struct parts *ret_parts, unsigned version);
/** Sets the event's own fields, and of its entry the kind and the document; leaves its revision and
 * its instance as they are. @return 0; -EBADMSG: the parts are no valid event */
int parts_to_event(const struct parts *parts, struct event *event) MUST_USE;

/** CRC-32, continued from @p crc (0 at first), of the numbers, the lengths of the strings and the
 * strings, in this order. With the lengths, a byte that moves from one string to the next changes
 * the checksum. */
uint32_t parts_checksum(uint32_t crc, const struct parts *parts);

/** Appends the packed instance, of the latest version. Errors stick in @p out. */
void pack_instance(struct buf *out, const struct instance *instance);
/**
 * Unpacks the instance, of any version, at the start of @p rest, and moves @p rest behind it.
 * @param ret_instance  its strings are borrowed from @p rest
 * @return 0; -EBADMSG: it is damaged, or no instance
 */
int unpack_instance(struct str *rest, struct instance *ret_instance) MUST_USE;

/** Do @p bytes begin with an entry, rather than an instance? */
bool pack_is_entry(struct str bytes);
/** As for instances. */
void pack_entry(struct buf *out, const struct entry *entry);
int unpack_entry(struct str *rest, struct entry *ret_entry) MUST_USE;
