/* SPDX-License-Identifier: MIT */
/** rollcall: the operator's and the script's tool. */
#include "tool/commands.h"
#include "tool/http.h"
#include "tool/memory.h"
#include "tool/terminal.h"
#include "tool/version.h"

#include <errno.h>
#include <rollcall.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_ADDR       "http://127.0.0.1:7655"
#define DEFAULT_TIMEOUT_MS 5000
#define TIMEOUT_MAX_MS     86400000
#define TOKEN_MAX          4096

const char *tool_version(void)
{
	return rollcall_version();
}

const char *tool_user_agent(void)
{
	static char agent[80];

	(void)snprintf(agent, sizeof(agent), "rollcall/%s", tool_version());
	return agent;
}

void tool_warn(const char *format, ...)
{
	struct text text = {NULL, 0, 0};
	va_list args;
	char *made = NULL;

	va_start(args, format);
	int len = vasprintf(&made, format, args);
	va_end(args);
	if (len < 0)
		memory_lacks();
	terminal_put(&text, made);
	free(made);
	(void)fflush(stdout);
	(void)fprintf(stderr, "rollcall: %s\n", text.data);
	text_free(&text);
}

int64_t tool_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** The option, else the variable, else NULL. An empty variable is none. */
static const char *given(const struct args *args, enum args_option option, const char *variable)
{
	const char *value = args->value[option];

	if (value == NULL)
		value = getenv(variable);
	return value != NULL && *value != '\0' ? value : NULL;
}

static int read_format(const struct args *args, enum format *ret_format)
{
	static const char *const names[] = {
		[FORMAT_TABLE] = "table", [FORMAT_WIDE] = "wide", [FORMAT_JSON] = "json",
		[FORMAT_JSONL] = "jsonl", [FORMAT_NAME] = "name", [FORMAT_ADDRESS] = "address",
	};
	const char *text = args->value[OPT_OUTPUT];

	*ret_format = FORMAT_TABLE;
	if (text == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) == 0) {
			*ret_format = (enum format)i;
			return 0;
		}
	}
	tool_warn("--output takes table, wide, json, jsonl, name or address, not '%s'", text);
	return -EINVAL;
}

static int read_color(const struct args *args, bool *ret_color)
{
	const char *when = args->value[OPT_COLOR];
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (when == NULL || strcmp(when, "auto") == 0) {
		*ret_color = isatty(STDOUT_FILENO) == 1 &&
		             (no_color == NULL || *no_color == '\0') &&
		             (term == NULL || strcmp(term, "dumb") != 0);
	} else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0) {
		*ret_color = *when == 'a';
	} else {
		tool_warn("--color takes auto, always or never, not '%s'", when);
		return -EINVAL;
	}
	return 0;
}

/** The first line of the file. @return 0, -EINVAL (told) */
static int read_token(const char *path, char **ret_token)
{
	char line[TOKEN_MAX + 2] = "";
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		tool_warn("cannot open token file '%s': %s", path, strerror(errno));
		return -EINVAL;
	}
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	(void)fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	size_t len = strlen(line);
	if (len == 0 || len > TOKEN_MAX ||
	    strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                 "abcdefghijklmnopqrstuvwxyz0123456789"
	                 "-._~+/=:") != len) {
		tool_warn("token file '%s' holds no token", path);
		return -EINVAL;
	}
	*ret_token = memory_copy(line);
	return 0;
}

int tool_set_up(struct tool *tool, const struct args *args)
{
	const char *addresses = given(args, OPT_ADDR, "ROLLCALL_ADDR");
	const char *token_file = given(args, OPT_TOKEN_FILE, "ROLLCALL_TOKEN_FILE");
	static char *token; /* until the end */
	int64_t wait_ms = 0;

	if (args->value[OPT_ADDR] != NULL && *args->value[OPT_ADDR] == '\0') {
		tool_warn("--addr takes an address, not ''");
		return -EINVAL;
	}
	*tool = (struct tool){.args = args,
	                      .headers = args->value[OPT_NO_HEADERS] == NULL,
	                      .timeout_ms = DEFAULT_TIMEOUT_MS};
	if (read_format(args, &tool->format) < 0 || read_color(args, &tool->color) < 0 ||
	    args_duration(args, OPT_TIMEOUT, &tool->timeout_ms) < 0 ||
	    args_duration(args, OPT_WAIT, &wait_ms) < 0)
		return -EINVAL;
	if (tool->timeout_ms < 1 || tool->timeout_ms > TIMEOUT_MAX_MS || wait_ms > TIMEOUT_MAX_MS) {
		tool_warn("--timeout takes 1ms to 1d, --wait at most 1d");
		return -EINVAL;
	}
	if (token_file != NULL && read_token(token_file, &token) < 0)
		return -EINVAL;
	tool->until_ms = tool_now_ms() + wait_ms;
	tool->token = token;
	tool->addresses = addresses != NULL ? addresses : DEFAULT_ADDR;
	tool->http = http_open(tool->addresses, token);
	return tool->http != NULL ? 0 : -EINVAL;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct args args;
	struct tool tool;

	if (args_parse(&args, command, argc, argv) < 0) {
		tool_warn("'rollcall %s --help' explains it", command->name);
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

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *command = command_find(name);

	if (command != NULL)
		return run(command, argc - 1, argv + 1);
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
		tool_warn("no command is given; 'rollcall --help' lists them");
	else
		tool_warn("there is no command '%s'; 'rollcall --help' lists them", name);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	terminal_set_up();
	(void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail; a closed output is told below */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		memory_lacks();
	int code = dispatch(argc, argv);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		if (errno != EPIPE)
			tool_warn("cannot write standard output: %s", strerror(errno));
		return code != EXIT_OK ? code : EXIT_ERROR;
	}
	return code;
}
