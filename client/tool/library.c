/* SPDX-License-Identifier: MIT */
#include "tool/library.h"

#include "tool/memory.h"
#include "tool/version.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

rollcall_client *library_open(const struct tool *tool, const char *strategy)
{
	rollcall_options options;
	rollcall_client *client;

	if (strstr(tool->addresses, "unix:") != NULL) {
		tool_warn("this command cannot use a Unix socket: give it http://HOST:PORT");
		return NULL;
	}
	rollcall_options_init(&options);
	options.registry = tool->addresses;
	options.token = tool->token;
	options.user_agent = tool_user_agent();
	if (strategy != NULL) {
		options.strategy = rollcall_strategy_named(strategy);
		if (options.strategy == NULL) {
			tool_warn("there is no strategy '%s'", strategy);
			return NULL;
		}
	}
	options.registry_timeout_ms = (uint32_t)tool->timeout_ms;
	if (options.registry_connect_ms > options.registry_timeout_ms)
		options.registry_connect_ms = options.registry_timeout_ms;
	int r = rollcall_open(&options, &client);
	if (r < 0) {
		tool_warn("cannot use the registry at '%s': %s", tool->addresses,
		          rollcall_error_text(r));
		return NULL;
	}
	return client;
}

static const char *text_of(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

static json_int_t number_of(const json_t *record, const char *key, json_int_t otherwise)
{
	const json_t *value = json_object_get(record, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static void tell_state(rollcall_registration *registration, rollcall_state state, void *arg)
{
	const char *service = arg;

	(void)registration;
	if (state == ROLLCALL_REFUSED)
		tool_warn("the registry refuses to register '%s'; trying again", service);
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
	options.service = text_of(record, "service");
	options.id = text_of(record, "id");
	options.host = text_of(record, "host");
	options.port = (uint32_t)number_of(record, "port", 0);
	options.weight = (uint32_t)number_of(record, "weight", options.weight);
	options.ttl_ms = (uint32_t)number_of(record, "ttl_ms", options.ttl_ms);
	options.remove_after_ms = number_of(record, "remove_after_ms", options.remove_after_ms);
	options.metadata = pairs;
	options.on_state = tell_state;
	/* The library gives it back as it is; tell_state() only reads it. */
	options.arg = (void *)(uintptr_t)options.service;
	int r = rollcall_register(client, &options, &registration);
	free(pairs);
	if (r < 0) {
		tool_warn("cannot register '%s': %s", options.service, rollcall_error_text(r));
		return NULL;
	}
	return registration;
}
