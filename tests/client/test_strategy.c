/* SPDX-License-Identifier: MIT */
#include "lib/base/env.h"
#include "lib/base/util.h"
#include "lib/policy/strategy.h"
#include "suite.h"

#include <md5.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MOST 200

static rollcall_instance instances[MOST];
static char ids[MOST][16];
static double loads[MOST];
static unsigned char skip[MOST];
static uint64_t random_state;
static rollcall_choice choice;

static double load_of(const rollcall_choice *c, size_t index)
{
	(void)c;
	return loads[index];
}

static uint64_t below(const rollcall_choice *c, uint64_t bound)
{
	(void)c;
	return random_step(&random_state) % bound;
}

static void use(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "i%zu", i);
		instances[i] =
			(rollcall_instance){.id = ids[i], .host = "h", .port = 1, .weight = 100};
	}
	choice = (rollcall_choice){.size = sizeof(choice),
	                           .instances = instances,
	                           .count = count,
	                           .load = load_of,
	                           .random_below = below};
	memset(skip, 0, sizeof(skip));
	random_state = 3;
}

static void *create(const rollcall_strategy *strategy, uint64_t random)
{
	return strategy->create(instances, choice.count, random, NULL);
}

START_TEST(round_robin_begins_anywhere_and_then_goes_round)
{
	use(3);
	bool begins[3] = {false};

	for (uint64_t random = 0; random < 30; random++) {
		void *state = create(&strategy_round_robin, random);
		size_t first = strategy_round_robin.pick(state, &choice);

		begins[first] = true;
		for (size_t n = 1; n < 10; n++)
			ck_assert_uint_eq(strategy_round_robin.pick(state, &choice),
			                  (first + n) % 3);
		strategy_round_robin.destroy(state);
	}
	ck_assert(begins[0] && begins[1] && begins[2]);
}
END_TEST

START_TEST(weights_100_and_50_give_1_2_1)
{
	static const size_t want[] = {0, 1, 0, 0, 1, 0, 0, 1, 0};

	use(2);
	instances[1].weight = 50;
	void *state = create(&strategy_weighted, 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_uint_eq(strategy_weighted.pick(state, &choice), want[i]);
	strategy_weighted.destroy(state);
}
END_TEST

START_TEST(weights_5_1_1_are_smooth_and_survive_a_change)
{
	static const size_t want[] = {0, 0, 1, 0, 2, 0, 0};
	static const uint32_t weights[] = {5, 1, 1};

	use(3);
	for (size_t i = 0; i < 3; i++)
		instances[i].weight = weights[i];
	void *state = create(&strategy_weighted, 0);
	for (size_t i = 0; i < 7; i++) {
		void *next = create(&strategy_weighted, 0);

		ck_assert_uint_eq(strategy_weighted.pick(state, &choice), want[i]);
		strategy_weighted.inherit(next, state);
		strategy_weighted.destroy(state);
		state = next;
	}
	strategy_weighted.destroy(state);
}
END_TEST

START_TEST(weight_zero_is_picked_only_when_all_are)
{
	use(2);
	instances[0].weight = 0;
	void *state = create(&strategy_weighted, 0);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(strategy_weighted.pick(state, &choice), 1);
	instances[1].weight = 0;
	ck_assert_uint_ne(strategy_weighted.pick(state, &choice),
	                  strategy_weighted.pick(state, &choice));
	strategy_weighted.destroy(state);
}
END_TEST

/* The rule again, in its simplest form. */
static size_t reference_ring(const char *key)
{
	char best[64] = "~";
	char least[64] = "~";
	char place[MD5_DIGEST_STRING_LENGTH];
	size_t best_index = ROLLCALL_NONE;
	size_t least_index = 0;

	(void)MD5Data((const uint8_t *)key, strlen(key), place);
	for (size_t i = 0; i < choice.count; i++) {
		for (int n = 0; n < 100; n++) {
			char text[32];
			char point[MD5_DIGEST_STRING_LENGTH];

			int len = snprintf(text, sizeof(text), "%s:%d", ids[i], n);
			(void)MD5Data((const uint8_t *)text, (size_t)len, point);
			if (strcmp(point, least) < 0) {
				memcpy(least, point, sizeof(point));
				least_index = i;
			}
			if (strcmp(point, place) >= 0 && strcmp(point, best) < 0) {
				memcpy(best, point, sizeof(point));
				best_index = i;
			}
		}
	}
	return best_index == ROLLCALL_NONE ? least_index : best_index;
}

START_TEST(the_ring_is_the_one_the_registry_uses)
{
	char key[32];

	use(5);
	void *state = create(&strategy_ring, 0);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof(key), "user-%d", i);
		choice.key = key;
		ck_assert_uint_eq(strategy_ring.pick(state, &choice), reference_ring(key));
	}
	strategy_ring.destroy(state);
}
END_TEST

