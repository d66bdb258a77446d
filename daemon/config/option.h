/* SPDX-License-Identifier: MIT */
/**
 * One option as a row of data, made from the table in config.h, and the checks of its values, which
 * are the same for all sources. For config/ only.
 */
#pragma once

#include "base/attr.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_WHY_SIZE 512

enum option_id {
#define OPTION_ID_NUMBER(name, def, min, max, unit, effect, doc) OPTION_##name,
#define OPTION_ID_TEXT(name, def, words, effect, doc)            OPTION_##name,
#define OPTION_ID_LIST(name, def, effect, doc)                   OPTION_##name,
	OPTIONS_LIST(OPTION_ID_LIST) OPTIONS_TEXT(OPTION_ID_TEXT) OPTIONS_NUMBER(OPTION_ID_NUMBER)
#undef OPTION_ID_NUMBER
#undef OPTION_ID_TEXT
#undef OPTION_ID_LIST
		OPTION_COUNT
};

enum option_kind { OPTION_NUMBER, OPTION_TEXT, OPTION_LIST };

struct option {
	const char *name; /* with underscores */
	const char *doc;
	const char *fallback; /* TEXT and LIST: the default */
	const char *words;    /* TEXT: what is allowed, |-separated; "" = any text */
	const char *unit;     /* NUMBER */
	int64_t number;       /* NUMBER: the default */
	int64_t least;        /* NUMBER */
	int64_t most;         /* NUMBER */
	size_t offset;        /* into struct config */
	size_t count_offset;  /* LIST: into struct config */
	enum option_kind kind;
	enum config_effect effect;
};

extern const struct option option_table[OPTION_COUNT];

/** @return the option of this name, or NULL. @param hyphens  spelled as on the command line */
const struct option *option_find(const char *name, size_t len, bool hyphens);
/** The option that @p name probably means, with up to three typing errors, or NULL. */
const struct option *option_guess(const char *name, size_t len);
/** Writes @p option's name as on the command line, with hyphens. */
void option_spell(const struct option *option, char *out, size_t size);

void option_default(const struct option *option, struct config *config);
/** Empties a list, before the first value of a stronger source. Does nothing for other kinds. */
void option_clear(const struct option *option, struct config *config);
/**
 * Checks @p text and stores it; appends it to a list.
 * @param why  at least OPTION_WHY_SIZE bytes; on failure the value, what is wrong with it and the
 *             allowed values
 * @return 0 or -EINVAL
 */
int option_set(const struct option *option, struct config *config, const char *text,
               char *why) MUST_USE;
bool option_equal(const struct option *option, const struct config *a, const struct config *b);
void option_copy(const struct option *option, struct config *to, const struct config *from);
/** Writes the value as in the file: numbers plain, text quoted, lists in braces. */
void option_print(FILE *out, const struct option *option, const struct config *config);
/** Writes the allowed values: "1 to 64 threads", "one of auto, text, json, journald". */
void option_allowed(const struct option *option, char *out, size_t size);
