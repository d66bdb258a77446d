/* SPDX-License-Identifier: MIT */
/*
 * Growing buffers: their limit, their error state, and what they render. fault.h makes allocations
 * fail.
 */
#include "base/buf.h"

#include "base/attr.h"
#include "fault.h"
#include "suite.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>

static struct buf buf;

static void setup(void)
{
	buf_init(&buf, 1000);
}

static void teardown(void)
{
	buf_fini(&buf);
}

static void ck_holds(const char *text)
{
	ck_assert_int_eq(buf_error(&buf), 0);
	ck_assert_msg(buf.len == strlen(text) && memcmp(buf.data, text, buf.len) == 0,
	              "'%.*s' is not '%s'", (int)buf.len, buf.data, text);
}

START_TEST(appends_follow_each_other)
{
	buf_put(&buf, "a");
	buf_add(&buf, "bcd", 2);
	buf_add(&buf, NULL, 0);
	buf_put_str(&buf, STR("def"));
	buf_put_char(&buf, '-');
	buf_printf(&buf, "%d%s", 12, "x");
	ck_holds("abcdef-12x");
}
END_TEST

START_TEST(an_empty_buffer_has_no_memory)
{
	ck_assert_ptr_null(buf.data);
	buf_put(&buf, "");
	ck_assert_ptr_null(buf.data);
	ck_assert_int_eq(buf_error(&buf), 0);
}
END_TEST

START_TEST(numbers_are_decimal)
{
	static const struct {
		int64_t n;
		const char *text;
	} rows[] = {{0, "0"},
	            {7, "7"},
	            {-1, "-1"},
	            {10, "10"},
	            {-100, "-100"},
	            {INT64_MAX, "9223372036854775807"},
	            {INT64_MIN, "-9223372036854775808"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&buf);
		buf_put_i64(&buf, rows[i].n);
		ck_holds(rows[i].text);
	}
	buf_reset(&buf);
	buf_put_u64(&buf, UINT64_MAX);
	ck_holds("18446744073709551615");
}
END_TEST

