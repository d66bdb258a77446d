/* SPDX-License-Identifier: MIT */
/** The one page that every unit test needs: a main() around its cases. */
#pragma once

#include <check.h>
#include <stdlib.h>

/** Fails with the text of the error code, and names the expression. */
#define ck_ok(expr)                                                           \
	do {                                                                  \
		int ck_r_ = (expr);                                           \
		ck_assert_msg(ck_r_ == 0, "%s: %s", #expr, strerror(-ck_r_)); \
	} while (0)

#define ck_fails(expr, code) ck_assert_int_eq((expr), -(code))

/** Defines main(); the cases follow as test functions, NULL-terminated for checked fixtures. */
#define SUITE(name, setup, teardown, ...)                                     \
	int main(void)                                                        \
	{                                                                     \
		const TTest *cases[] = {__VA_ARGS__};                         \
		Suite *suite = suite_create(name);                            \
		TCase *tcase = tcase_create(name);                            \
		SRunner *runner = srunner_create(suite);                      \
		tcase_add_checked_fixture(tcase, setup, teardown);            \
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) \
			tcase_add_test(tcase, cases[i]);                      \
		suite_add_tcase(suite, tcase);                                \
		srunner_run_all(runner, CK_ENV);                              \
		int failed = srunner_ntests_failed(runner);                   \
		srunner_free(runner);                                         \
		return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;             \
	}
