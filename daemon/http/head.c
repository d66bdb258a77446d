/* SPDX-License-Identifier: MIT */
#include "http/head.h"

#include "http/internal.h"

#include <microhttpd.h>
#include <string.h>

/* The name of the Cookie header that head_begin() adds before those of the request. */
static const char no_cookies[] = MHD_HTTP_HEADER_COOKIE;

_Static_assert(API_HEAD_MAX == 7680 && HEAD_FIELD_BYTES == 64, "GUARD_TOO_LARGE names them");
_Static_assert(API_FIELDS_MAX == API_HEAD_MAX / HEAD_FIELD_BYTES, "what else head_check() refuses");

struct taking {
	struct exchange *exchange;
	size_t fields;
};

/*
 * libmicrohttpd would allocate memory for each query parameter and each cookie. When none is left,
 * it queues an error, loses it, and then either never answers (parameters) or sends two heads in
 * one answer (cookies).
 */
void head_begin(struct exchange *exchange)
{
	/* libmicrohttpd passes its own, writable memory as const. */
	union {
		const char *in;
		char *out;
	} query = {.in = strchr(exchange->raw_target, '?')};

	if (query.in != NULL && query.out[1] != '\0')
		query.out[1] = '\0'; /* exchange->target is the copy */
	/* libmicrohttpd parses the first Cookie only. If this one finds no memory, the head is too
	 * large, and head_check() refuses it. */
	(void)MHD_set_connection_value(exchange->mhd, MHD_HEADER_KIND, no_cookies, "-");
}

static enum MHD_Result take_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                  size_t name_len, const char *value, size_t value_len)
{
	struct taking *taking = cls;
	struct exchange *exchange = taking->exchange;
	struct str n = {name, name_len};
	struct str v = {value, value_len};

	(void)kind;
	if (name == no_cookies)
		return MHD_YES;
	taking->fields++;
	const struct api_field field = {n, guard_header(&exchange->guard, n, v)};
	buf_add(&exchange->fields, &field, sizeof(field));
	return MHD_YES;
}

enum guard_verdict head_check(struct exchange *exchange, const char *method, const char *version)
{
	struct taking taking = {.exchange = exchange};
	struct str target = {exchange->target.data, exchange->target.len};

	exchange->head_size =
		MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
			->header_size;
	guard_line(&exchange->guard, str_of(method), (struct str){exchange->raw_target, target.len},
	           str_of(version));
	buf_reset(&exchange->fields);
	(void)MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, take_field, &taking);
	if (exchange->head_size + taking.fields * HEAD_FIELD_BYTES > API_HEAD_MAX)
		return GUARD_TOO_LARGE;
	exchange->request.fields = (const void *)exchange->fields.data;
	exchange->request.field_count = exchange->fields.len / sizeof(struct api_field);
	enum guard_verdict verdict = guard_end(&exchange->guard, method + exchange->head_size);
	return verdict != GUARD_PASS ? verdict : guard_target(target, &exchange->request.target);
}
