/* SPDX-License-Identifier: MIT */
#include "v1/batch_json.h"

#include "suite.h"

#include <errno.h>

static struct batch batch;

/** Reads the whole batch. @return the number of entries, or the error */
static int read_all(struct str text, struct batch_entry *ret_last)
{
	int r;

	batch_init(&batch, text);
	do
		r = batch_next(&batch, ret_last);
	while (r == 1);
	return r < 0 ? r : (int)batch.count;
}

START_TEST(reads_entries_in_any_form_that_json_allows)
{
	static const struct {
		const char *text;
		int count;
		const char *service, *id;
	} cases[] = {
		{"{\"instances\":[]}", 0, "", ""},
		{" {\n\"instances\" : [ ] }\r\n\t", 0, "", ""},
		{"{\"instances\":[{\"service\":\"web\",\"id\":\"a\"}]}", 1, "web", "a"},
		{"{\"instances\":[{\"id\":\"a\",\"service\":\"web\"}]}", 1, "web", "a"},
		{"{\"instances\":[{\"service\":\"x\",\"id\":\"y\"} , {\"service\":\"web\", "
	         "\"id\":\"b\"}]}",
	         2, "web", "b"},
		{"{\"instances\":[{\"service\":\"w\\u0065b\",\"id\":\"a\\/b\\\\c\\\"d\"}]}", 1,
	         "web", "a/b\\c\"d"},
		{"{\"\\u0069nstances\":[{\"s\\u0065rvice\":\"web\",\"id\":\"\\u002F\"}]}", 1, "web",
	         "/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct batch_entry last = {{"", 0}, {"", 0}};

		ck_assert_msg(read_all(str_of(cases[i].text), &last) == cases[i].count, "%s: %s",
		              cases[i].text, batch.what);
		ck_assert(str_equal(last.service, str_of(cases[i].service)));
		ck_assert(str_equal(last.id, str_of(cases[i].id)));
	}
}
END_TEST

START_TEST(refuses_everything_else)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"", EBADMSG},
		{"[]", EBADMSG},
		{"{\"instances\":[]", EBADMSG},
		{"{\"instances\":[]}x", EBADMSG},
		{"{\"instances\":[]}{}", EBADMSG},
		{"{\"instances\":[,]}", EINVAL},
		{"{\"instances\" []}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\"},]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\"}{}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\" \"id\":\"b\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\"", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\\\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"\\x\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"\\u00\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"\\u0000\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\n\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"\xff\"}]}", EBADMSG},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\",\"id\":\"c\"}]}", EBADMSG},
		{"{}", EINVAL},
		{"{\"instances\":null}", EINVAL},
		{"{\"instances\":{}}", EINVAL},
		{"{\"instance\":[]}", EINVAL},
		{"{\"instances\":[],\"more\":1}", EINVAL},
		{"{\"instances\":[1]}", EINVAL},
		{"{\"instances\":[{}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a\"}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a\",\"id\":1}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"b\",\"load\":1}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a b\",\"id\":\"b\"}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"\",\"id\":\"b\"}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"\\u00e4\"}]}", EINVAL},
		{"{\"instances\":[{\"service\":\"a\",\"id\":\"\\n\"}]}", EINVAL},
		{"{\"a_very_long_name_of_a_field\":[]}", EINVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct batch_entry last;

		ck_assert_msg(read_all(str_of(cases[i].text), &last) == -cases[i].error, "%s: %s",
		              cases[i].text, batch.what);
		ck_assert_str_ne(batch.what, "");
	}
}
END_TEST

START_TEST(words_have_their_limits_escaped_or_not)
{
	static const char *const escapes[] = {"", "\\u0061"};
	char text[1024];
	struct batch_entry last;

	for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
		bool one = escapes[i][0] != '\0';

		(void)snprintf(text, sizeof(text),
		               "{\"instances\":[{\"service\":\"a\",\"id\":\"%s%0*d\"}]}",
		               escapes[i], INSTANCE_ID_MAX - one, 0);
		ck_assert_int_eq(read_all(str_of(text), &last), 1);
		ck_assert_uint_eq(last.id.len, INSTANCE_ID_MAX);
		(void)snprintf(text, sizeof(text),
		               "{\"instances\":[{\"service\":\"a\",\"id\":\"%s%0*d\"}]}",
		               escapes[i], INSTANCE_ID_MAX + 1 - one, 0);
		ck_fails(read_all(str_of(text), &last), EINVAL);
	}
}
END_TEST

START_TEST(takes_ten_thousand_entries_and_no_more)
{
	static char text[BATCH_ENTRIES_MAX * 32];
	static const char entry[] = "{\"service\":\"a\",\"id\":\"b\"}";
	struct batch_entry last;
	size_t len = (size_t)sprintf(text, "{\"instances\":[%s", entry);

	for (int i = 1; i < BATCH_ENTRIES_MAX; i++)
		len += (size_t)sprintf(text + len, ",%s", entry);
	size_t end = len;
	len += (size_t)sprintf(text + len, "]}");
	ck_assert_int_eq(read_all((struct str){text, len}, &last), BATCH_ENTRIES_MAX);
	len = end + (size_t)sprintf(text + end, ",%s]}", entry);
	ck_fails(read_all((struct str){text, len}, &last), EINVAL);
	ck_assert_ptr_nonnull(strstr(batch.what, "more than 10000"));
}
END_TEST

SUITE("batch_json", NULL, NULL, reads_entries_in_any_form_that_json_allows, refuses_everything_else,
      words_have_their_limits_escaped_or_not, takes_ten_thousand_entries_and_no_more)
