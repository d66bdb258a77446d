/* SPDX-License-Identifier: MIT */
/*
 * The event log: events and history. One thread; following blocks in long polls. Invariant:
 * reading->since is the token of the last event that was printed, so that an interruption
 * neither repeats nor loses events. Following does not use libcurl's multi interface as watch does:
 * it has nothing else to wait for, and a signal simply ends it.
 */
#include "tool/api.h"
#include "tool/commands.h"
#include "tool/output.h"
#include "tool/reminder.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PAGE_MAX 1000
#define WAIT_MS  30000

struct reading {
	const char *service;
	const char *id;
	const char *kind;
	uint64_t revision;          /* of the last event read */
	char since[API_TOKEN_SIZE]; /* its token; "": begin with the oldest event */
	bool may_wait;              /* the registry has not refused wait_ms */
	bool follows;               /* the first page was read; now waits for more events */
	struct reminder reminder;
};

static struct text events_make_path(const struct reading *reading, uint64_t limit, bool wait)
{
	struct text path = {NULL, 0, 0};

	text_printf(&path, "/v1/events?limit=%" PRIu64, limit);
	if (reading->since[0] != '\0')
		api_query(&path, "since", reading->since);
	api_query(&path, "service", reading->service);
	api_query(&path, "id", reading->id);
	api_query(&path, "kind", reading->kind);
	if (wait)
		text_printf(&path, "&wait_ms=%d", WAIT_MS);
	return path;
}

/** A registry that names no token is sent bare revisions. */
static void events_advance(struct reading *reading, const json_t *json)
{
	uint64_t last = (uint64_t)json_integer_value(json_object_get(json, "revision"));
	const char *token = api_text(json, "token");

	if (last < reading->revision)
		return;
	reading->revision = last;
	if (*token != '\0' && strlen(token) < sizeof(reading->since))
		(void)snprintf(reading->since, sizeof(reading->since), "%s", token);
	else
		(void)snprintf(reading->since, sizeof(reading->since), "%" PRIu64, last);
}

static struct http_request make_request(const struct tool *tool, const struct text *path, bool wait)
{
	return (struct http_request){.path = path->data,
	                             .timeout_ms = tool->timeout_ms + (wait ? WAIT_MS : 0)};
}

/** Reads one page of events after reading->since, and moves that on. */
static int events_read_page(struct tool *tool, struct reading *reading, uint64_t limit,
                            json_t **ret_json)
{
	struct text path = events_make_path(reading, limit, false);
	struct http_request request = make_request(tool, &path, false);
	struct http_answer answer;

	int code = api_try(tool, &request, &answer);
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	code = api_judge(&answer);
	if (code == EXIT_OK)
		code = api_object(&answer, "events", ret_json);
	if (code == EXIT_OK)
		events_advance(reading, *ret_json);
	http_answer_free(&answer);
	return code;
}

/** If the registry no longer has the events after reading->since, continues with those it has.
 * @return whether that was the problem; reported */
static bool skip_gap(struct reading *reading, const struct http_answer *answer)
{
	const char *code = api_code(answer);

	if (strcmp(code, "compacted") == 0) {
		reading->revision = 0;
		reading->since[0] = '\0';
	} else if (strcmp(code, "revision-ahead") == 0 || api_is_another_history(answer)) {
		reading->revision = answer->revision;
		api_token(answer, answer->revision, reading->since);
	} else {
		return false;
	}
	tool_warn("events are missing after this: %s", api_text(answer->json, "detail"));
	return true;
}

/** @return exit code; EXIT_OK: *@p ret_json has events, or is NULL: ask again */
static int events_read_answer(struct reading *reading, const struct http_answer *answer,
                              bool waited, json_t **ret_json)
{
	bool foreign = !answer->ours && reading->follows;

	if (api_is_passing(answer) || foreign) {
		if (reminder_failed(&reading->reminder, 0))
			tool_warn("the registry cannot answer now; waiting until it does");
		(void)poll(NULL, 0, TOOL_POLL_MS);
		return EXIT_OK;
	}
	if (waited && answer->ours && answer->status == 400) {
		reading->may_wait = false;
		return EXIT_OK;
	}
	if (reading->follows && skip_gap(reading, answer))
		return EXIT_OK;
	int code = api_judge(answer);
	return code == EXIT_OK ? api_object(answer, "events", ret_json) : code;
}

/** Sends the next request. @return as events_read_answer() */
static int read_next(struct tool *tool, struct reading *reading, json_t **ret_json)
{
	bool wait = reading->may_wait && reading->follows;
	struct text path = events_make_path(reading, PAGE_MAX, wait);
	struct http_request request = make_request(tool, &path, wait);
	struct http_answer answer;
	int code = EXIT_OK;

	int r = http_send(tool->http, &request, &answer);
	text_free(&path);
	if (r < 0) {
		if (reminder_failed(&reading->reminder, r))
			tool_warn("%s; waiting until it answers", http_error(tool->http));
		(void)poll(NULL, 0, TOOL_POLL_MS);
		return EXIT_OK;
	}
	code = events_read_answer(reading, &answer, wait, ret_json);
	http_answer_free(&answer);
	return code;
}

