/* SPDX-License-Identifier: MIT */
/**
 * The API over a real registry in a state directory, without sockets. The clock is virtual; the
 * writer is a real thread. call() makes a request and leaves the answer in `response` and `body`:
 *
 *	call("PUT", "/v1/services/web/instances/a", "{\"host\":\"10.0.0.1\",\"port\":80}");
 *	ck_assert_uint_eq(response.status, 201);
 *	ck_assert_str_eq(text("status"), "healthy");
 */
#pragma once

#include "api/api.h"
#include "api/token.h"
#include "base/clock.h"
#include "base/thread.h"
#include "config/config.h"
#include "registry/registry.h"
#include "request_fields.h"
#include "statedir.h"
#include "suite.h"
#include "v1/v1.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>

static struct registry *registry;
static struct registry_options options;
static struct config config;
static struct v1 *native;
static struct api *api;
static struct api_request request;
static struct request_fields fields; /* headers of `request` */
static struct api_response response;
static json_t *body; /* of the last answer; NULL when that is not JSON */
static pthread_mutex_t woken_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken_cond = PTHREAD_COND_INITIALIZER;
static unsigned woken;
static unsigned times_parked; /* how often the last call was parked */

static void wake(struct api_request *which)
{
	ck_assert_ptr_eq(which, &request);
	pthread_mutex_lock(&woken_lock);
	woken++;
	pthread_cond_signal(&woken_cond);
	pthread_mutex_unlock(&woken_lock);
}

static void wait_woken(void)
{
	pthread_mutex_lock(&woken_lock);
	while (woken == 0)
		pthread_cond_wait(&woken_cond, &woken_lock);
	woken--;
	pthread_mutex_unlock(&woken_lock);
}

/** What was read of an answer in slices. */
static struct buf sliced;
static size_t slice_most = 65536; /* bytes of a slice */
static bool reads_by_hand;        /* the test calls read_slices() and api_release() */
static bool stopped;

static struct api_limits limits_of(const struct config *from)
{
	return (struct api_limits){.watchers = from->max_watchers,
	                           .unsent_bytes = from->max_unsent_bytes,
	                           .unsent_bytes_per_peer = from->max_unsent_bytes_per_peer};
}

/** Takes over what the test has changed in `config`. */
__attribute__((unused)) static void api_fixture_reload(void)
{
	struct api_limits limits = limits_of(&config);

	api_reload(api, &limits);
	v1_reload(native, &config);
}

static void api_fixture_open(void)
{
	static const struct route_table *tables[1];
	struct journal_error error;

	stopped = false;
	ck_assert_msg(registry_open(&options, &registry, &error) == 0, "%s", error.text);
	ck_ok(registry_start(registry));
	ck_ok(v1_open(registry, &config, &native));
	tables[0] = v1_table(native);
	ck_ok(api_open(&(struct api_options){.tables = tables,
	                                     .table_count = 1,
	                                     .history = registry_history_id(registry),
	                                     .revision = v1_revision,
	                                     .retained_bytes = snapshot_retired_bytes,
	                                     .arg = native,
	                                     .limits = limits_of(&config)},
	               &api));
}

/** Stops the writer: the API answers reads and refuses changes. */
static void api_fixture_stop(void)
{
	if (!stopped)
		registry_stop(registry);
	stopped = true;
}

static void api_fixture_close(void)
{
	api_fixture_stop();
	api_close(api);
	v1_close(native);
	registry_close(registry);
}

/** Prepares the next request: no headers, and the address of the peer. */
static void request_reset(void)
{
	request = (struct api_request){.peer = STR("192.0.2.7:40000"), .wake = wake};
}

/** A header of the next request. */
__attribute__((unused)) static void set_header(const char *name, const char *value)
{
	add_field(&request, &fields, str_of(name), str_of(value));
}

__attribute__((unused)) static void api_fixture_setup(void)
{
	thread_adopt();
	statedir_make();
	clock_virtual_set(1700000000000);
	options = (struct registry_options){
		.journal = {.dir = statedir_path()},
		.queue_max = 1000,
		.batch_max = 100,
		.instances_max = 1000,
		.sweep_by_hand = true,
	};
	config = (struct config){.default_ttl_ms = TTL_MS_DEFAULT,
	                         .default_remove_after_ms = REMOVE_AFTER_DEFAULT,
	                         .max_instances = 1000,
	                         .max_watchers = 3,
	                         .max_registry_bytes = 1 << 30,
	                         .max_unsent_bytes = 1 << 30};
	api_fixture_open();
	api_response_init(&response);
	body = NULL;
	request_reset();
}

__attribute__((unused)) static void api_fixture_teardown(void)
{
	api_response_fini(&response);
	buf_fini(&sliced);
	json_decref(body);
	api_fixture_close();
	clock_virtual_off();
	statedir_remove();
	thread_abandon();
}

/** Reads the answer as http/ does. @return of the last read: API_STREAM_END or API_STREAM_BROKEN */
__attribute__((unused)) static long read_slices(void)
{
	struct api_stream *stream = response.stream;
	long got = 0;

	while (buf_reserve(&sliced, slice_most) == 0 &&
	       (got = stream->read(stream, sliced.data + sliced.len, slice_most)) > 0)
		sliced.len += (size_t)got;
	ck_assert_int_eq(buf_error(&sliced), 0);
	return got;
}

static struct str sent(void)
{
	if (response.stream != NULL && response.stream->is_whole)
		return (struct str){sliced.data, sliced.len};
	return api_response_bytes(&response);
}

static enum api_method method_of(const char *name)
{
	static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum api_method)i;
	return API_OTHER;
}

