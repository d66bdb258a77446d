/* SPDX-License-Identifier: MIT */
/** W3C Trace Context: the trace that a call belongs to, and the headers that carry it. Pure. */
#pragma once

#include "lib/base/env.h"
#include "rollcall.h"

#include <stdbool.h>

/** A traceparent that is valid. */
struct trace_parent {
	char trace[33]; /* hex */
	char span[17];  /* hex */
	bool sampled;
};

/** Parses a traceparent. @return whether @p text is a valid one */
bool trace_parse(const char *text, struct trace_parent *ret_parent);
/** @return the traceparent of @p request, from its field or else from its headers; NULL: there is
 * none, or more than one header */
const char *trace_parent_of(const rollcall_request *request);
/** @return the tracestate of @p request, from its field or else from its headers, joined; memory
 * for the caller to free(). NULL: none that is valid, or out of memory */
char *trace_state_of(const rollcall_request *request);

/** The trace of one call. */
struct trace_context {
	char trace[33]; /* the trace id in hex */
	bool sampled;   /* the caller records its span */
	char *state;    /* the tracestate; owned; NULL: none */
};

#define TRACE_PARENT_SIZE 56

/** Takes over the trace of a valid traceparent of @p request, else begins one. */
void trace_begin(struct trace_context *context, const rollcall_request *request,
                 const struct env *env);
void trace_fini(struct trace_context *context);
/** Writes the traceparent of one attempt, with a new span id. */
void trace_attempt(const struct trace_context *context, const struct env *env,
                   char out[static TRACE_PARENT_SIZE]);
