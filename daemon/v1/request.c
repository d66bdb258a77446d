/* SPDX-License-Identifier: MIT */
/*
 * What several handlers of the native API read from a request, and the refusals that they share.
 * Http thread.
 *
 * Invariant: a function that returns false has set the problem response, so its caller only returns
 * API_DONE. Callers that compose the problem themselves would word the same error differently.
 */
#include "v1/internal.h"

#include "balance/balance.h"
#include "model/valid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define ALL_STATUSES ((1u << STATUS_COUNT) - 1)

bool call_statuses(struct call *call, struct str text, unsigned *ret_statuses)
{
	unsigned statuses = 0;

	do {
		struct str word = str_cut(&text, ',');
		enum status status;

		if (str_equal(word, STR("any"))) {
			statuses |= ALL_STATUSES;
		} else if (status_parse(word, &status) == 0) {
			statuses |= 1u << status;
		} else {
			problem(call->response, PROBLEM_INVALID_PARAMETER,
			        "status must be any or a list of healthy, unhealthy and draining, "
			        "not '%.*s'",
			        STR_SHOWN(word, 40));
			return false;
		}
	} while (text.data != NULL);
	*ret_statuses = statuses;
	return true;
}

void meta_filter_keep(struct meta_filter *filter, const struct call *call)
{
	for (size_t i = 0; i < filter->count; i++) {
		filter->pair[i].key = call_kept(call, filter->pair[i].key);
		filter->pair[i].value = call_kept(call, filter->pair[i].value);
	}
}

bool call_meta_filter(struct call *call, unsigned rule, struct meta_filter *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < call->query.count; i++) {
		const struct query_item *item = &call->query.item[i];

		if (item->rule != rule)
			continue;
		if (ret->count == PICK_FILTER_MAX) {
			problem(call->response, PROBLEM_INVALID_PARAMETER,
			        "more than %d filters on metadata", PICK_FILTER_MAX);
			return false;
		}
		if (!call_text(call, item, &ret->pair[ret->count].value))
			return false;
		ret->pair[ret->count++].key = item->suffix;
	}
	return true;
}

bool call_path_is_valid(struct call *call)
{
	if (!valid_service_name(path_service(call))) {
		problem(call->response, PROBLEM_INVALID_SERVICE,
		        "a service name is 1-%d of A-Z a-z 0-9 . _ - and starts with a letter or "
		        "digit, not '%.*s'",
		        SERVICE_NAME_MAX, STR_SHOWN(path_service(call), 80));
		return false;
	}
	if (path_id(call).data != NULL && !valid_instance_id(path_id(call))) {
		problem(call->response, PROBLEM_INVALID_ID,
		        "an instance id is 1-%d printable ASCII characters without space, not "
		        "'%.*s'",
		        INSTANCE_ID_MAX, STR_SHOWN(path_id(call), 80));
		return false;
	}
	return true;
}

const struct member *path_member(const struct call *call, const struct snapshot *snapshot)
{
	const struct service *service = snapshot_service(snapshot, path_service(call));

	return service != NULL ? service_member(service, path_id(call)) : NULL;
}

bool call_check_history(struct call *call, const char *name, const struct token *token)
{
	struct buf members;

	if (token_is_of(token, api_history(call->api)))
		return true;
	buf_init(&members, 128);
	buf_put(&members, ",\"history\":\"");
	buf_put(&members, api_history_text(call->api));
	buf_put(&members, "\",\"latest_revision\":");
	buf_put_u64(&members, v1_revision(v1_of(call)));
	problem_with(call->response, PROBLEM_ANOTHER_HISTORY, &members,
	             "%s is revision %" PRIu64 " of the history that begins with %08" PRIx32
	             ", but this registry has the history %s",
	             name, token->revision, token->history, api_history_text(call->api));
	buf_fini(&members);
	return false;
}

bool call_token(struct call *call, const struct query_rule *rules, unsigned rule, struct token *ret)
{
	const struct query_item *item = query_get(&call->query, rule);
	struct str text;

	*ret = (struct token){0};
	if (item == NULL)
		return true;
	if (!call_text(call, item, &text))
		return false;
	if (token_parse(text, ret) == 0)
		return true;
	problem(call->response, PROBLEM_INVALID_PARAMETER,
	        "%s must be a revision, which is a whole number from 0 to %" PRId64
	        ", or a token such as 17.1f3a9c07, not '%.*s'",
	        rules[rule].name, INT64_MAX, STR_SHOWN(text, 40));
	return false;
}

