/* SPDX-License-Identifier: MIT */
/*
 * Picks of each strategy: fixed vectors, comparisons with slow implementations that follow the
 * published rules, and threads that share a cursor. The read model is built by hand (readmodel.h).
 */
#include "base/random.h"
#include "readmodel.h"

#include <errno.h>
#include <math.h>
#include <md5.h>
#include <stdio.h>

static struct pick pick_by(enum strategy strategy)
{
	return (struct pick){.strategy = strategy, .count = 1};
}

/* Picks, after building the index that the pick needs, as COMMAND_INDEX does. */
static int picks(const struct service *service, const struct pick *pick, const struct member **ret)
{
	int n = balance_pick(service, pick, ret);

	if (n == -EAGAIN) {
		ck_ok(balance_build((struct service *)(uintptr_t)service, NULL));
		n = balance_pick(service, pick, ret);
	}
	return n;
}

static const struct service *web_of(const struct snapshot *now)
{
	const struct service *web = snapshot_service(now, STR("web"));

	ck_assert_ptr_nonnull(web);
	return web;
}

/* The ids of n picks, one character each. */
static void pick_string(const struct pick *pick, size_t n, char *out)
{
	const struct snapshot *now = snapshot_enter(store);
	const struct member *member;

	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(picks(web_of(now), pick, &member), 1);
		out[i] = member->value.id.data[0];
	}
	out[n] = '\0';
	snapshot_leave(store);
}

/* @return 17 for the instance "i17" */
static int number_of(const struct member *member)
{
	char text[16] = "";

	ck_assert_uint_lt(member->value.id.len, sizeof(text));
	memcpy(text, member->value.id.data, member->value.id.len);
	return atoi(text + 1);
}

START_TEST(round_robin_goes_through_registration_order)
{
	struct pick pick = pick_by(STRATEGY_ROUND_ROBIN);
	char got[16];

	add("web", "c", 1);
	add("web", "a", 1);
	add("web", "b", 1);
	pick_string(&pick, 7, got);
	ck_assert_str_eq(got, "cabcabc");
}
END_TEST

START_TEST(the_cursor_survives_membership_changes)
{
	struct pick pick = pick_by(STRATEGY_ROUND_ROBIN);
	char got[16];

	add("web", "a", 1);
	add("web", "b", 1);
	pick_string(&pick, 3, got);
	ck_assert_str_eq(got, "aba");
	add("web", "c", 1);
	pick_string(&pick, 3, got); /* picks 3, 4, 5 mod 3 */
	ck_assert_str_eq(got, "abc");
}
END_TEST

START_TEST(weights_of_100_and_50_give_the_published_sequence)
{
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);
	char got[16];

	add("web", "1", 100);
	add("web", "2", 50);
	pick_string(&pick, 9, got);
	ck_assert_str_eq(got, "121121121");
}
END_TEST

START_TEST(weights_of_5_1_1_give_nginx_s_sequence)
{
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);
	char got[16];

	add("web", "a", 5);
	add("web", "b", 1);
	add("web", "c", 1);
	pick_string(&pick, 14, got);
	ck_assert_str_eq(got, "aabacaaaabacaa");
}
END_TEST

/* The published rule, one step at a time. */
static size_t reference_step(int64_t *current, const uint16_t *weights, size_t count)
{
	int64_t total = 0;
	size_t best = 0;

	for (size_t i = 0; i < count; i++) {
		current[i] += weights[i];
		total += weights[i];
	}
	for (size_t i = 1; i < count; i++) {
		if (current[i] > current[best])
			best = i;
	}
	current[best] -= total;
	return best;
}

START_TEST(weighted_agrees_with_the_rule_for_random_weights)
{
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);

	random_seed(7);
	for (int round = 0; round < 20; round++) {
		size_t count = 1 + random_below(20);
		uint16_t weights[20];
		int64_t current[20] = {0};
		char id[24];

		for (size_t i = 0; i < count; i++) {
			weights[i] = (uint16_t)(1 + random_below(round < 10 ? 10 : 1000));
			(void)snprintf(id, sizeof(id), "i%zu", i);
			add("web", id, weights[i]);
		}
		const struct snapshot *now = snapshot_enter(store);
		for (int n = 0; n < 5000; n++) {
			const struct member *member;

			ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
			ck_assert_int_eq(number_of(member),
			                 (int)reference_step(current, weights, count));
		}
		snapshot_leave(store);
		for (size_t i = 0; i < count; i++) {
			(void)snprintf(id, sizeof(id), "i%zu", i);
			drop("web", id);
		}
	}
}
END_TEST

