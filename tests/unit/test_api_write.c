/* SPDX-License-Identifier: MIT */
/*
 * Writing endpoints: registration, heartbeats, drains, deregistration, batches and their refusals.
 * The registry is real, the clock virtual (api_fixture.h); times_parked shows whether a request
 * needed the writer.
 */
#include "api_fixture.h"

#define WEB_A "/v1/services/web/instances/a"

START_TEST(a_put_registers_then_renews_then_changes)
{
	call("PUT", WEB_A, "{\"host\":\"10.0.0.1\",\"port\":8080,\"metadata\":{\"zone\":\"a\"}}");
	ck_status(201);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_str_eq(text("service"), "web");
	ck_assert_str_eq(text("id"), "a");
	ck_assert_str_eq(text("address"), "10.0.0.1:8080");
	ck_assert_str_eq(text("status"), "healthy");
	ck_assert_str_eq(text("metadata.zone"), "a");
	ck_assert_int_eq(number("weight"), 100);
	ck_assert_int_eq(number("ttl_ms"), 30000);
	ck_assert_int_eq(number("remove_after_ms"), 600000);
	ck_assert_int_eq(number("heartbeat_age_ms"), 0);
	ck_assert_str_eq(text("last_heartbeat"), "2023-11-14T22:13:20.000Z");
	long long revision = number("revision");
	ck_assert_int_eq(number("incarnation"), revision);
	ck_assert_uint_eq(response.revision, revision);

	clock_virtual_advance(500);
	call("PUT", WEB_A, "{\"metadata\":{\"zone\":\"a\"},\"port\":8080,\"host\":\"10.0.0.1\"}");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 0); /* no command, no disk */
	ck_assert_int_eq(number("revision"), revision);
	ck_assert_str_eq(text("last_heartbeat"), "2023-11-14T22:13:20.500Z");

	call("PUT", WEB_A, "{\"metadata\":{\"zone\":\"b\"},\"port\":8080,\"host\":\"10.0.0.1\"}");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_int_gt(number("revision"), revision);
	ck_assert_int_eq(number("incarnation"), revision);
	ck_assert_str_eq(text("metadata.zone"), "b");
}
END_TEST

/* Registers without a host, as @p peer. */
static void put_from(const char *peer)
{
	request.peer = str_of(peer);
	call("PUT", WEB_A, "{\"port\":8080}");
}

START_TEST(without_a_host_it_is_the_address_of_the_peer)
{
	put_from("10.0.0.9:40000");
	ck_status(201);
	ck_assert_str_eq(text("host"), "10.0.0.9");
	ck_assert_str_eq(text("address"), "10.0.0.9:8080");

	put_from("10.0.0.9:40001"); /* another connection: the same record */
	ck_status(200);
	ck_assert_uint_eq(times_parked, 0);
	call("PUT", WEB_A, "{\"port\":8080,\"host\":\"10.0.0.9\"}");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 0);

	put_from("[2001:db8::1]:40000");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_str_eq(text("host"), "2001:db8::1");
	ck_assert_str_eq(text("address"), "[2001:db8::1]:8080");
	put_from("[::ffff:10.0.0.9]:40000");
	ck_status(200);
	ck_assert_str_eq(text("host"), "10.0.0.9");
	put_from("[::ffff:0:10.0.0.9]:40000"); /* translated, not mapped */
	ck_assert_str_eq(text("host"), "::ffff:0:10.0.0.9");

	request.peer = STR("[2001:db8::2]:40000");
	call("POST", "/v1/services/web/instances", "{\"port\":8080}");
	ck_status(201);
	ck_assert_str_eq(text("host"), "2001:db8::2");
	ck_assert(strncmp(text("id"), "[2001:db8::2]:8080:", 19) == 0);
}
END_TEST

