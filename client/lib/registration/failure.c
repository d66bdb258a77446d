/* SPDX-License-Identifier: MIT */
#include "lib/registration/failure.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define FAILURE_MAX (16U << 10)
#define DETAIL_MAX  500 /* bytes of one text of the registry's answer */
#define ERRORS_MAX  16

static const char *transport_text(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return "no connection";
	case -ECONNRESET:
		return "the connection ended without an answer";
	case -ETIMEDOUT:
		return "no answer in time";
	default:
		return rollcall_error_text(error);
	}
}

static void failure_put_text(struct bytes *text, const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	if (value != NULL)
		bytes_add(text, value, strnlen(value, DETAIL_MAX));
}

/* Adds the detail of a problem response (RFC 9457), and of each of its errors. */
static void failure_put_problem(struct bytes *text, const struct exchange *exchange)
{
	json_t *problem = json_loadb(exchange->answer.data, exchange->answer.len, 0, NULL);
	const json_t *errors = json_object_get(problem, "errors");
	size_t begin = text->len;

	failure_put_text(text, problem, "detail");
	bytes_printf(text, text->len > begin ? " (status %d)" : "status %d", exchange->status);
	for (size_t i = 0; i < json_array_size(errors) && i < ERRORS_MAX; i++) {
		bytes_put(text, "; ");
		failure_put_text(text, json_array_get(errors, i), "pointer");
		bytes_put(text, ": ");
		failure_put_text(text, json_array_get(errors, i), "detail");
	}
	json_decref(problem);
}

char *failure_text(const struct registry_request *request)
{
	const struct exchange *exchange = &request->exchange;
	struct bytes text;
	size_t len;

	bytes_init(&text, FAILURE_MAX);
	bytes_put(&text, request->registry->addresses[request->address]);
	bytes_put(&text, ": ");
	if (exchange->error < 0)
		bytes_put(&text, transport_text(exchange->error));
	else
		failure_put_problem(&text, exchange);
	char *failure = bytes_take(&text, &len);
	bytes_fini(&text);
	return failure;
}
