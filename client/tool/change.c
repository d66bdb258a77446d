/* SPDX-License-Identifier: MIT */
/*
 * Commands that change instances: register, deregister, heartbeat, drain, resume. One thread.
 * Invariant: with several ids every one is tried, and the exit code is the largest of theirs. Drain
 * with --wait repeats its request, because one request waits at most as long as the registry
 * allows.
 */
#include "tool/api.h"
#include "tool/commands.h"
#include "tool/output.h"
#include "tool/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_MS 600000 /* the registry's limit for wait_ms */

int register_run(struct tool *tool, const struct args *args)
{
	const char *id = args->value[OPT_ID];
	struct text path;
	json_t *record;
	json_t *json;

	if (output_check(tool, &view_instances) < 0)
		return EXIT_USAGE;
	int code = record_make(tool, args, &record);
	if (code != EXIT_OK)
		return code;
	path = api_path(args->operands[0], id, id != NULL ? "" : "/instances");
	code = api_send(tool, id != NULL ? "PUT" : "POST", path.data, record, &json);
	text_free(&path);
	json_decref(record);
	if (code != EXIT_OK)
		return code;
	output_one(tool, &view_instances, json);
	json_decref(json);
	return EXIT_OK;
}

/** @return whether the registry refuses wait_ms, as older ones do */
static bool refuses_wait(const struct http_answer *answer)
{
	const json_t *error;
	size_t i;

	json_array_foreach(json_object_get(answer->json, "errors"), i, error)
	{
		if (strcmp(api_text(error, "pointer"), "/wait_ms") == 0)
			return true;
	}
	return false;
}

/** Sends a request about an instance. @param gone  exit code if the instance does not exist:
 * EXIT_OK or EXIT_NOT_FOUND (reported). @param ret_json  NULL: the instance does not exist, or the
 * registry has answered 204 */
static int send_to(struct tool *tool, const struct args *args, const char *id,
                   struct http_request *request, int gone, json_t **ret_json)
{
	struct text path = api_path(args->operands[0], id, request->path);
	struct http_answer answer;

	*ret_json = NULL;
	request->path = path.data;
	request->timeout_ms += tool->timeout_ms;
	int code = api_try(tool, request, &answer);
	if (code == EXIT_OK && answer.status == 422 && refuses_wait(&answer) &&
	    json_object_del(request->body, "wait_ms") == 0) {
		tool_warn(
			"this registry cannot report when all watchers have been sent the change");
		http_answer_free(&answer);
		code = api_try(tool, request, &answer);
	}
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	bool absent = api_is_absent(&answer);
	code = absent ? gone : api_judge(&answer);
	if (absent && gone != EXIT_OK)
		tool_warn("service '%s' has no instance '%s'", args->operands[0], id);
	bool empty = answer.status == 204 && answer.ours;
	if (code == EXIT_OK && !absent && !empty)
		code = api_object(&answer, NULL, ret_json);
	http_answer_free(&answer);
	return code;
}

/** Deregisters an instance. The answer to DELETE does not show whether the instance existed, so a
 * GET comes first. */
static int deregister_one(struct tool *tool, const struct args *args, const char *id)
{
	struct http_request ask = {.path = ""};
	struct http_request remove = {.path = "", .method = "DELETE"};
	int gone = args->value[OPT_IF_EXISTS] != NULL ? EXIT_OK : EXIT_NOT_FOUND;
	json_t *json;
	json_t *none = NULL;

	int code = send_to(tool, args, id, &ask, gone, &json);
	json_decref(json);
	if (code == EXIT_OK)
		code = send_to(tool, args, id, &remove, EXIT_OK, &none);
	json_decref(none);
	return code;
}

int deregister_run(struct tool *tool, const struct args *args)
{
	int worst = EXIT_OK;

	for (int i = 1; i < args->operand_count; i++) {
		int code = deregister_one(tool, args, args->operands[i]);

		worst = code > worst ? code : worst;
	}
	return worst;
}

/** The answer to a heartbeat is not an instance, so it has a view of its own. */
static const struct column beat_columns[] = {
	{"STATUS", "status", COLUMN_STATUS, false, 0},
	{"TTL", "ttl_ms", COLUMN_DURATION, false, 0},
	{"REVISION", "revision", COLUMN_NUMBER, false, 0},
};
static const struct view view_beat = {beat_columns, sizeof(beat_columns) / sizeof(beat_columns[0]),
                                      "status", NULL};

/** @return 0; -EINVAL (reported) */
static int beat_put_load(json_t *body, const char *load)
{
	char *end;
	double value = strtod(load, &end);

	if (end == load || *end != '\0' || !(value >= 0 && value <= 1)) {
		tool_warn("--load takes a number from 0 to 1, not '%s'", load);
		return -EINVAL;
	}
	memory_set(body, "load", json_real(value));
	return 0;
}

/** @return 0; -EINVAL (reported) */
static int beat_put_status(json_t *body, const char *status)
{
	if (strcmp(status, "healthy") != 0 && strcmp(status, "draining") != 0 &&
	    strcmp(status, "unhealthy") != 0) {
		tool_warn("--status takes healthy, draining or unhealthy, not '%s'", status);
		return -EINVAL;
	}
	memory_set(body, "status", json_string(status));
	return 0;
}

