/* SPDX-License-Identifier: MIT */
#include "api/token.h"

#include "base/attr.h"
#include "base/random.h"
#include "suite.h"

#include <errno.h>

#define HISTORY UINT64_C(0x1f3a9c07d2b4e658)

START_TEST(a_token_is_a_revision_and_eight_digits)
{
	static const struct {
		uint64_t revision;
		uint64_t history;
		const char *text;
	} rows[] = {
		{17, HISTORY, "17.1f3a9c07"},
		{0, HISTORY, "0.1f3a9c07"},
		{1, 1, "1.00000000"},
		{1, UINT64_C(0x00000001ffffffff), "1.00000001"},
		{UINT64_MAX, UINT64_MAX, "18446744073709551615.ffffffff"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[TOKEN_MAX];
		struct buf out;

		size_t len = token_write(rows[i].revision, rows[i].history, text);
		ck_assert(str_equal((struct str){text, len}, str_of(rows[i].text)));
		buf_init(&out, 100);
		token_put(&out, rows[i].revision, rows[i].history);
		ck_assert(str_equal((struct str){out.data, out.len}, str_of(rows[i].text)));
		buf_fini(&out);
	}
}
END_TEST

START_TEST(a_history_has_sixteen_digits)
{
	char text[HISTORY_DIGITS + 1];

	history_write(HISTORY, text);
	ck_assert_str_eq(text, "1f3a9c07d2b4e658");
	history_write(10, text);
	ck_assert_str_eq(text, "000000000000000a");
}
END_TEST

START_TEST(a_token_or_a_revision_is_read_and_nothing_else)
{
	static const struct {
		struct str text;
		struct token token;
	} good[] = {
		{STR("0"), {0, false, 0}},
		{STR("17"), {17, false, 0}},
		{STR("9223372036854775807"), {INT64_MAX, false, 0}},
		{STR("17.1f3a9c07"), {17, true, 0x1f3a9c07}},
		{STR("0.00000000"), {0, true, 0}},
		{STR("9223372036854775807.ffffffff"), {INT64_MAX, true, 0xffffffff}},
	};
	static const struct str bad[] = {
		STR(""),
		STR("."),
		STR("17."),
		STR("17.1f3a9c0"),
		STR("17.1f3a9c071"),
		STR("17.1F3A9C07"),
		STR("17.1f3a9c0g"),
		STR("17.1f3a9c0 "),
		STR("17. 1f3a9c0"),
		STR("17.+1f3a9c0"),
		STR("17.0x1f3a9c"),
		STR("17.1f3a.c07"),
		STR("17..1f3a9c07"),
		STR("17.1f3a9c0\0"),
		STR("17.1f3a9c07\0"),
		STR("17.1f3a9c07-text"),
		STR(".1f3a9c07"),
		STR("017.1f3a9c07"),
		STR("00"),
		STR("+17.1f3a9c07"),
		STR("-1"),
		STR(" 17"),
		STR("9223372036854775808"),
		STR("9223372036854775808.1f3a9c07"),
		STR("1f3a9c07.17"),
		STR("\"17.1f3a9c07\""),
		STR("17:1f3a9c07"),
	};
	struct token token = {0};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(token_parse(good[i].text, &token) == 0, "%s", good[i].text.data);
		ck_assert_uint_eq(token.revision, good[i].token.revision);
		ck_assert_uint_eq(token.has_history, good[i].token.has_history);
		ck_assert_uint_eq(token.history, good[i].token.history);
	}
	token = (struct token){77, true, 78};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(token_parse(bad[i], &token) == -EINVAL, "'%s'", bad[i].data);
		ck_assert(token.revision == 77 && token.has_history && token.history == 78);
	}
	ck_assert_int_eq(token_parse((struct str){NULL, 0}, &token), -EINVAL);
}
END_TEST

START_TEST(what_is_written_is_read_back)
{
	for (int i = 0; i < 10000; i++) {
		uint64_t revision = random_u64() >> (1 + random_u64() % 63);
		uint64_t history = random_u64();
		char text[TOKEN_MAX];
		struct token token;

		size_t len = token_write(revision, history, text);
		ck_ok(token_parse((struct str){text, len}, &token));
		ck_assert_uint_eq(token.revision, revision);
		ck_assert(token.has_history);
		ck_assert(token_is_of(&token, history));
		ck_assert(!token_is_of(&token, history ^ UINT64_C(1) << (32 + i % 32)));
	}
}
END_TEST

START_TEST(a_bare_revision_belongs_to_any_history)
{
	struct token token;

	ck_ok(token_parse(STR("17"), &token));
	ck_assert(token_is_of(&token, HISTORY) && token_is_of(&token, 0));
	ck_ok(token_parse(STR("17.00000000"), &token));
	ck_assert(!token_is_of(&token, HISTORY));
}
END_TEST

SUITE("token", NULL, NULL, a_token_is_a_revision_and_eight_digits, a_history_has_sixteen_digits,
      a_token_or_a_revision_is_read_and_nothing_else, what_is_written_is_read_back,
      a_bare_revision_belongs_to_any_history)