START_TEST(weight_0_is_never_picked_while_another_has_more)
{
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);
	char got[16];

	add("web", "z", 0);
	add("web", "a", 3);
	add("web", "b", 1);
	pick_string(&pick, 8, got);
	ck_assert_ptr_null(strchr(got, 'z'));
	drop("web", "a");
	drop("web", "b");
	pick_string(&pick, 2, got);
	ck_assert_str_eq(got, "zz");
}
END_TEST

START_TEST(too_many_odd_weights_are_fair_within_one_percent)
{
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);
	enum { COUNT = 600 };
	static uint32_t got[COUNT];
	uint64_t total = 0;
	char id[24];
	const uint32_t n = 1u << 18;

	for (uint32_t i = 0; i < COUNT; i++) { /* the period times the count is above 2^24 */
		(void)snprintf(id, sizeof(id), "i%u", i);
		add("web", id, (uint16_t)(1000 + i * 7));
		total += 1000 + i * 7;
	}
	const struct snapshot *now = snapshot_enter(store);
	for (uint32_t i = 0; i < n; i++) {
		const struct member *member;

		ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
		got[number_of(member)]++;
	}
	snapshot_leave(store);
	for (uint32_t i = 0; i < COUNT; i++) {
		double share = (double)n * (1000 + i * 7) / (double)total;

		ck_assert_msg(fabs(got[i] - share) <= share / 100 + 1, "instance %u: %u for %f", i,
		              got[i], share);
	}
}
END_TEST

/* An independent, slow ring: the owner has the smallest point at or after that of the key. */
static int compare_digest(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, MD5_DIGEST_LENGTH);
}

static void digest_of(const char *text, uint8_t out[MD5_DIGEST_LENGTH])
{
	MD5_CTX md5;

	MD5Init(&md5);
	MD5Update(&md5, (const uint8_t *)text, strlen(text));
	MD5Final(out, &md5);
}

static int reference_owner(const char *key, const char *const *ids, size_t count)
{
	uint8_t place[MD5_DIGEST_LENGTH];
	uint8_t best[MD5_DIGEST_LENGTH];
	uint8_t lowest[MD5_DIGEST_LENGTH];
	int best_owner = -1;
	int lowest_owner = -1;

	digest_of(key, place);
	for (size_t i = 0; i < count; i++) {
		for (int p = 0; p < 100; p++) {
			uint8_t point[MD5_DIGEST_LENGTH];
			char text[512];

			(void)snprintf(text, sizeof(text), "%s:%d", ids[i], p);
			digest_of(text, point);
			if (compare_digest(point, place) >= 0 &&
			    (best_owner < 0 || compare_digest(point, best) < 0)) {
				memcpy(best, point, sizeof(best));
				best_owner = (int)i;
			}
			if (lowest_owner < 0 || compare_digest(point, lowest) < 0) {
				memcpy(lowest, point, sizeof(lowest));
				lowest_owner = (int)i;
			}
		}
	}
	return best_owner >= 0 ? best_owner : lowest_owner;
}

static const char *const ring_ids[] = {"order-1", "order-2", "10.0.0.1:8080:x", "d", "e"};

static void compare_ring(const char *const *ids, size_t count)
{
	const struct snapshot *now = snapshot_enter(store);

	for (int k = 0; k < 200; k++) {
		struct pick pick = pick_by(STRATEGY_CONSISTENT_HASH);
		const struct member *member;
		char key[16];

		(void)snprintf(key, sizeof(key), "key-%d", k);
		pick.key = str_of(key);
		ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
		ck_assert(
			str_equal(member->value.id, str_of(ids[reference_owner(key, ids, count)])));
	}
	snapshot_leave(store);
}

