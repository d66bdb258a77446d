/* SPDX-License-Identifier: MIT */
/** One durable change: the journal stores it, and applying events in order of revision is all that
 * changes state. */
#pragma once

#include "model/entry.h"
#include "model/fields.h"
#include "model/instance.h"

/*
 * X(NAME, number, "name", whether the subject STAYS or is GONE after it, the subject: what it is
 * about). The numbers are stored: never change or reuse one.
 */
/* clang-format off */
#define EVENT_KINDS(X)                                                                             \
	X(REGISTERED,    1, "registered",    STAYS, INSTANCE) /* begins an incarnation */          \
	X(UPDATED,       2, "updated",       STAYS, INSTANCE) /* the owner changed its record */   \
	X(DEREGISTERED,  3, "deregistered",  GONE,  INSTANCE)                                      \
	X(EXPIRED,       4, "expired",       STAYS, INSTANCE) /* the lease ran out: unhealthy */   \
	X(RECOVERED,     5, "recovered",     STAYS, INSTANCE)                                      \
	X(DRAINED,       6, "drained",       STAYS, INSTANCE)                                      \
	X(RESUMED,       7, "resumed",       STAYS, INSTANCE) /* the drain ended, by word or time */ \
	X(REMOVED,       8, "removed",       GONE,  INSTANCE) /* by the sweeper, after it expired */ \
	X(ENTRY_PUT,     9, "entry-put",     STAYS, ENTRY)    /* made or replaced */               \
	X(ENTRY_REMOVED, 10, "entry-removed", GONE, ENTRY)                                         \
	X(FAILED,        11, "failed",       STAYS, INSTANCE) /* the owner reported "unhealthy" */
/* clang-format on */

enum event_subject { SUBJECT_INSTANCE, SUBJECT_ENTRY, SUBJECT_COUNT };

#define EVENT_KIND(name, number, ...) EVENT_##name = (number),
enum event_kind { EVENT_KINDS(EVENT_KIND) EVENT_KIND_COUNT };
#undef EVENT_KIND

/* All names, each with a comma and a space behind it. */
#define EVENT_KIND_COMMA(name, number, text, ...) text ", "
#define EVENT_KIND_NAMES                          EVENT_KINDS(EVENT_KIND_COMMA)

/** The farthest time from 1970 that an event may have, in ms: sums and differences of such times do
 * not overflow. */
#define EVENT_TIME_MS_MAX (INT64_MAX / 4)

struct event {
	uint64_t revision; /* given by the journal on commit; ascending, may have gaps */
	int64_t time_ms;   /* real time */
	enum event_kind kind;
	struct str author; /* who caused it: "instance", "operator:ADDRESS", "sweeper" */
	struct str agent;  /* the User-Agent, if any */
	struct str reason; /* an operator's or the sweeper's, if any */
	struct str peer;   /* the address that asked for it, ... */
	struct str via;    /* ... what proved who asked: "token:ID", ..., ... */
	struct str trace;  /* ... and the trace id of its request. Each may be empty */
	/*
	 * What it is about, by event_subject(): the other one is empty. The instance after the
	 * event (before it, when the event removes it). Its revision is the event's; its
	 * incarnation too when the kind is EVENT_REGISTERED: both are 0 here until the commit. So
	 * it is with the entry, whose incarnation an EVENT_ENTRY_PUT begins when it is 0 before;
	 * its author and time are those of the event.
	 */
	struct instance instance;
	struct entry entry;
};

/** "registered", ...; "unknown" for a number that is none. */
const char *event_kind_name(enum event_kind kind);
/** @return 0 or -EINVAL */
int event_kind_parse(struct str text, enum event_kind *ret_kind) MUST_USE;
enum event_subject event_subject(enum event_kind kind);
/** Is its subject gone after it? */
bool event_removes(enum event_kind kind);
/** The service that it is about. */
struct str event_service(const struct event *event);
/** The id of the instance that it, or the entry that it is about, is about; or empty. */
struct str event_instance_id(const struct event *event);
/** Of its subject. */
uint64_t event_incarnation(const struct event *event);
/** The whole event as one JSON object. */
void event_put_json(struct buf *out, const struct event *event);
