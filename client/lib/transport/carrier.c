/* SPDX-License-Identifier: MIT */
/*
 * Sets up libcurl's easy handles, one for each exchange under way, and receives their callbacks.
 * All of it runs in the thread that runs the loop. Invariant: a handle in the idle list has exactly
 * the options of carrier_set_always() and of a plain GET, unless it is marked special. Handles are
 * kept because making one costs more than a request on a connection that is open already.
 */
#include "lib/transport/carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* --- what libcurl calls --------------------------------------------------------------------- */

static curl_socket_t carrier_open_socket(void *arg, curlsocktype purpose,
                                         struct curl_sockaddr *address)
{
	struct carrier *carrier = arg;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
		carrier->exhausted = true;
	return fd;
}

static size_t carrier_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct carrier *carrier = arg;
	struct bytes *answer = &carrier->exchange->answer;

	bytes_add(answer, data, size * count);
	return answer->error < 0 ? 0 : size * count;
}

static size_t carrier_on_header(char *data, size_t size, size_t count, void *arg)
{
	struct carrier *carrier = arg;
	struct bytes *head = &carrier->exchange->head;
	size_t len = size * count;

	if (len > 5 && memcmp(data, "HTTP/", 5) == 0)
		bytes_reset(head); /* the lines before belong to a 1xx answer */
	else if (len > 2)
		bytes_add(head, data, len);
	return head->error < 0 ? 0 : len;
}

/* For bodies that must not be sent twice. libcurl repeats a request when a connection that was kept
 * alive turns out to be dead, but only if it can rewind the body, which it cannot here. */
static size_t carrier_on_upload(char *out, size_t size, size_t count, void *arg)
{
	struct carrier *carrier = arg;
	size_t left = carrier->exchange->body_len - carrier->uploaded;
	size_t len = size * count < left ? size * count : left;

	if (len > 0)
		memcpy(out, (const char *)carrier->exchange->body + carrier->uploaded, len);
	carrier->uploaded += len;
	return len;
}

/* --- handles -------------------------------------------------------------------------------- */

void carrier_free(struct carrier *carrier)
{
	if (carrier->easy != NULL)
		curl_easy_cleanup(carrier->easy);
	curl_slist_free_all(carrier->headers);
	free(carrier);
}

void carrier_rest(struct carrier *carrier)
{
	struct curl_transport *curl = carrier->curl;

	if (curl->idle_count == IDLE_MAX) {
		carrier_free(carrier);
		return;
	}
	curl_slist_free_all(carrier->headers);
	carrier->headers = NULL;
	carrier->next = curl->idle;
	curl->idle = carrier;
	curl->idle_count++;
}

static int carrier_add_header(struct carrier *carrier, const char *line)
{
	struct curl_slist *longer = curl_slist_append(carrier->headers, line);

	if (longer == NULL)
		return -ENOMEM;
	carrier->headers = longer;
	return 0;
}

static int carrier_make_headers(struct carrier *carrier)
{
	const struct exchange *exchange = carrier->exchange;
	bool typed = false;
	struct bytes line;
	int r = 0;

	bytes_init(&line, 64U << 10);
	for (size_t i = 0; i < exchange->header_count && r == 0; i++) {
		const rollcall_pair *header = &exchange->headers[i];

		typed |= strcasecmp(header->name, "Content-Type") == 0;
		bytes_reset(&line);
		bytes_put(&line, header->name);
		/* libcurl sends a header without a value if its name ends with a semicolon. */
		bytes_put(&line, header->value[0] == '\0' ? ";" : ": ");
		bytes_put(&line, header->value);
		r = line.error < 0 ? line.error : carrier_add_header(carrier, line.data);
	}
	if (r == 0 && exchange->body != NULL && !typed)
		r = carrier_add_header(carrier, "Content-Type:");
	if (r == 0 && exchange->body != NULL)
		r = carrier_add_header(carrier, "Expect:");
	bytes_fini(&line);
	return r;
}

