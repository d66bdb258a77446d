/* SPDX-License-Identifier: MIT */
/*
 * Prints objects of the registry in the formats of -o. Each kind of object has a view, a table of
 * its columns. One thread. Invariant: everything from outside passes terminal_put() or
 * terminal_put_json() before it is printed. JSON is printed as the registry sent it, apart from
 * escapes: commands do not build documents of their own, so programs can rely on the API's.
 */
#include "tool/output.h"

#include "tool/args.h"
#include "tool/memory.h"
#include "tool/table.h"
#include "tool/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct column service_columns[] = {
	{"SERVICE",   "service",   COLUMN_TEXT,   false, 0},
	{"HEALTHY",   "healthy",   COLUMN_NUMBER, false, 0},
	{"UNHEALTHY", "unhealthy", COLUMN_NUMBER, false, 0},
	{"DRAINING",  "draining",  COLUMN_NUMBER, false, 0},
};
static const struct column instance_columns[] = {
	{"ID",           "id",              COLUMN_TEXT,     false, 0},
	{"ADDRESS",      "address",         COLUMN_TEXT,     false, 0},
	{"STATUS",       "status",          COLUMN_STATUS,   false, 0},
	{"REASON",       "status_reason",   COLUMN_TEXT,     false, 0},
	{"SINCE",        "status_since",    COLUMN_TEXT,     false, 0},
	{"BY",           "status_by",       COLUMN_TEXT,     true,  0},
	{"WEIGHT",       "weight",          COLUMN_NUMBER,   true,  0},
	{"TTL",          "ttl_ms",          COLUMN_DURATION, true,  0},
	{"REMOVE AFTER", "remove_after_ms", COLUMN_DURATION, true,  0},
	{"REGISTERED",   "registered_at",   COLUMN_TEXT,     true,  0},
	{"REVISION",     "revision",        COLUMN_NUMBER,   true,  0},
	{"METADATA",     "metadata",        COLUMN_METADATA, false, 0},
};
static const struct column event_columns[] = {
	{"REVISION", "revision",         COLUMN_NUMBER, false, 8},
	{"TIME",     "time",             COLUMN_TEXT,   false, 24},
	{"KIND",     "kind",             COLUMN_TEXT,   false, 13},
	{"SERVICE",  "service",          COLUMN_TEXT,   false, 16},
	{"ID",       "id",               COLUMN_TEXT,   false, 24},
	{"STATUS",   NULL,               COLUMN_ABOUT,  false, 16},
	{"BY",       "author",           COLUMN_TEXT,   false, 24},
	{"PEER",     "peer",             COLUMN_TEXT,   true,  15},
	{"ADDRESS",  "instance.address", COLUMN_TEXT,   true,  21},
	{"AGENT",    "agent",            COLUMN_TEXT,   true,  24},
	{"REASON",   "reason",           COLUMN_TEXT,   false, 0},
};
static const struct column intent_columns[] = {
	{"ID",           "id",           COLUMN_TEXT,   false, 0},
	{"STATUS",       "status",       COLUMN_STATUS, false, 0},
	{"SINCE",        "since",        COLUMN_TEXT,   false, 0},
	{"BY",           "by",           COLUMN_TEXT,   false, 0},
	{"UNTIL",        "until",        COLUMN_TEXT,   false, 0},
	{"REGISTERED",   "registered",   COLUMN_TEXT,   false, 0},
	{"ABSENT SINCE", "absent_since", COLUMN_TEXT,   true,  0},
	{"REASON",       "reason",       COLUMN_TEXT,   false, 0},
};
/* clang-format on */

#define VIEW(columns, name, address)                                           \
	{                                                                      \
		columns, sizeof(columns) / sizeof((columns)[0]), name, address \
	}
const struct view view_services = VIEW(service_columns, "service", NULL);
const struct view view_instances = VIEW(instance_columns, "id", "address");
const struct view view_events = VIEW(event_columns, "id", NULL);
const struct view view_intents = VIEW(intent_columns, "id", NULL);

int output_check(const struct tool *tool, const struct view *view)
{
	bool none = view == NULL && (tool->format == FORMAT_NAME || tool->format == FORMAT_ADDRESS);

	if (!none && (tool->format != FORMAT_ADDRESS || view->address != NULL))
		return 0;
	tool_warn("this command does not support this output format");
	return -EINVAL;
}

