/* SPDX-License-Identifier: MIT */
/** One durable change: the journal stores it, and applying events in order of revision is all that
 * changes state. */
#pragma once

#include "model/instance.h"

/* The numbers are stored: never change or reuse one. */
enum event_kind {
	EVENT_REGISTERED = 1, /* begins an incarnation */
	EVENT_UPDATED = 2,    /* the owner changed its record */
	EVENT_DEREGISTERED = 3,
	EVENT_EXPIRED = 4, /* the lease ran out: unhealthy */
	EVENT_RECOVERED = 5,
	EVENT_DRAINED = 6,
	EVENT_RESUMED = 7, /* the operator's drain ended, by word or by time */
	EVENT_REMOVED = 8, /* by the sweeper, remove_after after it expired */
	EVENT_KIND_COUNT
};

struct event {
	uint64_t revision; /* given by the journal on commit; ascending, may have gaps */
	int64_t time_ms;   /* real time */
	enum event_kind kind;
	struct str author; /* who caused it: peer address, "sweeper", a token's name */
	struct str agent;  /* the User-Agent, if any */
	struct str reason; /* what an operator said, if anything */
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