START_TEST(the_ring_agrees_with_an_independent_one_as_members_come_and_go)
{
	const char *const without_2[] = {"order-1", "10.0.0.1:8080:x", "d", "e"};
	const char *const again[] = {"order-1", "10.0.0.1:8080:x", "d", "e", "order-2"};

	for (size_t i = 0; i < 5; i++) {
		add("web", ring_ids[i], 1);
		compare_ring(ring_ids, i + 1);
	}
	drop("web", "order-2");
	compare_ring(without_2, 4);
	add("web", "order-2", 1);
	compare_ring(again, 5);
}
END_TEST

/* The journal of another version may have ids that the API refuses. */
START_TEST(an_id_of_any_length_has_its_points)
{
	char longest[INSTANCE_ID_MAX + 101];
	const char *const ids[] = {"order-1", longest};

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < 2; i++)
		add("web", ids[i], 1);
	compare_ring(ids, 2);
}
END_TEST

START_TEST(the_ring_has_fixed_vectors)
{
	/* From printf %s 'order-1:0' | md5sum and so on, sorted: the first after the key's MD5. */
	static const struct {
		const char *key;
		const char *id;
	} vectors[] = {{"user-1", "10.0.0.1:8080:x"},
	               {"user-2", "10.0.0.1:8080:x"},
	               {"user-3", "order-2"},
	               {"", "10.0.0.1:8080:x"},
	               {"cart/17", "order-2"},
	               {"a", "order-2"},
	               {"session:9f", "10.0.0.1:8080:x"}};

	for (size_t i = 0; i < 3; i++)
		add("web", ring_ids[i], 1);
	const struct snapshot *now = snapshot_enter(store);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct pick pick = pick_by(STRATEGY_CONSISTENT_HASH);
		const struct member *member;

		pick.key = str_of(vectors[i].key);
		ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
		ck_assert_msg(str_equal(member->value.id, str_of(vectors[i].id)), "key %s",
		              vectors[i].key);
	}
	snapshot_leave(store);
}
END_TEST

START_TEST(an_index_is_built_only_when_asked_for_and_kept_while_it_is_read)
{
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);
	const struct member *member;

	add("web", "a", 2);
	const struct snapshot *now = snapshot_enter(store);
	ck_assert_int_eq(balance_pick(web_of(now), &pick, &member), -EAGAIN);
	ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
	snapshot_leave(store);

	add("web", "b", 1); /* the index was read, so the writer builds the next one */
	now = snapshot_enter(store);
	ck_assert_int_eq(balance_pick(web_of(now), &pick, &member), 1);
	snapshot_leave(store);

	add("web", "c", 1);
	add("web", "d", 1); /* the index was not read since, so it is not built again */
	now = snapshot_enter(store);
	ck_assert_int_eq(balance_pick(web_of(now), &pick, &member), -EAGAIN);
	snapshot_leave(store);
}
END_TEST

START_TEST(several_picks_are_all_different)
{
	static const enum strategy all[] = {STRATEGY_ROUND_ROBIN, STRATEGY_WEIGHTED_ROUND_ROBIN,
	                                    STRATEGY_CONSISTENT_HASH, STRATEGY_RANDOM,
	                                    STRATEGY_LEAST_LOADED};
	char id[2] = "a";

	for (int i = 0; i < 9; i++) {
		id[0] = (char)('a' + i);
		add("web", id, (uint16_t)(1 + i));
	}
	const struct snapshot *now = snapshot_enter(store);
	for (size_t s = 0; s < 5; s++) {
		for (size_t count = 1; count <= 12; count++) {
			struct pick pick = pick_by(all[s]);
			const struct member *got[12];
			unsigned seen = 0;

			pick.count = count;
			pick.key = STR("k");
			int n = picks(web_of(now), &pick, got);
			ck_assert_int_eq(n, count < 9 ? (int)count : 9);
			for (int i = 0; i < n; i++)
				seen |= 1u << (got[i]->value.id.data[0] - 'a');
			ck_assert_int_eq(__builtin_popcount(seen), n);
		}
	}
	snapshot_leave(store);
}
END_TEST

