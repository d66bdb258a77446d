/* SPDX-License-Identifier: MIT */
/** What every unit test includes: main() for a list of cases, and short assertions on results. */
#pragma once

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Fails unless @p expr is 0; the message has the expression and the text of the error code. */
#define ck_ok(expr)                                                           \
	do {                                                                  \
		int ck_r_ = (expr);                                           \
		ck_assert_msg(ck_r_ == 0, "%s: %s", #expr, strerror(-ck_r_)); \
	} while (0)

#define ck_fails(expr, code) ck_assert_int_eq((expr), -(code))

/**
 * Ends a case that cannot run on this machine. `make check` prints the reason and counts the case
 * as skipped, not as passed. Use it only in the function of the test.
 */
#define ck_skip(reason)                         \
	do {                                    \
		suite_skip(__func__, (reason)); \
		return;                         \
	} while (0)

static const char *suite_result; /* $TAP_FILE */

/* Before main(), because some cases clear the environment. */
__attribute__((constructor)) static void suite_read_environment(void)
{
	suite_result = getenv("TAP_FILE");
}

/** Writes "name reason" to the file from which tests/lib/run-program reads it. */
__attribute__((unused)) static void suite_skip(const char *function, const char *reason)
{
	char path[4096];
	int name_len = (int)strlen(function) - (int)strlen("_fn"); /* START_TEST() adds it */
	FILE *file = NULL;

	if (suite_result != NULL &&
	    snprintf(path, sizeof(path), "%s.skipped", suite_result) < (int)sizeof(path))
		file = fopen(path, "ae");
	(void)fprintf(file != NULL ? file : stdout, "%.*s %s\n", name_len, function, reason);
	if (file != NULL)
		(void)fclose(file);
}

static inline int suite_run(const char *name, SFun setup, SFun teardown, const TTest *const *cases,
                            size_t count, const TTest *const *aborts, size_t abort_count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);

	/* Long enough for a case that a sanitizer or a busy machine makes slow. */
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, cases[i]);
	for (size_t i = 0; i < abort_count; i++)
		tcase_add_test_raise_signal(tcase, aborts[i], SIGABRT);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/** Defines main(); the cases follow as test functions. Fixtures may be NULL. */
#define SUITE(name, setup, teardown, ...)                                                        \
	int main(void)                                                                           \
	{                                                                                        \
		const TTest *cases[] = {__VA_ARGS__};                                            \
		return suite_run(name, setup, teardown, cases, sizeof(cases) / sizeof(cases[0]), \
		                 NULL, 0);                                                       \
	}

/** The same, with a first list in parentheses of cases that must end in a failed CHECK(). */
#define SUITE_ABORTS(name, setup, teardown, aborting, ...)                                       \
	int main(void)                                                                           \
	{                                                                                        \
		const TTest *cases[] = {__VA_ARGS__};                                            \
		const TTest *aborts[] = {SUITE_LIST aborting};                                   \
		return suite_run(name, setup, teardown, cases, sizeof(cases) / sizeof(cases[0]), \
		                 aborts, sizeof(aborts) / sizeof(aborts[0]));                    \
	}
#define SUITE_LIST(...) __VA_ARGS__
