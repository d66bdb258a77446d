/* SPDX-License-Identifier: MIT */
/*
 * Makes refusals. Runs on the http thread of the request.
 *
 * Invariant: every refusal goes through problem_make(), which first drops what the handler has put
 * into the response, so no part of a half-made answer is sent. Details contain bytes from clients,
 * which a plain "%s" would pass on as invalid UTF-8: presentable() repairs them.
 */
#include "api/problem.h"

#include "api/api.h"
#include "api/router.h"
#include "base/check.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL_SIZE 512
#define PROBLEM_MAX 16384 /* bytes of one problem document */

void field_errors_init(struct field_errors *errors)
{
	errors->count = 0;
	errors->text[0] = '\0';
	buf_init(&errors->list, PROBLEM_MAX / 2);
}

void field_errors_fini(struct field_errors *errors)
{
	buf_fini(&errors->list);
}

/** Makes @p text valid UTF-8: cuts a torn last character, replaces bytes that are none by '?'. */
static struct str presentable(char *text, size_t size, int length)
{
	size_t len = length < 0 ? 0 : (size_t)length;

	if (len >= size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		text[len] = '\0';
	}
	if (!parse_is_utf8((struct str){text, len}))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)text[i] >= 0x80)
				text[i] = '?';
	return (struct str){text, len};
}

/** Appends a field's name as a JSON pointer (RFC 6901) in a JSON string. */
static void put_pointer(struct buf *out, struct str field)
{
	char text[128];
	size_t len = 0;

	text[len++] = '/';
	for (size_t i = 0; i < field.len && len + 2 < sizeof(text); i++) {
		char c = field.data[i];

		if (c == '~' || c == '/') {
			text[len++] = '~';
			text[len++] = c == '~' ? '0' : '1';
		} else {
			text[len++] = c;
		}
	}
	while (!parse_is_utf8((struct str){text, len}))
		len--; /* cut in the middle of a character */
	buf_put_json(out, (struct str){text, len});
}

void field_error(struct field_errors *errors, struct str field, const char *format, ...)
{
	char text[DETAIL_SIZE];
	va_list args;

	size_t before = errors->list.len;

	if (errors->count++ >= FIELD_ERRORS_MAX)
		return;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	buf_put(&errors->list, before > 0 ? ",{\"pointer\":" : "{\"pointer\":");
	put_pointer(&errors->list, field);
	buf_put(&errors->list, ",\"detail\":");
	buf_put_json(&errors->list, presentable(text, sizeof(text), len));
	buf_put_char(&errors->list, '}');
	if (buf_error(&errors->list) == -EMSGSIZE) { /* keep the errors before, only count this */
		buf_reset(&errors->list);
		errors->list.len = before;
	}
}

/** Empties the response; keeps the revision and the way to render a refusal. */
static void drop_answer(struct api_response *response)
{
	blob_unref(response->blob);
	response->blob = NULL;
	response->lent = (struct str){NULL, 0};
	free(response->location);
	response->location = NULL;
	response->etag[0] = '\0';
	response_drop_headers(response);
	response->cache = CACHE_NEVER;
	buf_reset(&response->body);
}

void problem_render(struct api_response *response, const struct refusal *refusal)
{
	const struct problem_code *code = refusal->code;
	struct buf *out = &response->body;

	response->content_type = "application/problem+json";
	buf_put(out, "{\"type\":\"/problems/");
	buf_put(out, code->slug);
	buf_put(out, "\",\"title\":");
	buf_put_json(out, str_of(code->title));
	buf_put(out, ",\"status\":");
	buf_put_u64(out, code->status);
	buf_put(out, ",\"detail\":");
	buf_put_json(out, refusal->detail);
	buf_put(out, ",\"code\":\"");
	buf_put(out, code->slug);
	buf_put_char(out, '"');
	buf_put_str(out, refusal->members);
	buf_put(out, "}\n");
}

static void PRINTF_LIKE(4, 0) problem_make(struct api_response *response, enum problem code,
                                           struct str members, const char *format, va_list args)
{
	char text[DETAIL_SIZE];
	int len = vsnprintf(text, sizeof(text), format, args);
	const struct refusal refusal = {&problem_codes[code], presentable(text, sizeof(text), len),
	                                members};

