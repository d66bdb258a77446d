/* SPDX-License-Identifier: MIT */
/*
 * Reads all sources of the configuration, at the start and at a reload. Main thread only.
 *
 * Invariant: a reload reads into a fresh struct and takes over nothing unless all sources are
 * right, so a wrong file never leaves half of its values in force. The sources are applied from the
 * weakest to the strongest; a list is emptied when a stronger source sets it first.
 */
#include "config/config.h"

#include "config/args.h"
#include "config/file.h"
#include "config/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE (4 * CONFIG_TEXT_MAX + OPTION_WHY_SIZE)

/* The sources of a value, weakest first. */
enum origin_kind {
	ORIGIN_DEFAULT,
	ORIGIN_UNIT, /* $STATE_DIRECTORY */
	ORIGIN_FILE,
	ORIGIN_ENVIRONMENT,
	ORIGIN_COMMAND_LINE
};

struct origin {
	enum origin_kind kind;
	unsigned line; /* ORIGIN_FILE */
};

struct config_sources {
	struct args args;
	const char *file;
	struct origin origin[OPTION_COUNT];
};

/* One reading of all sources. */
struct reading {
	struct config *config;
	struct origin *origin;
	const char *file;
	config_report_fn report;
	bool arguments_wrong;
	bool others_wrong;
};

PRINTF_LIKE(2, 3) static void report_line(config_report_fn report, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	report(line);
}

static void variable_of(const struct option *option, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "ROLLCALL_%s", option->name);

	for (size_t i = 0; i < n && i < size; i++) {
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 'a' + 'A');
	}
}

/* A list of a stronger source replaces that of a weaker one; within one source values are added. */
static int source_set(struct reading *reading, const struct option *option, const char *text,
                      struct origin origin, char *why)
{
	struct origin *known = &reading->origin[option - option_table];

	if (known->kind != origin.kind) {
		option_clear(option, reading->config);
		*known = origin;
	}
	return option_set(option, reading->config, text, why);
}

/* --- the sources ------------------------------------------------------------------------------ */

static void on_file_wrong(void *arg, unsigned line, const char *text)
{
	struct reading *reading = arg;

	if (line > 0)
		report_line(reading->report, "%s:%u: %s", reading->file, line, text);
	else
		report_line(reading->report, "%s: %s", reading->file, text);
	reading->others_wrong = true;
}

static void on_file_value(void *arg, unsigned line, const struct option *option, const char *text)
{
	struct reading *reading = arg;
	char why[OPTION_WHY_SIZE];

	if (source_set(reading, option, text, (struct origin){ORIGIN_FILE, line}, why) < 0) {
		report_line(reading->report, "%s:%u: %s: %s", reading->file, line, option->name,
		            why);
		reading->others_wrong = true;
	}
}

