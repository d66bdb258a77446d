/* SPDX-License-Identifier: MIT */
/*
 * The routes about the daemon itself: /v1/status, /healthz, /readyz, /metrics, /openapi.json,
 * /problems/{code} and /. Http thread.
 *
 * Invariant: no handler here waits for the disk or the writer, so monitoring works while either is
 * stuck. The numbers are those of the published snapshot and of atomics; asking the writer for
 * exact ones would make it a condition of every health check.
 */
#include "api/scan.h"
#include "balance/balance.h"
#include "base/clock.h"
#include "base/embedded.h"
#include "base/version.h"
#include "metrics/metrics.h"
#include "v1/batch_json.h"
#include "v1/internal.h"
#include "v1/past_request.h"

#include <inttypes.h>
#include <string.h>

/* Generated from schema/openapi.json. */
extern const struct embedded schema_openapi[];

static void status_put_limits(struct buf *out, const struct call *call)
{
	const struct v1 *v1 = v1_of(call);
	struct api_limits limits_of_api = api_limits(call->api);
	const struct {
		const char *name;
		int64_t value;
	} limits[] = {
		{"instances", atomic_load_explicit(&v1->max_instances, memory_order_relaxed)},
		{"registry_bytes",
	         atomic_load_explicit(&v1->max_registry_bytes, memory_order_relaxed)},
		{"watchers", limits_of_api.watchers},
		{"unsent_bytes", limits_of_api.unsent_bytes},
		{"unsent_bytes_per_peer", limits_of_api.unsent_bytes_per_peer},
		{"connections", limits_of_api.connections},
		{"connections_per_peer", limits_of_api.connections_per_peer},
		{"wait_ms", WAIT_MS_MAX},
		{"stream_page_bytes", STREAM_PAGE_BYTES},
		{"past_page_bytes", PAST_PAGE_BYTES},
		{"service_name_bytes", SERVICE_NAME_MAX},
		{"instance_id_bytes", INSTANCE_ID_MAX},
		{"host_bytes", HOST_MAX},
		{"weight", WEIGHT_MAX},
		{"metadata_entries", METADATA_ENTRIES_MAX},
		{"metadata_bytes", METADATA_BYTES_MAX},
		{"ttl_ms_min", TTL_MS_MIN},
		{"ttl_ms_max", TTL_MS_MAX},
		{"remove_after_ms_max", REMOVE_AFTER_MS_MAX},
		{"reason_bytes", REASON_MAX},
		{"drain_for_ms", DRAIN_FOR_MS_MAX},
		{"intent_ttl_ms", atomic_load_explicit(&v1->intent_ttl_ms, memory_order_relaxed)},
		{"head_bytes", API_HEAD_MAX},
		{"body_bytes", API_BODY_MAX},
		{"json_depth", JSON_DEPTH_MAX},
		{"json_tokens", JSON_TOKENS_MAX},
		{"batch_body_bytes", V1_BATCH_BODY_MAX},
		{"batch_entries", BATCH_ENTRIES_MAX},
		{"pick_count", PICK_COUNT_MAX},
		{"pick_exclude", PICK_EXCLUDE_MAX},
		{"metadata_filters", PICK_FILTER_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		buf_put(out, i > 0 ? ",\"" : "\"");
		buf_put(out, limits[i].name);
		buf_put(out, "\":");
		buf_put_i64(out, limits[i].value);
	}
}

enum api_result status_get(struct call *call)
{
	struct v1 *v1 = v1_of(call);
	struct buf *out = &call->response->body;

	if (!call_no_query(call))
		return API_DONE;
	const struct snapshot *now = snapshot_enter(v1->store);
	struct snapshot_counts counts = snapshot_counts(now);
	call_set_revision(call, now);
	snapshot_leave(v1->store);

	buf_put(out, "{\"version\":");
	buf_put_json(out, str_of(rollcall_version));
	buf_put(out, ",\"history\":\"");
	buf_put(out, api_history_text(call->api));
	buf_printf(out,
	           "\",\"uptime_ms\":%" PRId64 ",\"revision\":%" PRIu64 ",\"services\":%" PRIu64
	           ",\"instances\":{\"healthy\":%" PRIu64 ",\"unhealthy\":%" PRIu64
	           ",\"draining\":%" PRIu64 "}",
	           clock_ms() - v1->started_ms, call->response->revision, counts.services,
	           counts.instances[STATUS_HEALTHY], counts.instances[STATUS_UNHEALTHY],
	           counts.instances[STATUS_DRAINING]);
	buf_printf(out, ",\"registry_bytes\":%" PRIu64, counts.bytes);
	buf_printf(out, ",\"expiry_held_services\":%u", registry_held_services(v1->registry));
	buf_printf(out, ",\"storage\":{\"failed\":%s,\"full\":%s,\"locked\":%s}",
	           registry_has_failed(v1->registry) ? "true" : "false",
	           registry_is_full(v1->registry) ? "true" : "false",
	           registry_is_locked(v1->registry) ? "true" : "false");
	buf_put(out, ",\"limits\":{");
	status_put_limits(out, call);
	buf_put(out, "}}");
	return call_answer(call, 200, TYPE_JSON);
}

enum api_result healthz_get(struct call *call)
{
	if (!call_no_query(call))
		return API_DONE;
	buf_put(&call->response->body, "ok\n");
	return call_answer(call, 200, TYPE_TEXT);
}

enum api_result readyz_get(struct call *call)
{
	struct v1 *v1 = v1_of(call);

	if (!call_no_query(call))
		return API_DONE;
	if (api_is_stopping(call->api)) {
		problem(call->response, PROBLEM_SHUTTING_DOWN, "the daemon is stopping");
		return API_DONE;
	}
	if (registry_has_failed(v1->registry)) {
		problem(call->response, PROBLEM_STORAGE_FAILED,
		        "the journal failed: no change is accepted until the daemon has restarted");
		return API_DONE;
	}
	buf_put(&call->response->body, "ready\n");
	return call_answer(call, 200, TYPE_TEXT);
}

enum api_result metrics_get(struct call *call)
{
	if (!call_no_query(call))
		return API_DONE;
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	struct snapshot_counts counts = snapshot_counts(now);
	call_set_revision(call, now);
	snapshot_leave(v1_of(call)->store);

	metrics_set(METRIC_REVISION, (int64_t)call->response->revision);
	metrics_set(METRIC_SERVICES, (int64_t)counts.services);
	metrics_set(METRIC_HEALTHY, (int64_t)counts.instances[STATUS_HEALTHY]);
	metrics_set(METRIC_UNHEALTHY, (int64_t)counts.instances[STATUS_UNHEALTHY]);
	metrics_set(METRIC_DRAINING, (int64_t)counts.instances[STATUS_DRAINING]);
	metrics_set(METRIC_REGISTRY_BYTES, (int64_t)counts.bytes);
	metrics_set(METRIC_UNSENT, (int64_t)api_held_bytes(call->api));
	metrics_set(METRIC_STREAM_LAG,
	            (int64_t)live_lag(&v1_of(call)->streams, call->response->revision));
	metrics_render(&call->response->body);
	return call_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8");
}

enum api_result openapi_get(struct call *call)
{
	if (!call_no_query(call))
		return API_DONE;
	call->response->lent = str_of(schema_openapi[0].text);
	return call_answer(call, 200, TYPE_JSON);
}

enum api_result problem_get(struct call *call)
{
	const struct problem_code *code =
		problem_find(path_service(call)); /* the path's first parameter */

	if (!call_no_query(call))
		return API_DONE;
	if (code == NULL) {
		problem(call->response, PROBLEM_NOT_FOUND, "there is no problem with this code");
		return API_DONE;
	}
	call->response->lent = code->page;
	return call_answer(call, 200, TYPE_TEXT);
}

enum api_result root_get(struct call *call)
{
	static const char *const methods[API_METHOD_COUNT] = {
		[API_GET] = "GET", [API_PUT] = "PUT", [API_POST] = "POST", [API_DELETE] = "DELETE"};
	struct buf *out = &call->response->body;

	if (!call_no_query(call))
		return API_DONE;
	buf_printf(out, "rollcall %s\n\n", rollcall_version);
	for (size_t i = 0; i < v1_route_count; i++)
		for (unsigned method = 0; method < API_OTHER; method++)
			if (v1_routes[i].on[method].handle != NULL)
				buf_printf(out, "%-6s %s\n", methods[method], v1_routes[i].pattern);
	buf_put(out,
	        "\nGET lists take ?format=text and ?pretty. The whole contract: /openapi.json\n");
	return call_answer(call, 200, TYPE_TEXT);
}
