/* SPDX-License-Identifier: MIT */
/*
 * HTTP for the tool: libcurl easy handles with JSON bodies. One thread. Invariant: http->current is
 * the address that the next request goes to; only a request that got no answer moves it on. The
 * client library could send these requests too, but it hides what commands print: the problem
 * response, the revision, and whether another server answered in place of a registry.
 */
#include "tool/http.h"

#include "tool/args.h"
#include "tool/tool.h"
#include "tool/version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ADDRESSES_MAX   16
#define ANSWER_MAX      (256u << 20)
#define CONNECT_MAX_MS  3000
#define DEFAULT_PORT    "7655"
#define REVISION_HEADER "X-Rollcall-Revision:"
#define HISTORY_HEADER  "X-Rollcall-History:"

struct address {
	char *given;
	char *base; /* "http://host:port", without a slash at its end */
	char *path; /* of a Unix socket, or NULL */
};

struct http {
	struct address address[ADDRESSES_MAX];
	size_t count;
	size_t current;
	char *authorization; /* a header line, or NULL */
	struct text error;
};

/** Makes a URL of HOST or HOST:PORT. A host with colons is in brackets, or has no port. */
static void put_host(struct text *base, const char *given)
{
	const char *colon = strrchr(given, ':');
	const char *bracket = strrchr(given, ']');
	struct in6_addr address;
	bool bare = inet_pton(AF_INET6, given, &address) == 1;
	bool has_port = !bare && colon != NULL && (bracket == NULL || colon > bracket);

	text_printf(base, "http://%s%s%s%s", bare ? "[" : "", given, bare ? "]" : "",
	            has_port ? "" : ":" DEFAULT_PORT);
}

static bool http_is_url(const char *text)
{
	CURLU *url = curl_url();
	char *port = NULL;

	if (url == NULL)
		memory_lacks();
	bool good = text[strlen(text) - 1] != ':' &&
	            curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	            curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	            strcmp(port, "0") != 0;
	curl_free(port);
	curl_url_cleanup(url);
	return good;
}

static bool read_address(struct http *http, char *given)
{
	struct address *address = &http->address[http->count];
	struct text base = {NULL, 0, 0};
	size_t len = strlen(given);

	while (len > 0 && given[len - 1] == '/')
		given[--len] = '\0';
	if (http->count == ADDRESSES_MAX || len == 0 || strpbrk(given, " \t?#") != NULL)
		return false;
	if (strncmp(given, "unix:", 5) == 0) {
		if (given[5] != '/')
			return false;
		address->path = memory_copy(given + 5);
		text_put(&base, "http://localhost");
	} else if (strstr(given, "://") == NULL) {
		put_host(&base, given);
	} else if (strncmp(given, "http://", 7) == 0 || strncmp(given, "https://", 8) == 0) {
		text_put(&base, given);
	} else {
		return false;
	}
	if (!http_is_url(base.data)) {
		text_free(&base);
		return false;
	}
	address->given = memory_copy(given);
	address->base = base.data;
	http->count++;
	return true;
}

struct http *http_open(const char *addresses, const char *token)
{
	struct http *http = memory_get(sizeof(*http));
	char *copy = memory_copy(addresses);
	char *rest = copy;
	char *one;
	bool good = true;

	while (good && (one = strsep(&rest, ",")) != NULL) {
		good = read_address(http, one);
		if (!good)
			tool_warn("'%s' is not an address of a registry: use HOST, HOST:PORT, "
			          "http://HOST:PORT or unix:/PATH, or up to %d separated by commas",
			          one, ADDRESSES_MAX);
	}
	free(copy);
	if (!good) {
		http_close(http);
		return NULL;
	}
	if (token != NULL) {
		struct text line = {NULL, 0, 0};
		text_printf(&line, "Authorization: Bearer %s", token);
		http->authorization = line.data;
	}
	return http;
}

void http_close(struct http *http)
{
	if (http == NULL)
		return;
	for (size_t i = 0; i < http->count; i++) {
		free(http->address[i].given);
		free(http->address[i].base);
		free(http->address[i].path);
	}
	free(http->authorization);
	text_free(&http->error);
	free(http);
}

const char *http_error(const struct http *http)
{
	return http->error.data != NULL ? http->error.data : "";
}

const char *http_address(const struct http *http)
{
	return http->address[http->current].given;
}

char *http_urls(const struct http *http)
{
	struct text text = {NULL, 0, 0};

	for (size_t i = 0; i < http->count; i++) {
		if (http->address[i].path != NULL) {
			text_free(&text);
			return NULL;
		}
		text_printf(&text, "%s%s", i > 0 ? "," : "", http->address[i].base);
	}
	return text.data;
}

static size_t http_take_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *transfer = arg;
	size_t len = size * count;

	if (len > ANSWER_MAX - transfer->body.len)
		return 0;
	text_put_bytes(&transfer->body, data, len);
	return len;
}

/** Copies the digits of a header line called @p name that are in @p digits. @return whether the line
 * has that name; what does not fit into @p out is left out */
static bool http_read_digits(const char *line, size_t len, const char *name, const char *digits,
                             char *out, size_t size)
{
	size_t name_len = strlen(name);
	size_t n = 0;

	if (len < name_len || strncasecmp(line, name, name_len) != 0)
		return false;
	for (size_t i = name_len; i < len && n < size - 1; i++)
		if (line[i] != '\0' && strchr(digits, line[i]) != NULL)
			out[n++] = line[i];
	out[n] = '\0';
	return true;
}

