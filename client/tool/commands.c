/* SPDX-License-Identifier: MIT */
#include "tool/commands.h"

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
	 "With --wait it waits until there is one.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(STATUS) | OPTION(META), 1, 1, false, instances_run},
	{"pick", "SERVICE", "pick one instance, load-balanced",
	 "Strategies: round_robin (the default), weighted_round_robin, consistent_hash, random, least_loaded.\n"
	 "  curl \"http://$(rollcall pick web -o address)/\"",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(STRATEGY) | OPTION(KEY) | OPTION(COUNT) | OPTION(EXCLUDE) |
	 OPTION(META) | OPTION(EXPLAIN), 1, 1, false, pick_run},
	{"register", "SERVICE", "register an instance, once",
	 "It is unhealthy when nobody sends heartbeats for --ttl; 'rollcall run' does all of it.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTIONS_RECORD | OPTION(DRAINING), 1, 1, false, register_run},
	{"deregister", "SERVICE ID...", "remove instances", NULL,
	 OPTIONS_COMMON | OPTION(IF_EXISTS), 2, INT_MAX, false, deregister_run},
	{"heartbeat", "SERVICE ID", "renew the lease of an instance", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(LOAD), 2, 2, false, heartbeat_run},
	{"drain", "SERVICE ID...", "send no new calls to instances",
	 "With --wait it returns when every watcher of the service has been told, or after that time.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(REASON) | OPTION(FOR), 2, INT_MAX, false, drain_run},
	{"resume", "SERVICE ID...", "undo drain", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(REASON), 2, INT_MAX, false, resume_run},
	{"call", "SERVICE PATH", "send an HTTP request to a service, as its callers do",
	 "Picks an instance, and tries another when it fails and that is safe. The body goes to standard output; exit\n"
	 "code 1 tells a status of 400 or more too.",
	 OPTIONS_COMMON | OPTION(METHOD) | OPTION(HEADER) | OPTION(DATA) | OPTION(INCLUDE) | OPTION(STRATEGY) | OPTION(KEY),
	 2, 2, false, call_run},
	{"run", "-- PROGRAM [ARGUMENT...]", "run a program, registered while it lives",
	 "Waits until the program's port accepts, or --check passes; registers it; sends heartbeats. On SIGTERM or\n"
	 "SIGINT it drains and deregisters it before it passes the signal on; other signals are passed on at once.\n"
	 "Ends as the program ends; 126 and 127 tell that it could not be started. May be process 1 of a container.\n"
	 "Checks: tcp, tcp://HOST:PORT, http://URL, /PATH (at its own port), exec:COMMAND, pid:FILE, none.",
	 (OPTIONS_COMMON & ~OPTION(WAIT)) | OPTIONS_RECORD | OPTION(SERVICE) | OPTION(CHECK) | OPTION(INTERVAL) |
	 OPTION(START_WITHIN) | OPTION(DRAIN_FOR), 1, INT_MAX, true, run_run},
	{"agent", "FILE", "check programs, and register those that are fine",
	 "FILE is JSON: {\"services\": [{\"service\": \"web\", \"port\": 8080, \"check\": \"/healthz\"}]}; rollcall(1) explains\n"
	 "all fields. SIGHUP reads it again. What the agent registered and no longer runs is removed, also after a crash.",
	 (OPTIONS_COMMON & ~OPTION(WAIT)) | OPTION(STATE) | OPTION(CHECK_CONFIG), 1, 1, false, agent_run},
	{"watch", "SERVICE [-- COMMAND...]", "tell what changes, or run a command then",
	 "COMMAND is run for the state at the start and for each change after it, with the facts in ROLLCALL_SERVICE,\n"
	 "ROLLCALL_REVISION, ROLLCALL_COUNT, ROLLCALL_IDS, ROLLCALL_ADDRESSES, ROLLCALL_ADDED, ROLLCALL_CHANGED and\n"
	 "ROLLCALL_REMOVED, and as JSON on its standard input. What changes while it runs makes one more run.\n"
	 "With --once only the first change counts, and COMMAND's exit code is the tool's.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(STATUS) | OPTION(META) | OPTION(ONCE), 1, INT_MAX, false, watch_run},
	{"render", "SERVICE...", "keep a file in step with the registry",
	 "Built-in templates: nginx, haproxy. rollcall(1) explains the language. --check and --reload are run by the\n"
	 "shell; {} in --check, and ROLLCALL_FILE, name the new file. When the check fails, the old file stays; when the\n"
	 "reload fails, it is put back. What failed is tried again, after 1 s to 1 min.",
	 OPTIONS_COMMON | OPTION(TEMPLATE) | OPTION(TARGET) | OPTION(CHECK) | OPTION(RELOAD) | OPTION(COMMAND_TIMEOUT) |
	 OPTION(DEBOUNCE) | OPTION(SET) | OPTION(META) | OPTION(ONCE) | OPTION(PRINT), 0, INT_MAX, false, render_run},
	{"events", "", "what happened, oldest first",
	 "Kinds: registered, updated, deregistered, expired, recovered, drained, resumed, removed.",
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(SERVICE) | OPTION(ID) | OPTION(KIND) | OPTION(SINCE) |
	 OPTION(LIMIT) | OPTION(FOLLOW), 0, 0, false, events_run},
	{"history", "SERVICE [ID]", "the life of a service or of one instance", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT | OPTION(KIND) | OPTION(LIMIT), 1, 2, false, history_run},
	{"completion", "bash|zsh|fish", "print completion for a shell",
	 "  eval \"$(rollcall completion bash)\"", OPTION(HELP), 1, 1, false, completion_run},
	{"status", "", "the registry's own state; -o wide adds its limits", NULL,
	 OPTIONS_COMMON | OPTIONS_OUTPUT, 0, 0, false, status_run},
};
/* clang-format on */
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

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
	(void)puts(
		"\n'rollcall COMMAND --help' explains a command, rollcall(1) all of them.\n"
		"Exit codes: 0 done, 1 failed, 2 usage error or refused value, 3 not found, 4 no "
		"registry answers.");
}

void help_command(const struct command *command)
{
	const char *space = *command->operands != '\0' ? " " : "";

	(void)printf("usage: rollcall %s [OPTION...]%s%s\n\n%s\n", command->name, space,
	             command->operands, command->summary);
	if (command->more != NULL)
		(void)printf("\n%s\n", command->more);
	(void)puts("\nOptions:");
	for (int i = 0; i < OPT_COUNT_OF; i++)
		if (args_takes(command, (enum args_option)i))
			help_option((enum args_option)i);
}
