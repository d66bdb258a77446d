/* SPDX-License-Identifier: MIT */
/**
 * The table of all options, from which parser, help and completion are made, and the parsed command
 * line.
 *
 *	struct args args;
 *	int r = args_parse(&args, command, argc, argv);
 *	const char *id = args.value[OPT_ID]; // NULL: not given
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* id, long name, letter or 0, argument or NULL, help text */
#define ARGS_OPTIONS(X) \
	X(HELP,             "help",              'h', NULL,        "explain this command") \
	X(ADDR,             "addr",              'a', "URL",       "use this registry, or several separated by commas [$ROLLCALL_ADDR]") \
	X(TOKEN_FILE,       "token-file",        0,   "FILE",      "read the bearer token from FILE [$ROLLCALL_TOKEN_FILE]") \
	X(TIMEOUT,          "timeout",           0,   "DURATION",  "limit each request to this time [5s]") \
	X(WAIT,             "wait",              0,   "DURATION",  "keep trying for up to this long until the command succeeds") \
	X(OUTPUT,           "output",            'o', "FORMAT",    "print table, wide, json, jsonl, name or address [table]") \
	X(NO_HEADERS,       "no-headers",        0,   NULL,        "print tables without headings") \
	X(COLOR,            "color",             0,   "WHEN",      "use colour: auto, always or never [auto]") \
	X(PREFIX,           "prefix",            0,   "TEXT",      "list only names that begin with TEXT") \
	X(STATUS,           "status",            's', "LIST",      "select by status: healthy, unhealthy, draining or any") \
	X(META,             "meta",              'm', "KEY=VALUE", "set or require this metadata; may be repeated") \
	X(STRATEGY,         "strategy",          0,   "NAME",      "choose the instance by this strategy") \
	X(KEY,              "key",               'k', "TEXT",      "choose the same instance for the same TEXT") \
	X(COUNT,            "count",             'n', "NUMBER",    "pick this many different instances") \
	X(EXCLUDE,          "exclude",           0,   "ID,...",    "do not pick these instances") \
	X(EXPLAIN,          "explain",           0,   NULL,        "print how the instance was chosen, as JSON") \
	X(SERVICE,          "service",           0,   "NAME",      "use this service") \
	X(ID,               "id",                0,   "ID",        "use this instance id") \
	X(HOST,             "host",              0,   "HOST",      "set the host of the instance [the address that the registry sees]") \
	X(PORT,             "port",              'p', "PORT",      "set the port of the instance") \
	X(WEIGHT,           "weight",            'w', "NUMBER",    "set its share of the calls, 0-65535 [100]") \
	X(TTL,              "ttl",               0,   "DURATION",  "make it unhealthy after this time without a heartbeat; 0: never [30s]") \
	X(REMOVE_AFTER,     "remove-after",      0,   "DURATION",  "remove it after this time as unhealthy; 0: never [10m]") \
	X(DRAINING,         "draining",          0,   NULL,        "register it as draining: it gets no calls yet") \
	X(LOAD,             "load",              'l', "0-1",       "report this load") \
	X(REPORT,           "status",            's', "STATUS",    "report this status: healthy, draining or unhealthy") \
	X(IF_EXISTS,        "if-exists",         0,   NULL,        "succeed if the instance does not exist") \
	X(REASON,           "reason",            'r', "TEXT",      "state the reason, which everyone can read") \
	X(FOR,              "for",               0,   "DURATION",  "undo it automatically after this time") \
	X(SINCE,            "since",             0,   "REVISION",  "print only events after this revision or token") \
	X(KIND,             "kind",              0,   "LIST",      "print only events of these kinds") \
	X(LIMIT,            "limit",             'n', "NUMBER",    "print at most this many events") \
	X(FOLLOW,           "follow",            'f', NULL,        "keep printing events as they come") \
	X(ONCE,             "once",              0,   NULL,        "exit after the first change, or the first file") \
	X(METHOD,           "request",           'X', "METHOD",    "use this HTTP method [GET, or POST with --data]") \
	X(HEADER,           "header",            'H', "LINE",      "send this header; may be repeated") \
	X(DATA,             "data",              'd', "TEXT",      "send TEXT, the content of @FILE, or standard input for @-") \
	X(INCLUDE,          "include",           'i', NULL,        "print status and headers before the body") \
	X(CHECK,            "check",             0,   "CHECK",     "require this check to pass") \
	X(INTERVAL,         "interval",          0,   "DURATION",  "pause this long between checks [200ms]") \
	X(START_WITHIN,     "start-within",      0,   "DURATION",  "give up if it is not ready after this time [no limit]") \
	X(DRAIN_FOR,        "drain-for",         0,   "DURATION",  "drain for this long before the program is stopped [0]") \
	X(STATE,            "state",             0,   "FILE",      "remember registered instances in this file [FILE.state]") \
	X(CHECK_CONFIG,     "check-config",      0,   NULL,        "read the file, report errors, and exit") \
	X(TEMPLATE,         "template",          't', "FILE",      "fill in this template: a file, or the name of a built-in one") \
	X(TARGET,           "output",            'o', "FILE",      "write to this file [standard output]") \
	X(RELOAD,           "reload",            0,   "COMMAND",   "run this shell command after the file was replaced") \
	X(COMMAND_TIMEOUT,  "command-timeout",   0,   "DURATION",  "limit --check and --reload to this time [60s]") \
	X(DEBOUNCE,         "debounce",          0,   "DURATION",  "wait until nothing has changed for this long [200ms]") \
	X(SET,              "set",               0,   "KEY=VALUE", "set a value for the template; may be repeated") \
	X(PRINT,            "print",             0,   NULL,        "print the template and exit")
