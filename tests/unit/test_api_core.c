/* SPDX-License-Identifier: MIT */
/*
 * The core of the API with two protocols of its own: two tables of routes and no registry. The
 * handlers below park, refuse and answer as the target of a request asks; nothing here knows the
 * native API.
 */
#include "api/api.h"

#include "api/call.h"
#include "api/park.h"
#include "base/check.h"
#include "fault.h"
#include "request_fields.h"
#include "suite.h"

#include <errno.h>

#define REVISION 17

static struct api *api;
static struct api_request request;
static struct request_fields fields;
static struct api_response response;
static unsigned freed;
static unsigned sent;
static int plain_self;
static int json_self;

static struct parked *waiting; /* the latest parked request */

static void wake(struct api_request *which)
{
	ck_assert_ptr_eq(which, &request);
}

static enum api_result name_get(struct call *call)
{
	if (!call_no_query(call))
		return API_DONE;
	ck_assert_ptr_eq(call->match.table->self, &plain_self);
	buf_put_str(&call->response->body, call->match.param[0]);
	return call_answer(call, 200, TYPE_TEXT);
}

static enum api_result json_get(struct call *call)
{
	if (!call_no_query(call))
		return API_DONE;
	ck_assert_ptr_eq(call->match.table->self, &json_self);
	buf_put(&call->response->body, "{}");
	return call_answer(call, 200, TYPE_JSON);
}

static char large[100000]; /* so large that the core counts it as unsent bytes */

static enum api_result lent_get(struct call *call)
{
	call->response->lent = STR("{\"a\":1}\n");
	if (str_equal(call->match.query, STR("large")))
		call->response->lent = (struct str){large, sizeof(large)};
	return call_answer(call, 200, TYPE_JSON);
}

/** The value of ?key= when the request parked. */
struct wait {
	struct parked parked;
	struct str key;
};

static void wait_free(struct parked *parked)
{
	freed++;
	free(container_of(parked, struct wait, parked));
}

static bool wait_cancel(struct parked *parked)
{
	(void)parked;
	return true;
}

static void wait_sent(struct parked *parked, bool was_sent)
{
	(void)parked;
	sent += was_sent;
}

static const struct parked_kind wait_kind = {
	.free = wait_free, .cancel = wait_cancel, .sent = wait_sent};

static enum api_result waited(struct call *call, struct parked *parked)
{
	const struct wait *wait = container_of(parked, struct wait, parked);

	ck_assert_uint_eq(call->query.count, 0);
	buf_put_str(&call->response->body, call->match.param[0]);
	buf_put_char(&call->response->body, '=');
	buf_put_str(&call->response->body, wait->key);
	if (parked->expired)
		problem(call->response, PROBLEM_STORAGE_FAILED, "it took too long");
	else
		(void)call_answer(call, 200, TYPE_TEXT);
	call_sending(call, parked);
	return API_DONE;
}

static enum api_result wait_get(struct call *call)
{
	static const struct query_rule rules[] = {[PARAM_PRETTY] = QUERY_PRETTY, {"key", 0}};
	struct wait *wait = calloc(1, sizeof(*wait));
	struct str key = {NULL, 0};

	/* CHECK(), because Check's assertions allocate, and allocations may fail here. */
	CHECK(call_query(call, rules, ARRAY_LEN(rules)));
	CHECK(call_text(call, query_get(&call->query, 1), &key));
	if (wait == NULL || !parked_init(&wait->parked, call, &wait_kind, waited)) {
		free(wait);
		return API_DONE;
	}
	wait->key = call_kept(call, key);
	waiting = &wait->parked;
	return call_suspend(call, &wait->parked, str_equal(wait->key, STR("no")) ? -EAGAIN : 0);
}

static void as_text(struct api_response *which, const struct refusal *refusal)
{
	which->content_type = TYPE_TEXT;
	buf_put_str(&which->body, refusal->detail);
	buf_put_char(&which->body, '\n');
}

#define FREE                              \
	{                                 \
		VERB_PUBLIC, SERVICE_NONE \
	}
