/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include "base/attr.h"
#include "suite.h"

#include <stdio.h>

START_TEST(a_list_is_cut_into_its_words)
{
	static const struct {
		const char *list;
		const char *words[4];
	} cases[] = {
		{"", {""}},        {"a", {"a"}},      {"a,bc", {"a", "bc"}},    {",", {"", ""}},
		{"a,", {"a", ""}}, {",a", {"", "a"}}, {"a,,b", {"a", "", "b"}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const *word = cases[i].words;
		struct str rest = str_of(cases[i].list);

		do {
			ck_assert_ptr_nonnull(*word);
			ck_assert(str_equal(str_cut(&rest, ','), str_of(*word++)));
		} while (rest.data != NULL);
		ck_assert_ptr_null(*word);
	}
}
END_TEST

START_TEST(an_empty_list_is_one_empty_word)
{
	struct str rest = {NULL, 0};

	ck_assert_uint_eq(str_cut(&rest, ',').len, 0);
	ck_assert_ptr_null(rest.data);
}
END_TEST

START_TEST(copies_follow_each_other)
{
	char memory[8] = "xxxxxxx";
	char *at = memory;
	struct str first = str_copy_to(&at, STR("ab"));
	struct str second = str_copy_with_nul(&at, STR("c"));
	struct str none = str_copy_to(&at, (struct str){NULL, 0});

	ck_assert_ptr_eq(first.data, memory);
	ck_assert_ptr_eq(second.data, memory + 2);
	ck_assert_uint_eq(none.len, 0);
	ck_assert_ptr_eq(at, memory + 4);
	ck_assert_mem_eq(memory, "abc\0xxx", 8);
}
END_TEST

START_TEST(shown_text_is_bounded)
{
	char out[32];
	struct str text = STR("abcdef");
	struct str none = {NULL, 0};

	(void)snprintf(out, sizeof(out), "%.*s|%.*s|%.*s", STR_SHOWN(text, 3), STR_SHOWN(text, 9),
	               STR_SHOWN(none, 3));
	ck_assert_str_eq(out, "abc|abcdef|");
}
END_TEST

SUITE("str", NULL, NULL, a_list_is_cut_into_its_words, an_empty_list_is_one_empty_word,
      copies_follow_each_other, shown_text_is_bounded)
