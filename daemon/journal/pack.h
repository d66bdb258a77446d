/* SPDX-License-Identifier: MIT */
/**
 * Values as numbers and strings, each at the place that model/fields.h gives it. One form for all
 * that is stored: checksums of rows are computed over it, and one value after the other, as bytes,
 * makes keyframes and past states.
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

/** All of an instance but its status, which follows from the rest. */
void parts_of_instance(const struct instance *instance, struct parts *ret_parts);
/** Empty ones, as many as an instance of that version has: for parts that are read. */
void parts_for_instance(struct parts *ret_parts, unsigned version);
/** @param ret_instance  its strings are those of @p parts. @return 0; -EBADMSG: it is none */
int parts_to_instance(const struct parts *parts, struct instance *ret_instance) MUST_USE;

void parts_of_entry(const struct entry *entry, struct parts *ret_parts);
void parts_for_entry(struct parts *ret_parts, unsigned version);
int parts_to_entry(const struct parts *parts, struct entry *ret_entry) MUST_USE;

/** What an event has besides its instance. */
void parts_of_event(const struct event *event, struct parts *ret_parts);
void parts_for_event(struct parts *ret_parts, unsigned version);
/** Leaves the revision and the instance alone, and of the entry all but its kind and document. */
int parts_to_event(const struct parts *parts, struct event *event) MUST_USE;

/** CRC-32 of the numbers, the lengths of the strings and the strings, in this order; goes on from
 * @p crc. The lengths see to it that no byte can move from one string to the next. */
uint32_t parts_checksum(uint32_t crc, const struct parts *parts);

/** Appends the whole instance but its status. */
void pack_instance(struct buf *out, const struct instance *instance);
/**
 * Reads the instance that @p rest begins with and moves on behind it.
 * @param ret_instance  its strings are borrowed from @p rest
 * @return 0; -EBADMSG: it is none
 */
int unpack_instance(struct str *rest, struct instance *ret_instance) MUST_USE;

/** Is it an entry that @p bytes begin with? */
bool pack_is_entry(struct str bytes);
void pack_entry(struct buf *out, const struct entry *entry);
int unpack_entry(struct str *rest, struct entry *ret_entry) MUST_USE;
