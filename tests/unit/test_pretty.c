/* SPDX-License-Identifier: MIT */
#include "api/pretty.h"

#include "fault.h"
#include "terminal_cases.h"

static void shows(const char *json, const char *want)
{
	struct buf out;

	buf_init(&out, 4096);
	pretty_put(&out, str_of(json));
	ck_assert_msg(str_equal((struct str){out.data, out.len}, str_of(want)), "%.*s",
	              (int)out.len, out.data);
	buf_fini(&out);
}

START_TEST(indents_without_touching_strings)
{
	shows("{}", "{}\n");
	shows("{\"a\":[],\"b\":{}}", "{\n  \"a\": [],\n  \"b\": {}\n}\n");
	shows("{\"a\":[1,{\"b\":true}],\"c\":\"x,{}:[]\\\"\\\\\"}",
	      "{\n  \"a\": [\n    1,\n    {\n      \"b\": true\n    }\n  ],\n  \"c\": "
	      "\"x,{}:[]\\\"\\\\\"\n}\n");
}
END_TEST

START_TEST(is_asked_for_by_name)
{
	ck_assert(pretty_is_wanted(STR("pretty")));
	ck_assert(pretty_is_wanted(STR("a=b&pretty=")));
	ck_assert(pretty_is_wanted(STR("pretty=1&a")));
	ck_assert(pretty_is_wanted(STR("pretty=true")));
	ck_assert(!pretty_is_wanted(STR("")));
	ck_assert(!pretty_is_wanted(STR("pretty=0")));
	ck_assert(!pretty_is_wanted(STR("prettyx")));
	ck_assert(!pretty_is_wanted(STR("a=pretty")));
}
END_TEST

START_TEST(touches_json_only_and_never_what_is_shared)
{
	struct api_response response;
	struct blob *shared = blob_from("{\"a\":1}", 7);

	api_response_init(&response);
	response.content_type = "application/json";
	response.blob = blob_ref(shared);
	pretty_response(&response);
	ck_assert_ptr_null(response.blob);
	ck_assert(str_equal((struct str){response.body.data, response.body.len},
	                    STR("{\n  \"a\": 1\n}\n")));
	ck_assert_mem_eq(shared->data, "{\"a\":1}", 8);
	ck_assert_uint_eq(shared->refs, 1);
	blob_unref(shared);

	buf_reset(&response.body);
	buf_put(&response.body, "a,b");
	response.content_type = "text/plain";
	pretty_response(&response);
	ck_assert_uint_eq(response.body.len, 3);

	response.content_type = "application/json";
	fault_arm(0);
	pretty_response(&response);
	ck_assert(fault_hit());
	ck_assert_uint_eq(response.body.len, 3);
	api_response_fini(&response);
}
END_TEST

START_TEST(a_table_is_aligned_and_safe_to_print)
{
	struct buf rows;
	struct buf out;

	buf_init(&rows, 4096);
	buf_init(&out, 4096);
	table_put(&out, &rows); /* a table without rows has allocated nothing */
	ck_assert_uint_eq(out.len, 0);
	buf_put(&rows, "NAME\tN\n");
	table_put_cell(&rows, STR("\xc3\xa4\xc3\xb6"), false);
	table_put_number(&rows, 17, true);
	table_put_cell(&rows, STR("a\tb\n\x1b[2J"), false);
	table_put_cell(&rows, STR(""), true);
	table_put(&out, &rows);
	ck_assert_msg(str_equal((struct str){out.data, out.len}, STR("NAME      N\n"
	                                                             "\xc3\xa4\xc3\xb6        17\n"
	                                                             "a?b??[2J  -\n")),
	              "%.*s", (int)out.len, out.data);
	buf_fini(&rows);
	buf_fini(&out);
}
END_TEST

/** Checks that @p shown has safe characters only, and has @p each unchanged if that is safe. */
static void check_shown(const struct terminal_case *each, struct str shown)
{
	ck_assert_msg(terminal_is_clean(shown), "%s%.*s", each->line, (int)shown.len, shown.data);
	ck_assert_msg(each->kind != CASE_SHOW || each->first == ' ' ||
	                      memmem(shown.data, shown.len, each->bytes, each->len) != NULL,
	              "%s%.*s", each->line, (int)shown.len, shown.data);
}

START_TEST(what_a_terminal_obeys_reaches_it_in_no_table_and_no_pretty_json)
{
	struct terminal_case each;
	FILE *file = terminal_cases_open();

	while (terminal_cases_next(file, &each)) {
		struct str text = {each.bytes, each.len};
		struct buf rows;
		struct buf json;
		struct buf out;

		buf_init(&rows, 4096);
		buf_init(&json, 4096);
		buf_init(&out, 4096);
		table_put_cell(&rows, text, false);
		table_put_cell(&rows, STR("x"), true);
		table_put(&out, &rows);
		check_shown(&each, (struct str){out.data, out.len});

		buf_put(&json, "{\"a\":");
		buf_put_json(&json, text);
		buf_put(&json, "}");
		buf_reset(&out);
		pretty_put(&out, (struct str){json.data, json.len});
		check_shown(&each, (struct str){out.data, out.len});
		buf_fini(&rows);
		buf_fini(&json);
		buf_fini(&out);
	}
	(void)fclose(file);
}
END_TEST

START_TEST(pretty_json_says_the_same_in_escapes)
{
	shows("{\"a\":\"\xc2\x9b\x7f\\u001b\xe2\x80\xae\xf3\xa0\x80\x81\xc3\xa4\"}",
	      "{\n  \"a\": \"\\u009b\\u007f\\u001b\\u202e\\udb40\\udc01\xc3\xa4\"\n}\n");
	shows("[\"\xc2\"]", "[\n  \"\\ufffd\"\n]\n");
}
END_TEST

SUITE("pretty", NULL, NULL, what_a_terminal_obeys_reaches_it_in_no_table_and_no_pretty_json,
      pretty_json_says_the_same_in_escapes, indents_without_touching_strings, is_asked_for_by_name,
      touches_json_only_and_never_what_is_shared, a_table_is_aligned_and_safe_to_print)