START_TEST(a_peer_without_an_address_that_serves_must_name_its_host)
{
	static const struct {
		const char *peer, *reason;
	} cases[] = {
		{"unix:uid=0", "host is required: the request came over a Unix socket"},
		{"[fe80::1]:40000",
	         "host is required: the request came from 'fe80::1', and host must be an "
	         "address that needs no zone: a link-local one differs from host to host"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put_from(cases[i].peer);
		ck_problem(422, "invalid-body");
		ck_assert_str_eq(text("errors.0.pointer"), "/host");
		ck_assert_str_eq(text("errors.0.detail"), cases[i].reason);
		request.peer = str_of(cases[i].peer);
		call("POST", "/v1/services/web/instances", "{\"port\":8080}");
		ck_problem(422, "invalid-body");
		request.peer = str_of(cases[i].peer);
		call("PUT", WEB_A, "{\"port\":8080,\"host\":\"10.0.0.1\"}");
		ck_status(i == 0 ? 201 : 200);
	}
	request.peer = STR("10.0.0.9:40000");
	call("PUT", WEB_A, "{\"port\":8080,\"host\":null}");
	ck_problem(422, "invalid-body");
	request.peer = STR("10.0.0.9:40000");
	call("PUT", WEB_A, "{\"port\":8080,\"host\":\"\"}");
	ck_problem(422, "invalid-body");
}
END_TEST

START_TEST(a_ttl_of_0_is_no_lease_and_heartbeats_do_no_harm)
{
	call("PUT", WEB_A, "{\"host\":\"10.0.0.1\",\"port\":8080,\"ttl_ms\":0}");
	ck_status(201);
	ck_assert_int_eq(number("ttl_ms"), 0);
	clock_virtual_advance(86400000);
	call("POST", WEB_A "/heartbeat", "");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 0);
	ck_assert_str_eq(text("status"), "healthy");
	ck_assert_int_eq(number("ttl_ms"), 0);
	call("POST", "/v1/heartbeats", "{\"instances\":[{\"service\":\"web\",\"id\":\"a\"}]}");
	ck_status(200);
	ck_assert_int_eq(number("renewed"), 1);
	call("GET", WEB_A, NULL);
	ck_assert_int_eq(number("heartbeat_age_ms"), 0);
	ck_assert_str_eq(text("last_heartbeat"), "2023-11-15T22:13:20.000Z");
	call("PUT", WEB_A, "{\"host\":\"10.0.0.1\",\"port\":8080,\"ttl_ms\":500}");
	ck_problem(422, "invalid-body");
	ck_assert_str_eq(text("errors.0.detail"),
	                 "ttl_ms must be 0 or an integer from 1000 to 86400000, not 500");
}
END_TEST

START_TEST(a_refusal_is_valid_json_with_any_number_of_errors)
{
	static char record[60000];
	size_t len = (size_t)snprintf(record, sizeof(record), "{");

	for (int i = 0; i < 20; i++) {
		len += (size_t)snprintf(record + len, sizeof(record) - len, "%s\"%02d",
		                        i ? "," : "", i);
		for (int c = 0; c < 400; c++)
			len += (size_t)snprintf(record + len, sizeof(record) - len, "\\u0001");
		len += (size_t)snprintf(record + len, sizeof(record) - len, "\":1");
	}
	(void)snprintf(record + len, sizeof(record) - len, "}");
	call("PUT", WEB_A, record);
	ck_problem(422, "invalid-body");
	ck_assert_str_eq(text("detail"), "21 fields of the body are wrong");
	ck_assert_uint_ge(json_array_size(at("errors")), 2);
	ck_assert_str_eq(text("errors.0.pointer"), "/port");
}
END_TEST

START_TEST(an_id_may_hold_what_a_path_cannot)
{
	call("PUT", "/v1/services/web/instances/a%2Fb%3Fc%25", "{\"host\":\"::1\",\"port\":1}");
	ck_status(201);
	ck_assert_str_eq(text("id"), "a/b?c%");
	ck_assert_str_eq(text("address"), "[::1]:1");
	call("GET", "/v1/services/web/instances/a%2fb%3fc%25", NULL);
	ck_status(200);
	call("DELETE", "/v1/services/web/instances/a%2Fb%3Fc%25", NULL);
	ck_status(204);
}
END_TEST

