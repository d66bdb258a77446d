/* SPDX-License-Identifier: MIT */
/** What the handlers of the native API share. For files of this folder only. Functions without
 * another note run on the http thread of their call. */
#pragma once

#include "api/call.h"
#include "api/park.h"
#include "api/stream.h"
#include "api/token.h"
#include "base/attr.h"
#include "base/check.h"
#include "registry/registry.h"
#include "snapshot/snapshot.h"
#include "v1/limits.h"
#include "v1/live.h"
#include "v1/v1.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct v1 {
	struct magic magic;

	/* set in v1_open(), never changed */
	struct registry *registry;
	struct snapshot_store *store;
	int64_t started_ms;
	struct route_table table;

	/* atomic, relaxed: a reload may change them */
	_Atomic(int64_t) default_ttl_ms;
	_Atomic(int64_t) default_remove_after_ms;
	_Atomic(int64_t) intent_ttl_ms;
	_Atomic(int64_t) max_instances;
	_Atomic(int64_t) max_registry_bytes;

	struct live_streams streams;
};
MAGIC(v1, 0x7661);

static inline struct v1 *v1_of(const struct call *call)
{
	struct v1 *v1 = call->match.table->self;

	CHECK_MAGIC(v1, v1);
	return v1;
}

/** Parameters of the path, in the order in which all patterns have them; empty when the pattern has
 * no such parameter. */
static inline struct str path_service(const struct call *call)
{
	return call->match.param[0];
}

static inline struct str path_id(const struct call *call)
{
	return call->match.param[1];
}

/** The instance that the path names, borrowed from @p snapshot; NULL when it is not registered
 * there. Inside a visit. */
const struct member *path_member(const struct call *call, const struct snapshot *snapshot);

/** The routes (routes.c). */
extern const struct route v1_routes[];
extern const size_t v1_route_count;

/** Parses a comma-separated list of statuses, or "any", to bits 1 << status.
 * @return false: refused with 400 */
bool call_statuses(struct call *call, struct str text, unsigned *ret_statuses) MUST_USE;
/** Reads all parameters ?meta.KEY=VALUE. @return false: refused with 400 */
struct meta_filter;
bool call_meta_filter(struct call *call, unsigned rule, struct meta_filter *ret) MUST_USE;
/** Makes the strings of @p filter those that stay valid while @p call is parked. */
void meta_filter_keep(struct meta_filter *filter, const struct call *call);

/** Are the service and the id of the path valid? For those that are not registered: registered
 * names need no check. @return false: refused with 400 */
bool call_path_is_valid(struct call *call) MUST_USE;
/**
 * Checks that @p token, the value of the parameter or header @p name, belongs to this registry's
 * history. Call it before the token's revision is compared with any other.
 * @return false: it belongs to another history (refused with 410 another-history)
 */
bool call_check_history(struct call *call, const char *name, const struct token *token) MUST_USE;
/** Reads a token or a bare revision from the query, without call_check_history(); zero when the
 * parameter is absent. @return false: refused with 400 */
bool call_token(struct call *call, const struct query_rule *rules, unsigned rule,
                struct token *ret) MUST_USE;
/** Reads the revision of a token or a bare revision, with call_check_history(); zero when the
 * parameter is absent. @return false: refused with 400 or 410 */
bool call_revision(struct call *call, const struct query_rule *rules, unsigned rule,
                   uint64_t *ret) MUST_USE;
/**
 * Reads If-Match ("REVISION", "TOKEN" or *) into the conditions of @p command.
 * @return false: refused, because the value has another form or belongs to another history
 */
bool call_conditions(struct call *call, struct command *command) MUST_USE;
/** Answers with the problem for the registry's @p error; that for -ENOENT and -ESTALE names the
 * instance of the path. */
void call_refuse(struct call *call, int error);
/** Answers with 404: the path's service has no instance; or with 400 if its name is not valid. */
void call_refuse_unknown_service(struct call *call);
/** Answers with the problem of a body that could not be read. @param r, errors  as the functions of
 * instance_json.h return them */
void call_refuse_body(struct call *call, int r, struct field_errors *errors);

/** Sets the response's X-Rollcall-Revision to the revision of @p snapshot. */
void call_set_revision(struct call *call, const struct snapshot *snapshot);
/** Adds X-Rollcall-Expiry-Held if the expiry of @p service is held back. Inside a visit. */
void call_add_held_header(struct call *call, const struct service *service);
/** Answers with 410 compacted, with "oldest_revision" and, unless @p oldest_ms is 0,
 * "oldest_time". */
void problem_compacted(struct api_response *response, uint64_t oldest, int64_t oldest_ms,
                       const char *format, ...) PRINTF_LIKE(4, 5);
/** Answers with 410 revision-ahead, with "latest_revision": the request's @p since is after it. */
void problem_ahead(struct api_response *response, uint64_t since, uint64_t latest);

/* Handlers, each named after its route. */
enum api_result root_get(struct call *call);
enum api_result services_get(struct call *call);
enum api_result service_get(struct call *call);
enum api_result watch_get(struct call *call);
enum api_result instances_post(struct call *call);
enum api_result instance_get(struct call *call);
enum api_result instance_put(struct call *call);
enum api_result instance_delete(struct call *call);
enum api_result heartbeat_post(struct call *call);
enum api_result heartbeats_post(struct call *call);
enum api_result status_put(struct call *call);
enum api_result pick_get(struct call *call);
enum api_result events_get(struct call *call);
enum api_result diff_get(struct call *call);
enum api_result history_get(struct call *call);
enum api_result intents_get(struct call *call);
enum api_result status_get(struct call *call);
enum api_result healthz_get(struct call *call);
enum api_result readyz_get(struct call *call);
enum api_result metrics_get(struct call *call);
enum api_result openapi_get(struct call *call);
enum api_result problem_get(struct call *call);
