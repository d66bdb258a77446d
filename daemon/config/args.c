/* SPDX-License-Identifier: MIT */
/*
 * The parser of the command line. Runs once in main(); a reload uses its result again.
 *
 * Invariant: it reports all errors, not just the first, and stores no value: the strongest source
 * must be applied last. getopt_long() stops at the first error and accepts abbreviations, which
 * would make every new option a possible conflict.
 */
#include "config/args.h"

#include "config/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum config_action action;
} actions[] = {
	{"-h", CONFIG_HELP},
	{"--help", CONFIG_HELP},
	{"--version", CONFIG_VERSION},
	{"--check-config", CONFIG_CHECK},
	{"--print-config", CONFIG_PRINT},
	{"--check", CONFIG_VERIFY},
	{"--export", CONFIG_EXPORT},
	{"--import", CONFIG_IMPORT},
};

/* One argument, split at '='. */
struct word {
	const char *text;
	size_t len;        /* length of the part before '=' */
	const char *value; /* NULL: without '=' */
};

struct parsing {
	struct args *args;
	const char *action; /* as it was spelled */
	config_report_fn report;
	bool failed;
};

PRINTF_LIKE(2, 3) static void args_error(struct parsing *parsing, const char *format, ...)
{
	char text[OPTION_WHY_SIZE];
	char line[OPTION_WHY_SIZE + 32];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)snprintf(line, sizeof(line), "command line: %s", text);
	parsing->report(line);
	parsing->failed = true;
}

static bool is(struct word word, const char *name)
{
	return strlen(name) == word.len && memcmp(word.text, name, word.len) == 0;
}

static bool take_action(struct parsing *parsing, struct word word)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (!is(word, actions[i].name))
			continue;
		if (word.value != NULL)
			args_error(parsing, "%s takes no value", actions[i].name);
		if (parsing->action != NULL && parsing->args->action != actions[i].action)
			args_error(parsing, "%s and %s exclude each other", parsing->action,
			           actions[i].name);
		parsing->action = actions[i].name;
		parsing->args->action = actions[i].action;
		return true;
	}
	return false;
}

static void report_unknown(struct parsing *parsing, struct word word)
{
	int len = word.len > 100 ? 100 : (int)word.len;
	const struct option *meant;
	char name[64];

	if (word.len < 2 || word.text[0] != '-') {
		args_error(parsing, "unexpected argument '%.100s'; see rollcalld --help",
		           word.text);
		return;
	}
	meant = word.len > 2 ? option_guess(word.text + 2, word.len - 2) : NULL;
	if (meant != NULL) {
		option_spell(meant, name, sizeof(name));
		args_error(parsing, "unknown option '%.*s'; did you mean --%s?", len, word.text,
		           name);
	} else {
		args_error(parsing, "unknown option '%.*s'; see rollcalld --help", len, word.text);
	}
}

/* @return the value of an option: behind '=' or the next argument; NULL: missing (reported) */
static const char *take_value(struct parsing *parsing, struct word word, char ***next)
{
	if (word.value != NULL)
		return word.value;
	if (**next == NULL) {
		args_error(parsing, "%.*s needs a value", (int)word.len, word.text);
		return NULL;
	}
	return *(*next)++;
}

static void args_take(struct parsing *parsing, struct word word, char ***next)
{
	const struct option *option = NULL;
	const char *value;

	if (take_action(parsing, word))
		return;
	if (is(word, "--config")) {
		value = take_value(parsing, word, next);
		if (value != NULL && value[0] == '\0')
			args_error(parsing, "--config needs the name of a file");
		else if (value != NULL)
			parsing->args->file = value;
		return;
	}
	if (word.len > 2 && memcmp(word.text, "--", 2) == 0)
		option = option_find(word.text + 2, word.len - 2, true);
	if (option == NULL) {
		report_unknown(parsing, word);
		return;
	}
	value = take_value(parsing, word, next);
	if (value != NULL)
		parsing->args->values[parsing->args->count++] = (struct args_value){option, value};
}

int args_parse(struct args *args, int argc, char **argv, config_report_fn report)
{
	struct parsing parsing = {.args = args, .report = report};
	char **next = argv;

	*args = (struct args){.action = CONFIG_RUN};
	args->values = calloc((size_t)argc + 1, sizeof(*args->values));
	if (args->values == NULL)
		return -ENOMEM;

	if (*next != NULL)
		next++; /* the program's name */
	while (*next != NULL) {
		const char *text = *next++;
		size_t len = strcspn(text, "=");

		args_take(&parsing,
		          (struct word){text, len, text[len] == '=' ? text + len + 1 : NULL},
		          &next);
	}
	return parsing.failed ? -EINVAL : 0;
}

void args_fini(struct args *args)
{
	free(args->values);
	args->values = NULL;
}
