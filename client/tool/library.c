/* SPDX-License-Identifier: MIT */
#include "tool/library.h"

#include "tool/http.h"
#include "tool/memory.h"
#include "tool/version.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WHY_SIZE 4096

rollcall_client *library_open(const struct tool *tool, const char *strategy)
{
	rollcall_options options;
	rollcall_client *client;

	char *urls = http_urls(tool->http);
	if (urls == NULL) {
		tool_warn("this command cannot use a Unix socket; use --addr http://HOST:PORT");
		return NULL;
	}
	rollcall_options_init(&options);
	options.registry = urls;
	options.token = tool->token;
	options.user_agent = tool_user_agent();
	if (strategy != NULL) {
		options.strategy = rollcall_strategy_named(strategy);
		if (options.strategy == NULL) {
			tool_warn("unknown strategy '%s'", strategy);
			free(urls);
			return NULL;
		}
	}
	options.registry_timeout_ms = (uint32_t)tool->timeout_ms;
	if (options.registry_connect_ms > options.registry_timeout_ms)
		options.registry_connect_ms = options.registry_timeout_ms;
	int r = rollcall_open(&options, &client);
	free(urls);
	if (r < 0) {
		tool_warn("cannot use the registry at '%s': %s", tool->addresses,
		          rollcall_error_text(r));
		return NULL;
	}
	return client;
}

static const char *record_text(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

static json_int_t record_number(const json_t *record, const char *key, json_int_t otherwise)
{
	const json_t *value = json_object_get(record, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

rollcall_registration *library_register(rollcall_client *client, const json_t *record)
{
	rollcall_registration_options options;
	rollcall_registration *registration;
	json_t *metadata = json_object_get(record, "metadata");
	rollcall_pair *pairs = memory_get((json_object_size(metadata) + 1) * sizeof(*pairs));
	const char *key;
	json_t *value;

	rollcall_registration_options_init(&options);
	json_object_foreach(metadata, key, value)
	{
		pairs[options.metadata_count++] = (rollcall_pair){key, json_string_value(value)};
	}
	options.service = record_text(record, "service");
	options.id = record_text(record, "id");
	options.host = record_text(record, "host");
	options.port = (uint32_t)record_number(record, "port", 0);
	options.weight = (uint32_t)record_number(record, "weight", options.weight);
	options.ttl_ms = (uint32_t)record_number(record, "ttl_ms", options.ttl_ms);
	options.remove_after_ms = record_number(record, "remove_after_ms", options.remove_after_ms);
	options.metadata = pairs;
	int r = rollcall_register(client, &options, &registration);
	free(pairs);
	if (r < 0) {
		tool_warn("cannot register '%s': %s", options.service, rollcall_error_text(r));
		return NULL;
	}
	return registration;
}

static bool is_known(rollcall_state state)
{
	return state == ROLLCALL_REGISTERED || state == ROLLCALL_DRAINING;
}

bool library_has_lease(const json_t *record)
{
	return record_number(record, "ttl_ms", 1) != 0;
}

void library_report(struct reminder *reminder, rollcall_registration *registration,
                    const json_t *record, const char *id)
{
	char why[WHY_SIZE];
	const char *service = record_text(record, "service");
	const char *between = id != NULL ? " " : "";

	id = id != NULL ? id : "";
	rollcall_state state = rollcall_registration_state(registration);
	if (rollcall_registration_failure(registration, why, sizeof(why)) < 0) {
		if (is_known(state) && reminder_succeeded(reminder))
			tool_warn("'%s%s%s' is registered: the registry answers again", service,
			          between, id);
		return;
	}
	if (!reminder_failed(reminder, (int)state))
		return;
	const char *what = state == ROLLCALL_REFUSED ? "the registry refuses to register"
	                   : state == ROLLCALL_UNCONFIRMED
	                           ? "cannot renew, and may have lost, the lease of"
	                   : !is_known(state)          ? "cannot register"
	                   : library_has_lease(record) ? "cannot renew the lease of"
	                                               : "cannot confirm the registration of";
	tool_warn("%s '%s%s%s'; retrying: %s", what, service, between, id, why);
}