START_TEST(an_id_that_normalised_paths_lose_is_refused)
{
	static const char *const ids[] = {".", "..", "%2e", "%2E%2e", ".%2E"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char target[100];

		(void)snprintf(target, sizeof(target), "/v1/services/web/instances/%s", ids[i]);
		call("PUT", target, "{\"host\":\"::1\",\"port\":1}");
		ck_problem(400, "invalid-id");
	}
	call("PUT", "/v1/services/web/instances/...", "{\"host\":\"::1\",\"port\":1}");
	ck_status(201);
}
END_TEST

START_TEST(an_unusable_host_is_refused_with_the_reason)
{
	static const struct {
		const char *host, *reason;
	} cases[] = {
		{"0.0.0.0", "host must be an address that others can connect to, not '0.0.0.0'"},
		{"::", "host must be an address that others can connect to, not '::'"},
		{"1", "host must be an IPv4 address of four decimal numbers, or a name that does "
	              "not end in a number, not '1'"},
		{"fe80::1", "host must be an address that needs no zone: a link-local one differs "
	                    "from host to host, not 'fe80::1'"},
		{"fe80::1%eth0", "host must be an IPv4 or IPv6 address (without brackets and zone) "
	                         "or a DNS name of 1-253 characters, not 'fe80::1%eth0'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char record[100];

		(void)snprintf(record, sizeof(record), "{\"host\":\"%s\",\"port\":1}",
		               cases[i].host);
		call("PUT", WEB_A, record);
		ck_problem(422, "invalid-body");
		ck_assert_str_eq(text("errors.0.pointer"), "/host");
		ck_assert_str_eq(text("errors.0.detail"), cases[i].reason);
	}
}
END_TEST

static void registered(struct command *command)
{
	(void)command;
	wake(&request);
}

/** Writes an instance to the journal that a version without these rules would accept. */
static void register_as_before(const char *id, const char *host)
{
	struct command command = {.kind = COMMAND_REGISTER,
	                          .done = registered,
	                          .instance = {.service = STR("web"),
	                                       .id = str_of(id),
	                                       .host = str_of(host),
	                                       .port = 80,
	                                       .ttl_ms = 30000}};

	ck_ok(registry_submit(registry, &command));
	wait_woken();
	ck_ok(command.error);
}

START_TEST(instances_of_an_older_journal_are_served_although_invalid_now)
{
	register_as_before(".", "0.0.0.0");
	register_as_before("..", "fe80::1");
	register_as_before("a", "1");
	api_fixture_close();
	api_fixture_open();
	call("GET", "/v1/services/web", NULL);
	ck_status(200);
	ck_assert_uint_eq(json_array_size(at("instances")), 3);
	call("GET", "/v1/services/web?at=2", NULL);
	ck_assert_uint_eq(json_array_size(at("instances")), 2);
	call("GET", "/v1/services/web/instances/.", NULL);
	ck_assert_str_eq(text("address"), "0.0.0.0:80");
	call("POST", "/v1/services/web/instances/%2e/heartbeat", NULL);
	ck_status(200);
	call("POST", "/v1/heartbeats",
	     "{\"instances\":[{\"service\":\"web\",\"id\":\".\"},{\"service\":\"web\",\"id\":\".."
	     "\"}]}");
	ck_assert_int_eq(number("renewed"), 2);
	call("PUT", "/v1/services/web/instances/../status", "{\"status\":\"draining\"}");
	ck_status(200);
	call("DELETE", "/v1/services/web/instances/..", NULL);
	ck_status(204);
	call("GET", "/v1/services/web/instances/..", NULL);
	ck_status(404);
}
END_TEST

START_TEST(a_post_makes_an_id_and_returns_its_location)
{
	char target[128];

	call("POST", "/v1/services/web/instances", "{\"host\":\"::1\",\"port\":80}");
	ck_status(201);
	ck_assert_uint_eq(strlen(text("id")), strlen("[::1]:80:01234567"));
	ck_assert_int_eq(strncmp(text("id"), "[::1]:80:", 9), 0);
	ck_assert_int_eq(strncmp(response.location, "/v1/services/web/instances/%5B::1%5D:80:", 40),
	                 0);
	(void)snprintf(target, sizeof(target), "%s", response.location);
	call("GET", target, NULL);
	ck_status(200);

	call("POST", "/v1/services/web/instances", "{\"host\":\"::1\",\"port\":80}");
	ck_status(201);
	ck_assert_str_ne(target, response.location);
}
END_TEST

START_TEST(a_post_with_a_long_host_still_makes_a_valid_id)
{
	char record[400];
	char host[HOST_MAX + 1];

	memset(host, 'a', HOST_MAX);
	for (size_t i = 50; i < HOST_MAX; i += 50)
		host[i] = '.';
	host[HOST_MAX] = '\0';
	(void)snprintf(record, sizeof(record), "{\"host\":\"%s\",\"port\":65535}", host);
	call("POST", "/v1/services/web/instances", record);
	ck_status(201);
	ck_assert_uint_eq(strlen(text("id")), INSTANCE_ID_MAX);
}
END_TEST

START_TEST(a_delete_may_be_repeated)
{
	put("web", "a", NULL);
	call("DELETE", WEB_A, NULL);
	ck_status(204);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_ptr_null(response.content_type);
	call("DELETE", WEB_A, NULL);
	ck_status(204);
	ck_assert_uint_eq(times_parked, 0);
	call("GET", WEB_A, NULL);
	ck_problem(404, "not-registered");
}
END_TEST

START_TEST(a_heartbeat_touches_no_disk_while_nothing_changes)
{
	put("web", "a", "\"ttl_ms\":5000");
	long long revision = number("revision");
	clock_virtual_advance(1000);
	for (int i = 0; i < 2; i++) {
		call(i == 0 ? "POST" : "PUT", WEB_A "/heartbeat", i == 0 ? NULL : "{}");
		ck_status(200);
		ck_assert_uint_eq(times_parked, 0);
		ck_assert_str_eq(text("status"), "healthy");
		ck_assert_int_eq(number("ttl_ms"), 5000);
		ck_assert_int_eq(number("revision"), revision);
		ck_assert_uint_eq(json_object_size(body), 3);
	}
	call("GET", WEB_A, NULL);
	ck_assert_int_eq(number("heartbeat_age_ms"), 0);
	clock_virtual_advance(50);
	call("GET", WEB_A, NULL);
	ck_assert_int_eq(number("heartbeat_age_ms"), 50);
}
END_TEST

START_TEST(a_heartbeat_of_an_unknown_instance_gets_404)
{
	call("POST", WEB_A "/heartbeat", NULL);
	ck_problem(404, "not-registered");
	put("web", "b", NULL);
	call("POST", WEB_A "/heartbeat", NULL);
	ck_problem(404, "not-registered");
}
END_TEST

START_TEST(a_heartbeat_may_drain_and_undrain)
{
	put("web", "a", NULL);
	call("POST", WEB_A "/heartbeat", "{\"status\":\"draining\"}");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_str_eq(text("status"), "draining");
	call("POST", WEB_A "/heartbeat", "{\"status\":\"draining\"}");
	ck_assert_uint_eq(times_parked, 0);
	call("POST", WEB_A "/heartbeat", NULL);
	ck_assert_uint_eq(times_parked, 0);
	ck_assert_str_eq(text("status"), "draining");
	call("POST", WEB_A "/heartbeat", "{\"status\":\"healthy\"}");
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_str_eq(text("status"), "healthy");
}
END_TEST

START_TEST(a_heartbeat_brings_an_unhealthy_instance_back)
{
	put("web", "a", "\"ttl_ms\":1000");
	expire("web", "a");
	ck_assert_str_eq(text("status_reason"), "lease expired");
	call("POST", WEB_A "/heartbeat", NULL);
	ck_status(200);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_str_eq(text("status"), "healthy");

	expire("web", "a");
	put("web", "a", "\"ttl_ms\":1000"); /* the same record: a heartbeat too */
	ck_status(200);
	ck_assert_uint_eq(times_parked, 1);
	ck_assert_str_eq(text("status"), "healthy");
}
END_TEST

START_TEST(a_reported_load_is_kept_in_the_lease)
{
	put("web", "a", NULL);
	call("POST", WEB_A "/heartbeat", "{\"load\":0.75}");
	ck_status(200);
	ck_assert_uint_eq(times_parked, 0);
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct member *member = service_member(snapshot_service(now, STR("web")), STR("a"));
	ck_assert_uint_eq(member->lease->load_ppm, 750000);
	snapshot_leave(registry_store(registry));
}
END_TEST

START_TEST(many_heartbeats_at_once)
{
	put("web", "a", "\"ttl_ms\":1000");
	put("web", "b", "\"ttl_ms\":60000");
	put("api", "c", "\"ttl_ms\":60000");
	expire("web", "a");
	call("POST", "/v1/heartbeats",
	     "{\"instances\":[{\"service\":\"web\",\"id\":\"a\"},{\"service\":\"web\",\"id\":\"b\"}"
	     ","
	     "{\"service\":\"web\",\"id\":\"x\\\"\"},{\"service\":\"api\",\"id\":\"c\"},"
	     "{\"service\":\"no\",\"id\":\"a\"}]}");
	ck_status(200);
	ck_assert_int_eq(number("renewed"), 3);
	ck_assert_uint_eq(json_array_size(at("not_registered")), 2);
	ck_assert_str_eq(text("not_registered.0.service"), "web");
	ck_assert_str_eq(text("not_registered.0.id"), "x\"");
	ck_assert_str_eq(text("not_registered.1.service"), "no");
	call("GET", WEB_A, NULL);
	ck_assert_str_eq(text("status"), "healthy");
	call("GET", "/v1/services/web/instances/b", NULL);
	ck_assert_int_eq(number("heartbeat_age_ms"), 0);

	call("POST", "/v1/heartbeats", "{\"instances\":[]}");
	ck_status(200);
	ck_assert_int_eq(number("renewed"), 0);
}
END_TEST

START_TEST(a_batch_that_is_wrong_renews_nothing)
{
	put("web", "a", NULL);
	clock_virtual_advance(1000);
	call("POST", "/v1/heartbeats",
	     "{\"instances\":[{\"service\":\"web\",\"id\":\"a\"},{\"service\":\"web\"}]}");
	ck_problem(422, "invalid-body");
	ck_assert_str_eq(text("errors.0.detail"), "entry 1: service and id are required");
	call("POST", "/v1/heartbeats", "{\"instances\":[{\"service\":\"web\",\"id\":\"a\"}]");
	ck_problem(400, "malformed-json");
	call("POST", "/v1/heartbeats", NULL);
	ck_status(415);
	call("GET", WEB_A, NULL);
	ck_assert_int_eq(number("heartbeat_age_ms"), 1000);
}
END_TEST

START_TEST(what_an_operator_drains_stays_drained)
{
	put("web", "a", NULL);
	call("PUT", WEB_A "/status",
	     "{\"status\":\"draining\",\"reason\":\"new kernel\",\"for_ms\":60000}");
	ck_status(200);
	ck_assert_str_eq(text("status"), "draining");
	ck_assert_str_eq(text("status_reason"), "new kernel");
	ck_assert_str_eq(text("status_by"), "operator:192.0.2.7");
	ck_assert_str_eq(text("draining_until"), "2023-11-14T22:14:20.000Z");
	call("POST", WEB_A "/heartbeat", "{\"status\":\"healthy\"}");
	ck_assert_str_eq(text("status"), "draining");
	put("web", "a", NULL);
	ck_assert_str_eq(text("status"), "draining");
	put("web", "a", "\"weight\":1");
	ck_assert_str_eq(text("status"), "draining");

	call("PUT", WEB_A "/status", "{\"status\":\"healthy\"}");
	ck_status(200);
	ck_assert_str_eq(text("status"), "healthy");
	call("PUT", "/v1/services/web/instances/b/status", "{\"status\":\"healthy\"}");
	ck_problem(404, "not-registered");
}
END_TEST

START_TEST(bad_requests_are_refused_and_change_nothing)
{
	static const struct {
		const char *method, *target, *content, *type;
		unsigned status;
		const char *code;
	} cases[] = {
		{"PUT", WEB_A, NULL, NULL, 415, "unsupported-media-type"},
		{"PUT", WEB_A, "{}", "application/x-www-form-urlencoded", 415,
	         "unsupported-media-type"},
		{"PUT", WEB_A, "{}", "text/json", 415, "unsupported-media-type"},
		{"PUT", WEB_A, "{}", "application/json; charset=latin1", 415,
	         "unsupported-media-type"},
		{"PUT", WEB_A, "{}", "application/jsonx", 415, "unsupported-media-type"},
		{"PUT", WEB_A, "", "application/json", 400, "malformed-json"},
		{"PUT", WEB_A, "{", NULL, 400, "malformed-json"},
		{"PUT", WEB_A, "{}", NULL, 422, "invalid-body"},
		{"PUT", WEB_A, "{}", "Application/JSON ; Charset=\"UTF-8\"", 422, "invalid-body"},
		{"PUT", WEB_A "?x=1", "{\"host\":\"a\",\"port\":1}", NULL, 400,
	         "unknown-parameter"},
		{"PUT", "/v1/services/a%20b/instances/a", "{\"host\":\"a\",\"port\":1}", NULL, 400,
	         "invalid-service"},
		{"PUT", "/v1/services/-a/instances/a", "{\"host\":\"a\",\"port\":1}", NULL, 400,
	         "invalid-service"},
		{"PUT", "/v1/services/web/instances/a%20b", "{\"host\":\"a\",\"port\":1}", NULL,
	         400, "invalid-id"},
		{"PUT", "/v1/services/web/instances/%C3%A4", "{\"host\":\"a\",\"port\":1}", NULL,
	         400, "invalid-id"},
		{"PUT", "/v1/services/web/instances/a%00", "{\"host\":\"a\",\"port\":1}", NULL, 400,
	         "malformed-target"},
		{"POST", "/v1/services/.web/instances", "{\"host\":\"a\",\"port\":1}", NULL, 400,
	         "invalid-service"},
		{"POST", WEB_A, "{\"host\":\"a\",\"port\":1}", NULL, 405, "method-not-allowed"},
		{"DELETE", "/v1/services/web", NULL, NULL, 405, "method-not-allowed"},
		{"PATCH", WEB_A, "{}", NULL, 405, "method-not-allowed"},
		{"POST", WEB_A "/heartbeat", "{\"port\":1}", NULL, 422, "invalid-body"},
		{"POST", WEB_A "/heartbeat", "{}", "text/plain", 415, "unsupported-media-type"},
		{"POST", "/v1/services/%2D/instances/a/heartbeat", NULL, NULL, 400,
	         "invalid-service"},
		{"PUT", WEB_A "/status", "{\"status\":\"unhealthy\"}", NULL, 422, "invalid-body"},
		{"PUT", WEB_A "/status", NULL, NULL, 415, "unsupported-media-type"},
		{"DELETE", "/v1/services/web/instances/%7F", NULL, NULL, 400, "invalid-id"},
		{"DELETE", WEB_A "?force", NULL, NULL, 400, "unknown-parameter"},
		{"PUT", "/v1/services/web/instances/", "{\"host\":\"a\",\"port\":1}", NULL, 404,
	         "not-found"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].type != NULL)
			set_header("Content-Type", cases[i].type);
		call(cases[i].method, cases[i].target, cases[i].content);
		ck_assert_msg(response.status == cases[i].status &&
		                      strcmp(text("code"), cases[i].code) == 0,
		              "%s %s %s: %.*s", cases[i].method, cases[i].target, cases[i].content,
		              (int)sent().len, sent().data);
		ck_assert_uint_eq(response.revision, 0);
	}
	set_header("Content-Type", "application/json");
	call("PUT", WEB_A, "");
	ck_assert_ptr_nonnull(strstr(text("detail"), "it is empty"));
	call("GET", "/v1/services", NULL);
	ck_assert_uint_eq(json_array_size(at("services")), 0);
}
END_TEST

