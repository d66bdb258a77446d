/* SPDX-License-Identifier: MIT */
/*
 * Requests of commands, on top of http.c: paths and queries, retries with --wait, listings in
 * pages, and the exit code of each answer. One thread; every function may block for the timeout of
 * a request, or until the time of --wait ends. Invariant: a function that returns something other
 * than EXIT_OK has reported why, so that commands only pass the code on. Exit codes come from the
 * "code" of a problem response, not from its status, because several codes share a status.
 */
#include "tool/api.h"

#include "tool/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE "1000"

struct text api_path(const char *service, const char *id, const char *rest)
{
	struct text path = {NULL, 0, 0};

	text_put(&path, "/v1/services/");
	text_put_escaped(&path, service);
	if (id != NULL) {
		text_put(&path, "/instances/");
		text_put_escaped(&path, id);
	}
	text_put(&path, rest);
	return path;
}

static void put_name(struct text *path)
{
	text_put(path, strchr(path->data, '?') != NULL ? "&" : "?");
}

void api_query(struct text *path, const char *name, const char *value)
{
	if (value == NULL)
		return;
	put_name(path);
	text_put(path, name);
	text_put(path, "=");
	text_put_escaped(path, value);
}

void api_query_list(struct text *path, const char *name, const char *list)
{
	const char *comma;

	if (list == NULL)
		return;
	api_query(path, name, "");
	while ((comma = strchr(list, ',')) != NULL) {
		char *one = strndup(list, (size_t)(comma - list));

		if (one == NULL)
			memory_lacks();
		text_put_escaped(path, one);
		text_put(path, ",");
		free(one);
		list = comma + 1;
	}
	text_put_escaped(path, list);
}

void api_query_meta(struct text *path, const struct args *args)
{
	for (size_t i = 0; i < args->meta.count; i++) {
		const char *equals = strchr(args->meta.item[i], '=');
		struct text key = {NULL, 0, 0};

		text_put_bytes(&key, args->meta.item[i], (size_t)(equals - args->meta.item[i]));
		put_name(path);
		text_put(path, "meta.");
		text_put_escaped(path, key.data);
		text_put(path, "=");
		text_put_escaped(path, equals + 1);
		text_free(&key);
	}
}

const char *api_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

const char *api_code(const struct http_answer *answer)
{
	return api_text(answer->json, "code");
}

bool api_is_another_history(const struct http_answer *answer)
{
	return answer->status == 410 && answer->ours &&
	       strcmp(api_code(answer), "another-history") == 0;
}

void api_token(const struct http_answer *answer, uint64_t revision, char out[API_TOKEN_SIZE])
{
	(void)snprintf(out, API_TOKEN_SIZE, "%" PRIu64 "%s%s", revision,
	               answer->history[0] != '\0' ? "." : "", answer->history);
}

static void api_report_fields(const json_t *errors)
{
	const json_t *error;
	size_t i;

	json_array_foreach(errors, i, error)
	{
		const char *pointer = api_text(error, "pointer");
		const char *detail = api_text(error, "detail");

		tool_warn("  %s%s%s", pointer, *pointer != '\0' ? ": " : "", detail);
	}
}

/** @return whether the registry refuses a value of the command line */
static bool is_wrong_value(const char *code)
{
	static const char *const codes[] = {"invalid-parameter", "invalid-service", "invalid-id",
	                                    "invalid-body"};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i], code) == 0)
			return true;
	return false;
}

bool api_is_absent(const struct http_answer *answer)
{
	const char *code = api_code(answer);

	return answer->status == 404 && answer->ours &&
	       (strcmp(code, "unknown-service") == 0 || strcmp(code, "not-registered") == 0);
}

bool api_is_passing(const struct http_answer *answer)
{
	return answer->status == 429 || answer->status == 503 ||
	       (!answer->ours && (answer->status == 502 || answer->status == 504));
}

static int api_judge_foreign(const struct http_answer *answer)
{
	tool_warn("%s: the answer is not from a registry (status %ld)", answer->address,
	          answer->status);
	return api_is_passing(answer) && answer->status != 429 ? EXIT_UNREACHABLE : EXIT_ERROR;
}

int api_judge(const struct http_answer *answer)
{
	const char *detail = api_text(answer->json, "detail");
	const char *code = api_code(answer);

	if (answer->status >= 200 && answer->status < 300)
		return EXIT_OK;
	if (!answer->ours)
		return api_judge_foreign(answer);
	if (*detail != '\0')
		tool_warn("%s", detail);
	else
		tool_warn("the registry answered with status %ld", answer->status);
	api_report_fields(json_object_get(answer->json, "errors"));
	if (api_is_absent(answer) || strcmp(code, "no-healthy-instance") == 0)
		return EXIT_NOT_FOUND;
	return is_wrong_value(code) ? EXIT_USAGE : EXIT_ERROR;
}

int api_try(struct tool *tool, const struct http_request *request, struct http_answer *ret_answer)
{
	struct http_answer answer = {0};
	int r;

	while (true) {
		r = http_send(tool->http, request, &answer);
		bool passing = r < 0 ? r == -ENOTCONN : api_is_passing(&answer);
		if (!passing || !tool_may_retry(tool))
			break;
		if (r == 0)
			http_answer_free(&answer);
		tool_pause();
	}
	if (r < 0) {
		tool_warn("%s", http_error(tool->http));
		return r == -ENOTCONN ? EXIT_UNREACHABLE : EXIT_ERROR;
	}
	*ret_answer = answer;
	return EXIT_OK;
}

