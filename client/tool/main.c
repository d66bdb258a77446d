/* SPDX-License-Identifier: MIT */
/*
 * rollcall: finds the command, parses its options, runs it and returns its exit code. One thread.
 */
#include "tool/commands.h"
#include "tool/complete.h"
#include "tool/http.h"
#include "tool/memory.h"
#include "tool/setup.h"
#include "tool/terminal.h"
#include "tool/version.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int main_run_command(const struct command *command, int argc, char **argv)
{
	struct args args;
	struct tool tool;

	if (args_parse(&args, command, argc, argv) < 0) {
		tool_warn("see 'rollcall %s --help'", command->name);
		return EXIT_USAGE;
	}
	if (args.value[OPT_HELP] != NULL) {
		help_command(command);
		return EXIT_OK;
	}
	if (tool_set_up(&tool, &args) < 0)
		return EXIT_USAGE;
	int code = command->run(&tool, &args);
	http_close(tool.http);
	return code;
}

static int dispatch_command(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *command = command_find(name);

	if (command != NULL)
		return main_run_command(command, argc - 1, argv + 1);
	if (strcmp(name, "__complete") == 0)
		return complete(argc - 2, argv + 2);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		(void)printf("rollcall %s\n", tool_version());
		return EXIT_OK;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		help_all();
		return EXIT_OK;
	}
	if (strcmp(name, "help") == 0) {
		command = argc > 2 ? command_find(argv[2]) : NULL;
		if (command != NULL)
			help_command(command);
		else if (argc == 2)
			help_all();
		if (command != NULL || argc == 2)
			return EXIT_OK;
		name = argv[2];
	}
	if (*name == '\0')
		tool_warn("no command given; see 'rollcall --help'");
	else
		tool_warn("unknown command '%s'; see 'rollcall --help'", name);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	terminal_set_up();
	(void)sigaction(SIGPIPE, &ignore,
	                NULL); /* cannot fail; a closed output is reported below */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		memory_lacks();
	int code = dispatch_command(argc, argv);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		if (errno != EPIPE)
			tool_warn("cannot write standard output: %s", strerror(errno));
		return code != EXIT_OK ? code : EXIT_ERROR;
	}
	return code;
}
