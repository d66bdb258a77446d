/* SPDX-License-Identifier: MIT */
/**
 * One conversation with the registry, with everything said that a person must be told.
 *
 *	json_t *json;
 *	int code = api_get(tool, "/v1/status", &json);
 *	if (code != EXIT_OK)
 *		return code;	why is on standard error already
 *
 * Results are exit codes. With --wait what fails because the registry cannot be reached, or cannot
 * answer now, is tried again until that time is over, which is the same for all requests of a
 * command.
 */
#pragma once

#include "tool/http.h"
#include "tool/tool.h"

/** A path: "/v1/services/SERVICE[/instances/ID]" and @p rest; the caller appends more, and frees.
 */
struct text api_path(const char *service, const char *id, const char *rest);
/** Adds "?NAME=VALUE", or "&NAME=VALUE" after another; nothing for a NULL value. */
void api_query(struct text *path, const char *name, const char *value);
/** The same for a list: its commas stay what they are. */
void api_query_list(struct text *path, const char *name, const char *list);
/** Adds meta.KEY=VALUE for each --meta. */
void api_query_meta(struct text *path, const struct args *args);

/** @param ret_json  owned by the caller; NULL when the answer has no body. May be NULL. */
int api_get(struct tool *tool, const char *path, json_t **ret_json);
int api_send(struct tool *tool, const char *method, const char *path, json_t *body,
             json_t **ret_json);

/** The same, but an answer of any status is EXIT_OK. Unreachable: told. */
int api_try(struct tool *tool, const struct http_request *request, struct http_answer *ret_answer);

/** Reports what is wrong by @p answer. @return its exit code, EXIT_OK for 2xx */
int api_judge(const struct http_answer *answer);
/** Does a registry say that there is no such service or instance? Another server's 404 does not. */
bool api_is_absent(const struct http_answer *answer);
/** Is it worth asking again later? */
bool api_is_passing(const struct http_answer *answer);
/**
 * What a 2xx answer holds: an object, with an array at @p key unless that is NULL.
 * @param ret_json  owned by the caller
 * @return EXIT_OK or EXIT_ERROR (reported)
 */
int api_object(const struct http_answer *answer, const char *key, json_t **ret_json);
/** The problem's slug, or "". */
const char *api_code(const struct http_answer *answer);

/**
 * Reads a listing of any length, page by page.
 * @param key  of the array in it; the pages are joined there
 */
int api_list(struct tool *tool, const char *path, const char *key, json_t **ret_json);
/** The same for a lookup, with --wait until it holds an instance. @return EXIT_NOT_FOUND also
 * for an empty one; *@p ret_json: NULL when there is none to print */
int api_lookup(struct tool *tool, const char *path, json_t **ret_json);
/** As api_get(), with --wait until there is such a service. */
int api_await(struct tool *tool, const char *path, json_t **ret_json);

/** A text of a JSON object, or "". */
const char *api_text(const json_t *object, const char *key);
