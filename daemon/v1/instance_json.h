/* SPDX-License-Identifier: MIT */
/** What a body says, as values: strictly, with every wrong field told. Any thread. */
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
 * @param instance  in: the defaults, of which host is the address that the request came from, or
 * empty; out, on success only: the record
 * @param memory    body.len bytes, to which the strings are copied
 * @return 0; -EBADMSG: no JSON object, errors->text; -EINVAL: errors->count fields are wrong;
 * -ENOMEM
 */
int instance_from_json(struct str body, char *memory, struct instance *instance,
                       struct field_errors *errors) MUST_USE;

/** The body of a heartbeat. */
struct heartbeat {
	bool set_status; /* a status was given; at most one of the next two is true */
	bool wants_drain;
	bool reports_unhealthy;
	bool set_load;
	uint32_t load_ppm;
};
int heartbeat_from_json(struct str body, struct heartbeat *ret_heartbeat,
                        struct field_errors *errors) MUST_USE;

/** What an operator intends. */
struct intent {
	bool drained;
	int64_t for_ms;    /* 0: until resumed */
	int64_t wait_ms;   /* 0: do not wait for watchers to be told */
	struct str reason; /* in the memory given; may be empty */
};
int intent_from_json(struct str body, char *memory, struct intent *ret_intent,
                     struct field_errors *errors) MUST_USE;
