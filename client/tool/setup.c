/* SPDX-License-Identifier: MIT */
#include "tool/setup.h"

#include "tool/args.h"
#include "tool/http.h"
#include "tool/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_ADDR       "http://127.0.0.1:7655"
#define DEFAULT_TIMEOUT_MS 5000
#define TIMEOUT_MAX_MS     DAY_MS
#define TOKEN_MAX          4096

/** @return the value of the option, else of the variable, else NULL; an empty one is none */
static const char *given(const struct args *args, enum args_option option, const char *variable)
{
	const char *value = args->value[option];

	if (value == NULL)
		value = getenv(variable);
	return value != NULL && *value != '\0' ? value : NULL;
}

const char *const tool_formats[] = {
	[FORMAT_TABLE] = "table",
	[FORMAT_WIDE] = "wide",
	[FORMAT_JSON] = "json",
	[FORMAT_JSONL] = "jsonl",
	[FORMAT_NAME] = "name",
	[FORMAT_ADDRESS] = "address",
	NULL,
};

static int read_format(const struct args *args, enum format *ret_format)
{
	const char *text = args->value[OPT_OUTPUT];

	*ret_format = FORMAT_TABLE;
	if (text == NULL)
		return 0;
	for (size_t i = 0; tool_formats[i] != NULL; i++) {
		if (strcmp(tool_formats[i], text) == 0) {
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

/** Reads the first line of the file. @return 0; -EINVAL (reported) */
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
		tool_warn("token file '%s' has no valid token", path);
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