START_TEST(a_refused_method_gets_the_allowed_ones)
{
	call("POST", WEB_A, NULL);
	ck_problem(405, "method-not-allowed");
	ck_assert_str_eq(header("Allow"), "GET, HEAD, PUT, DELETE");
}
END_TEST

START_TEST(the_registry_has_a_limit)
{
	api_fixture_close();
	options.instances_max = 2;
	api_fixture_open();
	put("web", "a", NULL);
	put("web", "b", NULL);
	call("PUT", "/v1/services/web/instances/c", "{\"host\":\"a\",\"port\":1}");
	ck_problem(507, "too-many-instances");
	put("web", "a", "\"weight\":7");
	call("DELETE", WEB_A, NULL);
	put("web", "c", NULL);
}
END_TEST

START_TEST(a_stopped_registry_takes_no_change_but_is_read)
{
	put("web", "a", NULL);
	api_fixture_stop();
	call("PUT", WEB_A, "{\"host\":\"a\",\"port\":1}");
	ck_problem(503, "shutting-down");
	ck_assert_str_eq(header("Retry-After"), "1");
	call("DELETE", WEB_A, NULL);
	ck_problem(503, "shutting-down");
	call("GET", "/v1/events", NULL);
	ck_problem(503, "shutting-down");
	call("POST", WEB_A "/heartbeat", NULL);
	ck_status(200);
	call("GET", WEB_A, NULL);
	ck_status(200);
}
END_TEST