static int beat(struct tool *tool, const struct args *args, json_t *body)
{
	struct http_request request = {.method = "POST", .path = "/heartbeat", .body = body};
	json_t *json;

	int code = send_to(tool, args, args->operands[1], &request, EXIT_NOT_FOUND, &json);
	if (code != EXIT_OK)
		return code;
	if (json == NULL) {
		tool_warn("the registry has sent no answer to the heartbeat");
		return EXIT_ERROR;
	}
	output_one(tool, &view_beat, json);
	json_decref(json);
	return EXIT_OK;
}

int heartbeat_run(struct tool *tool, const struct args *args)
{
	const char *load = args->value[OPT_LOAD];
	const char *status = args->value[OPT_REPORT];
	int code = EXIT_USAGE;

	if (output_check(tool, &view_beat) < 0)
		return EXIT_USAGE;
	json_t *body = memory_json(json_object());
	if ((load == NULL || beat_put_load(body, load) == 0) &&
	    (status == NULL || beat_put_status(body, status) == 0))
		code = beat(tool, args, body);
	json_decref(body);
	return code;
}

/** Sets the status of an instance. @param wait  for the watchers, until the time of --wait ends.
 * @param ret_json  NULL: the id is not registered, only drained */
static int intend_once(struct tool *tool, const struct args *args, const char *id, json_t *body,
                       bool wait, json_t **ret_json)
{
	struct http_request request = {.method = "PUT", .path = "/status", .body = body};
	int64_t left = tool->until_ms - tool_now_ms();

	if (wait) {
		request.timeout_ms = left < 1 ? 1 : left < WAIT_MAX_MS ? left : WAIT_MAX_MS;
		memory_set(body, "wait_ms", json_integer(request.timeout_ms));
	}
	return send_to(tool, args, id, &request, EXIT_NOT_FOUND, ret_json);
}

/** intend_once(), again until all watchers have been sent the change. */
static int intend(struct tool *tool, const struct args *args, const char *id, json_t *body,
                  bool wait, json_t **ret_json)
{
	while (true) {
		json_t *json;
		int code = intend_once(tool, args, id, body, wait, &json);

		if (code != EXIT_OK)
			return code;
		json_int_t untold = json_integer_value(json_object_get(json, "watchers_untold"));
		if (untold == 0 || tool_now_ms() >= tool->until_ms) {
			if (untold > 0)
				tool_warn("%" JSON_INTEGER_FORMAT " watchers of '%s' have not been "
				          "sent the change of '%s'",
				          untold, args->operands[0], id);
			*ret_json = json;
			return untold > 0 ? EXIT_ERROR : EXIT_OK;
		}
		json_decref(json);
	}
}

static json_t *make_intent(const struct args *args, const char *status, int64_t for_ms)
{
	json_t *body = memory_json(json_pack("{s:s}", "status", status));

	if (args->value[OPT_REASON] != NULL)
		memory_set(body, "reason", json_string(args->value[OPT_REASON]));
	if (for_ms > 0)
		memory_set(body, "for_ms", json_integer(for_ms));
	return body;
}

static int check_reason(const struct args *args)
{
	const char *reason = args->value[OPT_REASON];
	json_t *text = reason != NULL ? json_string(reason) : NULL;

	if (reason != NULL && text == NULL) {
		tool_warn("--reason takes UTF-8");
		return -EINVAL;
	}
	json_decref(text);
	return 0;
}

static int intend_all(struct tool *tool, const struct args *args, const char *status)
{
	bool ends = strcmp(status, "draining") != 0;
	bool wait = tool->until_ms > tool_now_ms() && !ends;
	int64_t for_ms = 0;
	int worst = EXIT_OK;

	if (output_check(tool, &view_instances) < 0 || args_duration(args, OPT_FOR, &for_ms) < 0 ||
	    check_reason(args) < 0)
		return EXIT_USAGE;
	json_t *done = memory_json(json_pack("{s:[]}", "instances"));
	for (int i = 1; i < args->operand_count; i++) {
		json_t *body = make_intent(args, status, for_ms);
		const char *id = args->operands[i];
		json_t *json = NULL;

		int code = intend(tool, args, id, body, wait, &json);
		if (json != NULL)
			memory_append(json_object_get(done, "instances"), json);
		else if (code == EXIT_OK)
			tool_warn("service '%s' has no instance '%s'; the drain of the id %s",
			          args->operands[0], id, ends ? "has ended" : "stays");
		worst = code > worst ? code : worst;
		json_decref(body);
	}
	if (json_array_size(json_object_get(done, "instances")) > 0)
		output_list(tool, &view_instances, done, "instances");
	json_decref(done);
	return worst;
}

int drain_run(struct tool *tool, const struct args *args)
{
	return intend_all(tool, args, "draining");
}

int resume_run(struct tool *tool, const struct args *args)
{
	return intend_all(tool, args, "healthy");
}
