/* SPDX-License-Identifier: MIT */
/** What an operator intends for an id: the document of an ENTRY_INTENT. So far that is to drain it.
 */
#pragma once

#include "base/attr.h"
#include "model/entry.h"

/** Its strings may be its own: it is not to be copied. */
struct drain_intent {
	struct str reason;       /* may be empty */
	struct str by;           /* such as "operator:192.0.2.7" */
	int64_t since_ms;        /* times are real */
	int64_t until_ms;        /* when it ends by itself; 0: never */
	int64_t absent_since_ms; /* when the latest instance with this id went; 0: not known. While
	                            there is one it means nothing */
	char memory[REASON_MAX + STATUS_BY_MAX];
};

/** The reason where none was given. */
#define DRAIN_REASON "drained by an operator"

/**
 * Reads a document. Strict: only what drain_intent_put() writes.
 * @return 0 or -EINVAL
 */
int drain_intent_parse(struct str document, struct drain_intent *ret_intent) MUST_USE;
/** What @p entry intends. One that cannot be read intends a drain without an end. */
void drain_intent_of(const struct entry *entry, struct drain_intent *ret_intent);
/** Appends the document: at most ENTRY_DOCUMENT_MAX bytes. */
void drain_intent_put(struct buf *out, const struct drain_intent *intent);
/**
 * When it ends for an id of which there is no instance.
 * @param ttl_ms  how long it outlives the instance; 0: for ever
 * @return INT64_MAX: never
 */
int64_t drain_intent_end(const struct drain_intent *intent, int64_t ttl_ms);
