/* SPDX-License-Identifier: MIT */
/** The output of commands: tables for people, JSON and names for programs. */
#pragma once

#include "tool/tool.h"

#include <jansson.h>
#include <stddef.h>

enum column_kind {
	COLUMN_TEXT,     /* text, number or boolean */
	COLUMN_NUMBER,   /* the same, aligned to the right */
	COLUMN_STATUS,   /* coloured */
	COLUMN_DURATION, /* milliseconds */
	COLUMN_METADATA, /* an object, as k=v,... */
	COLUMN_ABOUT,    /* of an event: what it is about */
};

struct column {
	const char *title;
	const char *key; /* "a", or "a.b" for a member of a member; NULL: the object itself */
	enum column_kind kind;
	bool wide; /* only with -o wide */
	int width; /* in tables that are printed in parts */
};

/** The columns of one kind of object. */
struct view {
	const struct column *columns;
	size_t count;
	const char *name;    /* key that -o name prints */
	const char *address; /* key that -o address prints; NULL: not supported */
};

extern const struct view view_services;
extern const struct view view_instances;
extern const struct view view_events;
extern const struct view view_intents;

/** Checks that the format of @p tool is supported. @param view  NULL: of output_facts(). @return 0;
 * -EINVAL (reported) */
int output_check(const struct tool *tool, const struct view *view);

/** Prints the objects in the array at @p key of @p document; as JSON, the document itself. */
void output_list(const struct tool *tool, const struct view *view, json_t *document,
                 const char *key);
/** Prints one object. */
void output_one(const struct tool *tool, const struct view *view, json_t *thing);
/** Prints a part of an endless table, with fixed columns; as JSON, one line per object. @param
 * first print the headings */
void output_part(const struct tool *tool, const struct view *view, json_t *array, bool first);
/** Prints an object as a table of two columns; a member of a member has a name with a dot. */
void output_facts(const struct tool *tool, json_t *object);
