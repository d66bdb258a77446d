/* SPDX-License-Identifier: MIT */
/** The event log: events, history. */
#include "tool/api.h"
#include "tool/commands.h"
#include "tool/output.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#define PAGE_MAX 1000
#define WAIT_MS  30000
#define POLL_MS  1000

struct reading {
	const char *service;
	const char *id;
	const char *kind;
	uint64_t since; /* revision of the last event read */
	bool has_since;
	bool may_wait; /* the registry has not refused wait_ms */
};

static struct text make_path(const struct reading *reading, uint64_t limit, bool wait)
{
	struct text path = {NULL, 0, 0};

	text_printf(&path, "/v1/events?limit=%" PRIu64, limit);
	if (reading->has_since)
		text_printf(&path, "&since=%" PRIu64, reading->since);
	api_query(&path, "service", reading->service);
	api_query(&path, "id", reading->id);
	api_query(&path, "kind", reading->kind);
	if (wait)
		text_printf(&path, "&wait_ms=%d", WAIT_MS);
	return path;
}

/** Reads one page from reading->since on, and moves it. */
static int read_page(struct tool *tool, struct reading *reading, uint64_t limit, bool wait,
                     json_t **ret_json)
{
	struct text path = make_path(reading, limit, wait);
	struct http_request request = {.path = path.data,
	                               .timeout_ms = tool->timeout_ms + (wait ? WAIT_MS : 0)};
	struct http_answer answer;

	int code = api_try(tool, &request, &answer);
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	if (wait && answer.status == 400) {
		http_answer_free(&answer);
		reading->may_wait = false;
		return read_page(tool, reading, limit, false, ret_json);
	}
	code = api_judge(&answer);
	if (code == EXIT_OK) {
		json_int_t last = json_integer_value(json_object_get(answer.json, "revision"));

		if ((uint64_t)last > reading->since)
			reading->since = (uint64_t)last;
		reading->has_since = true;
		*ret_json = json_incref(answer.json);
	}
	http_answer_free(&answer);
	return code;
}

static int follow(struct tool *tool, struct reading *reading)
{
	bool first = true;

	while (true) {
		json_t *json;
		int code = read_page(tool, reading, PAGE_MAX, reading->may_wait && !first, &json);

		if (code != EXIT_OK)
			return code;
		size_t count = json_array_size(json_object_get(json, "events"));
		if (count > 0 || first)
			output_part(tool, &view_events, json_object_get(json, "events"), first);
		json_decref(json);
		if (ferror(stdout) != 0)
			return EXIT_ERROR;
		first = false;
		if (count == 0 && !reading->may_wait)
			(void)poll(NULL, 0, POLL_MS);
	}
}

/** At most @p limit events, in pages that the registry gives. */
static int read_all(struct tool *tool, struct reading *reading, uint64_t limit)
{
	json_t *whole = NULL;
	json_t *page = NULL;
	int code;

	do {
		uint64_t ask = limit < PAGE_MAX ? limit : PAGE_MAX;

		code = read_page(tool, reading, ask, false, &page);
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
			if (json_array_extend(json_object_get(whole, "events"),
			                      json_object_get(page, "events")) < 0 ||
			    json_object_set(whole, "revision", json_object_get(page, "revision")) <
			            0)
				memory_lacks();
		}
		json_decref(page);
		if (!more)
			break;
	} while (true);
	(void)json_object_del(whole, "next");
	output_list(tool, &view_events, whole, "events");
	json_decref(whole);
	return EXIT_OK;
}

static int read_events(struct tool *tool, const struct args *args, struct reading *reading)
{
	uint64_t limit = UINT64_MAX;

	if (output_check(tool, &view_events) < 0 ||
	    args_number(args, OPT_SINCE, 0, INT64_MAX, &reading->since) < 0 ||
	    args_number(args, OPT_LIMIT, 1, INT64_MAX, &limit) < 0)
		return EXIT_USAGE;
	reading->has_since = args->value[OPT_SINCE] != NULL;
	reading->may_wait = true;
	if (args->value[OPT_FOLLOW] != NULL)
		return follow(tool, reading);
	return read_all(tool, reading, limit);
}

int events_run(struct tool *tool, const struct args *args)
{
	struct reading reading = {
		.service = args->value[OPT_SERVICE],
		.id = args->value[OPT_ID],
		.kind = args->value[OPT_KIND],
	};

	return read_events(tool, args, &reading);
}

int history_run(struct tool *tool, const struct args *args)
{
	struct reading reading = {
		.service = args->operands[0],
		.id = args->operand_count > 1 ? args->operands[1] : NULL,
		.kind = args->value[OPT_KIND],
	};

	return read_events(tool, args, &reading);
}