static const json_t *output_find(const json_t *object, const char *key)
{
	const char *dot = strchr(key, '.');
	char outer[32];

	if (dot == NULL)
		return json_object_get(object, key);
	(void)snprintf(outer, sizeof(outer), "%.*s", (int)(dot - key), key);
	return json_object_get(json_object_get(object, outer), dot + 1);
}

static void output_put_value(struct text *cell, const json_t *value)
{
	if (json_is_string(value)) {
		text_put(cell, json_string_value(value));
	} else if (value != NULL && !json_is_null(value)) {
		char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

		if (dump == NULL)
			memory_lacks();
		text_put(cell, dump);
		free(dump);
	}
}

static void output_put_duration(struct text *cell, const json_t *value)
{
	json_int_t ms = json_integer_value(value);

	for (size_t i = ARGS_UNITS; i-- > 0;) {
		const struct args_unit *unit = &args_units[i];

		if (ms % unit->ms != 0 || (ms == 0 && unit->ms != SECOND_MS))
			continue;
		text_printf(cell, "%" JSON_INTEGER_FORMAT "%s", ms / (json_int_t)unit->ms,
		            unit->name);
		return;
	}
}

static void output_put_metadata(struct text *cell, const json_t *object)
{
	const char *key;
	json_t *value;
	const char *between = "";

	/* jansson's iteration takes no const object, and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		text_printf(cell, "%s%s=", between, key);
		output_put_value(cell, value);
		between = ",";
	}
}

/** Puts the status of the instance that an event is about; of an entry, its kind and the status in
 * its document, such as "intent: draining". */
static void output_put_about(struct text *cell, const json_t *event)
{
	const json_t *entry = json_object_get(event, "entry");
	const json_t *status = output_find(entry, "document.status");

	if (entry == NULL) {
		output_put_value(cell, output_find(event, "instance.status"));
		return;
	}
	output_put_value(cell, json_object_get(entry, "kind"));
	if (json_is_string(status))
		text_printf(cell, ": %s", json_string_value(status));
}

static void output_put_cell(struct text *cell, const struct column *column, const json_t *thing)
{
	const json_t *value = column->key != NULL ? output_find(thing, column->key) : thing;

	switch (column->kind) {
	case COLUMN_DURATION:
		output_put_duration(cell, value);
		break;
	case COLUMN_METADATA:
		output_put_metadata(cell, value);
		break;
	case COLUMN_ABOUT:
		output_put_about(cell, value);
		break;
	case COLUMN_TEXT:
	case COLUMN_NUMBER:
	case COLUMN_STATUS:
		output_put_value(cell, value);
		break;
	}
}

static bool output_is_shown(const struct tool *tool, const struct column *column)
{
	return !column->wide || tool->format == FORMAT_WIDE;
}

/** Sets up a table with the columns that the format shows. */
static void make_table(const struct tool *tool, const struct view *view, struct table *table)
{
	*table = (struct table){.headers = tool->headers, .color = tool->color};
	for (size_t i = 0; i < view->count; i++) {
		const struct column *column = &view->columns[i];
		bool right = column->kind == COLUMN_NUMBER || column->kind == COLUMN_DURATION;
		bool colored = column->kind == COLUMN_STATUS || column->kind == COLUMN_ABOUT;

		if (output_is_shown(tool, column))
			table->column[table->columns++] =
				(struct table_column){column->title, right, colored, 0};
	}
}

static void add_row(const struct tool *tool, struct table *table, const struct view *view,
                    const json_t *thing)
{
	struct text cell = {NULL, 0, 0};

	for (size_t i = 0; i < view->count; i++) {
		const struct column *column = &view->columns[i];

		if (!output_is_shown(tool, column))
			continue;
		text_clear(&cell);
		text_put(&cell, "");
		output_put_cell(&cell, column, thing);
		table_add(table, cell.data);
	}
	text_free(&cell);
}

static void print_rows(const struct tool *tool, const struct view *view, const json_t *array)
{
	struct table table;
	const json_t *thing;
	size_t i;

	make_table(tool, view, &table);
	json_array_foreach(array, i, thing) add_row(tool, &table, view, thing);
	table_print(&table);
}

static void print_json(const json_t *json, size_t flags)
{
	char *dump = json_dumps(json, flags | JSON_ENCODE_ANY);
	struct text text = {NULL, 0, 0};

	if (dump == NULL)
		memory_lacks();
	terminal_put_json(&text, dump);
	free(dump);
	(void)puts(text.data);
	text_free(&text);
}

static void print_key(const json_t *array, const char *key)
{
	const json_t *thing;
	size_t i;

	json_array_foreach(array, i, thing)
	{
		struct text value = {NULL, 0, 0};
		struct text line = {NULL, 0, 0};

		text_put(&value, "");
		output_put_value(&value, output_find(thing, key));
		terminal_put(&line, value.data);
		(void)puts(line.data);
		text_free(&value);
		text_free(&line);
	}
}

static void print_lines(const json_t *array)
{
	const json_t *thing;
	size_t i;

	json_array_foreach(array, i, thing) print_json(thing, JSON_COMPACT);
}

void output_list(const struct tool *tool, const struct view *view, json_t *document,
                 const char *key)
{
	const json_t *array = json_object_get(document, key);

	switch (tool->format) {
	case FORMAT_JSON:
		print_json(document, JSON_INDENT(2));
		break;
	case FORMAT_JSONL:
		print_lines(array);
		break;
	case FORMAT_NAME:
		print_key(array, view->name);
		break;
	case FORMAT_ADDRESS:
		print_key(array, view->address);
		break;
	case FORMAT_TABLE:
	case FORMAT_WIDE:
		print_rows(tool, view, array);
		break;
	}
}

static json_t *output_list_of(json_t *thing)
{
	json_t *array = memory_json(json_array());

	memory_append(array, json_incref(thing));
	return array;
}

void output_one(const struct tool *tool, const struct view *view, json_t *thing)
{
	json_t *array;
	json_t *document;

	if (tool->format == FORMAT_JSON) {
		print_json(thing, JSON_INDENT(2));
		return;
	}
	array = output_list_of(thing);
	document = memory_json(json_pack("{s:o}", "things", array));
	output_list(tool, view, document, "things");
	json_decref(document);
}

/** Prints rows in columns of a fixed width, because later rows are not known yet. */
static void print_part(const struct tool *tool, const struct view *view, const json_t *array,
                       bool first)
{
	struct table table;
	const json_t *thing;
	size_t n = 0;
	size_t i;

	make_table(tool, view, &table);
	json_array_foreach(array, i, thing) add_row(tool, &table, view, thing);
	for (i = 0; i < view->count; i++)
		if (output_is_shown(tool, &view->columns[i]))
			table.column[n++].width = (size_t)view->columns[i].width;
	if (first && tool->headers)
		table_print_row(&table, NULL);
	table.headers = false;
	table_print(&table);
}

void output_part(const struct tool *tool, const struct view *view, json_t *array, bool first)
{
	if (tool->format == FORMAT_TABLE || tool->format == FORMAT_WIDE)
		print_part(tool, view, array, first);
	else if (tool->format == FORMAT_NAME || tool->format == FORMAT_ADDRESS)
		print_key(array, tool->format == FORMAT_NAME ? view->name : view->address);
	else
		print_lines(array);
	(void)fflush(stdout);
}

static void add_facts(struct table *table, const char *prefix, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		struct text name = {NULL, 0, 0};
		struct text cell = {NULL, 0, 0};

		text_printf(&name, "%s%s%s", prefix, *prefix != '\0' ? "." : "", key);
		if (json_is_object(value)) {
			add_facts(table, name.data, value);
		} else {
			text_put(&cell, "");
			output_put_value(&cell, value);
			table_add(table, name.data);
			table_add(table, cell.data);
		}
		text_free(&name);
		text_free(&cell);
	}
}

void output_facts(const struct tool *tool, json_t *object)
{
	struct table table = {
		.column = {{.title = "FACT"}, {.title = "VALUE"}},
		.columns = 2,
		.headers = tool->headers,
	};

	if (tool->format == FORMAT_JSON || tool->format == FORMAT_JSONL) {
		print_json(object, tool->format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
		return;
	}
	add_facts(&table, "", object);
	table_print(&table);
}
