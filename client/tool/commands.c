/* SPDX-License-Identifier: MIT */
#include "tool/commands.h"

#include "tool/check.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_RECORD                                                                            \
	(OPTION(ID) | OPTION(HOST) | OPTION(PORT) | OPTION(WEIGHT) | OPTION(META) | OPTION(TTL) | \
	 OPTION(REMOVE_AFTER))

/* clang-format off */
const struct command commands[] = {
	{"services", "", "list services", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(PREFIX), 0, 0, false, services_run},
	{"instances", "SERVICE", "list the healthy instances of a service",
	 "With --wait, waits until there is one.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(STATUS) | OPTION(META), 1, 1, false, instances_run},
	{"intents", "SERVICE", "list the drained ids of a service",
	 "Lists ids that an operator drains, registered or not. The exit code is 0 also for an empty list and an unknown service.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT, 1, 1, false, intents_run},
	{"pick", "SERVICE", "pick one instance, load-balanced",
	 "Strategies: round_robin (the default), weighted_round_robin, consistent_hash, random, least_loaded.\n"
	 "  curl \"http://$(rollcall pick web -o address)/\"",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(STRATEGY) | OPTION(KEY) | OPTION(COUNT) | OPTION(EXCLUDE) |
	 OPTION(META) | OPTION(EXPLAIN), 1, 1, false, pick_run},
	{"register", "SERVICE", "register an instance once",
	 "The instance becomes unhealthy after --ttl without a heartbeat; 'rollcall run' sends heartbeats. With --ttl 0 it\n"
	 "stays healthy until it is deregistered.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTIONS_RECORD | OPTION(DRAINING), 1, 1, false, register_run},
	{"deregister", "SERVICE ID...", "remove instances", NULL,
	 OPTIONS_COMMON | OPTION(IF_EXISTS), 2, INT_MAX, false, deregister_run},
	{"heartbeat", "SERVICE ID", "renew the lease of an instance",
	 "The registry keeps the status of --status until the owner reports another one; a drain by an operator stays.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(REPORT) | OPTION(LOAD), 2, 2, false, heartbeat_run},
	{"drain", "SERVICE ID...", "send no new calls to instances",
	 "With --wait, returns when every watcher of the service has been sent the change, or after that time. The drain\n"
	 "belongs to the id. It outlives deregistration and restarts, and ends with 'rollcall resume', after --for, or when\n"
	 "the id has not been registered for the registry's intent_ttl_ms, a day by default.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(REASON) | OPTION(FOR), 2, INT_MAX, false, drain_run},
	{"resume", "SERVICE ID...", "end the drain of ids, registered or not", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(REASON), 2, INT_MAX, false, resume_run},
	{"call", "SERVICE PATH", "send an HTTP request to a service",
	 "Picks an instance, and tries another if that one fails and the request may safely be sent again. Prints the\n"
	 "body; a status of 400 or more is exit code 1.",
	 OPTIONS_COMMON | OPTION(METHOD) | OPTION(HEADER) | OPTION(DATA) | OPTION(INCLUDE) | OPTION(STRATEGY) | OPTION(KEY),
	 2, 2, false, call_run},
	{"run", "-- PROGRAM [ARGUMENT...]", "run a program and keep it registered while it runs",
	 "Waits until the program's port accepts connections, or --check passes; registers it; sends heartbeats. On\n"
	 "SIGTERM or SIGINT, drains and deregisters it before it passes the signal on; passes other signals on at once.\n"
	 "Exits as the program does; 126 or 127 if the program cannot be started. May be process 1 of a container.\n"
	 "Checks: " CHECK_SYNTAX ". /PATH is at the program's own port.",
	 (OPTIONS_COMMON & ~OPTION(WAIT)) | OPTIONS_RECORD | OPTION(SERVICE) | OPTION(CHECK) | OPTION(INTERVAL) |
	 OPTION(START_WITHIN) | OPTION(DRAIN_FOR), 1, INT_MAX, true, run_run},
	{"agent", "FILE", "check programs and keep the healthy ones registered",
	 "FILE is JSON: {\"services\": [{\"service\": \"web\", \"port\": 8080, \"check\": \"/healthz\"}]}; rollcall(1) explains\n"
	 "all fields. SIGHUP makes the agent read it again. The agent deregisters what it has registered and what no longer\n"
	 "runs, also after a crash of the agent.",
	 (OPTIONS_COMMON & ~OPTION(WAIT)) | OPTION(STATE) | OPTION(CHECK_CONFIG), 1, 1, false, agent_run},
	{"watch", "SERVICE [-- COMMAND...]", "print changes, or run a command on each change",
	 "Runs COMMAND for the state at the start and after each change, with ROLLCALL_SERVICE, ROLLCALL_REVISION,\n"
	 "ROLLCALL_COUNT, ROLLCALL_IDS, ROLLCALL_ADDRESSES, ROLLCALL_ADDED, ROLLCALL_CHANGED and ROLLCALL_REMOVED in its\n"
	 "environment, and all of it as JSON on its standard input. All changes while COMMAND runs cause one more run.\n"
	 "With --once, exits after the first change, with COMMAND's exit code.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(STATUS) | OPTION(META) | OPTION(ONCE), 1, INT_MAX, false, watch_run},
	{"render", "SERVICE...", "keep a file up to date with the registry",
	 "Built-in templates: nginx, haproxy. rollcall(1) explains the language. The shell runs --check and --reload;\n"
	 "{} in --check, and ROLLCALL_FILE, are the path of the new file. If the check fails, the old file stays; if the\n"
	 "reload fails, the old content is put back. Failures are retried after 1 s to 1 min.",
	 OPTIONS_COMMON | OPTION(TEMPLATE) | OPTION(TARGET) | OPTION(CHECK) | OPTION(RELOAD) | OPTION(COMMAND_TIMEOUT) |
	 OPTION(DEBOUNCE) | OPTION(SET) | OPTION(META) | OPTION(ONCE) | OPTION(PRINT), 0, INT_MAX, false, render_run},
	{"events", "", "print the event log, oldest first", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(SERVICE) | OPTION(ID) | OPTION(KIND) | OPTION(SINCE) |
	 OPTION(LIMIT) | OPTION(FOLLOW), 0, 0, false, events_run},
	{"history", "SERVICE [ID]", "print the events of a service or of one instance", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(KIND) | OPTION(LIMIT), 1, 2, false, history_run},
	{"completion", "bash|zsh|fish", "print the completion script of a shell",
	 "  eval \"$(rollcall completion bash)\"", OPTION(HELP), 1, 1, false, completion_run},
	{"status", "", "print the state of the registry; -o wide adds its limits", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT, 0, 0, false, status_run},
};
/* clang-format on */
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const char *const event_kinds[] = {
	"registered", "updated", "deregistered", "expired",   "recovered",     "failed",
	"drained",    "resumed", "removed",      "entry-put", "entry-removed", NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void help_option(enum args_option option)
{
	const struct option_info *info = &args_options[option];
	char letter[] = "-?, ";
	char name[40];

	letter[1] = info->letter;
	(void)snprintf(name, sizeof(name), "--%s%s%s", info->name, info->arg ? " " : "",
	               info->arg ? info->arg : "");
	(void)printf("  %4s%-26s %s\n", info->letter != 0 ? letter : "", name, info->text);
}

void help_all(void)
{
	(void)puts("usage: rollcall COMMAND [OPTION...] [OPERAND...]\n\nCommands:");
	for (size_t i = 0; i < command_count; i++)
		(void)printf("  %-12s %s\n", commands[i].name, commands[i].summary);
	(void)puts("\nOptions of every command:");
	for (int i = 0; i < OPT_COUNT_OF; i++)
		if ((OPTIONS_COMMON & UINT64_C(1) << i) != 0)
			help_option((enum args_option)i);
	(void)puts("\n'rollcall COMMAND --help' explains a command, rollcall(1) all of them.\n"
	           "Exit codes: 0 success, 1 failure, 2 usage error or refused value, 3 not found, "
	           "4 no registry answers.");
}

static void help_kinds(void)
{
	(void)fputs("\nKinds: ", stdout);
	for (size_t i = 0; event_kinds[i] != NULL; i++)
		(void)printf("%s%s", i > 0 ? ", " : "", event_kinds[i]);
	(void)puts(".");
}

void help_command(const struct command *command)
{
	const char *space = *command->operands != '\0' ? " " : "";

	(void)printf("usage: rollcall %s [OPTION...]%s%s\n\n%s\n", command->name, space,
	             command->operands, command->summary);
	if (command->more != NULL)
		(void)printf("\n%s\n", command->more);
	if (args_takes(command, OPT_KIND))
		help_kinds();
	(void)puts("\nOptions:");
	for (int i = 0; i < OPT_COUNT_OF; i++)
		if (args_takes(command, (enum args_option)i))
			help_option((enum args_option)i);
}
