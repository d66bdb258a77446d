/* SPDX-License-Identifier: MIT */
#include "api/query.h"

#include "suite.h"

#include <errno.h>

enum { ONE, MANY, META };
static const struct query_rule rules[] = {[ONE] = {"one", 0},
                                          [MANY] = {"many", QUERY_REPEATS},
                                          [META] = {"meta.", QUERY_PREFIX | QUERY_REPEATS}};

static struct scratch scratch;
static struct query query;
static struct query_error error;

static int parse(const char *text)
{
	scratch.used = 0;
	return query_parse(str_of(text), rules, ARRAY_LEN(rules), &scratch, &query, &error);
}

static void holds(size_t i, unsigned rule, const char *suffix, const char *value)
{
	struct str text;

	ck_assert_uint_lt(i, query.count);
	ck_assert_uint_eq(query.item[i].rule, rule);
	ck_assert(str_equal(query.item[i].suffix, str_of(suffix)));
	ck_ok(scratch_decode(&scratch, query.item[i].raw, true, &text));
	ck_assert_msg(str_equal(text, str_of(value)), "%.*s", (int)text.len, text.data);
}

START_TEST(reads_the_parameters_of_the_rules)
{
	ck_ok(parse(""));
	ck_assert_uint_eq(query.count, 0);
	ck_assert_ptr_null(query_get(&query, ONE));

	ck_ok(parse("one=1&many=a&many=b&meta.zone=a&meta.v=1.2&"));
	ck_assert_uint_eq(query.count, 5);
	holds(0, ONE, "", "1");
	holds(1, MANY, "", "a");
	holds(2, MANY, "", "b");
	holds(3, META, "zone", "a");
	holds(4, META, "v", "1.2");
	ck_assert_ptr_eq(query_get(&query, MANY), &query.item[1]);
}
END_TEST

START_TEST(decodes_names_and_values)
{
	ck_ok(parse("o%6ee=a+b%2Bc%26d%3D&meta.a%3Db=x=y&many"));
	holds(0, ONE, "", "a b+c&d=");
	holds(1, META, "a=b", "x=y");
	holds(2, MANY, "", "");
}
END_TEST

START_TEST(names_the_refused_parameter)
{
	static const struct {
		const char *text;
		int error;
		const char *name;
	} cases[] = {
		{"two=2", ENOENT, "two"},
		{"ONE=2", ENOENT, "ONE"},
		{"one=1&%74wo", ENOENT, "two"},
		{"one.=1", ENOENT, "one."},
		{"meta=1", ENOENT, "meta"},
		{"meta.=1", ENOENT, "meta."},
		{"=1", ENOENT, ""},
		{"one=1&one=1", EEXIST, "one"},
		{"one&o%6Ee", EEXIST, "one"},
		{"one=1&t%zz=1", EINVAL, "t%zz"},
		{"%00=1", EINVAL, "%00"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_msg(parse(cases[i].text) == -cases[i].error, "%s", cases[i].text);
		ck_assert(str_equal(error.name, str_of(cases[i].name)));
		ck_assert_str_ne(error.what, "");
	}
}
END_TEST

START_TEST(the_number_of_parameters_is_bounded)
{
	static char text[QUERY_ITEMS_MAX * 7 + 8];
	size_t len = 0;

	for (int i = 0; i < QUERY_ITEMS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "many=%d&", i % 10);
	ck_ok(parse(text));
	ck_assert_uint_eq(query.count, QUERY_ITEMS_MAX);
	strcpy(text + len, "many");
	ck_fails(parse(text), EMSGSIZE);
}
END_TEST

SUITE("query", NULL, NULL, reads_the_parameters_of_the_rules, decodes_names_and_values,
      names_the_refused_parameter, the_number_of_parameters_is_bounded)