/* Counts options that could not be set. Only a lack of memory makes that fail, so the callers check
 * the sum. */
#define SET(option, value) failed += curl_easy_setopt(easy, option, value) != CURLE_OK

static int set_body(struct carrier *carrier)
{
	const struct exchange *exchange = carrier->exchange;
	CURL *easy = carrier->easy;
	int failed = 0;

	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body_len);
	if (exchange->once && exchange->body_len > 0) {
		SET(CURLOPT_READFUNCTION, carrier_on_upload);
		SET(CURLOPT_READDATA, carrier);
	} else {
		SET(CURLOPT_POSTFIELDS, exchange->body_len > 0 ? exchange->body : "");
	}
	return failed;
}

static int set_method(struct carrier *carrier)
{
	const struct exchange *exchange = carrier->exchange;
	const char *method = exchange->method;
	CURL *easy = carrier->easy;
	bool with_body = exchange->body != NULL || strcmp(method, "POST") == 0 ||
	                 strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
	int failed = 0;

	if (strcmp(method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
		return failed;
	}
	if (with_body)
		failed += set_body(carrier);
	if (exchange->once && exchange->body_len == 0)
		SET(CURLOPT_FRESH_CONNECT,
		    1L); /* without a body carrier_on_upload() cannot prevent it */
	if (strcmp(method, with_body ? "POST" : "GET") != 0)
		SET(CURLOPT_CUSTOMREQUEST, method);
	return failed;
}

/* Sets what is the same for all exchanges, once for each handle. */
static int set_always(struct carrier *carrier)
{
	const struct curl_transport *curl = carrier->curl;
	CURL *easy = carrier->easy;
	int failed = 0;

	SET(CURLOPT_PRIVATE, carrier);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NOPROXY, "*"); /* instances are called directly, whatever http_proxy is */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_USERAGENT, curl->user_agent);
	SET(CURLOPT_OPENSOCKETFUNCTION, carrier_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, carrier);
	SET(CURLOPT_WRITEFUNCTION, carrier_on_body);
	SET(CURLOPT_WRITEDATA, carrier);
	SET(CURLOPT_HEADERFUNCTION, carrier_on_header);
	SET(CURLOPT_HEADERDATA, carrier);
	if (curl->ca_file != NULL)
		SET(CURLOPT_CAINFO, curl->ca_file);
	return failed > 0 ? -ENOMEM : 0;
}

static int carrier_set_options(struct carrier *carrier)
{
	const struct exchange *exchange = carrier->exchange;
	CURL *easy = carrier->easy;
	int failed = 0;

	if (carrier->special) {
		curl_easy_reset(easy);
		if (set_always(carrier) < 0)
			return -ENOMEM;
	}
	carrier->special =
		exchange->body != NULL || exchange->once || strcmp(exchange->method, "GET") != 0;
	SET(CURLOPT_URL, exchange->url);
	SET(CURLOPT_HTTPHEADER, carrier->headers);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)exchange->connect_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)exchange->timeout_ms);
	if (carrier->special)
		failed += set_method(carrier);
	return failed > 0 ? -ENOMEM : 0;
}

struct carrier *carrier_get(struct curl_transport *curl)
{
	struct carrier *carrier = curl->idle;

	if (carrier != NULL) {
		curl->idle = carrier->next;
		curl->idle_count--;
		return carrier;
	}
	carrier = calloc(1, sizeof(*carrier));
	if (carrier == NULL)
		return NULL;
	carrier->curl = curl;
	carrier->easy = curl_easy_init();
	if (carrier->easy == NULL || set_always(carrier) < 0) {
		carrier_free(carrier);
		return NULL;
	}
	return carrier;
}

int carrier_prepare(struct carrier *carrier, struct exchange *exchange)
{
	carrier->exchange = exchange;
	carrier->uploaded = 0;
	carrier->exhausted = false;
	int r = carrier_make_headers(carrier);
	return r < 0 ? r : carrier_set_options(carrier);
}
