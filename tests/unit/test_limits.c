/* SPDX-License-Identifier: MIT */
#include "main/limits.h"

#include <sys/resource.h>

#include "suite.h"

START_TEST(all_connections_fit_when_there_are_files_enough)
{
	ck_assert_uint_eq(limits_connections(1048576, 10000), 10000);
	ck_assert_uint_eq(limits_connections(10128, 10000), 10000);
}
END_TEST

START_TEST(connections_are_lowered_to_what_files_allow)
{
	ck_assert_uint_eq(limits_connections(10127, 10000), 9999);
	ck_assert_uint_eq(limits_connections(1024, 10000), 896);
	ck_assert_uint_eq(limits_connections(10, 10000), 1);
}
END_TEST

START_TEST(the_soft_limit_of_files_is_raised_to_the_hard_one)
{
	struct rlimit files;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = 64;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_uint_eq(limits_raise_files(), files.rlim_max);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_uint_eq(files.rlim_cur, files.rlim_max);
}
END_TEST

SUITE("limits", NULL, NULL, all_connections_fit_when_there_are_files_enough,
      connections_are_lowered_to_what_files_allow,
      the_soft_limit_of_files_is_raised_to_the_hard_one)
