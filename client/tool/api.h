/* SPDX-License-Identifier: MIT */
/**
 * Requests to the registry for commands: they retry with --wait, and report every failure.
 *
 *	json_t *json;
 *	int code = api_get(tool, "/v1/status", &json);
 *	if (code != EXIT_OK)
 *		return code; // reported already
 *
 * Functions return exit codes. With --wait, a request that fails because the registry cannot be
 * reached, or cannot answer now, is sent again until the time of --wait ends, which is the same for
 * all requests of a command.
 */
#pragma once

#include "tool/http.h"
#include "tool/tool.h"

/** Bytes of a token, with NUL: a revision, a dot and digits of the history. */
#define API_TOKEN_SIZE (20 + 1 + HTTP_HISTORY_DIGITS + 1)

/** @return the path "/v1/services/SERVICE[/instances/ID]" and @p rest; freed by the caller.
 * @param id  NULL: none */
struct text api_path(const char *service, const char *id, const char *rest);
/** Adds "?NAME=VALUE", or "&NAME=VALUE" if there is a "?"; nothing for a NULL value. */
void api_query(struct text *path, const char *name, const char *value);
/** The same for a list, whose commas are not encoded. */
void api_query_list(struct text *path, const char *name, const char *list);
/** Adds meta.KEY=VALUE for each --meta. */
void api_query_meta(struct text *path, const struct args *args);

/** Send a request. @param ret_json  an object, owned by the caller; may be NULL: not wanted.
 * @return exit code, of api_judge() unless the registry does not answer (reported) */
int api_get(struct tool *tool, const char *path, json_t **ret_json);
int api_send(struct tool *tool, const char *method, const char *path, json_t *body,
             json_t **ret_json);

/** Sends a request. @return EXIT_OK for an answer of any status; EXIT_UNREACHABLE or EXIT_ERROR
 * (reported) */
int api_try(struct tool *tool, const struct http_request *request, struct http_answer *ret_answer);

/** Reports the problem of an answer that is not 2xx. @return its exit code; EXIT_OK for 2xx */
int api_judge(const struct http_answer *answer);
/** @return whether the answer is a registry's 404 for a service or an instance; that of another
 * server is not */
bool api_is_absent(const struct http_answer *answer);
/** @return whether the same request may succeed later: 429, 503, or 502 and 504 of a proxy */
bool api_is_passing(const struct http_answer *answer);
/**
 * Takes the body of a 2xx answer, which must be an object.
 * @param key  of an array that the object must have; NULL: none
 * @param ret_json  owned by the caller
 * @return EXIT_OK; EXIT_ERROR (reported)
 */
int api_object(const struct http_answer *answer, const char *key, json_t **ret_json);
/** @return the "code" of a problem response, or "" */
const char *api_code(const struct http_answer *answer);
/** @return whether the registry refuses a token, because its own history is another one */
bool api_is_another_history(const struct http_answer *answer);
/** Writes the token of @p revision in the history of the answer; if that names none, the bare
 * revision. */
void api_token(const struct http_answer *answer, uint64_t revision, char out[API_TOKEN_SIZE]);

/**
 * Reads a listing of any length, page by page.
 * @param key  of the array in which the pages are joined
 * @return exit code
 */
int api_list(struct tool *tool, const char *path, const char *key, json_t **ret_json);
/** The same for a lookup; with --wait, until it has an instance. @param ret_json  NULL when there
 * is nothing to print. @return exit code; EXIT_NOT_FOUND for an empty lookup too */
int api_lookup(struct tool *tool, const char *path, json_t **ret_json);
/** api_get(); with --wait, until the service exists. */
int api_await(struct tool *tool, const char *path, json_t **ret_json);

/** @return the string at @p key of a JSON object, or "" */
const char *api_text(const json_t *object, const char *key);