static size_t http_take_header(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *transfer = arg;
	size_t len = size * count;
	char number[24];

	if (http_read_digits(data, len, REVISION_HEADER, "0123456789", number, sizeof(number)))
		transfer->has_revision =
			args_read_number(number, 0, UINT64_MAX, &transfer->revision) == 0;
	else
		(void)http_read_digits(data, len, HISTORY_HEADER, "0123456789abcdef",
		                       transfer->history, sizeof(transfer->history));
	return len;
}

static void http_add_header(struct http_transfer *transfer, const char *line)
{
	struct curl_slist *more = curl_slist_append(transfer->headers, line);

	if (more == NULL)
		memory_lacks();
	transfer->headers = more;
}

void http_prepare(struct http *http, struct http_transfer *transfer,
                  const struct http_request *request)
{
	const struct address *address = &http->address[http->current];
	struct text url = {NULL, 0, 0};
	CURL *easy;

	*transfer = (struct http_transfer){.easy = curl_easy_init()};
	easy = transfer->easy;
	if (easy == NULL)
		memory_lacks();
	text_printf(&url, "%s%s", address->base, request->path);
	http_add_header(transfer, "Accept: application/json");
	if (http->authorization != NULL)
		http_add_header(transfer, http->authorization);
	if (request->body != NULL) {
		transfer->sent = json_dumps(request->body, JSON_COMPACT);
		if (transfer->sent == NULL)
			memory_lacks();
		http_add_header(transfer, "Content-Type: application/json");
		http_add_header(transfer, "Expect:");
	}

	long timeout_ms = (long)request->timeout_ms;
	bool failed = curl_easy_setopt(easy, CURLOPT_URL, url.data) != CURLE_OK ||
	              curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
	                               request->method ? request->method : "GET") != CURLE_OK ||
	              curl_easy_setopt(easy, CURLOPT_USERAGENT, tool_user_agent()) != CURLE_OK ||
	              curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) != CURLE_OK ||
	              (address->path != NULL &&
	               curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, address->path) != CURLE_OK);
	text_free(&url);
	if (failed)
		memory_lacks();
	/* These cannot fail. */
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	                       timeout_ms < CONNECT_MAX_MS ? timeout_ms : CONNECT_MAX_MS);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->why);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_take_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_take_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	if (transfer->sent != NULL) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->sent);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(transfer->sent));
	}
}

void http_transfer_free(struct http_transfer *transfer)
{
	if (transfer->easy != NULL)
		curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	text_free(&transfer->body);
	free(transfer->sent);
	*transfer = (struct http_transfer){0};
}

static int http_fail(struct http *http, struct http_transfer *transfer, CURLcode code)
{
	text_clear(&http->error);
	text_printf(&http->error, "%s: %s", http_address(http),
	            transfer->why[0] != '\0' ? transfer->why : curl_easy_strerror(code));
	http->current = (http->current + 1) % http->count;
	return -ENOTCONN;
}

int http_finish(struct http *http, struct http_transfer *transfer, CURLcode code,
                struct http_answer *ret_answer)
{
	struct http_answer answer = {.revision = transfer->revision, .address = http_address(http)};
	const char *type = NULL;
	const char *local = NULL;

	if (code != CURLE_OK)
		return http_fail(http, transfer, code);
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer.status);
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_LOCAL_IP, &local);
	if (strlen(transfer->history) == HTTP_HISTORY_DIGITS)
		memcpy(answer.history, transfer->history, sizeof(answer.history));
	if (local != NULL)
		(void)snprintf(answer.local, sizeof(answer.local), "%s", local);
	if (type != NULL && strstr(type, "json") != NULL && transfer->body.len > 0) {
		answer.json = json_loadb(transfer->body.data, transfer->body.len,
		                         JSON_REJECT_DUPLICATES, NULL);
		if (answer.json == NULL) {
			text_clear(&http->error);
			text_printf(&http->error, "%s: the answer is not JSON", http_address(http));
			return -EPROTO;
		}
	}
	answer.ours =
		transfer->has_revision || (type != NULL && strstr(type, "problem+json") != NULL &&
	                                   json_is_string(json_object_get(answer.json, "code")));
	*ret_answer = answer;
	return 0;
}

void http_answer_free(struct http_answer *answer)
{
	json_decref(answer->json);
	answer->json = NULL;
}

/** @return whether the request was certainly not sent, or may be sent twice */
static bool may_go_on(const struct http_request *request, CURLcode code)
{
	return request->method == NULL || strcmp(request->method, "POST") != 0 ||
	       code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
}

int http_send(struct http *http, const struct http_request *request, struct http_answer *ret_answer)
{
	int r = -ENOTCONN;

	for (size_t i = 0; i < http->count && r == -ENOTCONN; i++) {
		struct http_transfer transfer;

		http_prepare(http, &transfer, request);
		CURLcode code = curl_easy_perform(transfer.easy);
		r = http_finish(http, &transfer, code, ret_answer);
		http_transfer_free(&transfer);
		if (r == -ENOTCONN && !may_go_on(request, code))
			break;
	}
	return r;
}