/* Will the file stay unreadable until an operator changes it, its name or its mode? */
static bool is_mistake(int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EACCES:
	case EPERM:
	case ELOOP:
	case ENAMETOOLONG:
	case EFBIG:
	case ENXIO:
	case EPIPE:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static int read_file(struct reading *reading, bool must_exist)
{
	struct file_sink sink = {on_file_value, on_file_wrong, reading};
	int r = file_read(reading->file, &sink);

	if (r == 0 || r == -ENOMEM)
		return r;
	if (!must_exist && (r == -ENOENT || r == -ENOTDIR))
		return 0;
	report_line(reading->report, "cannot read '%s': %s", reading->file, strerror(-r));
	if (!is_mistake(r))
		return r == -EINVAL || r == -EBADMSG ? -EIO : r;
	reading->others_wrong = true;
	return 0;
}

static void set_from_variable(struct reading *reading, const struct option *option,
                              const char *variable, const char *text)
{
	char why[OPTION_WHY_SIZE];

	if (source_set(reading, option, text, (struct origin){.kind = ORIGIN_ENVIRONMENT}, why) <
	    0) {
		report_line(reading->report, "environment: %s: %s", variable, why);
		reading->others_wrong = true;
	}
}

static int read_variable(struct reading *reading, const struct option *option)
{
	char variable[64];
	const char *text;
	char *copy;
	char *rest;

	variable_of(option, variable, sizeof(variable));
	text = getenv(variable);
	if (text == NULL || text[0] == '\0')
		return 0; /* shells and units unset a variable by emptying it */
	if (option->kind != OPTION_LIST) {
		set_from_variable(reading, option, variable, text);
		return 0;
	}
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	rest = copy;
	for (char *word = strsep(&rest, " \t\n"); word != NULL; word = strsep(&rest, " \t\n")) {
		if (word[0] != '\0')
			set_from_variable(reading, option, variable, word);
	}
	free(copy);
	return 0;
}

static int read_environment(struct reading *reading)
{
	int r = 0;

	for (size_t i = 0; i < OPTION_COUNT && r == 0; i++)
		r = read_variable(reading, &option_table[i]);
	return r;
}

static void read_arguments(struct reading *reading, const struct args *args)
{
	char why[OPTION_WHY_SIZE];
	char name[64];

	for (size_t i = 0; i < args->count; i++) {
		const struct option *option = args->values[i].option;

		if (source_set(reading, option, args->values[i].text,
		               (struct origin){.kind = ORIGIN_COMMAND_LINE}, why) < 0) {
			option_spell(option, name, sizeof(name));
			report_line(reading->report, "command line: --%s: %s", name, why);
			reading->arguments_wrong = true;
		}
	}
}

/* systemd lists the directories that it made for the unit, separated by colons. */
static int read_state_directory(struct reading *reading)
{
	const struct option *option = &option_table[OPTION_state_dir];
	const char *dirs = getenv("STATE_DIRECTORY");
	char why[OPTION_WHY_SIZE];
	char *first;

	if (dirs == NULL || dirs[0] == '\0')
		return 0;
	first = strndup(dirs, strcspn(dirs, ":"));
	if (first == NULL)
		return -ENOMEM;
	if (source_set(reading, option, first, (struct origin){.kind = ORIGIN_UNIT}, why) < 0) {
		report_line(reading->report, "environment: STATE_DIRECTORY: %s", why);
		reading->others_wrong = true;
	}
	free(first);
	return 0;
}

static void read_defaults(struct reading *reading)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		option_default(&option_table[i], reading->config);
}

static int read_all(struct reading *reading, const struct args *args)
{
	int r;

	read_defaults(reading);
	r = read_state_directory(reading);
	if (r == 0)
		r = read_file(reading, args->file != NULL);
	if (r == 0)
		r = read_environment(reading);
	if (r < 0)
		return r;
	read_arguments(reading, args);
	if (reading->arguments_wrong)
		return -EINVAL;
	return reading->others_wrong ? -EBADMSG : 0;
}

/* --- load and reload -------------------------------------------------------------------------- */

static bool needs_sources(enum config_action action)
{
	return action != CONFIG_HELP && action != CONFIG_VERSION;
}

int config_load(int argc, char **argv, config_report_fn report, struct config *ret_config,
                enum config_action *ret_action, struct config_sources **ret_sources)
{
	struct config_sources *sources = calloc(1, sizeof(*sources));
	struct config config = {0};
	struct reading reading = {.config = &config, .report = report};
	int r;

	if (sources == NULL)
		return -ENOMEM;
	r = args_parse(&sources->args, argc, argv, report);
	if (r < 0)
		goto fail;
	sources->file = sources->args.file != NULL ? sources->args.file : config_file_default;
	reading.origin = sources->origin;
	reading.file = sources->file;
	if (needs_sources(sources->args.action))
		r = read_all(&reading, &sources->args);
	else
		read_defaults(&reading);
	if (r < 0)
		goto fail;

	*ret_config = config;
	*ret_action = sources->args.action;
	*ret_sources = sources;
	return 0;

fail:
	config_sources_free(sources);
	return r;
}

void config_sources_free(struct config_sources *sources)
{
	if (sources == NULL)
		return;
	args_fini(&sources->args);
	free(sources);
}

/* Writes the value as the file would hold it to @p out. */
static void print_to(char *out, size_t size, const struct option *option,
                     const struct config *config)
{
	FILE *stream = fmemopen(out, size, "w");

	out[0] = '\0';
	if (stream == NULL)
		return;
	option_print(stream, option, config);
	(void)fclose(stream);
	out[size - 1] = '\0';
}

