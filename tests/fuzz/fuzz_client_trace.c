/* SPDX-License-Identifier: MIT */
/** Fuzzes traceparent and tracestate: an accepted value, sent and parsed again, is the same. */
#include "lib/call/trace.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void read_parent(const char *text)
{
	struct trace_parent parent;
	struct trace_parent again;
	char sent[64];

	if (!trace_parse(text, &parent))
		return;
	require(strlen(parent.trace) == 32 && strlen(parent.span) == 16);
	(void)snprintf(sent, sizeof(sent), "00-%s-%s-0%d", parent.trace, parent.span,
	               parent.sampled);
	require(trace_parse(sent, &again));
	require(strcmp(parent.trace, again.trace) == 0 && strcmp(parent.span, again.span) == 0 &&
	        parent.sampled == again.sampled);
}

static void read_state(const char *text)
{
	rollcall_request request;

	rollcall_request_init(&request);
	request.tracestate = text;
	char *state = trace_state_of(&request);
	require(state == NULL || (strcmp(state, text) == 0 && strlen(state) <= 4096 &&
	                          strpbrk(state, "\r\n") == NULL));
	free(state);
}

/* The first line is the traceparent, the rest the tracestate. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	char *state = strchr(text, '\n');
	if (state != NULL)
		*state++ = '\0';
	read_parent(text);
	read_state(state != NULL ? state : text);
	free(text);
	return 0;
}