bool call_revision(struct call *call, const struct query_rule *rules, unsigned rule, uint64_t *ret)
{
	struct token token;

	if (!call_token(call, rules, rule, &token))
		return false;
	*ret = token.revision;
	return call_check_history(call, rules[rule].name, &token);
}

static struct str call_if_match(const struct call *call)
{
	return api_header(call->request, STR("if-match"));
}

void call_refuse(struct call *call, int error)
{
	if (error == -ENOENT)
		problem(call->response, PROBLEM_NOT_REGISTERED,
		        "'%.*s' of service '%.*s' is not registered: register it again",
		        (int)path_id(call).len, path_id(call).data, (int)path_service(call).len,
		        path_service(call).data);
	else if (error == -ESTALE)
		problem(call->response, PROBLEM_PRECONDITION_FAILED,
		        "'%.*s' of service '%.*s' is not registered, or is not at the revision of "
		        "If-Match: %.*s",
		        (int)path_id(call).len, path_id(call).data, (int)path_service(call).len,
		        path_service(call).data, STR_SHOWN(call_if_match(call), 80));
	else
		problem_errno(call->response, error);
}

void call_refuse_unknown_service(struct call *call)
{
	if (call_path_is_valid(call))
		problem(call->response, PROBLEM_UNKNOWN_SERVICE,
		        "no instance of '%.*s' is registered", (int)path_service(call).len,
		        path_service(call).data);
}

bool call_conditions(struct call *call, struct command *command)
{
	struct str tag = call_if_match(call);
	struct token token;

	if (tag.data == NULL)
		return true;
	command->must_exist = true;
	if (str_equal(tag, STR("*")))
		return true;
	if (tag.len > 2 && tag.data[0] == '"' && tag.data[tag.len - 1] == '"' &&
	    token_parse((struct str){tag.data + 1, tag.len - 2}, &token) == 0 &&
	    token.revision > 0) {
		command->revision_is = token.revision;
		return call_check_history(call, "If-Match", &token);
	}
	problem(call->response, PROBLEM_INVALID_CONDITION,
	        "If-Match must be the instance's revision or its token in double quotes, or *, "
	        "not '%.*s'",
	        STR_SHOWN(tag, 80));
	return false;
}

void call_refuse_body(struct call *call, int r, struct field_errors *errors)
{
	if (r == -EINVAL)
		problem_fields(call->response, errors);
	else if (r == -EBADMSG)
		problem(call->response, PROBLEM_MALFORMED_JSON,
		        "the body is not JSON as expected: %s", errors->text);
	else
		problem_errno(call->response, r);
}

void call_set_revision(struct call *call, const struct snapshot *snapshot)
{
	call->response->revision = snapshot_revision(snapshot);
}

void call_add_held_header(struct call *call, const struct service *service)
{
	int64_t ms = registry_held_ms(v1_of(call)->registry, service);

	if (ms > 0)
		response_header(call->response, HEADER_EXPIRY_HELD, "%" PRId64, ms);
}

void problem_compacted(struct api_response *response, uint64_t oldest, int64_t oldest_ms,
                       const char *format, ...)
{
	char text[256];
	struct buf members;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_init(&members, 256);
	buf_put(&members, ",\"oldest_revision\":");
	buf_put_u64(&members, oldest);
	if (oldest_ms != 0) {
		buf_put(&members, ",\"oldest_time\":");
		buf_put_time(&members, oldest_ms);
	}
	problem_with(response, PROBLEM_COMPACTED, &members, "%s", text);
	buf_fini(&members);
}

void problem_ahead(struct api_response *response, uint64_t since, uint64_t latest)
{
	struct buf members;

	buf_init(&members, 64);
	buf_put(&members, ",\"latest_revision\":");
	buf_put_u64(&members, latest);
	problem_with(response, PROBLEM_REVISION_AHEAD, &members,
	             "this registry has not come to revision %" PRIu64
	             ": read the present state, then go on with since=%" PRIu64,
	             since, latest);
	buf_fini(&members);
}
