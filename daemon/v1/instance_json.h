/* SPDX-License-Identifier: MIT */
/** Reads the JSON bodies of registrations, heartbeats and status changes. Reading is strict and
 * reports every wrong field. Any thread. */
#pragma once

#include "api/api.h"
#include "api/problem.h"
#include "base/attr.h"
#include "base/str.h"
#include "model/instance.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Reads the record of an instance (all but service and id) from @p body.
 * @param instance  in: the defaults; host is the client's address, or empty for a Unix socket. Out,
 * on success only: the record
 * @param memory  body.len bytes, which get the strings
 * @return 0; -EBADMSG: no JSON object, errors->text has the reason; -EINVAL: errors->count fields
 * are wrong; -ENOMEM
 */
int instance_from_json(struct str body, char *memory, struct instance *instance,
                       struct field_errors *errors) MUST_USE;

/** The body of a heartbeat. */
struct heartbeat {
	bool set_status; /* it has a status; at most one of the next two is true */
	bool wants_drain;
	bool reports_unhealthy;
	bool set_load; /* it has a load */
	uint32_t load_ppm;
};
/** @return as instance_from_json() */
int heartbeat_from_json(struct str body, struct heartbeat *ret_heartbeat,
                        struct field_errors *errors) MUST_USE;

/** The body of a status change: an operator starts or ends a drain. */
struct intent {
	bool drained;
	int64_t for_ms;    /* 0: until resumed */
	int64_t wait_ms;   /* how long to wait until watchers have been sent it; 0: do not wait */
	struct str reason; /* may be empty */
};
/** @param memory  body.len + 1 bytes, which get the strings. @return as instance_from_json() */
int intent_from_json(struct str body, char *memory, struct intent *ret_intent,
                     struct field_errors *errors) MUST_USE;