START_TEST(a_client_that_left_leaves_nothing_behind)
{
	request.method = API_PUT;
	request.target = STR(WEB_A);
	request.body = STR("{\"host\":\"a\",\"port\":1}");
	set_header("Content-Type", "application/json");
	ck_assert_int_eq(api_handle(api, &request, &response), API_PARKED);
	wait_woken();
	api_abandon(api, &request);
	ck_assert_ptr_null(request.park);
	call("GET", WEB_A, NULL);
	ck_status(200);
}
END_TEST

START_TEST(the_author_is_kept_without_the_port)
{
	static const struct {
		const char *peer, *address;
	} cases[] = {{"192.0.2.7:40000", "192.0.2.7"},
	             {"[2001:db8::1]:40000", "2001:db8::1"},
	             {"unix:pid=17,uid=0", "unix:pid=17,uid=0"},
	             {"", "(none)"},
	             {"nobody", "nobody"}};
	char target[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		request.peer = str_of(cases[i].peer);
		set_header("User-Agent", i == 0 ? "bad\x01" : "curl/7.88");
		(void)snprintf(target, sizeof(target), "/v1/services/web/instances/%zu", i);
		call("PUT", target, "{\"host\":\"a\",\"port\":1}");
		ck_status(201);
		(void)snprintf(target, sizeof(target), "/v1/events?id=%zu", i);
		call("GET", target, NULL);
		ck_assert_str_eq(text("events.0.author"), "instance");
		ck_assert_str_eq(text("events.0.peer"), cases[i].address);
		ck_assert_str_eq(text("events.0.agent"), i == 0 ? "(none)" : "curl/7.88");
	}
}
END_TEST

