/* SPDX-License-Identifier: MIT */
/* W3C Trace Context: "00-<32 hex: trace>-<16 hex: span>-<2 hex: flags>". */
#include "call.h"

#include <stdio.h>
#include <string.h>

#define TRACE_LEN 35 /* "00-" and the trace id */
#define WHOLE_LEN 55

static bool all_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdef") >= len;
}

static bool valid(const char *parent)
{
	return strlen(parent) == WHOLE_LEN && strncmp(parent, "00-", 3) == 0 &&
	       all_hex(parent + 3, 32) && parent[35] == '-' && all_hex(parent + 36, 16) &&
	       parent[52] == '-' && all_hex(parent + 53, 2) && strspn(parent + 3, "0") < 32;
}

/* A 64-bit number in hex; snprintf() would cost more than all else here. */
static void put_hex(char *out, uint64_t value)
{
	for (int i = 15; i >= 0; i--) {
		out[i] = "0123456789abcdef"[value & 15];
		value >>= 4;
	}
}

void trace_begin(struct call *call)
{
	const char *parent = call->request->traceparent;

	if (parent != NULL && valid(parent)) {
		memcpy(call->trace, parent, TRACE_LEN);
		memcpy(call->trace_flags, parent + 53, 3);
		return;
	}
	memcpy(call->trace, "00-", 3);
	put_hex(call->trace + 3, env_random(&call->client->env) | 1); /* all zero is not valid */
	put_hex(call->trace + 19, env_random(&call->client->env));
	memcpy(call->trace_flags, "00", 3);
}

void trace_attempt(const struct call *call, char *out)
{
	memcpy(out, call->trace, TRACE_LEN);
	out[35] = '-';
	put_hex(out + 36, env_random(&call->client->env) | 1);
	out[52] = '-';
	memcpy(out + 53, call->trace_flags, 3);
}
