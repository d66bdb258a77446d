/* SPDX-License-Identifier: MIT */
#include "tool/record.h"

#include "tool/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int set_number(json_t *record, const char *key, const struct args *args,
                      enum args_option option, uint64_t least, uint64_t most)
{
	uint64_t number;

	if (args->value[option] == NULL)
		return 0;
	if (args_number(args, option, least, most, &number) < 0)
		return -1;
	memory_set(record, key, json_integer((json_int_t)number));
	return 0;
}

static int set_duration(json_t *record, const char *key, const struct args *args,
                        enum args_option option)
{
	int64_t ms;

	if (args->value[option] == NULL)
		return 0;
	if (args_duration(args, option, &ms) < 0)
		return -1;
	memory_set(record, key, json_integer(ms));
	return 0;
}

static int set_metadata(json_t *record, const struct args *args)
{
	json_t *metadata = memory_json(json_object());

	for (size_t i = 0; i < args->meta.count; i++) {
		char *key = memory_copy(args->meta.item[i]);
		char *value = strchr(key, '=');

		*value++ = '\0';
		json_t *text = json_string(value);
		int r = text != NULL ? json_object_set_new(metadata, key, text) : -1;
		free(key);
		if (r < 0) {
			tool_warn("--meta takes UTF-8");
			json_decref(metadata);
			return -1;
		}
	}
	memory_set(record, "metadata", metadata);
	return 0;
}

/** Sets "host" to the local address of a connection to the registry. @return exit code */
static int set_own_host(struct tool *tool, json_t *record)
{
	struct http_request request = {.path = "/healthz", .timeout_ms = tool->timeout_ms};
	struct http_answer answer;

	int code = api_try(tool, &request, &answer);
	if (code != EXIT_OK)
		return code;
	if (answer.local[0] == '\0') {
		tool_warn("--host is required: the connection to the registry has no address to "
		          "register");
		code = EXIT_USAGE;
	} else {
		memory_set(record, "host", json_string(answer.local));
	}
	http_answer_free(&answer);
	return code;
}

int record_from_args(const struct args *args, json_t **ret_record)
{
	static const struct {
		const char *key;
		enum args_option option;
	} texts[] = {{"service", OPT_SERVICE}, {"id", OPT_ID}, {"host", OPT_HOST}};
	json_t *record = memory_json(json_object());

	if (args->value[OPT_PORT] == NULL) {
		tool_warn("--port is required");
		goto fail;
	}
	if (set_number(record, "port", args, OPT_PORT, 1, UINT16_MAX) < 0 ||
	    set_number(record, "weight", args, OPT_WEIGHT, 0, UINT16_MAX) < 0 ||
	    set_duration(record, "ttl_ms", args, OPT_TTL) < 0 ||
	    set_duration(record, "remove_after_ms", args, OPT_REMOVE_AFTER) < 0)
		goto fail;
	if (args->meta.count > 0 && set_metadata(record, args) < 0)
		goto fail;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = args->value[texts[i].option];

		if (text == NULL)
			continue;
		if (json_object_set_new(record, texts[i].key, json_string(text)) < 0) {
			tool_warn("--%s takes UTF-8", texts[i].key);
			goto fail;
		}
	}
	*ret_record = record;
	return 0;

fail:
	json_decref(record);
	return -EINVAL;
}

int record_make(struct tool *tool, const struct args *args, json_t **ret_record)
{
	json_t *record;
	int code = EXIT_OK;

	if (record_from_args(args, &record) < 0)
		return EXIT_USAGE;
	(void)json_object_del(record, "id"); /* it is in the path */
	if (args->value[OPT_DRAINING] != NULL)
		memory_set(record, "status", json_string("draining"));
	if (args->value[OPT_HOST] == NULL)
		code = set_own_host(tool, record);
	if (code == EXIT_OK)
		*ret_record = record;
	else
		json_decref(record);
	return code;
}
