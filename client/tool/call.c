/* SPDX-License-Identifier: MIT */
/** call: one request to a service, through the client library. */
#include "tool/api.h"
#include "tool/commands.h"
#include "tool/library.h"
#include "tool/memory.h"
#include "tool/replace.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_data(const char *data, struct text *text)
{
	const char *path = data + 1;
	int r = 0;

	if (*data != '@')
		text_put(text, data);
	else
		r = replace_read_any(strcmp(path, "-") == 0 ? "/dev/stdin" : path, text);
	if (r < 0)
		tool_warn("cannot read '%s': %s", path, strerror(-r));
	return r;
}

/** Splits "Name: value" lines into pairs, freed by free_headers(). @return 0; -EINVAL (reported) */
static int read_headers(const struct args *args, rollcall_pair *pairs)
{
	for (size_t i = 0; i < args->header.count; i++) {
		char *name = memory_copy(args->header.item[i]);
		char *colon = strchr(name, ':');

		if (colon == NULL || colon == name) {
			tool_warn("--header takes 'Name: value', not '%s'", name);
			free(name);
			return -EINVAL;
		}
		*colon++ = '\0';
		pairs[i] = (rollcall_pair){name, colon + strspn(colon, " ")};
	}
	return 0;
}

static void free_headers(rollcall_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)pairs[i].name); /* memory of read_headers() */
}

/** The library takes every 404 as an unknown service: looks up whether a registry has sent it. */
static int call_judge_unknown(struct tool *tool, const char *service)
{
	struct text path = api_path(service, NULL, "");
	json_t *json = NULL;

	int code = api_get(tool, path.data, &json);
	text_free(&path);
	json_decref(json);
	return code != EXIT_OK ? code : EXIT_NOT_FOUND; /* it was registered meanwhile */
}

static int call_judge(struct tool *tool, const char *service, int r,
                      const rollcall_response *response)
{
	if (r == 0 && response->status < 400)
		return EXIT_OK;
	if (r == 0) {
		tool_warn("%s answered with status %d", response->instance, response->status);
		return EXIT_ERROR;
	}
	if (r == -ENOENT)
		return call_judge_unknown(tool, service);
	tool_warn("%s: %s", service, rollcall_error_text(r));
	if (r == -EINVAL)
		return EXIT_USAGE;
	if (r == -EHOSTUNREACH)
		return EXIT_NOT_FOUND;
	return r == -ENOTCONN ? EXIT_UNREACHABLE : EXIT_ERROR;
}

static bool may_come(int r)
{
	return r == -ENOENT || r == -EHOSTUNREACH || r == -ENOTCONN;
}

/** Sends the request; with --wait, again until there is an instance to call. */
static int call_send(struct tool *tool, const char *service, const rollcall_request *request,
                     rollcall_response *response)
{
	int r;

	while (true) {
		rollcall_client *client = library_open(tool, tool->args->value[OPT_STRATEGY]);

		if (client == NULL)
			return -ECANCELED; /* reported */
		r = rollcall_call(client, service, request, response);
		(void)rollcall_close(client, 0); /* there is nothing to deregister */
		if (!may_come(r) || !tool_may_retry(tool))
			return r;
		tool_pause();
	}
}

int call_run(struct tool *tool, const struct args *args)
{
	const char *data = args->value[OPT_DATA];
	rollcall_pair headers[ARGS_REPEATED_MAX] = {{NULL, NULL}};
	struct text body = {NULL, 0, 0};
	rollcall_request request;
	rollcall_response response;
	int code = EXIT_USAGE;

	rollcall_request_init(&request);
	rollcall_response_init(&response);
	if (args->operands[1][0] != '/') {
		tool_warn("a path begins with '/', not '%s'", args->operands[1]);
		return EXIT_USAGE;
	}
	if (read_headers(args, headers) < 0 || (data != NULL && read_data(data, &body) < 0))
		goto out;
	request.method = args->value[OPT_METHOD];
	if (request.method == NULL && data != NULL)
		request.method = "POST";
	request.path = args->operands[1];
	request.headers = headers;
	request.header_count = args->header.count;
	request.body = body.data;
	request.body_len = body.len;
	request.sticky = args->value[OPT_KEY];
	request.timeout_ms = args->value[OPT_TIMEOUT] != NULL ? (uint32_t)tool->timeout_ms : 0;
	int r = call_send(tool, args->operands[0], &request, &response);
	if (r == 0 && args->value[OPT_INCLUDE] != NULL)
		(void)printf("HTTP %d\n%s\n", response.status,
		             response.headers != NULL ? response.headers : "");
	if (r == 0 && response.body_len > 0)
		(void)fwrite(response.body, 1, response.body_len, stdout);
	if (r != -ECANCELED)
		code = call_judge(tool, args->operands[0], r, &response);

out:
	rollcall_response_clear(&response);
	free_headers(headers, args->header.count);
	text_free(&body);
	return code;
}