START_TEST(a_buffer_grows_to_its_limit_and_keeps_its_content)
{
	for (int i = 0; i < 1000; i++)
		buf_put_char(&buf, (char)('a' + i % 26));
	ck_assert_int_eq(buf_error(&buf), 0);
	ck_assert_uint_eq(buf.len, 1000);
	ck_assert_uint_eq(buf.size, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(buf.data[i], 'a' + i % 26);
}
END_TEST

START_TEST(beyond_its_limit_a_buffer_keeps_the_error_and_the_content)
{
	static const char block[999];

	buf_add(&buf, block, sizeof(block));
	buf_put(&buf, "ab");
	ck_assert_int_eq(buf_error(&buf), -EMSGSIZE);
	buf_put(&buf, "c");
	buf_put_char(&buf, 'c');
	buf_put_u64(&buf, 1);
	buf_put_i64(&buf, -1);
	buf_put_json(&buf, STR("c"));
	buf_put_time(&buf, 0);
	buf_printf(&buf, "c");
	ck_fails(buf_reserve(&buf, 0), EMSGSIZE);
	ck_assert_uint_eq(buf.len, 999);
}
END_TEST

START_TEST(a_size_that_would_overflow_is_over_the_limit)
{
	buf_put(&buf, "a");
	ck_fails(buf_reserve(&buf, SIZE_MAX), EMSGSIZE);
	ck_assert_uint_eq(buf.len, 1);
}
END_TEST

START_TEST(reset_clears_the_content_and_the_error)
{
	buf_put(&buf, "old");
	ck_fails(buf_reserve(&buf, 1001), EMSGSIZE);
	char *memory = buf.data;
	buf_reset(&buf);
	buf_put(&buf, "new");
	ck_holds("new");
	ck_assert_ptr_eq(buf.data, memory);
}
END_TEST

START_TEST(an_error_of_memory_is_kept_and_loses_no_content)
{
	buf_put(&buf, "kept");
	fault_arm(0);
	ck_fails(buf_reserve(&buf, 900), ENOMEM);
	ck_assert(fault_hit());
	ck_fails(buf_reserve(&buf, 1), ENOMEM);
	ck_assert_uint_eq(buf.len, 4);
	ck_assert_mem_eq(buf.data, "kept", 4);
	buf_reset(&buf);
	buf_put(&buf, "again");
	ck_holds("again");
}
END_TEST

START_TEST(the_caller_owns_what_it_takes)
{
	size_t len = 77;

	ck_assert_ptr_null(buf_take(&buf, &len));
	ck_assert_uint_eq(len, 77);
	buf_put(&buf, "mine");
	char *data = buf_take(&buf, &len);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(data, "mine", 4);
	ck_assert_uint_eq(buf.len, 0);
	buf_put(&buf, "next");
	ck_assert_ptr_ne(buf.data, data);
	free(data);

	ck_fails(buf_reserve(&buf, 1001), EMSGSIZE);
	ck_assert_ptr_null(buf_take(&buf, &len));
	ck_fails(buf_error(&buf), EMSGSIZE);
}
END_TEST

START_TEST(printf_grows_for_any_length_up_to_the_limit)
{
	char text[1001];

	memset(text, 'x', sizeof(text));
	for (int len = 0; len <= 1000; len++) {
		buf_fini(&buf);
		buf_printf(&buf, "%.*s", len, text);
		ck_assert_int_eq(buf_error(&buf), 0);
		ck_assert_uint_eq(buf.len, (size_t)len);
		ck_assert(len == 0 || memcmp(buf.data, text, (size_t)len) == 0);
	}
	buf_printf(&buf, "y");
	ck_fails(buf_error(&buf), EMSGSIZE);
}
END_TEST

START_TEST(printf_without_memory_adds_nothing)
{
	for (int nth = 0; nth < 10; nth++) {
		buf_fini(&buf);
		buf_reset(&buf);
		fault_arm(nth);
		buf_printf(&buf, "%0300d", 1);
		if (!fault_hit()) {
			ck_assert_int_ge(nth, 3);
			ck_assert_uint_eq(buf.len, 300);
			return;
		}
		ck_fails(buf_error(&buf), ENOMEM);
		ck_assert_uint_eq(buf.len, 0);
	}
	ck_abort_msg("an allocation failed in each of 10 attempts");
}
END_TEST

START_TEST(json_escapes_what_it_must_and_nothing_else)
{
	static const struct {
		struct str text;
		const char *json;
	} rows[] = {
		{STR(""), "\"\""},
		{{NULL, 0}, "\"\""},
		{STR("order-1"), "\"order-1\""},
		{STR("say \"hi\""), "\"say \\\"hi\\\"\""},
		{STR("a\\b"), "\"a\\\\b\""},
		{STR("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
		{STR("\0\x01\x1f"), "\"\\u0000\\u0001\\u001f\""},
		{STR(" /\x7f"), "\" /\x7f\""},
		{STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	         "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&buf);
		buf_put_json(&buf, rows[i].text);
		ck_holds(rows[i].json);
	}
}
END_TEST

START_TEST(json_of_nothing_but_escapes_fits_exactly)
{
	char zeros[166] = {0};

	/* 166 * 6 + 2 = 998 */
	buf_put_json(&buf, (struct str){zeros, sizeof(zeros)});
	ck_assert_int_eq(buf_error(&buf), 0);
	ck_assert_uint_eq(buf.len, 998);
	ck_assert_mem_eq(buf.data + 991, "\\u0000\"", 7);

	buf_fini(&buf);
	buf_init(&buf, 997);
	buf_put_json(&buf, (struct str){zeros, sizeof(zeros)});
	ck_fails(buf_error(&buf), EMSGSIZE);
}
END_TEST

START_TEST(a_time_is_a_json_string)
{
	buf_put_time(&buf, 1795459288123);
	ck_holds("\"2026-11-23T18:41:28.123Z\"");
}
END_TEST

SUITE("buf", setup, teardown, appends_follow_each_other, an_empty_buffer_has_no_memory,
      numbers_are_decimal, a_buffer_grows_to_its_limit_and_keeps_its_content,
      beyond_its_limit_a_buffer_keeps_the_error_and_the_content,
      a_size_that_would_overflow_is_over_the_limit, reset_clears_the_content_and_the_error,
      an_error_of_memory_is_kept_and_loses_no_content, the_caller_owns_what_it_takes,
      printf_grows_for_any_length_up_to_the_limit, printf_without_memory_adds_nothing,
      json_escapes_what_it_must_and_nothing_else, json_of_nothing_but_escapes_fits_exactly,
      a_time_is_a_json_string)
