/* SPDX-License-Identifier: MIT */
/**
 * HTTP requests with JSON to the registry, at the first of its addresses that answers.
 *
 *	struct http *http = http_open(addresses, token);
 *	struct http_answer answer;
 *	int r = http_send(http, &(struct http_request){.path = "/v1/status"}, &answer);
 *	...
 *	http_answer_free(&answer);
 *
 * One thread. http_send() blocks; http_prepare() and http_finish() serve callers that have a
 * libcurl multi.
 */
#pragma once

#include "tool/memory.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** Digits of the registry's history in a token, which is a revision, a dot and these. */
#define HTTP_HISTORY_DIGITS 8

struct http;

/**
 * Does not connect yet.
 * @param addresses  "host", "host:port", "http://...", "https://..." or "unix:PATH", or up to 16 of
 *                   them separated by commas; copied
 * @param token      bearer token, copied; NULL: none
 * @return freed by http_close(); NULL: an address is wrong (reported)
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
	json_t *json;                          /* NULL: not JSON */
	uint64_t revision;                     /* X-Rollcall-Revision, or 0 */
	char history[HTTP_HISTORY_DIGITS + 1]; /* the first digits of X-Rollcall-History, or "" */
	const char *address; /* that the answer is from; valid until http_close() */
	bool ours;           /* the answer is from a registry, not from another server or a proxy */
	char local[64];      /* local address of the connection, or "" */
};

/**
 * Sends a request and waits for the answer, of any status. Blocks for request->timeout_ms at most,
 * for each address.
 * @return 0; -ENOTCONN (no address answered: see http_error()); -EPROTO (the answer is not JSON)
 */
int http_send(struct http *http, const struct http_request *request,
              struct http_answer *ret_answer);
void http_answer_free(struct http_answer *answer);

/** @return the text of the last failure, such as "http://127.0.0.1:7655: Connection refused" */
const char *http_error(const struct http *http);

/** @return the address in use, as it was given */
const char *http_address(const struct http *http);
/** @return all addresses as URLs, separated by commas; freed by the caller. NULL: one of them is a
 * Unix socket */
char *http_urls(const struct http *http);

/** A request under way in a libcurl multi. Zeroed: no request. */
struct http_transfer {
	CURL *easy; /* its CURLOPT_PRIVATE is free for the caller */
	struct curl_slist *headers;
	struct text body;
	char *sent;
	uint64_t revision;
	bool has_revision;
	char history[HTTP_HISTORY_DIGITS + 1];
	char why[CURL_ERROR_SIZE];
};

/** Makes transfer->easy ready for curl_multi_add_handle(). */
void http_prepare(struct http *http, struct http_transfer *transfer,
                  const struct http_request *request);
/** Takes the result of a transfer that libcurl has ended. @return as http_send(); after -ENOTCONN
 * the next request goes to the next address */
int http_finish(struct http *http, struct http_transfer *transfer, CURLcode code,
                struct http_answer *ret_answer);
/** Frees a transfer, whose easy handle must have left its multi. */
void http_transfer_free(struct http_transfer *transfer);
