/* SPDX-License-Identifier: MIT */
/**
 * The one table of options. The struct, defaults, bounds, parser, --help, --print-config and the
 * manual's check come from it. Where an option is given more than once the strongest wins:
 * --option=value, then ROLLCALL_OPTION in the environment, then /etc/rollcall/rollcalld.conf, then
 * the default.
 *
 * In the file and in struct config an option is spelled with underscores, on the command line with
 * hyphens, in the environment in upper case.
 *
 *	r = config_load(argc, argv, say, &config, &action, &sources);
 *	... on SIGHUP: r = config_reload(sources, &config, say, say); ...
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

/* SYSCONFDIR/rollcall/rollcalld.conf and LOCALSTATEDIR/lib/rollcall, as configured at the build. */
extern const char config_file_default[];
extern const char config_state_dir_default[];

/* name, default, least, most, unit, when it takes effect, what it is for */
/* clang-format off */
#define OPTIONS_NUMBER(X)                                                                                              \
	X(http_threads,             1,        1,    64,          "threads", RESTART, "threads that serve HTTP, each with its own epoll loop") \
	X(max_connections,          10000,    16,   1000000,     "connections", RELOAD, "open connections in all; at this many a silent one gives way, or the new one is closed") \
	X(max_connections_per_peer, 0,        0,    1000000,     "connections", RELOAD, "open connections from one IP address, as above; 0 = a quarter of max_connections") \
	X(request_timeout_ms,       10000,    100,  600000,      "ms",      RELOAD,  "from the first byte of a request to its last") \
	X(idle_timeout_ms,          75000,    100,  86400000,    "ms",      RELOAD,  "how long a connection may stay open without a request") \
	X(default_ttl_ms,           30000,    1000, 86400000,    "ms",      RELOAD,  "lease of an instance that names no ttl_ms") \
	X(default_remove_after_ms,  600000,   0,    31536000000, "ms",      RELOAD,  "when an expired instance that names no remove_after_ms is removed; 0 = never") \
	X(max_instances,            1000000,  1,    10000000,    "instances", RELOAD, "instances in all; one more is refused") \
	X(max_registry_bytes,       2147483648, 1048576, 1099511627776, "bytes", RELOAD, "memory that all instances may take; what would grow beyond is refused") \
	X(max_watchers,             20000,    1,    1000000,     "requests", RELOAD, "requests that wait for a change; one more is refused") \
	X(max_unsent_bytes,         536870912, 1048576, 1099511627776, "bytes", RELOAD, "memory held by answers that are not yet sent; one more answer gets 503") \
	X(max_unsent_bytes_per_peer, 268435456, 0, 1099511627776, "bytes",  RELOAD, "bytes of answers that one IP address has not yet read; 0 = no limit of its own") \
	X(queue_max,                65536,    16,   1000000,     "commands", RESTART, "changes waiting for the writer; one more is refused") \
	X(batch_max,                1024,     1,    10000,       "events",  RESTART, "changes in one transaction") \
	X(events_max_age_ms,        604800000, 0,   31536000000, "ms",      RELOAD,  "events older than this are forgotten; 0 = never") \
	X(events_max_count,         1000000,  0,    1000000000,  "events",  RELOAD,  "the oldest events beyond this many are forgotten; 0 = never") \
	X(hold_min_instances,       3,        2,    1000000,     "instances", RELOAD, "services with fewer instances are never held back from expiry") \
	X(hold_percent,             50,       1,    100,         "percent", RELOAD,  "expiry is held back when more than this share of a service expires within a TTL; 100 = never")

/* name, default, allowed words (|-separated, "" = any text), when it takes effect, what it is for */
#define OPTIONS_TEXT(X)                                                                                                \
	X(state_dir,  config_state_dir_default, "",                            RESTART, "directory of rollcall.db; $STATE_DIRECTORY from systemd is the default when set") \
	X(socket_mode, "0660",             "",                            RESTART, "permissions, in octal, of the Unix sockets that listen makes") \
	X(socket_group, "",                "",                            RESTART, "group of the Unix sockets that listen makes, by name or number; empty = the daemon's own") \
	X(log_level,  "info",              "error|warning|notice|info|debug", RELOAD, "lines less important than this are dropped") \
	X(log_format, "auto",              "auto|text|json|journald",     RESTART, "auto: journald's fields under journald, text on a terminal, JSON lines otherwise")

/* name, default, when it takes effect, what it is for. Repeatable: --listen=A --listen=B on the command line,
 * listen = {"A", "B"} in the file, separated by blanks in ROLLCALL_LISTEN. */
#define OPTIONS_LIST(X)                                                                                                \
	X(listen, "127.0.0.1:7655", RESTART, "ADDRESS:PORT, [IPV6]:PORT or unix:PATH to serve on; port 0 = the kernel's choice; repeatable")
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

/** What to do, found on the command line. */
enum config_action {
	CONFIG_RUN,
	CONFIG_HELP,    /* --help */
	CONFIG_VERSION, /* --version */
	CONFIG_CHECK,   /* --check-config */
	CONFIG_PRINT,   /* --print-config */
	CONFIG_VERIFY   /* --check: verify the journal */
};

/** Where each value came from, and what a reload reads again. */
struct config_sources;

/** Called with one line of text, without a newline. */
typedef void (*config_say_fn)(const char *line);

/**
 * Reads all sources. With --help or --version it reads the command line only.
 * Thread: one at a time, as the parser of the file keeps its state in the process.
 *
 * @param argv      kept (borrowed) for config_reload()
 * @param say       called with each error, all of them, not just the first: file and line, or what
 *                  else it came from, the option, its value and what is allowed
 * @return 0; -EINVAL: the command line is wrong; -EBADMSG: the file or the environment is wrong, or
 *         the file is missing or may not be read; -ENOMEM; -EIO, -EMFILE, ...: the file could not
 *         be read this time. All but -ENOMEM have been said.
 */
int config_load(int argc, char **argv, config_say_fn say, struct config *ret_config,
                enum config_action *ret_action, struct config_sources **ret_sources) MUST_USE;
/** Takes NULL. */
void config_sources_free(struct config_sources *sources);

/**
 * Reads the file again; command line and environment still win.
 *
 * @param config    in: the current values; out: with the new values of options that may change
 *                  while running
 * @param say       told what changed and what would need a restart
 * @param say_wrong told each error
 * @return 0; otherwise as config_load(), and nothing was changed
 */
int config_reload(struct config_sources *sources, struct config *config, config_say_fn say,
                  config_say_fn say_wrong) MUST_USE;

/** What --help prints. */
void config_help(FILE *out);
/** What --print-config prints: a file that would give the same values, each with its origin. */
void config_print(FILE *out, const struct config *config, const struct config_sources *sources);