	drop_answer(response);
	response->status = refusal.code->status;
	if (response->refuse != NULL)
		response->refuse(response, &refusal);
	else
		problem_render(response, &refusal);
	if (buf_error(&response->body) < 0)
		response->content_type = NULL; /* out of memory: send the status without a body */
	if (response->status == 503 || response->status == 429)
		response_header(response, HEADER_RETRY_AFTER, "1");
}

void problem(struct api_response *response, enum problem code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	problem_make(response, code, (struct str){NULL, 0}, format, args);
	va_end(args);
}

void problem_with(struct api_response *response, enum problem code, const struct buf *members,
                  const char *format, ...)
{
	va_list args;

	if (buf_error(members) < 0) {
		problem_errno(response, buf_error(members));
		return;
	}
	va_start(args, format);
	problem_make(response, code, (struct str){members->data, members->len}, format, args);
	va_end(args);
}

void api_problem(const struct api_request *request, struct api_response *response,
                 enum problem code, const char *format, ...)
{
	va_list args;

	if (request->match.table != NULL)
		response->refuse = request->match.table->refuse;
	va_start(args, format);
	problem_make(response, code, (struct str){NULL, 0}, format, args);
	va_end(args);
}

void problem_fields(struct api_response *response, struct field_errors *errors)
{
	struct buf members;

	if (buf_error(&errors->list) < 0) {
		problem_errno(response, buf_error(&errors->list));
		return;
	}
	buf_init(&members, PROBLEM_MAX);
	buf_put(&members, ",\"errors\":[");
	buf_put_str(&members, (struct str){errors->list.data, errors->list.len});
	buf_put_char(&members, ']');
	problem_with(response, PROBLEM_INVALID_BODY, &members, "%u field%s of the body %s wrong",
	             errors->count, errors->count == 1 ? "" : "s",
	             errors->count == 1 ? "is" : "are");
	buf_fini(&members);
}

void problem_errno(struct api_response *response, int error)
{
	static const struct {
		int error;
		enum problem code;
		const char *detail;
	} map[] = {
		{ENOENT, PROBLEM_NOT_REGISTERED,
	         "the instance is not registered: register it again"},
		{ESTALE, PROBLEM_PRECONDITION_FAILED,
	         "the instance is not registered, or has changed since that revision"},
		{EEXIST, PROBLEM_ANOTHER_INCARNATION,
	         "the instance was registered anew since that incarnation"},
		{EAGAIN, PROBLEM_QUEUE_FULL, "too many changes are waiting for the disk"},
		{ENOSPC, PROBLEM_DISK_FULL, "the disk is full: only deregistrations are accepted"},
		{EDQUOT, PROBLEM_TOO_MANY_INSTANCES,
	         "the registry already holds as many instances as max_instances allows"},
		{ENOBUFS, PROBLEM_TOO_MUCH_UNSENT,
	         "answers that their clients have not read hold as much as "
	         "max_unsent_bytes or max_unsent_bytes_per_peer allows"},
		{EOVERFLOW, PROBLEM_TOO_MANY_BYTES,
	         "the registry would hold more bytes than max_registry_bytes allows"},
		{EMSGSIZE, PROBLEM_ANSWER_TOO_LARGE,
	         "the answer would be too large: ask for less with 'limit'"},
		{ENOTRECOVERABLE, PROBLEM_OUTCOME_UNKNOWN,
	         "the disk failed while this change was written: it may have been made or "
	         "not"},
		{EBUSY, PROBLEM_STORAGE_LOCKED,
	         "another process has locked the database: nothing was changed, try again"},
		{ESHUTDOWN, PROBLEM_SHUTTING_DOWN, "the daemon is stopping"},
		{ENOMEM, PROBLEM_OUT_OF_MEMORY, "the daemon has no memory for this request"},
		/* EIO and all other errors of a disk */
		{0, PROBLEM_STORAGE_FAILED,
	         "the journal cannot be read or written: the log of the daemon says why"},
	};
	size_t i = 0;

	while (map[i].error != 0 && map[i].error != -error)
		i++;
	problem(response, map[i].code, "%s", map[i].detail);
}
