/* SPDX-License-Identifier: MIT */
#include "v1/internal.h"

/* clang-format off */
#define PUBLIC    {VERB_PUBLIC, SERVICE_NONE}
#define HEARTBEAT {VERB_HEARTBEAT, SERVICE_IN_PATH}
#define REGISTER  {VERB_REGISTER, SERVICE_IN_PATH}
#define LOOKUP    {VERB_LOOKUP, SERVICE_IN_PATH}
#define WATCH     {VERB_WATCH, SERVICE_IN_PATH}
#define OPERATE   {VERB_OPERATE, SERVICE_IN_PATH}

const struct route v1_routes[] = {
	{"/v1/services/{service}/pick",      4, {[API_GET] = {pick_get, LOOKUP, 0, true}}},
	{"/v1/services/{service}/watch",     4, {[API_GET] = {watch_get, WATCH, 0, false}}},
	{"/v1/services/{service}/intents",   4, {[API_GET] = {intents_get, LOOKUP, 0, true}}},
	{"/v1/services/{service}",           3, {[API_GET] = {service_get, LOOKUP, 0, true}}},
	{"/v1/services/{service}/instances/{id}/heartbeat", 6,
		{[API_POST] = {heartbeat_post, HEARTBEAT, API_BODY_MAX, false},
		 [API_PUT] = {heartbeat_post, HEARTBEAT, API_BODY_MAX, false}}},
	{"/v1/services/{service}/instances/{id}", 5,
		{[API_GET] = {instance_get, LOOKUP, 0, true},
		 [API_PUT] = {instance_put, REGISTER, API_BODY_MAX, false},
		 [API_DELETE] = {instance_delete, REGISTER, 0, false}}},
	{"/v1/services/{service}/instances/{id}/status", 6,
		{[API_PUT] = {status_put, OPERATE, API_BODY_MAX, false}}},
	{"/v1/services/{service}/instances/{id}/history", 6, {[API_GET] = {history_get, LOOKUP, 0, false}}},
	{"/v1/services/{service}/instances", 4, {[API_POST] = {instances_post, REGISTER, API_BODY_MAX, false}}},
	{"/v1/services",                     2, {[API_GET] = {services_get, {VERB_LOOKUP, SERVICE_NONE}, 0, true}}},
	{"/v1/heartbeats",                   2,
		{[API_POST] = {heartbeats_post, {VERB_HEARTBEAT, SERVICE_IN_BODY}, V1_BATCH_BODY_MAX, false}}},
	{"/v1/events",                       2, {[API_GET] = {events_get, {VERB_WATCH, SERVICE_NONE}, 0, true}}},
	{"/v1/diff",                         2, {[API_GET] = {diff_get, {VERB_LOOKUP, SERVICE_NONE}, 0, false}}},
	{"/v1/status",                       2, {[API_GET] = {status_get, {VERB_KNOWN, SERVICE_NONE}, 0, false}}},
	{"/healthz",                         1, {[API_GET] = {healthz_get, PUBLIC, 0, false}}},
	{"/readyz",                          1, {[API_GET] = {readyz_get, PUBLIC, 0, false}}},
	{"/metrics",                         1, {[API_GET] = {metrics_get, {VERB_METRICS, SERVICE_NONE}, 0, false}}},
	{"/openapi.json",                    1, {[API_GET] = {openapi_get, PUBLIC, 0, false}}},
	{"/problems/{code}",                 2, {[API_GET] = {problem_get, PUBLIC, 0, false}}},
	{"/",                                1, {[API_GET] = {root_get, PUBLIC, 0, false}}},
};
/* clang-format on */
const size_t v1_route_count = ARRAY_LEN(v1_routes);
