/* SPDX-License-Identifier: MIT */
/**
 * The one table of options. Parser, help and completion come from it.
 *
 *	struct args args;
 *	int r = args_parse(&args, command, argc, argv);
 *	const char *id = args.value[OPT_ID];	NULL: not given
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* id, long name, letter or 0, argument or NULL, what it is for */
#define ARGS_OPTIONS(X)                                                                                       \
	X(HELP,         "help",         'h', NULL,       "explain this command")                              \
	X(ADDR,         "addr",         'a', "URL",      "registry, or several between commas [$ROLLCALL_ADDR]") \
	X(TOKEN_FILE,   "token-file",   0,   "FILE",     "holds the bearer token [$ROLLCALL_TOKEN_FILE]")     \
	X(TIMEOUT,      "timeout",      0,   "DURATION", "longest that one request may take [5s]")            \
	X(WAIT,         "wait",         0,   "DURATION", "keep trying for up to this long until it can be done")   \
	X(OUTPUT,       "output",       'o', "FORMAT",   "table, wide, json, jsonl, name or address [table]") \
	X(NO_HEADERS,   "no-headers",   0,   NULL,       "no headings above tables")                          \
	X(COLOR,        "color",        0,   "WHEN",     "auto, always or never [auto]")                      \
	X(PREFIX,       "prefix",       0,   "TEXT",     "only names that begin with it")                     \
	X(STATUS,       "status",       's', "LIST",     "healthy, unhealthy, draining or any")               \
	X(META,         "meta",         'm', "KEY=VALUE", "metadata; may be repeated")                        \
	X(STRATEGY,     "strategy",     0,   "NAME",     "how to choose")                                     \
	X(KEY,          "key",          'k', "TEXT",     "sticky key: the same key gives the same instance")  \
	X(COUNT,        "count",        'n', "NUMBER",   "so many different instances")                       \
	X(EXCLUDE,      "exclude",      0,   "ID,...",   "not these")                                         \
	X(EXPLAIN,      "explain",      0,   NULL,       "tell why, as JSON")                                 \
	X(SERVICE,      "service",      0,   "NAME",     "name of the service")                               \
	X(ID,           "id",           0,   "ID",       "id of the instance")                                \
	X(HOST,         "host",         0,   "HOST",     "where it is reached [the address that the registry sees]") \
	X(PORT,         "port",         'p', "PORT",     "where it is reached")                               \
	X(WEIGHT,       "weight",       'w', "NUMBER",   "share of the calls, 0-65535 [100]")                 \
	X(TTL,          "ttl",          0,   "DURATION", "lease: without a heartbeat for so long it is unhealthy [30s]") \
	X(REMOVE_AFTER, "remove-after", 0,   "DURATION", "unhealthy for so long, it is removed; 0: never [10m]") \
	X(DRAINING,     "draining",     0,   NULL,       "register it without sending it calls yet")          \
	X(LOAD,         "load",         'l', "0-1",      "how busy it is")                                    \
	X(IF_EXISTS,    "if-exists",    0,   NULL,       "no error when it is not there")                     \
	X(REASON,       "reason",       'r', "TEXT",     "why; everyone can read it")                         \
	X(FOR,          "for",          0,   "DURATION", "undone by itself after this time")                  \
	X(SINCE,        "since",        0,   "REVISION", "only what came after")                              \
	X(KIND,         "kind",         0,   "LIST",     "only these kinds of events")                        \
	X(LIMIT,        "limit",        'n', "NUMBER",   "at most so many")                                   \
	X(FOLLOW,       "follow",       'f', NULL,       "go on as events come")                              \
	X(ONCE,         "once",         0,   NULL,       "end after the first")                               \
	X(METHOD,       "request",      'X', "METHOD",   "HTTP method [GET, or POST with --data]")            \
	X(HEADER,       "header",       'H', "LINE",     "header to send; may be repeated")                   \
	X(DATA,         "data",         'd', "TEXT",     "body to send; @FILE sends a file, @- standard input") \
	X(INCLUDE,      "include",      'i', NULL,       "print status and headers too")                      \
	X(CHECK,        "check",        0,   "CHECK",    "what tells that it is fine")                        \
	X(INTERVAL,     "interval",     0,   "DURATION", "from one check to the next [200ms]")                   \
	X(START_WITHIN, "start-within", 0,   "DURATION", "longest until it is ready, else it is ended [no limit]") \
	X(DRAIN_FOR,    "drain-for",    0,   "DURATION", "from draining until it is told to stop [0]")        \
	X(STATE,        "state",        0,   "FILE",     "remembers what is registered [FILE.state]")         \
	X(CHECK_CONFIG, "check-config", 0,   NULL,       "read the file, report errors, and end")             \
	X(TEMPLATE,     "template",     't', "FILE",     "template, or the name of one that is built in")     \
	X(TARGET,       "output",       'o',  "FILE",     "file to write [standard output]")                   \
	X(RELOAD,       "reload",       0,   "COMMAND",  "run by the shell after the file was replaced")      \
	X(COMMAND_TIMEOUT, "command-timeout", 0, "DURATION", "longest that --check or --reload may take [60s]") \
	X(DEBOUNCE,     "debounce",     0,   "DURATION", "quiet time to wait for after a change [200ms]")     \
	X(SET,          "set",          0,   "KEY=VALUE", "value for the template; may be repeated")          \
	X(PRINT,        "print",        0,   NULL,       "print the template itself, and end")
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
	const char *value[OPT_COUNT_OF]; /* the last given; "" for one without argument */
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
	const char *more; /* for --help; may be NULL */
	uint64_t options;
	int least; /* operands */
	int most;
	bool stops; /* what follows the first operand is not ours to read */
	int (*run)(struct tool *tool, const struct args *args);
};

static inline bool args_takes(const struct command *command, enum args_option option)
{
	return (command->options & UINT64_C(1) << option) != 0;
}

/**
 * Reads options and operands; says what is wrong on standard error. argv[0] is the command's name.
 * @p args borrows from argv.
 * @return 0 or -EINVAL
 */
int args_parse(struct args *args, const struct command *command, int argc, char **argv);

/**
 * Values of options. When not given they leave *@p ret as it is; what is wrong they tell.
 * Durations take ms, s, m, h or d after a number; a number alone is seconds.
 * @return 0 or -EINVAL
 */
int args_duration(const struct args *args, enum args_option option, int64_t *ret_ms);
int args_number(const struct args *args, enum args_option option, uint64_t least, uint64_t most,
                uint64_t *ret);

/** @return 0 or -EINVAL, without a word */
int args_read_duration(const char *text, int64_t *ret_ms);
int args_read_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret);