START_TEST(excluded_and_filtered_ones_are_never_picked)
{
	char id[2] = "a";

	for (int i = 0; i < 6; i++) {
		struct instance instance = sample("web", id);

		id[0] = (char)('a' + i);
		instance.id = str_of(id);
		instance.metadata =
			i % 2 == 0 ? (struct str){"zone\0A", 7} : (struct str){"zone\0B", 7};
		instance.metadata_count = 1;
		publish_event(EVENT_REGISTERED, &instance);
	}
	const struct snapshot *now = snapshot_enter(store);
	for (int s = 0; s < STRATEGY_COUNT; s++) {
		struct pick pick = pick_by((enum strategy)s);
		const struct member *member;

		pick.filter.pair[0].key = STR("zone");
		pick.filter.pair[0].value = STR("A");
		pick.filter.count = 1;
		pick.exclude[0] = STR("a");
		pick.exclude[1] = STR("b"); /* filtered out already */
		pick.exclude[2] = STR("nobody");
		pick.exclude_count = 3;
		for (int i = 0; i < 100; i++) {
			ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
			ck_assert(member->value.id.data[0] == 'c' ||
			          member->value.id.data[0] == 'e');
		}
		pick.exclude[1] = STR("c");
		pick.exclude[2] = STR("e");
		ck_assert_int_eq(picks(web_of(now), &pick, &member), 0);
	}
	snapshot_leave(store);
}
END_TEST

START_TEST(filters_have_cursors_of_their_own)
{
	struct pick zone = pick_by(STRATEGY_ROUND_ROBIN);
	struct pick any = pick_by(STRATEGY_ROUND_ROBIN);
	const struct member *member;
	char got[9] = "";
	char id[2] = "a";

	for (int i = 0; i < 4; i++) {
		id[0] = (char)('a' + i);
		struct instance instance = sample("web", id);
		instance.metadata = i < 2 ? (struct str){"zone\0A", 7} : (struct str){"zone\0B", 7};
		instance.metadata_count = 1;
		publish_event(EVENT_REGISTERED, &instance);
	}
	zone.filter.pair[0].key = STR("zone");
	zone.filter.pair[0].value = STR("A");
	zone.filter.count = 1;
	const struct snapshot *now = snapshot_enter(store);
	for (int i = 0; i < 8; i++) { /* neither filter may starve an instance of the other */
		ck_assert_int_eq(picks(web_of(now), i % 2 == 0 ? &zone : &any, &member), 1);
		got[i] = member->value.id.data[0];
	}
	ck_assert_str_eq(got, "aabbacbd");
	snapshot_leave(store);
}
END_TEST

START_TEST(draining_and_unhealthy_ones_are_never_picked)
{
	add("web", "a", 1);
	add("web", "b", 1);
	add("web", "c", 1);
	struct instance a = sample("web", "a");
	struct instance b = sample("web", "b");
	a.lease_out = true;
	publish_event(EVENT_EXPIRED, &a);
	b.drained = true;
	publish_event(EVENT_DRAINED, &b);

	const struct snapshot *now = snapshot_enter(store);
	for (int s = 0; s < STRATEGY_COUNT; s++) {
		struct pick pick = pick_by((enum strategy)s);
		const struct member *got[3];

		pick.count = 3;
		ck_assert_int_eq(picks(web_of(now), &pick, got), 1);
		ck_assert(str_equal(got[0]->value.id, STR("c")));
	}
	snapshot_leave(store);
}
END_TEST

START_TEST(random_is_uniform)
{
	struct pick pick = pick_by(STRATEGY_RANDOM);
	const struct member *member;
	unsigned got[5] = {0};
	char id[2] = "a";
	double chi = 0;

	random_seed(42);
	for (int i = 0; i < 5; i++) {
		id[0] = (char)('a' + i);
		add("web", id, 1);
	}
	const struct snapshot *now = snapshot_enter(store);
	for (int i = 0; i < 10000; i++) {
		ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
		got[member->value.id.data[0] - 'a']++;
	}
	snapshot_leave(store);
	for (int i = 0; i < 5; i++)
		chi += (got[i] - 2000.0) * (got[i] - 2000.0) / 2000.0;
	ck_assert_msg(chi < 18.5, "chi squared %f", chi); /* p = 0.001 with 4 degrees of freedom */
}
END_TEST