START_TEST(losing_an_instance_moves_only_its_own_keys)
{
	char key[32];

	use(10);
	void *state = create(&strategy_ring, 0);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		choice.key = key;
		choice.skip = NULL;
		size_t before = strategy_ring.pick(state, &choice);
		choice.skip = skip;
		skip[4] = 1;
		size_t after = strategy_ring.pick(state, &choice);
		ck_assert(before == 4 ? after != 4 : after == before);
	}
	choice.key = NULL;
	ck_assert_uint_lt(strategy_ring.pick(state, &choice), 10);
	strategy_ring.destroy(state);
}
END_TEST

START_TEST(p2c_takes_the_less_loaded_of_two)
{
	int picks[3] = {0};

	use(3);
	loads[0] = 1;
	loads[1] = 5;
	loads[2] = 9;
	void *state = create(&strategy_p2c, 0);
	for (int i = 0; i < 3000; i++)
		picks[strategy_p2c.pick(state, &choice)]++;
	ck_assert_int_eq(picks[2], 0); /* it is never the less loaded of two */
	ck_assert_int_gt(picks[0], 1900);
	ck_assert_int_gt(picks[1], 900);
	choice.skip = skip;
	skip[0] = skip[1] = 1;
	ck_assert_uint_eq(strategy_p2c.pick(state, &choice), 2);
	use(1);
	ck_assert_uint_eq(strategy_p2c.pick(state, &choice), 0);
	strategy_p2c.destroy(state);
}
END_TEST

START_TEST(no_strategy_picks_what_is_to_be_skipped)
{
	static const char *const names[] = {"round_robin", "weighted_round_robin",
	                                    "consistent_hash", "random", "p2c"};

	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		const rollcall_strategy *strategy = rollcall_strategy_named(names[n]);

		ck_assert_ptr_nonnull(strategy);
		use(20);
		void *state = create(strategy, 5);
		choice.skip = skip;
		choice.key = "k";
		for (int round = 0; round < 200; round++) {
			for (size_t i = 0; i < 20; i++)
				skip[i] = random_step(&random_state) % 4 != 0;
			size_t index = strategy->pick(state, &choice);
			if (index == ROLLCALL_NONE)
				ck_assert_ptr_null(memchr(skip, 0, 20));
			else
				ck_assert_uint_eq(skip[index], 0);
		}
		memset(skip, 1, sizeof(skip));
		ck_assert_uint_eq(strategy->pick(state, &choice), ROLLCALL_NONE);
		strategy->destroy(state);
	}
	ck_assert_ptr_null(rollcall_strategy_named("best"));
	ck_assert_ptr_null(rollcall_strategy_named(NULL));
}
END_TEST

SUITE("client strategies", NULL, NULL, round_robin_begins_anywhere_and_then_goes_round,
      weights_100_and_50_give_1_2_1, weights_5_1_1_are_smooth_and_survive_a_change,
      weight_zero_is_picked_only_when_all_are, the_ring_is_the_one_the_registry_uses,
      losing_an_instance_moves_only_its_own_keys, p2c_takes_the_less_loaded_of_two,
      no_strategy_picks_what_is_to_be_skipped)
