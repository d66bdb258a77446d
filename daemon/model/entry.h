/* SPDX-License-Identifier: MIT */
/**
 * A durable named document of a service, besides its instances: a plain value. Its kind says what
 * the document is for, and what its name is. Putting and removing one are events
 * (model/event.h), so entries have history, past states and differences as instances have.
 * Strings are borrowed from whoever made the value.
 */
#pragma once

#include "base/buf.h"
#include "model/instance.h"

#define ENTRY_NAME_MAX     INSTANCE_ID_MAX
#define ENTRY_DOCUMENT_MAX 4096

/*
 * X(NAME, number, "name", what its entries are named by: OF_INSTANCE, by the id of the instance
 * that they are about, or OF_SERVICE, in a way of their own). The numbers are stored: never change
 * or reuse one.
 */
/* clang-format off */
#define ENTRY_KINDS(X)                                                            \
	X(INTENT, 1, "intent", OF_INSTANCE) /* what an operator wants of an id */
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
	struct str author;    /* of the latest event, ... */
	int64_t time_ms;      /* ... and its real time */
	uint64_t incarnation; /* revision of the event that put it where there was none */
	uint64_t revision;    /* of its latest event */
};

/** "intent"; "unknown" for a number that is none. */
const char *entry_kind_name(enum entry_kind kind);
/** @return 0 or -EINVAL */
int entry_kind_parse(struct str text, enum entry_kind *ret_kind) MUST_USE;
/** The id of the instance that it is about; empty when its kind is about the service. */
struct str entry_instance_id(const struct entry *entry);
/** Is all that a caller sets within the limits? The document is only looked at from outside: that
 * it is JSON is for the caller to see to. */
bool entry_is_valid(const struct entry *entry);
/** By service, kind and name: what is below 0, 0 or above says how @p a stands to @p b. */
int entry_compare(const struct entry *a, const struct entry *b);
/** The whole entry as one JSON object. */
void entry_put_json(struct buf *out, const struct entry *entry);
