/* SPDX-License-Identifier: MIT */
/**
 * The head of a request, from libmicrohttpd's memory of the connection, which holds it as it came
 * but for the ends of its parts: see guard.h. Loop's thread only.
 */
#pragma once

#include "api/api.h"
#include "base/attr.h"
#include "http/guard.h"

struct exchange;

/** What a field counts for in the size of a head beside its bytes: libmicrohttpd allocates that. */
#define HEAD_FIELD_BYTES 64

/**
 * Libmicrohttpd takes all that a request needs from one block of memory, which it clears after each
 * request: the head, what it keeps about it, and the head of the answer, of which a Location may
 * take 420 bytes: an id that the daemon makes has nothing to escape but the brackets of an IPv6
 * address.
 */
#define HEAD_MEMORY (API_HEAD_MAX + 1024)

/** The request line has come; keeps libmicrohttpd from parsing what is not used here. */
void head_begin(struct exchange *exchange);
/** All of it has come: sets the request's target and fields. */
enum guard_verdict head_check(struct exchange *exchange, const char *method,
                              const char *version) MUST_USE;
