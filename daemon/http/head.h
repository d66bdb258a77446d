/* SPDX-License-Identifier: MIT */
/**
 * Reads the head of a request from libmicrohttpd's memory, which holds it as it arrived, except
 * that the end of each part has become a NUL: see guard.h. Loop's thread only.
 */
#pragma once

#include "api/api.h"
#include "base/attr.h"
#include "http/guard.h"

struct exchange;

/** Counted for each header beside its bytes: libmicrohttpd allocates as much to remember it. */
#define HEAD_FIELD_BYTES 64

/**
 * The block from which libmicrohttpd allocates all that one request needs: the head, one record
 * for each header, and the head of the answer, of which a Location may take 420 bytes: an id that
 * the daemon makes has nothing to escape but the brackets of an IPv6 address.
 */
#define HEAD_MEMORY (API_HEAD_MAX + 1024)

/** After the request line: keeps libmicrohttpd from parsing the query and cookies. */
void head_begin(struct exchange *exchange);
/** After the whole head: checks it, sets the request's target and fields. */
enum guard_verdict head_check(struct exchange *exchange, const char *method,
                              const char *version) MUST_USE;
