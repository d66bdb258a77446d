/* SPDX-License-Identifier: MIT */
/** Commands that only read: services, instances, intents, pick, status. */
#include "tool/api.h"
#include "tool/commands.h"
#include "tool/output.h"

int services_run(struct tool *tool, const struct args *args)
{
	struct text path = {NULL, 0, 0};
	json_t *json;

	if (output_check(tool, &view_services) < 0)
		return EXIT_USAGE;
	text_put(&path, "/v1/services");
	api_query(&path, "prefix", args->value[OPT_PREFIX]);
	int code = api_list(tool, path.data, "services", &json);
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	output_list(tool, &view_services, json, "services");
	json_decref(json);
	return EXIT_OK;
}

int instances_run(struct tool *tool, const struct args *args)
{
	struct text path;
	json_t *json = NULL;

	if (output_check(tool, &view_instances) < 0)
		return EXIT_USAGE;
	path = api_path(args->operands[0], NULL, "");
	api_query_list(&path, "status", args->value[OPT_STATUS]);
	api_query_meta(&path, args);
	int code = api_lookup(tool, path.data, &json);
	text_free(&path);
	if (json == NULL)
		return code;
	output_list(tool, &view_instances, json, "instances");
	json_decref(json);
	return code;
}

int intents_run(struct tool *tool, const struct args *args)
{
	struct text path;
	json_t *json;

	if (output_check(tool, &view_intents) < 0)
		return EXIT_USAGE;
	path = api_path(args->operands[0], NULL, "/intents");
	int code = api_list(tool, path.data, "intents", &json);
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	output_list(tool, &view_intents, json, "intents");
	json_decref(json);
	return EXIT_OK;
}

int pick_run(struct tool *tool, const struct args *args)
{
	struct tool shown = *tool;
	struct text path;
	json_t *json;

	if (output_check(tool, &view_instances) < 0)
		return EXIT_USAGE;
	path = api_path(args->operands[0], NULL, "/pick");
	api_query(&path, "strategy", args->value[OPT_STRATEGY]);
	api_query(&path, "key", args->value[OPT_KEY]);
	api_query(&path, "count", args->value[OPT_COUNT]);
	api_query_list(&path, "exclude", args->value[OPT_EXCLUDE]);
	api_query_meta(&path, args);
	if (args->value[OPT_EXPLAIN] != NULL) {
		api_query(&path, "explain", "1");
		shown.format = FORMAT_JSON;
	}
	int code = api_await(tool, path.data, &json);
	text_free(&path);
	if (code != EXIT_OK)
		return code;
	if (json_is_array(json_object_get(json, "instances")))
		output_list(&shown, &view_instances, json, "instances");
	else
		output_one(&shown, &view_instances, json);
	json_decref(json);
	return EXIT_OK;
}

int status_run(struct tool *tool, const struct args *args)
{
	json_t *json;

	(void)args; /* takes none of its own */
	if (output_check(tool, NULL) < 0)
		return EXIT_USAGE;
	int code = api_get(tool, "/v1/status", &json);
	if (code != EXIT_OK)
		return code;
	if (tool->format == FORMAT_TABLE)
		(void)json_object_del(json, "limits");
	output_facts(tool, json);
	json_decref(json);
	return EXIT_OK;
}
