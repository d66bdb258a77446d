/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel: each timer is due at its time, compared with a naive list over random
 * operations.
 */
#include "base/timer.h"

#include "base/attr.h"
#include "base/random.h"
#include "suite.h"

#include <string.h>

#define MODEL_TIMERS 200
#define YEAR_MS      INT64_C(31536000000)

static struct timers timers;
static struct timer timer;

static void setup(void)
{
	memset(&timer, 0, sizeof(timer));
	timers_init(&timers, 1000);
}

/* Returns the next timer that is due at @p now_ms, or NULL. */
static struct timer *expired(int64_t now_ms)
{
	while (timers_next_ms(&timers) <= now_ms) {
		struct timer *due = timers_expired(&timers, now_ms);
		if (due != NULL)
			return due;
	}
	return timers_expired(&timers, now_ms);
}

START_TEST(an_empty_wheel_is_never_due)
{
	ck_assert_int_eq(timers_next_ms(&timers), INT64_MAX);
	ck_assert_ptr_null(timers_expired(&timers, 1000));
	ck_assert_ptr_null(timers_expired(&timers, INT64_MAX));
}
END_TEST

START_TEST(a_timer_is_due_at_its_millisecond_and_not_before)
{
	static const int64_t after[] = {1,
	                                2,
	                                63,
	                                64,
	                                65,
	                                4095,
	                                4096,
	                                4097,
	                                30000,
	                                262143,
	                                262144,
	                                86400000,
	                                YEAR_MS,
	                                2 * YEAR_MS,
	                                100 * YEAR_MS,
	                                INT64_MAX - 1001};

	for (size_t i = 0; i < ARRAY_LEN(after); i++) {
		int64_t due_ms = 1000 + after[i];

		timers_init(&timers, 1000);
		timers_arm(&timers, &timer, due_ms);
		ck_assert(timer_is_armed(&timer));
		ck_assert_int_le(timers_next_ms(&timers), due_ms);
		ck_assert_ptr_null(expired(due_ms - 1));
		ck_assert_int_le(timers_next_ms(&timers), due_ms);
		ck_assert_ptr_eq(expired(due_ms), &timer);
		ck_assert(!timer_is_armed(&timer));
		ck_assert_ptr_null(expired(due_ms));
		ck_assert_int_eq(timers_next_ms(&timers), INT64_MAX);
	}
}
END_TEST

START_TEST(a_time_that_has_passed_is_due_at_once)
{
	static const int64_t past[] = {1000, 999, 0, -1, INT64_MIN};

	for (size_t i = 0; i < ARRAY_LEN(past); i++) {
		timers_arm(&timers, &timer, past[i]);
		ck_assert_int_le(timers_next_ms(&timers), 1000);
		ck_assert_ptr_eq(timers_expired(&timers, 1000), &timer);
	}
}
END_TEST

START_TEST(arming_anew_moves_a_timer)
{
	timers_arm(&timers, &timer, 1010);
	timers_arm(&timers, &timer, 5000);
	ck_assert_ptr_null(expired(4999));
	timers_arm(&timers, &timer, 4999);
	ck_assert_ptr_eq(expired(4999), &timer);
	ck_assert_int_eq(timers_next_ms(&timers), INT64_MAX);
}
END_TEST

START_TEST(a_disarmed_timer_never_comes)
{
	timers_disarm(&timers, &timer);
	timers_arm(&timers, &timer, 2000);
	timers_disarm(&timers, &timer);
	timers_disarm(&timers, &timer);
	ck_assert(!timer_is_armed(&timer));
	ck_assert_int_eq(timers_next_ms(&timers), INT64_MAX);
	ck_assert_ptr_null(expired(10000));
}
END_TEST

START_TEST(a_timer_that_is_due_can_still_be_disarmed_or_put_off)
{
	struct timer other = {.due_ms = 0};

	timers_arm(&timers, &timer, 1);
	timers_arm(&timers, &other, 2);
	timers_disarm(&timers, &timer);
	timers_arm(&timers, &other, 3000);
	ck_assert_ptr_null(expired(2999));
	ck_assert_ptr_eq(expired(3000), &other);
}
END_TEST

START_TEST(timers_come_in_order_of_their_times)
{
	static const int64_t due[] = {70000, 1001, 5200, 1065, 1002, 5100, 1064, 69999};
	struct timer many[ARRAY_LEN(due)] = {0};
	int64_t last_ms = 0;

	for (size_t i = 0; i < ARRAY_LEN(due); i++)
		timers_arm(&timers, &many[i], due[i]);
	for (size_t i = 0; i < ARRAY_LEN(due); i++) {
		struct timer *next = expired(100000);
		ck_assert_ptr_nonnull(next);
		ck_assert_int_gt(next->due_ms, last_ms);
		last_ms = next->due_ms;
	}
	ck_assert_ptr_null(expired(100000));
}
END_TEST

