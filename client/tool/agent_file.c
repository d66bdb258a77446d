/* SPDX-License-Identifier: MIT */
/*
 * Reads the file of an agent. One table has the type, the bounds and the default of each field.
 * Invariant: a file that is read has no error in any service, or nothing of it is used; a reload
 * with a typing error must not deregister half of the services.
 */
#include "tool/agent_file.h"

#include "tool/api.h"
#include "tool/args.h"
#include "tool/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct field {
	const char *name;
	json_type type;
	json_int_t least;
	json_int_t most;
	json_int_t otherwise; /* the default; below 0: none */
	const char *zero;     /* what 0 means beside the bounds; "": it is an error */
};

/* clang-format off */
static const struct field fields[] = {
	{"service",         JSON_STRING,  0,    0,           -1, ""},
	{"id",              JSON_STRING,  0,    0,           -1, ""},
	{"host",            JSON_STRING,  0,    0,           -1, ""},
	{"port",            JSON_INTEGER, 1,    UINT16_MAX,  -1, ""},
	{"weight",          JSON_INTEGER, 0,    UINT16_MAX,  -1, ""},
	{"metadata",        JSON_OBJECT,  0,    0,           -1, ""},
	{"ttl_ms",          JSON_INTEGER, 1000, DAY_MS,      -1, ", or 0: no lease"},
	{"remove_after_ms", JSON_INTEGER, 0,    365 * DAY_MS, -1, ""},
	{"check",           JSON_STRING,  0,    0,           -1, ""},
	{"interval_ms",     JSON_INTEGER, 100,  DAY_MS,      5000, ""},
	{"timeout_ms",      JSON_INTEGER, 10,   DAY_MS,      2000, ""},
	{"pass",            JSON_INTEGER, 1,    1000,        1, ""},
	{"fail",            JSON_INTEGER, 1,    1000,        3, ""},
};
/* clang-format on */
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

struct place {
	const char *path;
	size_t index; /* of the service, from 0 */
};

__attribute__((format(printf, 2, 3))) static int agent_file_fail(const struct place *place,
                                                                 const char *format, ...)
{
	struct text text = {NULL, 0, 0};
	va_list args;

	text_printf(&text, "%s: services[%zu]: ", place->path, place->index);
	va_start(args, format);
	text_vprintf(&text, format, args);
	va_end(args);
	tool_warn("%s", text.data);
	text_free(&text);
	return -EINVAL;
}

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static bool is_in_range(const struct field *field, json_int_t value)
{
	return (value >= field->least && value <= field->most) ||
	       (value == 0 && *field->zero != '\0');
}

static int check_field(const struct place *place, const char *name, const json_t *value)
{
	const struct field *field = find_field(name);

	if (field == NULL)
		return agent_file_fail(place, "unknown field '%s'", name);
	if (json_typeof(value) != field->type)
		return agent_file_fail(place, "'%s' must be %s", name,
		                       field->type == JSON_STRING    ? "text"
		                       : field->type == JSON_INTEGER ? "an integer"
		                                                     : "an object of texts");
	if (field->type == JSON_INTEGER && !is_in_range(field, json_integer_value(value)))
		return agent_file_fail(place,
		                       "'%s' must be %" JSON_INTEGER_FORMAT
		                       " to %" JSON_INTEGER_FORMAT "%s",
		                       name, field->least, field->most, field->zero);
	if (field->type == JSON_STRING && *json_string_value(value) == '\0')
		return agent_file_fail(place, "'%s' is empty", name);
	return 0;
}

static int check_metadata(const struct place *place, json_t *metadata)
{
	const char *key;
	json_t *value;

	json_object_foreach(metadata, key, value)
	{
		if (!json_is_string(value))
			return agent_file_fail(place, "metadata '%s' must be text", key);
	}
	return 0;
}

/** Makes an id that is the same after each restart, so that an agent finds its instances again. */
static json_t *agent_file_make_id(const json_t *service)
{
	char host[65] = "";

	(void)gethostname(host, sizeof(host) - 1); /* the kernel's limit is 64 bytes */
	return memory_json(json_sprintf("%s:%" JSON_INTEGER_FORMAT, host,
	                                json_integer_value(json_object_get(service, "port"))));
}

static void set_defaults(json_t *service)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (fields[i].otherwise >= 0 && json_object_get(service, fields[i].name) == NULL)
			memory_set(service, fields[i].name, json_integer(fields[i].otherwise));
	if (json_object_get(service, "id") == NULL)
		memory_set(service, "id", agent_file_make_id(service));
	if (json_object_get(service, "check") == NULL)
		memory_set(service, "check", json_string("tcp"));
}

static int read_service(const struct place *place, json_t *service)
{
	const char *name;
	json_t *value;
	struct check check;

	if (!json_is_object(service))
		return agent_file_fail(place, "a service must be an object");
	json_object_foreach(service, name, value)
	{
		if (check_field(place, name, value) < 0)
			return -EINVAL;
	}
	if (json_object_get(service, "service") == NULL || json_object_get(service, "port") == NULL)
		return agent_file_fail(place, "'service' and 'port' are required");
	if (check_metadata(place, json_object_get(service, "metadata")) < 0)
		return -EINVAL;
	set_defaults(service);
	if (check_read(&check, api_text(service, "check"), "localhost", 1) < 0)
		return agent_file_fail(place,
		                       "'check' must be tcp, tcp://HOST:PORT, http://URL, /PATH, "
		                       "exec:COMMAND, pid:FILE or none");
	check_fini(&check);
	return 0;
}

static int read_services(const char *path, json_t *services)
{
	json_t *seen = memory_json(json_object());
	struct text key = {NULL, 0, 0};
	json_t *service;
	int r = 0;
	size_t i;

	json_array_foreach(services, i, service)
	{
		struct place place = {path, i};

		r = read_service(&place, service);
		if (r < 0)
			break;
		text_clear(&key);
		text_printf(&key, "%s %s", api_text(service, "service"), api_text(service, "id"));
		if (json_object_get(seen, key.data) != NULL) {
			r = agent_file_fail(&place,
			                    "an earlier service has the same 'service' and 'id'");
			break;
		}
		memory_set(seen, key.data, json_true());
	}
	text_free(&key);
	json_decref(seen);
	return r;
}

int agent_file_read(const char *path, json_t **ret_services)
{
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	json_t *services = json_object_get(root, "services");
	int r = -EINVAL;

	if (root == NULL && error.line < 0)
		tool_warn("%s", error.text);
	else if (root == NULL)
		tool_warn("%s:%d: %s", path, error.line, error.text);
	else if (!json_is_array(services) || json_object_size(root) != 1)
		tool_warn("%s: must be {\"services\": [...]}", path);
	else if (json_array_size(services) > AGENT_SERVICES_MAX)
		tool_warn("%s: more than %d services", path, AGENT_SERVICES_MAX);
	else
		r = read_services(path, services);
	if (r == 0)
		*ret_services = json_incref(services);
	json_decref(root);
	return r;
}
