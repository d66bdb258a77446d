/* SPDX-License-Identifier: MIT */
/**
 * An event: one durable change of an instance or an entry. The journal stores events, and the
 * registry's state changes only by applying them in order of revision. struct event is a plain
 * value; its strings are borrowed from the code that filled it. Any thread.
 */
#pragma once

#include "model/entry.h"
#include "model/fields.h"
#include "model/instance.h"

/*
 * X(NAME, number, "name", after, subject). `subject` is what the event is about: INSTANCE or ENTRY.
 * `after` is GONE when the event removes its subject, otherwise STAYS. The numbers are stored:
 * never change or reuse one.
 */
/* clang-format off */
#define EVENT_KINDS(X)                                                                             \
	X(REGISTERED,    1, "registered",    STAYS, INSTANCE) /* begins an incarnation */          \
	X(UPDATED,       2, "updated",       STAYS, INSTANCE) /* the owner changed its record */   \
	X(DEREGISTERED,  3, "deregistered",  GONE,  INSTANCE)                                      \
	X(EXPIRED,       4, "expired",       STAYS, INSTANCE) /* the lease expired: unhealthy */   \
	X(RECOVERED,     5, "recovered",     STAYS, INSTANCE)                                      \
	X(DRAINED,       6, "drained",       STAYS, INSTANCE)                                      \
	X(RESUMED,       7, "resumed",       STAYS, INSTANCE) /* the drain was ended or timed out */ \
	X(REMOVED,       8, "removed",       GONE,  INSTANCE) /* by the sweeper, after it expired */ \
	X(ENTRY_PUT,     9, "entry-put",     STAYS, ENTRY)    /* created or replaced */            \
	X(ENTRY_REMOVED, 10, "entry-removed", GONE, ENTRY)                                         \
	X(FAILED,        11, "failed",       STAYS, INSTANCE) /* the owner reported "unhealthy" */
/* clang-format on */

enum event_subject { SUBJECT_INSTANCE, SUBJECT_ENTRY, SUBJECT_COUNT };

#define EVENT_KIND(name, number, ...) EVENT_##name = (number),
enum event_kind { EVENT_KINDS(EVENT_KIND) EVENT_KIND_COUNT };
#undef EVENT_KIND

/* All names, each followed by a comma and a space. */
#define EVENT_KIND_COMMA(name, number, text, ...) text ", "
#define EVENT_KIND_NAMES                          EVENT_KINDS(EVENT_KIND_COMMA)

/** The farthest time from 1970 that an event may have, in ms: sums and differences of such times do
 * not overflow. */
#define EVENT_TIME_MS_MAX (INT64_MAX / 4)

struct event {
	uint64_t revision; /* assigned by the journal on commit; ascending, may have gaps */
	int64_t time_ms;   /* real time */
	enum event_kind kind;
	struct str author; /* "instance", "operator:ADDRESS" or "sweeper" */
	struct str agent;  /* the request's User-Agent; may be empty, as the next four */
	struct str reason; /* given by the operator or the sweeper */
	struct str peer;   /* address of the client that sent the request */
	struct str via;    /* what authenticated the request: "token:ID", ... */
	struct str trace;  /* trace id of the request */
	/*
	 * The subject: event_subject() selects which of the two is used, the other is empty. It is
	 * the state after the event, or the state before it when the event removes its subject.
	 *
	 * The subject's revision is the event's, and is 0 until the commit. So is the incarnation
	 * that an EVENT_REGISTERED begins, or an EVENT_ENTRY_PUT that creates its entry. An entry's
	 * author and time are those of the event.
	 */
	struct instance instance;
	struct entry entry;
};

/** "registered", ...; "unknown" for a number that is no kind. */
const char *event_kind_name(enum event_kind kind);
/** @return 0, or -EINVAL: @p text is the name of no kind */
int event_kind_parse(struct str text, enum event_kind *ret_kind) MUST_USE;
enum event_subject event_subject(enum event_kind kind);
/** Does an event of this kind remove its subject? */
bool event_removes(enum event_kind kind);
/** The service of the subject. Borrowed from @p event. */
struct str event_service(const struct event *event);
/** The id of the subject, or of the instance that the entry is about; empty for an entry that is
 * about its service. Borrowed from @p event. */
struct str event_instance_id(const struct event *event);
/** The incarnation of the subject. */
uint64_t event_incarnation(const struct event *event);
/** Appends the whole event as one JSON object. */
void event_put_json(struct buf *out, const struct event *event);