static void take_over(const struct reading *fresh, const struct option *option,
                      struct config_sources *sources, struct config *config,
                      config_report_fn report)
{
	char before[CONFIG_TEXT_MAX * 2];
	char after[CONFIG_TEXT_MAX * 2];

	if (option_equal(option, config, fresh->config))
		return;
	print_to(before, sizeof(before), option, config);
	print_to(after, sizeof(after), option, fresh->config);
	if (option->effect == RESTART) {
		report_line(report, "%s = %s needs a restart; %s until then", option->name, after,
		            before);
		return;
	}
	report_line(report, "%s = %s from now on; %s before", option->name, after, before);
	option_copy(option, config, fresh->config);
	sources->origin[option - option_table] = fresh->origin[option - option_table];
}

int config_reload(struct config_sources *sources, struct config *config, config_report_fn report,
                  config_report_fn report_error)
{
	struct config latest = {0};
	struct origin origin[OPTION_COUNT] = {0};
	struct reading fresh = {
		.config = &latest, .origin = origin, .file = sources->file, .report = report_error};
	int r = read_all(&fresh, &sources->args);

	if (r < 0)
		return r;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		take_over(&fresh, &option_table[i], sources, config, report);
	return 0;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_origin(FILE *out, const struct option *option,
                         const struct config_sources *sources)
{
	const struct origin *origin = &sources->origin[option - option_table];
	char variable[64];

	switch (origin->kind) {
	case ORIGIN_DEFAULT:
		(void)fputs("default", out);
		break;
	case ORIGIN_UNIT:
		(void)fputs("environment STATE_DIRECTORY", out);
		break;
	case ORIGIN_FILE:
		(void)fprintf(out, "%s:%u", sources->file, origin->line);
		break;
	case ORIGIN_ENVIRONMENT:
		variable_of(option, variable, sizeof(variable));
		(void)fprintf(out, "environment %s", variable);
		break;
	case ORIGIN_COMMAND_LINE:
		(void)fputs("command line", out);
		break;
	}
}

void config_print(FILE *out, const struct config *config, const struct config_sources *sources)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		(void)fprintf(out, "%s = ", option_table[i].name);
		option_print(out, &option_table[i], config);
		(void)fputs(" # ", out);
		print_origin(out, &option_table[i], sources);
		(void)fputc('\n', out);
	}
}

static void print_help_of(FILE *out, const struct option *option)
{
	static const char *const kinds[] = {
		[OPTION_NUMBER] = "NUMBER", [OPTION_TEXT] = "TEXT", [OPTION_LIST] = "ADDRESS"};
	char name[64];
	char allowed[160];

	option_spell(option, name, sizeof(name));
	option_allowed(option, allowed, sizeof(allowed));
	(void)fprintf(out, "  --%s=%s\n        %s\n        ", name, kinds[option->kind],
	              option->doc);
	if (option->kind == OPTION_NUMBER)
		(void)fprintf(out, "default %lld", (long long)option->number);
	else
		(void)fprintf(out, "default %s",
		              option->fallback[0] != '\0' ? option->fallback : "empty");
	(void)fprintf(out, "; %s%s\n", allowed,
	              option->effect == RELOAD ? "; SIGHUP reloads it" : "");
}

void config_help(FILE *out)
{
	(void)fprintf(out,
	              "Usage: rollcalld [OPTION]...\n"
	              "Run the service registry daemon in the foreground.\n\n"
	              "  --config=FILE    read this file instead of %s\n",
	              config_file_default);
	(void)fputs("  --check-config   check the configuration from all sources, then exit\n"
	            "  --print-config   print each value and its source, then exit\n"
	            "  --check          verify the journal in the state directory, then exit\n"
	            "  --export         write what is registered to standard output, then exit\n"
	            "  --import         read that from standard input into an empty state\n"
	            "                   directory, then exit\n"
	            "  --help, -h       print this, then exit\n"
	            "  --version        print the version, then exit\n\n"
	            "Each option below can also be set in the file as some_option = VALUE, or as\n"
	            "ROLLCALL_SOME_OPTION in the environment. The command line overrides the\n"
	            "environment, which overrides the file.\n\n",
	            out);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		print_help_of(out, &option_table[i]);
	(void)fputs("\nSee rollcalld(8) and rollcalld.conf(5).\n", out);
}