/** Makes one request and waits for its answer, as http/ does. Other members of `request` that the
 * test has set apply to this request only. */
static void call_str(const char *method, struct str target, struct str content)
{
	api_response_fini(&response);
	api_response_init(&response);
	json_decref(body);
	request.method = method_of(method);
	request.target = target;
	request.body = content;
	if (content.len > 0 && api_header(&request, STR("content-type")).data == NULL)
		set_header("Content-Type", "application/json");
	if (api_header(&request, STR("user-agent")).data == NULL)
		set_header("User-Agent", "tester/1");
	times_parked = 0;
	(void)api_body_max(api, &request);
	enum api_result result = api_handle(api, &request, &response);
	while (result == API_PARKED) {
		times_parked++;
		wait_woken();
		result = api_finish(api, &request, &response);
	}
	ck_assert_ptr_null(request.park);
	ck_assert_uint_ne(response.status, 0);
	buf_fini(&sliced);
	buf_init(&sliced, 64u << 20);
	if (response.stream != NULL && response.stream->is_whole && !reads_by_hand)
		ck_assert_int_eq(read_slices(), API_STREAM_END);
	if (request.sending != NULL)
		api_sent(&request, true);
	if (!reads_by_hand)
		api_release(api, &request);
	body = json_loadb(sent().data != NULL ? sent().data : "", sent().len, 0, NULL);
	if (!reads_by_hand && response.content_type != NULL &&
	    strstr(response.content_type, "json") != NULL)
		ck_assert_msg(body != NULL, "%.*s", (int)sent().len, sent().data);
	if (!reads_by_hand)
		request_reset();
}

__attribute__((unused)) static void call(const char *method, const char *target,
                                         const char *content)
{
	call_str(method, str_of(target), content != NULL ? str_of(content) : (struct str){NULL, 0});
}

/** A member of the last answer by its path, such as "instances.0.id"; NULL: there is none. */
static json_t *at(const char *path)
{
	json_t *value = body;
	char key[64];

	while (value != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");

		(void)snprintf(key, sizeof(key), "%.*s", (int)len, path);
		value = json_is_array(value) ? json_array_get(value, (size_t)strtoul(key, NULL, 10))
		                             : json_object_get(value, key);
		path += len + (path[len] == '.');
	}
	return value;
}

__attribute__((unused)) static const char *text(const char *path)
{
	const char *value = json_string_value(at(path));

	return value != NULL ? value : "(none)";
}

__attribute__((unused)) static long long number(const char *path)
{
	ck_assert_msg(json_is_integer(at(path)), "%s in %.*s", path, (int)sent().len, sent().data);
	return json_integer_value(at(path));
}

__attribute__((unused)) static const char *header(const char *name)
{
	if (strcmp(name, "Vary") == 0)
		return response.varies ? "Accept" : "(none)";
	if (strcmp(name, "Cache-Control") == 0)
		return response.cache != NULL ? response.cache : "(none)";
	for (size_t i = 0; i < HEADER_COUNT; i++)
		if (response.header[i].name != NULL && strcmp(response.header[i].name, name) == 0)
			return response.header[i].value;
	return "(none)";
}

/** @p format with the token of @p revision in place of its %s, good until the next but three. */
__attribute__((unused, format(printf, 1, 0))) static const char *with_token(const char *format,
                                                                            uint64_t revision)
{
	static char texts[4][200];
	static unsigned next;
	char token[TOKEN_MAX + 1];
	char *out = texts[next++ % 4];

	token[token_write(revision, registry_history_id(registry), token)] = '\0';
	(void)snprintf(out, sizeof(texts[0]), format, token);
	return out;
}

#define ck_status(want)                                                                        \
	ck_assert_msg(response.status == (want), "%u: %.*s", response.status, (int)sent().len, \
	              sent().data)
/** A refusal with this status and code. */
#define ck_problem(want, slug)                                                       \
	do {                                                                         \
		ck_status(want);                                                     \
		ck_assert_str_eq(response.content_type, "application/problem+json"); \
		ck_assert_str_eq(text("code"), slug);                                \
		ck_assert_int_eq(number("status"), want);                            \
	} while (0)

/** Registers 10.0.0.1:80. @param more  further members of the record ("\"weight\":1"), or NULL */
__attribute__((unused)) static void put(const char *service, const char *id, const char *more)
{
	char target[400];
	char record[400];

	(void)snprintf(target, sizeof(target), "/v1/services/%s/instances/%s", service, id);
	(void)snprintf(record, sizeof(record), "{\"host\":\"10.0.0.1\",\"port\":80%s%s}",
	               more != NULL ? "," : "", more != NULL ? more : "");
	call("PUT", target, record);
	ck_assert_msg(response.status / 100 == 2, "%.*s", (int)sent().len, sent().data);
}

static void settled(struct command *command)
{
	(void)command;
	wake(&request);
}

/** Waits until the writer has completed the commands before this one. */
static void settle(void)
{
	struct command command = {.kind = COMMAND_INDEX, .instance = {.service = STR("none")}};

	command.done = settled;
	ck_ok(registry_submit(registry, &command));
	wait_woken();
}

/** Moves the clock on and sweeps every 100 ms until the instance is unhealthy. */
__attribute__((unused)) static void expire(const char *service, const char *id)
{
	char target[400];

	(void)snprintf(target, sizeof(target), "/v1/services/%s/instances/%s", service, id);
	for (int i = 0; i < 10000; i++) {
		clock_virtual_advance(100);
		registry_sweep(registry);
		settle();
		call("GET", target, NULL);
		if (strcmp(text("status"), "unhealthy") == 0)
			return;
	}
	ck_abort_msg("%s has not expired after 1,000 s", target);
}