SUITE("api_write", api_fixture_setup, api_fixture_teardown,
      a_put_registers_then_renews_then_changes, without_a_host_it_is_the_address_of_the_peer,
      a_peer_without_an_address_that_serves_must_name_its_host,
      a_ttl_of_0_is_no_lease_and_heartbeats_do_no_harm,
      a_refusal_is_valid_json_with_any_number_of_errors,
      an_id_that_normalised_paths_lose_is_refused, an_unusable_host_is_refused_with_the_reason,
      instances_of_an_older_journal_are_served_although_invalid_now,
      an_id_may_hold_what_a_path_cannot, a_post_makes_an_id_and_returns_its_location,
      a_post_with_a_long_host_still_makes_a_valid_id, a_delete_may_be_repeated,
      a_heartbeat_touches_no_disk_while_nothing_changes,
      a_heartbeat_of_an_unknown_instance_gets_404, a_heartbeat_may_drain_and_undrain,
      a_heartbeat_brings_an_unhealthy_instance_back, a_reported_load_is_kept_in_the_lease,
      many_heartbeats_at_once, a_batch_that_is_wrong_renews_nothing,
      what_an_operator_drains_stays_drained, bad_requests_are_refused_and_change_nothing,
      a_refused_method_gets_the_allowed_ones, the_registry_has_a_limit,
      a_stopped_registry_takes_no_change_but_is_read, a_client_that_left_leaves_nothing_behind,
      the_author_is_kept_without_the_port)
