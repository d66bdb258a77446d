/* SPDX-License-Identifier: MIT */
/**
 * Requests to the registry: JSON over HTTP, at the first of its addresses that answers.
 *
 *	struct http *http = http_open(addresses, token);
 *	struct http_answer answer;
 *	int r = http_send(http, &(struct http_request){.path = "/v1/status"}, &answer);
 *	...
 *	http_answer_free(&answer);
 *
 * One thread. http_send() blocks; the others prepare a transfer for a caller's libcurl multi.
 */
#pragma once

#include "tool/memory.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct http;

/**
 * @param addresses  "host", "host:port", "http://...", "https://..." or "unix:PATH", or several
 *                   between commas; copied
 * @param token      bearer token, copied; NULL: none
 * @return NULL: an address is wrong, which was told
 */
struct http *http_open(const char *addresses, const char *token);
void http_close(struct http *http);

struct http_request {
	const char *method; /* NULL: GET */
	const char *path;   /* with its query; begins with '/' */
	json_t *body;       /* borrowed; NULL: none */
	int64_t timeout_ms;
};

struct http_answer {
	long status;
	json_t *json;        /* NULL: not JSON */
	uint64_t revision;   /* X-Rollcall-Revision, or 0 */
	const char *address; /* it comes from there; the http's */
	bool ours;           /* it comes from a registry, not from another server or a proxy */
	char local[64];      /* our own address in this conversation, or "" */
};

/**
 * Sends and waits. An answer of any status is success.
 * @return 0; -ENOTCONN (no address answered; http_error() says why); -EPROTO (an answer that cannot
 *         be read)
 */
int http_send(struct http *http, const struct http_request *request,
              struct http_answer *ret_answer);
void http_answer_free(struct http_answer *answer);

/** What the last failure was, such as "http://127.0.0.1:7655: Connection refused". */
const char *http_error(const struct http *http);

/** The address in use, as it was given. */
const char *http_address(const struct http *http);
/** All addresses as URLs between commas; freed by the caller. NULL: one is a Unix socket. */
char *http_urls(const struct http *http);

/** A request under way in a libcurl multi. Zeroed: none. */
struct http_transfer {
	CURL *easy; /* CURLOPT_PRIVATE is the caller's */
	struct curl_slist *headers;
	struct text body;
	char *sent;
	uint64_t revision;
	bool has_revision;
	char why[CURL_ERROR_SIZE];
};

/** Makes transfer->easy ready for curl_multi_add_handle(). */
void http_prepare(struct http *http, struct http_transfer *transfer,
                  const struct http_request *request);
/** What came of it; as http_send(), and the next attempt goes to the next address when none did. */
int http_finish(struct http *http, struct http_transfer *transfer, CURLcode code,
                struct http_answer *ret_answer);
/** Frees it; the easy handle must be out of its multi. */
void http_transfer_free(struct http_transfer *transfer);
