/* SPDX-License-Identifier: MIT */
/**
 * The configuration: one table of options, from which the struct, defaults, bounds, parser, --help,
 * --print-config and the check of the manual are made, and its sources. An option that several
 * sources set has the value of the strongest one: --option=value, then ROLLCALL_OPTION in the
 * environment, then /etc/rollcall/rollcalld.conf, then the default.
 *
 * In the file and in struct config an option is spelled with underscores, on the command line with
 * hyphens, in the environment in upper case.
 *
 *	r = config_load(argc, argv, report, &config, &action, &sources);
 *	... on SIGHUP: r = config_reload(sources, &config, report, report); ...
 *	config_sources_free(sources);
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_LIST_MAX 16
#define CONFIG_TEXT_MAX 256 /* with the final NUL */

/* SYSCONFDIR/rollcall/rollcalld.conf and LOCALSTATEDIR/lib/rollcall, as ./configure set them. */
extern const char config_file_default[];
extern const char config_state_dir_default[];

/* name, default, least, most, unit, when a change takes effect, help */
/* clang-format off */
#define OPTIONS_NUMBER(X)                                                                                              \
	X(http_threads,             1,        1,    64,          "threads", RESTART, "serve HTTP with this many threads, each with its own epoll loop") \
	X(max_connections,          10000,    16,   1000000,     "connections", RELOAD, "allow this many open connections; beyond that close a silent one, or the new one") \
	X(max_connections_per_peer, 0,        0,    1000000,     "connections", RELOAD, "allow this many open connections from one IP address; 0 = a quarter of max_connections") \
	X(request_timeout_ms,       10000,    100,  600000,      "ms",      RELOAD,  "allow this long from the first byte of a request to its last") \
	X(idle_timeout_ms,          75000,    100,  86400000,    "ms",      RELOAD,  "close a connection that has had no request for this long") \
	X(default_ttl_ms,           30000,    1000, 86400000,    "ms",      RELOAD,  "use this lease for an instance that sets no ttl_ms") \
	X(default_remove_after_ms,  600000,   0,    31536000000, "ms",      RELOAD,  "remove an expired instance that sets no remove_after_ms after this long; 0 = never") \
	X(intent_ttl_ms,            86400000, 0,    31536000000, "ms",      RELOAD,  "keep an operator's drain this long for an id that is not registered; 0 = for ever") \
	X(max_instances,            1000000,  1,    10000000,    "instances", RELOAD, "allow this many instances in all; refuse one more") \
	X(max_registry_bytes,       2147483648, 1048576, 1099511627776, "bytes", RELOAD, "allow this much memory for all instances and intents; refuse registrations that would exceed it") \
	X(max_watchers,             20000,    1,    1000000,     "requests", RELOAD, "allow this many requests that wait for a change; refuse one more") \
	X(max_unsent_bytes,         536870912, 1048576, 1099511627776, "bytes", RELOAD, "allow this much memory for answers that are not yet sent; answer 503 beyond that") \
	X(max_unsent_bytes_per_peer, 268435456, 0, 1099511627776, "bytes",  RELOAD, "allow one IP address this many unread bytes of answers; 0 = no limit of its own") \
	X(queue_max,                65536,    16,   1000000,     "commands", RESTART, "let this many changes wait for the writer; refuse one more") \
	X(batch_max,                1024,     1,    10000,       "events",  RESTART, "commit at most this many changes in one transaction") \
	X(events_max_age_ms,        604800000, 0,   31536000000, "ms",      RELOAD,  "delete events that are older than this; 0 = never") \
	X(events_max_count,         1000000,  0,    1000000000,  "events",  RELOAD,  "delete the oldest events beyond this many; 0 = never") \
	X(hold_min_instances,       3,        2,    1000000,     "instances", RELOAD, "never hold back the expiry of a service with fewer instances") \
	X(hold_percent,             50,       1,    100,         "percent", RELOAD,  "hold expiry back when more than this share of a service expires within a TTL; 100 = never")

