/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include "base/attr.h"
#include "suite.h"

START_TEST(the_values_are_those_of_siphash_1_3)
{
	/* Computed by CPython's siphash13; key and input are 00 01 02 ..., as in the paper. */
	static const struct {
		size_t len;
		uint64_t value;
	} vectors[] = {
		{0, 0xabac0158050fc4dc},  {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},
		{8, 0x369095118d299a8e},  {9, 0x25a48eb36c063de4},  {15, 0xd320d86d2a519956},
		{16, 0xcc4fdd1a7d908b66}, {63, 0x9d199062b7bbb3a8},
	};
	unsigned char input[64];

	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (unsigned char)i;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		ck_assert_uint_eq(hash_bytes(input, vectors[i].len), vectors[i].value);
}
END_TEST

START_TEST(the_place_of_the_bytes_does_not_matter)
{
	char bytes[40];

	for (size_t at = 0; at < 8; at++) {
		memcpy(bytes + at, "order-service/order-1", 21);
		ck_assert_uint_eq(hash_bytes(bytes + at, 21),
		                  hash_str(STR("order-service/order-1")));
	}
}
END_TEST

START_TEST(a_seed_changes_the_values_and_keeps_them_for_the_run)
{
	uint64_t unseeded = hash_str(STR("order-service"));

	hash_seed();
	uint64_t seeded = hash_str(STR("order-service"));
	ck_assert_uint_ne(seeded, unseeded);
	ck_assert_uint_eq(hash_str(STR("order-service")), seeded);
	hash_seed();
	ck_assert_uint_ne(hash_str(STR("order-service")), seeded);
}
END_TEST

SUITE("hash", NULL, NULL, the_values_are_those_of_siphash_1_3,
      the_place_of_the_bytes_does_not_matter, a_seed_changes_the_values_and_keeps_them_for_the_run)