static const struct route plain_routes[] = {
	{"/plain/{name}", 2, {[API_GET] = {name_get, FREE, 0, false}}},
	{"/plain/{name}/wait", 3, {[API_GET] = {wait_get, FREE, 0, true}}},
	{"/plain/{name}/body", 3, {[API_PUT] = {name_get, FREE, 7, false}}},
};
static const struct route json_routes[] = {
	{"/plain/{any}", 2, {[API_GET] = {json_get, FREE, 0, false}}},
	{"/json", 1, {[API_GET] = {json_get, FREE, 0, false}}},
	{"/lent", 1, {[API_GET] = {lent_get, FREE, 0, false}}},
};
static const struct route_table plain = {
	.routes = plain_routes,
	.count = ARRAY_LEN(plain_routes),
	.self = &plain_self,
	.refuse = as_text,
};
static const struct route_table json = {
	.routes = json_routes,
	.count = ARRAY_LEN(json_routes),
	.self = &json_self,
};
static const struct route_table *const tables[] = {&plain, &json};

static uint64_t revision(void *arg)
{
	ck_assert_ptr_eq(arg, &api);
	return REVISION;
}

static uint64_t retained(void)
{
	return 0;
}

static void setup(void)
{
	freed = sent = 0;
	ck_ok(api_open(&(struct api_options){.tables = tables,
	                                     .table_count = ARRAY_LEN(tables),
	                                     .revision = revision,
	                                     .retained_bytes = retained,
	                                     .arg = &api,
	                                     .limits = {.unsent_bytes = 1 << 20}},
	               &api));
	api_response_init(&response);
	request = (struct api_request){.wake = wake};
}

static void teardown(void)
{
	api_response_fini(&response);
	api_release(api, &request);
	api_close(api);
}

static enum api_result ask(enum api_method method, const char *target)
{
	api_release(api, &request);
	api_response_renew(&response);
	request = (struct api_request){.method = method, .target = str_of(target), .wake = wake};
	(void)api_body_max(api, &request);
	return api_handle(api, &request, &response);
}

static bool answer_is(const char *text)
{
	return str_equal(api_response_bytes(&response), str_of(text));
}

START_TEST(the_first_table_that_has_the_route_answers)
{
	ck_assert_int_eq(ask(API_GET, "/plain/a%2Fb"), API_DONE);
	ck_assert_uint_eq(response.status, 200);
	ck_assert_uint_eq(response.revision, REVISION);
	ck_assert(answer_is("a/b"));
	ck_assert_int_eq(ask(API_GET, "/json"), API_DONE);
	ck_assert(answer_is("{}\n"));
}
END_TEST