START_TEST(the_less_loaded_of_two_is_picked)
{
	struct pick pick = pick_by(STRATEGY_LEAST_LOADED);
	const struct member *member;
	unsigned got[4] = {0};
	char id[2] = "a";

	random_seed(1);
	for (int i = 0; i < 4; i++) {
		id[0] = (char)('a' + i);
		add("web", id, 1);
	}
	const struct snapshot *now = snapshot_enter(store);
	for (uint32_t i = 0; i < 4; i++)
		atomic_store(&web_of(now)->members[i]->lease->load_ppm, i * 100000);
	for (int i = 0; i < 16000; i++) {
		ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
		got[member->value.id.data[0] - 'a']++;
	}
	snapshot_leave(store);
	/* Of the six pairs the least loaded instance wins three, the next two, one and none. */
	ck_assert_uint_eq(got[3], 0);
	for (int i = 0; i < 3; i++)
		ck_assert_msg(fabs(got[i] - 16000.0 * (3 - i) / 6) < 400, "instance %d: %u", i,
		              got[i]);
}
END_TEST

START_TEST(a_pick_can_be_replayed_from_its_trace)
{
	static const enum strategy traced[] = {STRATEGY_ROUND_ROBIN, STRATEGY_WEIGHTED_ROUND_ROBIN};
	char id[2] = "a";

	for (int i = 0; i < 5; i++) {
		id[0] = (char)('a' + i);
		add("web", id, (uint16_t)(1 + i));
	}
	const struct snapshot *now = snapshot_enter(store);
	for (size_t s = 0; s < 2; s++) {
		for (uint64_t n = 0; n < 20; n++) {
			struct pick_trace trace = {0};
			struct pick pick = pick_by(traced[s]);
			const struct member *first;
			const struct member *again;

			pick.trace = &trace;
			ck_assert_int_eq(picks(web_of(now), &pick, &first), 1);
			ck_assert(trace.has_cursor && !trace.has_place);
			ck_assert_uint_eq(trace.cursor, n); /* a replay does not move the cursor */
			pick.replay = true;
			pick.cursor = trace.cursor;
			ck_assert_int_eq(picks(web_of(now), &pick, &again), 1);
			ck_assert_ptr_eq(first, again);
		}
	}
	snapshot_leave(store);
}
END_TEST

START_TEST(an_explained_pick_lists_the_instances_left_out)
{
	struct pick_trace trace = {0};
	struct pick pick = pick_by(STRATEGY_WEIGHTED_ROUND_ROBIN);
	const struct member *member;
	struct buf out;

	add("web", "a", 5);
	add("web", "b", 0);
	add("web", "c", 5);
	add("web", "d", 5);
	struct instance c = sample("web", "c");
	c.lease_out = true;
	publish_event(EVENT_EXPIRED, &c);
	pick.exclude[0] = STR("d");
	pick.exclude_count = 1;
	pick.trace = &trace;

	const struct snapshot *now = snapshot_enter(store);
	ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
	ck_assert(str_equal(member->value.id, STR("a")));
	buf_init(&out, 4096);
	balance_explain(&out, web_of(now), &pick, &trace);
	buf_put_char(&out, '\0');
	ck_ok(buf_error(&out));
	ck_assert_str_eq(
		out.data,
		"{\"strategy\":\"weighted_round_robin\",\"revision\":5,\"cursor\":0,"
		"\"candidates\":[\"a\"],\"left_out\":[{\"id\":\"b\",\"why\":\"weight 0\"},"
		"{\"id\":\"c\",\"why\":\"unhealthy\"},{\"id\":\"d\",\"why\":\"excluded\"}]}");
	buf_fini(&out);
	snapshot_leave(store);
}
END_TEST

