/* SPDX-License-Identifier: MIT */
/* Why the last request for a registration failed, in words. */
#include "lib/registration/registration.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FAILURE_MOST (16U << 10)
#define DETAIL_MOST  500 /* bytes of one sentence of the registry's */
#define ERRORS_MOST  16

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

static void put_text(struct bytes *text, const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	if (value != NULL)
		bytes_add(text, value, strnlen(value, DETAIL_MOST));
}

/** What a problem answer says (RFC 9457), and what it says about each field. */
static void put_problem(struct bytes *text, const struct exchange *exchange)
{
	json_t *problem = json_loadb(exchange->answer.data, exchange->answer.len, 0, NULL);
	const json_t *errors = json_object_get(problem, "errors");
	size_t begin = text->len;

	put_text(text, problem, "detail");
	bytes_printf(text, text->len > begin ? " (status %d)" : "status %d", exchange->status);
	for (size_t i = 0; i < json_array_size(errors) && i < ERRORS_MOST; i++) {
		bytes_put(text, "; ");
		put_text(text, json_array_get(errors, i), "pointer");
		bytes_put(text, ": ");
		put_text(text, json_array_get(errors, i), "detail");
	}
	json_decref(problem);
}

void registration_note_failure(rollcall_registration *registration)
{
	const struct registry_request *request = &registration->request;
	const struct exchange *exchange = &request->exchange;
	struct bytes text;
	size_t len;

	free(registration->failure);
	registration->failure = NULL;
	if (exchange->error == 0 && exchange->status >= 200 && exchange->status < 300)
		return;
	/* The registry has forgotten it, which is answered by registering again. */
	if (exchange->error == 0 && exchange->status == 404 &&
	    (registration->doing == DOING_HEARTBEAT || registration->doing == DOING_STATUS))
		return;
	bytes_init(&text, FAILURE_MOST);
	bytes_put(&text, request->registry->addresses[request->address]);
	bytes_put(&text, ": ");
	if (exchange->error < 0)
		bytes_put(&text, transport_text(exchange->error));
	else
		put_problem(&text, exchange);
	registration->failure = bytes_take(&text, &len);
	bytes_fini(&text);
}

int rollcall_registration_failure(rollcall_registration *registration, char *out, size_t size)
{
	struct engine *engine = &registration->client->engine;
	int r = 0;

	if (out == NULL || size == 0)
		return -EINVAL;
	if (client_forked(registration->client))
		return -ECHILD;
	engine_lock(engine);
	if (registration->failure == NULL) {
		r = -ENOENT;
	} else {
		size_t len = strlen(registration->failure);

		len = len < size ? len : size - 1;
		memcpy(out, registration->failure, len);
		out[len] = '\0';
	}
	engine_unlock(engine);
	return r;
}
