/* SPDX-License-Identifier: MIT */
#include "http/http.h"
#include "suite.h"

START_TEST(versions_that_need_the_guard_are_known)
{
	static const struct {
		const char *version;
		bool lenient;
	} cases[] = {
		{"0.9.75", true},  {"0.9.77", true}, {"1.0.0", true},
		{"1.0", true},     {"1.0.4", true},  {"1.0.5", false},
		{"1.0.10", false}, {"1.1.0", false}, {"2.0.0", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(http_library_is_lenient(cases[i].version), cases[i].lenient);
}
END_TEST

SUITE("http_library", NULL, NULL, versions_that_need_the_guard_are_known)