int api_object(const struct http_answer *answer, const char *key, json_t **ret_json)
{
	bool good = json_is_object(answer->json) &&
	            (key == NULL || json_is_array(json_object_get(answer->json, key)));

	if (!good) {
		tool_warn("%s: the answer is not from a registry (unexpected JSON)",
		          answer->address);
		return EXIT_ERROR;
	}
	*ret_json = json_incref(answer->json);
	return EXIT_OK;
}

int api_send(struct tool *tool, const char *method, const char *path, json_t *body,
             json_t **ret_json)
{
	struct http_request request = {
		.method = method, .path = path, .body = body, .timeout_ms = tool->timeout_ms};
	struct http_answer answer;

	int code = api_try(tool, &request, &answer);
	if (code != EXIT_OK)
		return code;
	code = api_judge(&answer);
	if (code == EXIT_OK && ret_json != NULL)
		code = api_object(&answer, NULL, ret_json);
	http_answer_free(&answer);
	return code;
}

int api_get(struct tool *tool, const char *path, json_t **ret_json)
{
	return api_send(tool, NULL, path, NULL, ret_json);
}

static char *next_page(const json_t *page)
{
	const json_t *next = json_object_get(page, "next");

	return json_is_string(next) ? memory_copy(json_string_value(next)) : NULL;
}

/** Reads the pages after the first, which is @p whole, and joins them to it. */
static int api_read_on(struct tool *tool, const char *path, const char *key, json_t *whole)
{
	char *next = next_page(whole);
	int code = EXIT_OK;

	while (next != NULL && code == EXIT_OK) {
		struct text more = {NULL, 0, 0};
		json_t *page = NULL;

		text_put(&more, path);
		api_query(&more, "limit", PAGE_SIZE);
		api_query(&more, "after", next);
		free(next);
		next = NULL;
		code = api_get(tool, more.data, &page);
		text_free(&more);
		if (code != EXIT_OK)
			break;
		if (json_array_extend(json_object_get(whole, key), json_object_get(page, key)) < 0)
			memory_lacks();
		next = next_page(page);
		json_decref(page);
	}
	free(next);
	(void)json_object_del(whole, "next");
	return code;
}

/** Reads the first page, which is the whole listing if the registry sends that much at once. */
static int read_first(struct tool *tool, const char *path, struct http_answer *ret_answer)
{
	struct http_request request = {.path = path, .timeout_ms = tool->timeout_ms};
	struct text paged = {NULL, 0, 0};

	int code = api_try(tool, &request, ret_answer);
	if (code != EXIT_OK || strcmp(api_code(ret_answer), "answer-too-large") != 0)
		return code;
	http_answer_free(ret_answer);
	text_put(&paged, path);
	api_query(&paged, "limit", PAGE_SIZE);
	request.path = paged.data;
	code = api_try(tool, &request, ret_answer);
	text_free(&paged);
	return code;
}

/** @param quiet  an unknown service is not reported, because the caller asks again */
static int api_list_once(struct tool *tool, const char *path, const char *key, bool quiet,
                         json_t **ret_json)
{
	struct http_answer answer;
	json_t *whole = NULL;

	int code = read_first(tool, path, &answer);
	if (code != EXIT_OK)
		return code;
	if (quiet && api_is_absent(&answer))
		code = EXIT_NOT_FOUND;
	else
		code = api_judge(&answer);
	if (code == EXIT_OK)
		code = api_object(&answer, key, &whole);
	if (code == EXIT_OK)
		code = api_read_on(tool, path, key, whole);
	if (code == EXIT_OK)
		*ret_json = whole;
	else
		json_decref(whole);
	http_answer_free(&answer);
	return code;
}

int api_list(struct tool *tool, const char *path, const char *key, json_t **ret_json)
{
	return api_list_once(tool, path, key, false, ret_json);
}

int api_lookup(struct tool *tool, const char *path, json_t **ret_json)
{
	while (true) {
		bool last = !tool_may_retry(tool);

		*ret_json = NULL;
		int code = api_list_once(tool, path, "instances", !last, ret_json);
		bool empty = code == EXIT_OK &&
		             json_array_size(json_object_get(*ret_json, "instances")) == 0;

		if (last && empty)
			tool_warn("no instance matches");
		if (last || (code != EXIT_NOT_FOUND && !empty))
			return empty ? EXIT_NOT_FOUND : code;
		if (code == EXIT_OK)
			json_decref(*ret_json);
		tool_pause();
	}
}

int api_await(struct tool *tool, const char *path, json_t **ret_json)
{
	struct http_request request = {.path = path, .timeout_ms = tool->timeout_ms};
	struct http_answer answer;

	while (true) {
		int code = api_try(tool, &request, &answer);
		if (code != EXIT_OK)
			return code;
		if (!api_is_absent(&answer) || !tool_may_retry(tool))
			break;
		http_answer_free(&answer);
		tool_pause();
	}
	int code = api_judge(&answer);
	if (code == EXIT_OK)
		code = api_object(&answer, NULL, ret_json);
	http_answer_free(&answer);
	return code;
}