START_TEST(each_table_refuses_in_its_own_way)
{
	static const struct {
		enum api_method method;
		const char *target;
		unsigned status;
		const char *text; /* NULL: problem+json */
	} cases[] = {
		{API_POST, "/plain/a", 405, "/plain/{name} takes GET, HEAD only\n"},
		{API_POST, "/plain/%61", 405, "/plain/{name} takes GET, HEAD only\n"},
		{API_GET, "/plain/a?x=1", 400, "'x' is not a parameter of this request\n"},
		{API_GET, "/plain/a/wait?key=no", 503,
	         "too many changes are waiting for the disk\n"},
		{API_GET, "/json?x=1", 400, NULL},
		{API_PUT, "/json", 405, NULL},
		{API_GET, "/nothing", 404, NULL},
		{API_GET, "nothing", 400, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_int_eq(ask(cases[i].method, cases[i].target), API_DONE);
		ck_assert_uint_eq(response.status, cases[i].status);
		ck_assert_str_eq(response.content_type,
		                 cases[i].text ? TYPE_TEXT : "application/problem+json");
		ck_assert_msg(cases[i].text == NULL || answer_is(cases[i].text), "%.*s",
		              (int)response.body.len, response.body.data);
		ck_assert_str_eq(response.cache, CACHE_NEVER);
		ck_assert_int_eq(response.header[HEADER_RETRY_AFTER].name != NULL,
		                 cases[i].status == 503);
	}
}
END_TEST

START_TEST(a_refusal_by_http_has_the_format_of_the_table)
{
	static const struct {
		const char *target;
		uint64_t most;
		const char *type;
	} cases[] = {
		{"/plain/a/body", 7, TYPE_TEXT},
		{"/plain/%61/body", 7, TYPE_TEXT},
		{"/nothing", API_BODY_MAX, "application/problem+json"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		request = (struct api_request){
			.method = API_PUT, .target = str_of(cases[i].target), .wake = wake};
		ck_assert_uint_eq(api_body_max(api, &request), cases[i].most);
		api_problem(&request, &response, PROBLEM_BODY_TOO_LARGE, "too large");
		ck_assert_uint_eq(response.status, 413);
		ck_assert_str_eq(response.content_type, cases[i].type);
		api_response_renew(&response);
	}
}
END_TEST

START_TEST(a_parked_request_keeps_its_parameters)
{
	ck_assert_int_eq(ask(API_GET, "/plain/%61%2Fb/wait?key=%6Bey"), API_PARKED);
	ck_assert_ptr_eq(request.park, waiting);
	buf_put(&response.body, "of another attempt");
	ck_assert_int_eq(api_finish(api, &request, &response), API_DONE);
	ck_assert(answer_is("a/b=key"));
	ck_assert(response.varies);
	ck_assert_uint_eq(freed, 0);
	api_sent(&request, true);
	ck_assert_uint_eq(freed, 1);
	ck_assert_uint_eq(sent, 1);
}
END_TEST

START_TEST(a_refusal_has_nothing_of_the_parked_answer)
{
	ck_assert_int_eq(ask(API_GET, "/plain/a/wait?key=key"), API_PARKED);
	ck_assert(api_expire(api, &request));
	ck_assert_int_eq(api_finish(api, &request, &response), API_DONE);
	ck_assert_uint_eq(response.status, 503);
	ck_assert(answer_is("it took too long\n"));
	api_sent(&request, true);
	ck_assert_uint_eq(freed, 1);
	ck_assert_uint_eq(sent, 0);
}
END_TEST

START_TEST(a_request_that_cannot_be_started_does_not_park)
{
	ck_assert_int_eq(ask(API_GET, "/plain/a/wait?key=%6Eo"), API_DONE);
	ck_assert_uint_eq(response.status, 503);
	ck_assert_uint_eq(freed, 1);
	ck_assert_ptr_null(request.park);
	ck_assert_int_eq(ask(API_GET, "/plain/a/wait?key=key"), API_PARKED);
	api_abandon(api, &request);
	ck_assert_uint_eq(freed, 2);
}
END_TEST

START_TEST(without_memory_for_decoded_parameters_a_request_is_refused)
{
	request = (struct api_request){
		.method = API_GET, .target = STR("/plain/%61/wait?key=key"), .wake = wake};
	buf_put(&response.body, "room for the refusal, which is made without memory then");
	fault_arm(1);
	ck_assert_int_eq(api_handle(api, &request, &response), API_DONE);
	ck_assert(fault_hit());
	ck_assert_uint_eq(response.status, 503);
	ck_assert_ptr_null(request.park);
	ck_assert_uint_eq(freed, 0);
}
END_TEST

START_TEST(a_header_is_found_by_its_name_whatever_its_case)
{
	add_field(&request, &fields, STR("If-Match"), STR("first"));
	add_field(&request, &fields, STR("IF-MATCH"), STR("second"));
	add_field(&request, &fields, STR("X-Empty"), STR(""));
	ck_assert(str_equal(api_header(&request, STR("if-match")), STR("first")));
	ck_assert_ptr_nonnull(api_header(&request, STR("x-empty")).data);
	ck_assert_ptr_null(api_header(&request, STR("if-matc")).data);
	ck_assert_ptr_null(api_header(&request, STR("if-match ")).data);
}
END_TEST

START_TEST(a_lent_body_is_not_copied)
{
	ck_assert_int_eq(ask(API_GET, "/lent"), API_DONE);
	ck_assert_ptr_eq(api_response_bytes(&response).data, response.lent.data);
	ck_assert(answer_is("{\"a\":1}\n"));
	ck_assert_uint_eq(response.body.len, 0);
	ck_assert_int_eq(ask(API_GET, "/lent?pretty"), API_DONE);
	ck_assert(answer_is("{\n  \"a\": 1\n}\n"));
	problem(&response, PROBLEM_NOT_FOUND, "nothing");
	ck_assert_ptr_null(response.lent.data);
	ck_assert_int_eq(ask(API_GET, "/lent?large"), API_DONE);
	ck_assert_uint_eq(request.unsent, sizeof(large)); /* the client has not read it */
	ck_assert_uint_eq(request.held, 0);               /* the request owns no memory for it */
}
END_TEST

SUITE("api_core", setup, teardown, the_first_table_that_has_the_route_answers,
      each_table_refuses_in_its_own_way, a_refusal_by_http_has_the_format_of_the_table,
      a_parked_request_keeps_its_parameters, a_refusal_has_nothing_of_the_parked_answer,
      a_request_that_cannot_be_started_does_not_park,
      without_memory_for_decoded_parameters_a_request_is_refused,
      a_header_is_found_by_its_name_whatever_its_case, a_lent_body_is_not_copied)
