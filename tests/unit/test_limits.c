/* SPDX-License-Identifier: MIT */
#include "main/limits.h"

#include "config/option.h"

#include <sys/resource.h>

#include "suite.h"

START_TEST(all_connections_fit_when_there_are_files_enough)
{
	ck_assert_uint_eq(limits_connections(1048576, 1, 10000), 10000);
	ck_assert_uint_eq(limits_connections(10084, 1, 10000), 10000);
	ck_assert_uint_eq(limits_connections(10336, 64, 10000), 10000);
}
END_TEST

START_TEST(connections_are_lowered_to_what_files_allow)
{
	ck_assert_uint_eq(limits_connections(10083, 1, 10000), 9999);
	ck_assert_uint_eq(limits_connections(1024, 1, 10000), 940);
	ck_assert_uint_eq(limits_connections(1024, 4, 10000), 928);
	ck_assert_uint_eq(limits_connections(128, 1, 10000), 44);
}
END_TEST

START_TEST(the_fewest_files_leave_a_few_connections)
{
	ck_assert_uint_eq(limits_files_needed(1), 100);
	int64_t fewest = option_table[OPTION_max_connections].least;

	ck_assert_uint_eq(limits_connections(limits_files_needed(1), 1, 10000), fewest);
	ck_assert_uint_eq(limits_connections(limits_files_needed(64), 64, 10000), fewest);
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
      connections_are_lowered_to_what_files_allow, the_fewest_files_leave_a_few_connections,
      the_soft_limit_of_files_is_raised_to_the_hard_one)