START_TEST(a_clock_that_goes_back_makes_no_timer_early)
{
	timers_arm(&timers, &timer, 2000);
	ck_assert_ptr_null(expired(1999));
	timers_arm(&timers, &timer, 1500);
	ck_assert_ptr_null(timers_expired(&timers, 1499));
	ck_assert_ptr_eq(timers_expired(&timers, 1500), &timer);
}
END_TEST

START_TEST(one_call_does_a_bounded_amount_of_work)
{
	enum { MANY = 2000 };
	struct timer *many = calloc(MANY, sizeof(*many));
	int calls = 0;
	int got = 0;

	ck_assert_ptr_nonnull(many);
	for (int i = 0; i < MANY; i++)
		timers_arm(&timers, &many[i], 31000);
	/* All are in one slot; one call cannot move them all. */
	ck_assert_ptr_null(timers_expired(&timers, 31000));
	while (timers_next_ms(&timers) <= 31000) {
		calls++;
		got += timers_expired(&timers, 31000) != NULL;
	}
	ck_assert_int_eq(got, MANY);
	ck_assert_int_lt(calls, 2 * MANY);
	free(many);
}
END_TEST

/* The naive model: an array of times; -1: not armed. */
struct model {
	int64_t due_ms[MODEL_TIMERS];
	struct timer timer[MODEL_TIMERS];
	int64_t now_ms;
};

static int64_t model_first(const struct model *model)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < MODEL_TIMERS; i++)
		if (model->due_ms[i] >= 0 && model->due_ms[i] < first)
			first = model->due_ms[i];
	return first;
}

static int model_disagreements(const struct model *model)
{
	int count = 0;

	for (int i = 0; i < MODEL_TIMERS; i++)
		count += timer_is_armed(&model->timer[i]) != (model->due_ms[i] >= 0);
	return count;
}

static int64_t some_time(const struct model *model)
{
	/* Times of every magnitude, many of them at the borders of slots. */
	int64_t ahead = (int64_t)random_below(UINT64_C(1) << random_below(42));

	if (random_below(10) == 0)
		return model->now_ms - (int64_t)random_below((uint64_t)model->now_ms);
	return random_below(4) == 0 ? (model->now_ms + ahead) | 63 : model->now_ms + ahead;
}

static void model_step(struct model *model)
{
	int i = (int)random_below(MODEL_TIMERS);

	switch (random_below(4)) {
	case 0:
	case 1:
		model->due_ms[i] = some_time(model);
		timers_arm(&timers, &model->timer[i], model->due_ms[i]);
		break;
	case 2:
		model->due_ms[i] = -1;
		timers_disarm(&timers, &model->timer[i]);
		break;
	default: {
		int64_t first = model_first(model);
		if (random_below(3) == 0 && first != INT64_MAX && first > model->now_ms)
			model->now_ms = first - (int64_t)random_below(2);
		else
			model->now_ms += (int64_t)random_below(UINT64_C(1) << random_below(14));
	}
	}

	int64_t first_ms = model_first(model);
	ck_assert_int_le(timers_next_ms(&timers),
	                 first_ms < model->now_ms ? model->now_ms : first_ms);
	/* Sometimes take only one: operations then meet timers between levels. */
	for (bool more = true; more; more = random_below(3) > 0) {
		struct timer *due = timers_expired(&timers, model->now_ms);
		if (due == NULL && timers_next_ms(&timers) > model->now_ms) {
			ck_assert_int_gt(model_first(model), model->now_ms);
			break;
		}
		if (due == NULL)
			continue;
		ptrdiff_t at = due - model->timer;
		ck_assert_int_eq(due->due_ms, model->due_ms[at]);
		ck_assert_int_le(due->due_ms, model->now_ms);
		model->due_ms[at] = -1;
	}
	ck_assert_int_eq(model_disagreements(model), 0);
}

START_TEST(the_wheel_does_as_a_naive_list_does)
{
	static struct model model;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		random_seed(seed);
		memset(&model, 0, sizeof(model));
		for (int i = 0; i < MODEL_TIMERS; i++)
			model.due_ms[i] = -1;
		model.now_ms = (int64_t)random_below(UINT64_C(1) << 40) + 1;
		timers_init(&timers, model.now_ms);
		for (int step = 0; step < 2000; step++)
			model_step(&model);
	}
}
END_TEST

SUITE("timer", setup, NULL, an_empty_wheel_is_never_due,
      a_timer_is_due_at_its_millisecond_and_not_before, a_time_that_has_passed_is_due_at_once,
      arming_anew_moves_a_timer, a_disarmed_timer_never_comes,
      a_timer_that_is_due_can_still_be_disarmed_or_put_off, timers_come_in_order_of_their_times,
      a_clock_that_goes_back_makes_no_timer_early, one_call_does_a_bounded_amount_of_work,
      the_wheel_does_as_a_naive_list_does)
