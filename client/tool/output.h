/* SPDX-License-Identifier: MIT */
/** What commands print: tables for people, JSON and names for programs. */
#pragma once

#include "tool/tool.h"

#include <jansson.h>
#include <stddef.h>

enum column_kind {
	COLUMN_TEXT,     /* text, number or boolean, as it is */
	COLUMN_NUMBER,   /* the same, to the right */
	COLUMN_STATUS,   /* coloured */
	COLUMN_DURATION, /* milliseconds */
	COLUMN_METADATA, /* an object, as k=v,... */
};

struct column {
	const char *title;
	const char *key; /* "a", or "a.b" in an object in the object */
	enum column_kind kind;
	bool wide; /* with -o wide only */
	int width; /* in tables that come in parts */
};

/** How one kind of thing is shown. */
struct view {
	const struct column *columns;
	size_t count;
	const char *name;    /* key of what -o name prints */
	const char *address; /* key of what -o address prints; NULL: it cannot be asked for */
};

extern const struct view view_services;
extern const struct view view_instances;
extern const struct view view_events;

/** @return 0, or -EINVAL (told): this command has no such format */
int output_check(const struct tool *tool, const struct view *view);

/** Prints @p document, whose array at @p key holds the things. JSON is the document itself. */
void output_list(const struct tool *tool, const struct view *view, json_t *document,
                 const char *key);
/** Prints one thing. */
void output_one(const struct tool *tool, const struct view *view, json_t *thing);
/** Prints a part of a table that goes on; JSON becomes one line each. */
void output_part(const struct tool *tool, const struct view *view, json_t *array, bool first);
/** Prints an object as a table of two columns; names with dots for objects in it. */
void output_facts(const struct tool *tool, json_t *object);