/* clang-format on */

enum args_option {
#define ARGS_ID(id, name, letter, arg, text) OPT_##id,
	ARGS_OPTIONS(ARGS_ID)
#undef ARGS_ID
		OPT_COUNT_OF
};

#define OPTION(id) (UINT64_C(1) << OPT_##id)
#define OPTIONS_COMMON \
	(OPTION(HELP) | OPTION(ADDR) | OPTION(TOKEN_FILE) | OPTION(TIMEOUT) | OPTION(WAIT))
#define OPTIONS_OUTPUT (OPTION(OUTPUT) | OPTION(NO_HEADERS) | OPTION(COLOR))

#define ARGS_REPEATED_MAX 64

/** The units of durations, from the shortest to the longest. */
#define SECOND_MS  INT64_C(1000)
#define HOUR_MS    (3600 * SECOND_MS)
#define DAY_MS     (24 * HOUR_MS)
#define ARGS_UNITS 5
struct args_unit {
	const char *name;
	int64_t ms;
};
extern const struct args_unit args_units[ARGS_UNITS];

struct args_list {
	const char *item[ARGS_REPEATED_MAX];
	size_t count;
};

struct args {
	const char *value[OPT_COUNT_OF]; /* of the last use; "" without an argument; NULL: none */
	struct args_list meta;
	struct args_list header;
	struct args_list set;
	char **operands;
	int operand_count;
};

struct option_info {
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *text;
	char letter; /* or 0 */
};
extern const struct option_info args_options[OPT_COUNT_OF];

struct tool;

struct command {
	const char *name;
	const char *operands;
	const char *summary;
	const char *more; /* further lines of --help; may be NULL */
	uint64_t options;
	int least; /* number of operands */
	int most;
	bool stops; /* words after the first operand are operands, even with a dash */
	int (*run)(struct tool *tool, const struct args *args);
};

/** @return whether @p command has this option */
static inline bool args_takes(const struct command *command, enum args_option option)
{
	return (command->options & UINT64_C(1) << option) != 0;
}

/**
 * Parses options and operands. argv[0] is the name of the command; @p args borrows from argv.
 * @return 0; -EINVAL (reported)
 */
int args_parse(struct args *args, const struct command *command, int argc, char **argv);

/**
 * Parse the value of an option; without the option they leave *@p ret as it is. Durations take ms,
 * s, m, h or d after a number; a number alone is seconds.
 * @return 0; -EINVAL (reported)
 */
int args_duration(const struct args *args, enum args_option option, int64_t *ret_ms);
int args_number(const struct args *args, enum args_option option, uint64_t least, uint64_t most,
                uint64_t *ret);
/** A revision, bare or as a token, whose revision is the result. */
int args_token(const struct args *args, enum args_option option, uint64_t *ret_revision);

/** Parse a text in the same way. @return 0; -EINVAL (not reported) */
int args_read_duration(const char *text, int64_t *ret_ms);
int args_read_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret);