/* name, default, allowed words (|-separated, "" = any text), when a change takes effect, help */
#define OPTIONS_TEXT(X)                                                                                                \
	X(state_dir,  config_state_dir_default, "",                            RESTART, "keep rollcall.db in this directory; $STATE_DIRECTORY from systemd is the default when set") \
	X(socket_mode, "0660",             "",                            RESTART, "give these permissions, in octal, to the Unix sockets that listen makes") \
	X(socket_group, "",                "",                            RESTART, "give this group, by name or number, to those sockets; empty = the daemon's own") \
	X(log_level,  "info",              "error|warning|notice|info|debug", RELOAD, "drop lines that are less important than this") \
	X(log_format, "auto",              "auto|text|json|journald",     RESTART, "write the log in this format; auto = journald's fields, text on a terminal, else JSON lines")

/* name, default, when a change takes effect, help. Repeatable: --listen=A --listen=B on the command
 * line, listen = {"A", "B"} in the file, separated by blanks in ROLLCALL_LISTEN. */
#define OPTIONS_LIST(X)                                                                                                \
	X(listen, "127.0.0.1:7655", RESTART, "serve on this address; port 0 = the kernel's choice; repeatable")
/* clang-format on */

enum config_effect { RESTART, RELOAD };

struct config {
#define CONFIG_NUMBER(name, def, min, max, unit, effect, doc) int64_t name;
	OPTIONS_NUMBER(CONFIG_NUMBER)
#undef CONFIG_NUMBER
#define CONFIG_TEXT(name, def, words, effect, doc) char name[CONFIG_TEXT_MAX];
	OPTIONS_TEXT(CONFIG_TEXT)
#undef CONFIG_TEXT
#define CONFIG_LIST(name, def, effect, doc)          \
	char name[CONFIG_LIST_MAX][CONFIG_TEXT_MAX]; \
	size_t name##_count;
	OPTIONS_LIST(CONFIG_LIST)
#undef CONFIG_LIST
};

/** What the command line asks for. */
enum config_action {
	CONFIG_RUN,
	CONFIG_HELP,    /* --help */
	CONFIG_VERSION, /* --version */
	CONFIG_CHECK,   /* --check-config */
	CONFIG_PRINT,   /* --print-config */
	CONFIG_VERIFY,  /* --check: verify the journal */
	CONFIG_EXPORT,  /* --export */
	CONFIG_IMPORT   /* --import */
};

/** The origin of each value, and the command line, which a reload applies again. */
struct config_sources;

/** Reports one line of text, without a newline. */
typedef void (*config_report_fn)(const char *line);

/**
 * Reads all sources. With --help or --version it reads the command line only.
 * Thread: one at a time, as the parser of the file keeps its state in the process.
 *
 * @param argv      kept (borrowed) for config_reload()
 * @param report    called with every error: its source (file and line, environment, command line),
 *                  the option, its value and the allowed values
 * @return 0; -EINVAL: the command line is wrong; -EBADMSG: the file or the environment is wrong, or
 *         the file is missing or not readable; -ENOMEM; -EIO, -EMFILE, ...: the file could not be
 *         read this time. All but -ENOMEM have been reported.
 */
int config_load(int argc, char **argv, config_report_fn report, struct config *ret_config,
                enum config_action *ret_action, struct config_sources **ret_sources) MUST_USE;
/** Takes NULL. */
void config_sources_free(struct config_sources *sources);

/**
 * Reads the file again; command line and environment still override it.
 *
 * @param config    in: the current values; out: with the new values of options that may change
 *                  while running
 * @param report        called with each change, and with each that needs a restart
 * @param report_error  called with each error
 * @return 0; otherwise as config_load(), and nothing was changed
 */
int config_reload(struct config_sources *sources, struct config *config, config_report_fn report,
                  config_report_fn report_error) MUST_USE;

/** Prints the text of --help. */
void config_help(FILE *out);
/** Prints a file that would give the same values, each with its origin, for --print-config. */
void config_print(FILE *out, const struct config *config, const struct config_sources *sources);
