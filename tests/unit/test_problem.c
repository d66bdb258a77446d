/* SPDX-License-Identifier: MIT */
/*
 * Problem responses (RFC 9457): their members, the errors that they map, lists of wrong fields, and
 * lack of memory.
 */
#include "api/problem.h"

#include "base/parse.h"
#include "fault.h"
#include "suite.h"

#include <errno.h>
#include <jansson.h>

static struct api_response response;

static void setup(void)
{
	api_response_init(&response);
}

static void teardown(void)
{
	api_response_fini(&response);
}

static json_t *document(void)
{
	json_t *root = json_loadb(response.body.data, response.body.len, 0, NULL);

	ck_assert_ptr_nonnull(root);
	ck_assert_str_eq(response.content_type, "application/problem+json");
	ck_assert_int_eq(json_integer_value(json_object_get(root, "status")), response.status);
	return root;
}

static const char *text(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

START_TEST(has_the_members_of_rfc_9457)
{
	problem(&response, PROBLEM_UNKNOWN_SERVICE, "no instance of '%s' is registered", "web");
	json_t *root = document();
	ck_assert_uint_eq(response.status, 404);
	ck_assert_str_eq(text(root, "type"), "/problems/unknown-service");
	ck_assert_str_eq(text(root, "code"), "unknown-service");
	ck_assert_str_eq(text(root, "title"), "The service has no instance");
	ck_assert_str_eq(text(root, "detail"), "no instance of 'web' is registered");
	json_decref(root);
}
END_TEST

START_TEST(drops_the_answer_that_was_begun)
{
	response.blob = blob_from("x", 1);
	response.location = strdup("/v1");
	strcpy(response.etag, "\"1\"");
	response.revision = 17;
	response_header(&response, HEADER_ALLOW, "GET");
	buf_put(&response.body, "half an answer");
	problem_errno(&response, -ENOSPC);

	json_t *root = document();
	ck_assert_uint_eq(response.status, 507);
	ck_assert_ptr_null(response.blob);
	ck_assert_ptr_null(response.location);
	ck_assert_str_eq(response.etag, "");
	ck_assert_ptr_null(response.header[HEADER_ALLOW].name);
	ck_assert_uint_eq(response.revision, 17);
	json_decref(root);
}
END_TEST

START_TEST(maps_each_error_of_the_registry)
{
	static const struct {
		int error;
		unsigned status;
		const char *code;
	} cases[] = {
		{ENOENT, 404, "not-registered"},
		{EAGAIN, 503, "queue-full"},
		{ENOSPC, 507, "disk-full"},
		{EDQUOT, 507, "too-many-instances"},
		{EMSGSIZE, 422, "answer-too-large"},
		{ESHUTDOWN, 503, "shutting-down"},
		{ENOMEM, 503, "out-of-memory"},
		{EIO, 503, "storage-failed"},
		{EBADMSG, 503, "storage-failed"},
		{EBUSY, 503, "storage-locked"},
		{ENOTRECOVERABLE, 503, "outcome-unknown"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		problem_errno(&response, -cases[i].error);
		json_t *root = document();
		ck_assert_uint_eq(response.status, cases[i].status);
		ck_assert_str_eq(text(root, "code"), cases[i].code);
		ck_assert_int_eq(response.header[HEADER_RETRY_AFTER].name != NULL,
		                 response.status == 503);
		ck_assert_int_eq(response.has_headers, response.status == 503);
		json_decref(root);
	}
}
END_TEST

START_TEST(shows_what_a_peer_sent_as_utf8)
{
	char longer[2000];

	problem(&response, PROBLEM_UNKNOWN_PARAMETER, "'%s' \"\x01", "a\xff\xc3");
	json_t *root = document();
	ck_assert_str_eq(text(root, "detail"), "'a?\?' \"\x01");
	json_decref(root);

	memset(longer, 'x', sizeof(longer));
	for (size_t i = 1; i + 2 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xa4", 2);
	longer[sizeof(longer) - 1] = '\0';
	problem(&response, PROBLEM_UNKNOWN_PARAMETER, "%s", longer);
	root = document();
	ck_assert_uint_le(strlen(text(root, "detail")), 511);
	ck_assert_uint_ge(strlen(text(root, "detail")), 509);
	ck_assert_ptr_null(strchr(text(root, "detail"), '?'));
	json_decref(root);
}
END_TEST

START_TEST(points_to_each_wrong_field)
{
	struct field_errors errors;

	field_errors_init(&errors);
	field_error(&errors, STR("port"), "port must be %d", 1);
	field_error(&errors, STR("a/b~c"), "unknown field");
	problem_fields(&response, &errors);
	field_errors_fini(&errors);

	json_t *root = document();
	json_t *list = json_object_get(root, "errors");
	ck_assert_uint_eq(response.status, 422);
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(text(json_array_get(list, 0), "pointer"), "/port");
	ck_assert_str_eq(text(json_array_get(list, 0), "detail"), "port must be 1");
	ck_assert_str_eq(text(json_array_get(list, 1), "pointer"), "/a~1b~0c");
	json_decref(root);
}
END_TEST

START_TEST(the_list_of_fields_is_bounded)
{
	struct field_errors errors;
	char name[300];

	memset(name, '/', sizeof(name));
	field_errors_init(&errors);
	for (int i = 0; i < 1000; i++)
		field_error(&errors, (struct str){name, sizeof(name)}, "%300s", "wrong");
	problem_fields(&response, &errors);
	field_errors_fini(&errors);
	json_t *root = document();
	ck_assert_uint_eq(json_array_size(json_object_get(root, "errors")), FIELD_ERRORS_MAX);
	json_decref(root);
}
END_TEST

START_TEST(every_code_is_distinct_and_explained)
{
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		const struct problem_code *code = &problem_codes[i];

		ck_assert_ptr_eq(problem_find(str_of(code->slug)), code);
		ck_assert_uint_ge(code->status, 400);
		ck_assert_str_ne(code->title, "");
		ck_assert_str_ne(code->advice, "");
	}
	ck_assert_ptr_null(problem_find(STR("nothing")));
}
END_TEST

START_TEST(out_of_memory_still_gives_the_status)
{
	fault_arm(0);
	problem_errno(&response, -ENOENT);
	ck_assert(fault_hit());
	ck_assert_uint_eq(response.status, 404);
	ck_assert_ptr_null(response.content_type);
}
END_TEST

SUITE("problem", setup, teardown, has_the_members_of_rfc_9457, drops_the_answer_that_was_begun,
      maps_each_error_of_the_registry, shows_what_a_peer_sent_as_utf8, points_to_each_wrong_field,
      the_list_of_fields_is_bounded, every_code_is_distinct_and_explained,
      out_of_memory_still_gives_the_status)
