/* SPDX-License-Identifier: MIT */
/** W3C Trace Context: what the headers of a request say about the caller's span. */
#pragma once

#include "rollcall.h"

#include <stdbool.h>

/** A traceparent that is valid. */
struct trace_parent {
	char trace[33]; /* hex */
	char span[17];  /* hex */
	bool sampled;
};

/** @return whether @p text is a valid traceparent */
bool trace_parse(const char *text, struct trace_parent *ret_parent);
/** The traceparent of @p request, from its field or else from its headers. NULL: none, or more than
 * one */
const char *trace_parent_of(const rollcall_request *request);
/** The tracestate of @p request likewise, joined, for the caller to free(). NULL: none that may go
 * on, or out of memory */
char *trace_state_of(const rollcall_request *request);
