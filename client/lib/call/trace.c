/* SPDX-License-Identifier: MIT */
/* W3C Trace Context: "00-<32 hex: trace>-<16 hex: span>-<2 hex: flags>". */
#include "lib/call/trace.h"

#include "lib/base/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SAMPLED           1
#define STATE_MAX         4096
#define STATE_ENTRIES_MAX 32

/* --- traceparent ---------------------------------------------------------------------------- */

/* @return whether @p text has @p len lower-case hex digits and then @p end. Does not read behind
 * the NUL of a shorter text. */
static bool is_field(const char *text, size_t len, char end)
{
	return strspn(text, "0123456789abcdef") == len && text[len] == end;
}

static bool is_zero(const char *text, size_t len)
{
	return strspn(text, "0") >= len;
}

bool trace_parse(const char *text, struct trace_parent *ret_parent)
{
	if (!is_field(text, 2, '-') || !is_field(text + 3, 32, '-') ||
	    !is_field(text + 36, 16, '-') || is_zero(text + 3, 32) || is_zero(text + 36, 16))
		return false;
	/* A higher version may have further fields; version 00 may not. */
	bool ends = is_field(text + 53, 2, '\0');
	bool goes_on = is_field(text + 53, 2, '-') && strncmp(text, "00", 2) != 0;
	if ((!ends && !goes_on) || strncmp(text, "ff", 2) == 0)
		return false;

	memcpy(ret_parent->trace, text + 3, 32);
	memcpy(ret_parent->span, text + 36, 16);
	ret_parent->trace[32] = ret_parent->span[16] = '\0';
	ret_parent->sampled = (strtoul(text + 53, NULL, 16) & SAMPLED) != 0;
	return true;
}

const char *trace_parent_of(const rollcall_request *request)
{
	const char *found = NULL;

	if (request->traceparent != NULL)
		return request->traceparent;
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->headers[i].name, "traceparent") != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = request->headers[i].value;
	}
	return found;
}

/* --- tracestate ----------------------------------------------------------------------------- */

/* The library sends it on unchanged, so it only checks what a header allows, and the limits. */
static bool valid_state(const char *text)
{
	unsigned entries = 0;

	for (const char *c = text; *c != '\0'; c++)
		if ((*c < ' ' || *c > '~') && *c != '\t')
			return false;
	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		entries += strspn(text, " \t") < len;
		text += len;
		text += *text == ',';
	}
	return entries > 0 && entries <= STATE_ENTRIES_MAX;
}

char *trace_state_of(const rollcall_request *request)
{
	struct bytes joined;
	bool first = true;
	size_t len;

	bytes_init(&joined, STATE_MAX);
	if (request->tracestate != NULL)
		bytes_put(&joined, request->tracestate);
	for (size_t i = 0; i < request->header_count && request->tracestate == NULL; i++) {
		if (strcasecmp(request->headers[i].name, "tracestate") != 0)
			continue;
		bytes_put(&joined, first ? "" : ",");
		bytes_put(&joined, request->headers[i].value);
		first = false;
	}
	char *state = bytes_take(&joined, &len);
	bytes_fini(&joined);
	if (state != NULL && !valid_state(state)) {
		free(state);
		state = NULL;
	}
	return state;
}

/* --- the trace of a call -------------------------------------------------------------------- */

/* Writes a 64-bit number in hex; snprintf() would cost more than everything else here. */
static void put_hex(char *out, uint64_t value)
{
	for (int i = 15; i >= 0; i--) {
		out[i] = "0123456789abcdef"[value & 15];
		value >>= 4;
	}
}

void trace_begin(struct trace_context *context, const rollcall_request *request,
                 const struct env *env)
{
	const char *text = trace_parent_of(request);
	struct trace_parent parent;

	if (text != NULL && trace_parse(text, &parent)) {
		memcpy(context->trace, parent.trace, sizeof(context->trace));
		context->sampled = parent.sampled;
		context->state = trace_state_of(request);
		return;
	}
	put_hex(context->trace, env_random(env) | 1); /* all zero is not valid */
	put_hex(context->trace + 16, env_random(env));
}

void trace_fini(struct trace_context *context)
{
	free(context->state);
	context->state = NULL;
}

void trace_attempt(const struct trace_context *context, const struct env *env,
                   char out[static TRACE_PARENT_SIZE])
{
	memcpy(out, "00-", sizeof("00-"));
	memcpy(out + 3, context->trace, 32);
	out[35] = '-';
	put_hex(out + 36, env_random(env) | 1);
	memcpy(out + 52, context->sampled ? "-01" : "-00", 4);
}
