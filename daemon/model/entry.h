/* SPDX-License-Identifier: MIT */
/**
 * An entry: a durable, named JSON document that belongs to a service, stored besides the service's
 * instances. Its kind defines what the document means and what its name refers to. Putting and
 * removing an entry are events (model/event.h), so entries have history, past states and
 * differences, as instances have. struct entry is a plain value; its strings are borrowed from the
 * code that filled it. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "model/instance.h"

#define ENTRY_NAME_MAX     INSTANCE_ID_MAX
#define ENTRY_DOCUMENT_MAX 4096

/*
 * X(NAME, number, "name", about). `about` is OF_INSTANCE when an entry's name is an instance id, or
 * OF_SERVICE when the kind defines its own names. The numbers are stored: never change or reuse
 * one.
 */
/* clang-format off */
#define ENTRY_KINDS(X)                                                            \
	X(INTENT, 1, "intent", OF_INSTANCE) /* an operator's drain of an id: model/intent.h */
/* clang-format on */

#define ENTRY_KIND(name, number, ...) ENTRY_##name = (number),
enum entry_kind { ENTRY_KINDS(ENTRY_KIND) ENTRY_KIND_COUNT };
#undef ENTRY_KIND

struct entry {
	/* the key */
	enum entry_kind kind;
	struct str service;
	struct str name;

	struct str document;  /* one JSON object without line breaks */
	struct str author;    /* of the latest event */
	int64_t time_ms;      /* real time of the latest event */
	uint64_t incarnation; /* revision of the event that created the entry */
	uint64_t revision;    /* of the latest event */
};

/** "intent"; "unknown" for a number that is no kind. */
const char *entry_kind_name(enum entry_kind kind);
/** @return 0, or -EINVAL: @p text is the name of no kind */
int entry_kind_parse(struct str text, enum entry_kind *ret_kind) MUST_USE;
/** The id of the instance that @p entry is about; empty when its kind is OF_SERVICE. Borrowed. */
struct str entry_instance_id(const struct entry *entry);
/**
 * Are the kind, service, name, author and document within their limits? Of the document only the
 * length, the outer braces and the characters are checked: the caller makes sure that it is JSON.
 */
bool entry_is_valid(const struct entry *entry);
/** Compares service, then kind, then name. @return below 0, 0 or above 0, like memcmp() */
int entry_compare(const struct entry *a, const struct entry *b);
/** Appends the whole entry as one JSON object. */
void entry_put_json(struct buf *out, const struct entry *entry);
