/* SPDX-License-Identifier: MIT */
/* Pseudo-random numbers: reference vectors, uniformity, bounds. */
#include "base/random.h"

#include "base/thread.h"
#include "suite.h"

START_TEST(a_seed_gives_the_reference_sequence)
{
	/* The output of the authors' C code: xoshiro256** 1.0, seeded by SplitMix64 from 0. */
	static const uint64_t expected[] = {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a,
	                                    0x1a5f849d4933e6e0, 0x6aa594f1262d2d2c};

	random_seed(0);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(random_u64(), expected[i]);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_numbers)
{
	random_seed(42);
	uint64_t first = random_u64();
	ck_assert_uint_ne(random_u64(), first);
	random_seed(43);
	ck_assert_uint_ne(random_u64(), first);
	random_seed(42);
	ck_assert_uint_eq(random_u64(), first);
}
END_TEST

static void draw(void *arg)
{
	*(uint64_t *)arg = random_u64();
}

START_TEST(each_thread_has_numbers_of_its_own)
{
	uint64_t drawn[2] = {0, 0};
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		ck_ok(thread_start(&thread, "draw", draw, &drawn[i]));
		thread_join(thread);
	}
	ck_assert_uint_ne(drawn[0], drawn[1]);
}
END_TEST

START_TEST(numbers_below_a_bound_are_uniform)
{
	enum { BOUND = 7, DRAWS = 70000 };
	int count[BOUND] = {0};

	random_seed(1);
	for (int i = 0; i < DRAWS; i++)
		count[random_below(BOUND)]++;
	/* 5 standard deviations, each of 93 */
	for (int i = 0; i < BOUND; i++)
		ck_assert_int_lt(abs(count[i] - DRAWS / BOUND), 465);
}
END_TEST

START_TEST(a_large_bound_has_no_bias)
{
	/* With modulo, half of the numbers would be in the lower third; with multiplication and no
	 * rejection, half would be multiples of three. */
	const uint64_t bound = UINT64_C(3) << 62;
	int lower = 0;
	int threes = 0;

	random_seed(2);
	for (int i = 0; i < 30000; i++) {
		uint64_t n = random_below(bound);
		if (n >= bound)
			ck_abort_msg("out of bounds");
		lower += n < bound / 3;
		threes += n % 3 == 0;
	}
	ck_assert_int_lt(abs(lower - 10000), 410);
	ck_assert_int_lt(abs(threes - 10000), 410);
}
END_TEST

START_TEST(below_one_is_always_zero)
{
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(random_below(1), 0);
}
END_TEST

START_TEST(bytes_fill_all_of_the_buffer_and_no_more)
{
	unsigned char bytes[1002] = {0};
	int zeros = 0;

	random_bytes(bytes + 1, 1000);
	ck_assert_uint_eq(bytes[0], 0);
	ck_assert_uint_eq(bytes[1001], 0);
	for (int i = 1; i <= 1000; i++)
		zeros += bytes[i] == 0;
	ck_assert_int_lt(zeros, 30);
	random_bytes(bytes, 0);
}
END_TEST

START_TEST(a_bound_of_zero_stops_the_process)
{
	(void)random_below(0);
}
END_TEST

SUITE_ABORTS("random", NULL, NULL, (a_bound_of_zero_stops_the_process),
             a_seed_gives_the_reference_sequence, the_same_seed_gives_the_same_numbers,
             each_thread_has_numbers_of_its_own, numbers_below_a_bound_are_uniform,
             a_large_bound_has_no_bias, below_one_is_always_zero,
             bytes_fill_all_of_the_buffer_and_no_more)
