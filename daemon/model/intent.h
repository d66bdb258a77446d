/* SPDX-License-Identifier: MIT */
/**
 * The document of an ENTRY_INTENT: an operator's drain of an id of a service. It outlives the
 * instance, so that an instance that registers again under the id is drained again. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "model/entry.h"

/** Do not copy this struct: its strings may point into `memory`. */
struct drain_intent {
	struct str reason;       /* may be empty */
	struct str by;           /* such as "operator:192.0.2.7" */
	int64_t since_ms;        /* real time, as the next two */
	int64_t until_ms;        /* when the drain times out; 0: never */
	int64_t absent_since_ms; /* when the latest instance with this id was deregistered or
	                            removed; 0: unknown. Ignored while an instance is registered */
	char memory[REASON_MAX + STATUS_BY_MAX];
};

/** status_reason of a drain without a reason. */
#define DRAIN_REASON "drained by an operator"

/**
 * Parses a document: accepts only the form that drain_intent_put() writes.
 * @return 0, or -EINVAL: it has another form; @p ret_intent is then undefined
 */
int drain_intent_parse(struct str document, struct drain_intent *ret_intent) MUST_USE;
/** Parses the document of @p entry. A document that cannot be parsed counts as a drain by
 * "operator" that never times out. */
void drain_intent_of(const struct entry *entry, struct drain_intent *ret_intent);
/** Appends the document: at most ENTRY_DOCUMENT_MAX bytes. */
void drain_intent_put(struct buf *out, const struct drain_intent *intent);
/**
 * The real time at which the intent of an absent id ends.
 * @param ttl_ms  how long an intent outlives its instance; 0: without limit
 * @return INT64_MAX: never
 */
int64_t drain_intent_end(const struct drain_intent *intent, int64_t ttl_ms);