static int events_follow(struct tool *tool, struct reading *reading)
{
	while (ferror(stdout) == 0) {
		json_t *json = NULL;
		int code = read_next(tool, reading, &json);

		if (code != EXIT_OK)
			return code;
		if (json == NULL)
			continue;
		const json_t *events = json_object_get(json, "events");
		size_t count = json_array_size(events);
		events_advance(reading, json);
		(void)reminder_succeeded(&reading->reminder);
		if (count > 0 || !reading->follows)
			output_part(tool, &view_events, json_object_get(json, "events"),
			            !reading->follows);
		json_decref(json);
		reading->follows = true;
		if (count == 0 && !reading->may_wait)
			(void)poll(NULL, 0, TOOL_POLL_MS);
	}
	return EXIT_ERROR;
}

/** Adds the events of a page, and takes its place to go on from. */
static void events_join(json_t *whole, const json_t *page)
{
	static const char *const places[] = {"revision", "token"};

	if (json_array_extend(json_object_get(whole, "events"), json_object_get(page, "events")) <
	    0)
		memory_lacks();
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		json_t *place = json_object_get(page, places[i]);

		if (place != NULL && json_object_set(whole, places[i], place) < 0)
			memory_lacks();
	}
}

/** Reads and prints at most @p limit events, page by page. @param ret_count  events printed; may be
 * NULL */
static int events_read_all(struct tool *tool, struct reading *reading, uint64_t limit,
                           size_t *ret_count)
{
	json_t *whole = NULL;
	json_t *page = NULL;
	int code;

	do {
		uint64_t ask = limit < PAGE_MAX ? limit : PAGE_MAX;

		code = events_read_page(tool, reading, ask, &page);
		if (code != EXIT_OK) {
			json_decref(whole);
			return code;
		}
		size_t count = json_array_size(json_object_get(page, "events"));
		limit -= count;
		bool more = json_object_get(page, "next") != NULL && limit > 0;
		if (whole == NULL) {
			whole = json_incref(page);
		} else {
			events_join(whole, page);
		}
		json_decref(page);
		if (!more)
			break;
	} while (true);
	(void)json_object_del(whole, "next");
	output_list(tool, &view_events, whole, "events");
	if (ret_count != NULL)
		*ret_count = json_array_size(json_object_get(whole, "events"));
	json_decref(whole);
	return EXIT_OK;
}

static int events_read_options(struct tool *tool, const struct args *args, struct reading *reading,
                               uint64_t *limit)
{
	const char *since = args->value[OPT_SINCE];

	*limit = UINT64_MAX;
	reading->may_wait = true;
	if (output_check(tool, &view_events) < 0 ||
	    args_token(args, OPT_SINCE, &reading->revision) < 0 ||
	    args_number(args, OPT_LIMIT, 1, INT64_MAX, limit) < 0)
		return EXIT_USAGE;
	if (since != NULL)
		(void)snprintf(reading->since, sizeof(reading->since), "%s", since);
	return EXIT_OK;
}

int events_run(struct tool *tool, const struct args *args)
{
	struct reading reading = {
		.service = args->value[OPT_SERVICE],
		.id = args->value[OPT_ID],
		.kind = args->value[OPT_KIND],
	};
	uint64_t limit;

	int code = events_read_options(tool, args, &reading, &limit);
	if (code != EXIT_OK)
		return code;
	if (args->value[OPT_FOLLOW] != NULL)
		return events_follow(tool, &reading);
	return events_read_all(tool, &reading, limit, NULL);
}

/** No event was found: asks whether the registry has the instance or other events of it. @return
 * exit code */
static int events_judge_empty(struct tool *tool, struct reading *reading)
{
	struct text path = api_path(reading->service, reading->id, "");
	struct http_request request = {.path = path.data, .timeout_ms = tool->timeout_ms};
	struct http_answer answer;
	json_t *page;

	int code = api_try(tool, &request, &answer);
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	if (!api_is_absent(&answer)) { /* it exists: its events were deleted, or filtered out */
		code = api_judge(&answer);
		http_answer_free(&answer);
		return code;
	}
	http_answer_free(&answer);
	reading->kind = NULL;
	reading->revision = 0;
	reading->since[0] = '\0';
	code = events_read_page(tool, reading, 1, &page);
	if (code != EXIT_OK)
		return code;
	bool known = json_array_size(json_object_get(page, "events")) > 0;
	json_decref(page);
	if (known)
		return EXIT_OK;
	if (reading->id != NULL)
		tool_warn("the registry has no events of instance '%s' of service '%s'",
		          reading->id, reading->service);
	else
		tool_warn("the registry has no events of service '%s'", reading->service);
	return EXIT_NOT_FOUND;
}

int history_run(struct tool *tool, const struct args *args)
{
	struct reading reading = {
		.service = args->operands[0],
		.id = args->operand_count > 1 ? args->operands[1] : NULL,
		.kind = args->value[OPT_KIND],
	};
	uint64_t limit;
	size_t count = 0;

	int code = events_read_options(tool, args, &reading, &limit);
	if (code == EXIT_OK)
		code = events_read_all(tool, &reading, limit, &count);
	return code == EXIT_OK && count == 0 ? events_judge_empty(tool, &reading) : code;
}
