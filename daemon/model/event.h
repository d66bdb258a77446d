/* SPDX-License-Identifier: MIT */
/** One durable change: the journal stores it, and applying events in order of revision is all that
 * changes state. */
#pragma once

#include "model/fields.h"
#include "model/instance.h"

/*
 * X(NAME, number, "name", whether the instance STAYS or is GONE after it). The numbers are stored:
 * never change or reuse one.
 */
/* clang-format off */
#define EVENT_KINDS(X)                                                                             \
	X(REGISTERED,   1, "registered",   STAYS) /* begins an incarnation */                      \
	X(UPDATED,      2, "updated",      STAYS) /* the owner changed its record */               \
	X(DEREGISTERED, 3, "deregistered", GONE)                                                   \
	X(EXPIRED,      4, "expired",      STAYS) /* the lease ran out: unhealthy */               \
	X(RECOVERED,    5, "recovered",    STAYS)                                                  \
	X(DRAINED,      6, "drained",      STAYS)                                                  \
	X(RESUMED,      7, "resumed",      STAYS) /* the operator's drain ended, by word or time */ \
	X(REMOVED,      8, "removed",      GONE)  /* by the sweeper, remove_after after it expired */
/* clang-format on */

#define EVENT_KIND(name, number, ...) EVENT_##name = (number),
enum event_kind { EVENT_KINDS(EVENT_KIND) EVENT_KIND_COUNT };
#undef EVENT_KIND

/* All names, each with a comma and a space behind it. */
#define EVENT_KIND_COMMA(name, number, text, ...) text ", "
#define EVENT_KIND_NAMES                          EVENT_KINDS(EVENT_KIND_COMMA)

struct event {
	uint64_t revision; /* given by the journal on commit; ascending, may have gaps */
	int64_t time_ms;   /* real time */
	enum event_kind kind;
	struct str author; /* who caused it: peer address, "sweeper", a token's name */
	struct str agent;  /* the User-Agent, if any */
	struct str reason; /* what an operator said, if anything */
	struct str peer;   /* the address that asked for it, ... */
	struct str via;    /* ... what proved who asked: "token:ID", ..., ... */
	struct str trace;  /* ... and the trace id of its request. Each may be empty */
	/*
	 * The instance after the event (before it, when the event removes it). Its revision is the
	 * event's; its incarnation too when the kind is EVENT_REGISTERED: both are 0 here until the
	 * commit.
	 */
	struct instance instance;
};

/** "registered", ...; "unknown" for a number that is none. */
const char *event_kind_name(enum event_kind kind);
/** @return 0 or -EINVAL */
int event_kind_parse(struct str text, enum event_kind *ret_kind) MUST_USE;
/** Is the instance gone after it? */
bool event_removes(enum event_kind kind);
/** The whole event as one JSON object. */
void event_put_json(struct buf *out, const struct event *event);