START_TEST(a_hashed_pick_explains_the_place_of_its_key)
{
	struct pick_trace trace = {0};
	struct pick pick = pick_by(STRATEGY_CONSISTENT_HASH);
	const struct member *member;

	add("web", "a", 1);
	pick.key = STR("a");
	pick.trace = &trace;
	const struct snapshot *now = snapshot_enter(store);
	ck_assert_int_eq(picks(web_of(now), &pick, &member), 1);
	snapshot_leave(store);
	/* printf a | md5sum */
	ck_assert(trace.has_place);
	ck_assert_uint_eq(trace.place_high, 0x0cc175b9c0f1b6a8);
	ck_assert_uint_eq(trace.place_low, 0x31c399e269772661);
}
END_TEST

static _Atomic uint32_t tally[10];

static void pick_many(void *arg)
{
	const struct pick *pick = arg;

	for (int i = 0; i < 5000; i++) {
		const struct snapshot *now = snapshot_enter(store);
		const struct member *member;

		ck_assert_int_eq(balance_pick(web_of(now), pick, &member), 1);
		atomic_fetch_add(&tally[member->value.id.data[0] - 'a'], 1);
		snapshot_leave(store);
	}
}

START_TEST(threads_together_pick_what_one_thread_would)
{
	static const enum strategy shared[] = {STRATEGY_ROUND_ROBIN, STRATEGY_WEIGHTED_ROUND_ROBIN};
	char id[2] = "a";

	for (int i = 0; i < 10; i++) {
		id[0] = (char)('a' + i);
		add("web", id, (uint16_t)(i + 1)); /* a period of 55 picks */
	}
	for (size_t s = 0; s < 2; s++) {
		struct pick pick = pick_by(shared[s]);
		const struct member *member;
		pthread_t threads[4];
		uint32_t want[10] = {0};
		int64_t current[10] = {0};
		uint16_t weights[10];

		for (uint16_t i = 0; i < 10; i++)
			weights[i] = (uint16_t)(i + 1);
		const struct snapshot *now = snapshot_enter(store);
		ck_assert_int_eq(picks(web_of(now), &pick, &member),
		                 1); /* the first pick, which builds the index */
		snapshot_leave(store);
		for (int i = 0; i < 10; i++)
			atomic_store(&tally[i], 0);
		for (int t = 0; t < 4; t++)
			ck_ok(thread_start(&threads[t], "picker", pick_many, &pick));
		for (int t = 0; t < 4; t++)
			thread_join(threads[t]);
		for (int i = 0; i < 20001; i++) {
			size_t index =
				s == 0 ? (size_t)i % 10 : reference_step(current, weights, 10);

			if (i > 0)
				want[index]++;
		}
		for (int i = 0; i < 10; i++)
			ck_assert_uint_eq(atomic_load(&tally[i]), want[i]);
	}
}
END_TEST

START_TEST(strategies_are_named)
{
	enum strategy strategy;

	for (int s = 0; s < STRATEGY_COUNT; s++) {
		ck_ok(strategy_parse(str_of(strategy_name((enum strategy)s)), &strategy));
		ck_assert_int_eq((int)strategy, s);
	}
	ck_fails(strategy_parse(STR("fastest"), &strategy), EINVAL);
	ck_fails(strategy_parse(STR(""), &strategy), EINVAL);
}
END_TEST

SUITE("balance", readmodel_setup, readmodel_teardown, round_robin_goes_through_registration_order,
      the_cursor_survives_membership_changes, weights_of_100_and_50_give_the_published_sequence,
      weights_of_5_1_1_give_nginx_s_sequence, weighted_agrees_with_the_rule_for_random_weights,
      weight_0_is_never_picked_while_another_has_more,
      too_many_odd_weights_are_fair_within_one_percent,
      the_ring_agrees_with_an_independent_one_as_members_come_and_go,
      an_id_of_any_length_has_its_points, the_ring_has_fixed_vectors,
      an_index_is_built_only_when_asked_for_and_kept_while_it_is_read,
      several_picks_are_all_different, excluded_and_filtered_ones_are_never_picked,
      filters_have_cursors_of_their_own, draining_and_unhealthy_ones_are_never_picked,
      random_is_uniform, the_less_loaded_of_two_is_picked, a_pick_can_be_replayed_from_its_trace,
      an_explained_pick_lists_the_instances_left_out, a_hashed_pick_explains_the_place_of_its_key,
      threads_together_pick_what_one_thread_would, strategies_are_named)
