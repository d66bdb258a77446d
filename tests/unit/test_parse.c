/* SPDX-License-Identifier: MIT */
/*
 * Parsers of values that peers send: numbers, percent-encoding, times, UTF-8, addresses, names.
 */
#include "base/parse.h"

#include "base/attr.h"
#include "base/clock.h"
#include "base/random.h"
#include "suite.h"

#include <errno.h>

START_TEST(a_number_is_digits_within_bounds_and_nothing_else)
{
	static const struct {
		struct str text;
		uint64_t least;
		uint64_t most;
		int r;
		uint64_t value;
	} rows[] = {
		{STR("0"), 0, 10, 0, 0},
		{STR("10"), 0, 10, 0, 10},
		{STR("1"), 1, 1, 0, 1},
		{STR("18446744073709551615"), 0, UINT64_MAX, 0, UINT64_MAX},
		{STR("18446744073709551616"), 0, UINT64_MAX, -ERANGE, 0},
		{STR("99999999999999999999999"), 0, UINT64_MAX, -ERANGE, 0},
		{STR("11"), 0, 10, -ERANGE, 0},
		{STR("0"), 1, 10, -ERANGE, 0},
		{STR(""), 0, 10, -EINVAL, 0},
		{STR("00"), 0, 10, -EINVAL, 0},
		{STR("01"), 0, 10, -EINVAL, 0},
		{STR("+1"), 0, 10, -EINVAL, 0},
		{STR("-1"), 0, 10, -EINVAL, 0},
		{STR(" 1"), 0, 10, -EINVAL, 0},
		{STR("1 "), 0, 10, -EINVAL, 0},
		{STR("1.0"), 0, 10, -EINVAL, 0},
		{STR("0x1"), 0, 10, -EINVAL, 0},
		{STR("1\0"), 0, 10, -EINVAL, 0},
		{STR("/"), 0, 10, -EINVAL, 0},
		{STR(":"), 0, 10, -EINVAL, 0},
		{STR("99999999999999999999999x"), 0, UINT64_MAX, -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 77;
		int r = parse_u64(rows[i].text, rows[i].least, rows[i].most, &value);

		ck_assert_msg(r == rows[i].r, "'%s': %d", rows[i].text.data, r);
		ck_assert_uint_eq(value, r == 0 ? rows[i].value : 77);
	}
}
END_TEST

START_TEST(percent_signs_are_decoded)
{
	static const struct {
		struct str text;
		long r;
		const char *decoded;
	} rows[] = {
		{STR(""), 0, ""},
		{STR("order-1"), 7, "order-1"},
		{STR("a+b"), 3, "a+b"},
		{STR("%2F%3a"), 2, "/:"},
		{STR("a%20b%25"), 4, "a b%"},
		{STR("%C3%a9"), 2, "\xc3\xa9"},
		{STR("%FF"), 1, "\xff"},
		{STR("%"), -EINVAL, ""},
		{STR("%2"), -EINVAL, ""},
		{STR("a%2"), -EINVAL, ""},
		{STR("%g0"), -EINVAL, ""},
		{STR("%0g"), -EINVAL, ""},
		{STR("%%41"), -EINVAL, ""},
		{STR("% 41"), -EINVAL, ""},
		{STR("%00"), -EINVAL, ""},
		{STR("a%00b"), -EINVAL, ""},
		{STR("a\0b"), -EINVAL, ""},
		{STR("12345678"), 8, "12345678"},
		{STR("123456789"), -EMSGSIZE, ""},
		{STR("1234567%38"), 8, "12345678"},
		{STR("12345678%39"), -EMSGSIZE, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[9] = "........";
		long r = parse_percent(rows[i].text, out, 8);

		ck_assert_msg(r == rows[i].r, "'%s': %ld", rows[i].text.data, r);
		ck_assert(r < 0 || memcmp(out, rows[i].decoded, (size_t)r) == 0);
		ck_assert_int_eq(out[8], '\0');
	}
}
END_TEST

START_TEST(percent_signs_are_decoded_in_place)
{
	char text[] = "a%2Fb%2fc";

	ck_assert_int_eq(parse_percent(str_of(text), text, strlen(text)), 5);
	ck_assert_mem_eq(text, "a/b/c", 5);
}
END_TEST

START_TEST(a_time_is_read_to_the_millisecond)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-23T18:41:28Z", 1795459288000},
		{"2026-11-23T18:41:28.123Z", 1795459288123},
		{"2026-11-23T18:41:28.1Z", 1795459288100},
		{"2026-11-23T18:41:28.123999999999999Z", 1795459288123},
		{"2026-11-23T18:41:28+00:00", 1795459288000},
		{"2026-11-23T18:41:28-00:00", 1795459288000},
		{"2026-11-23t18:41:28z", 1795459288000},
		{"2026-11-23t18:41:28.123Z", 1795459288123},
		{"2026-11-23t20:11:28+01:30", 1795459288000},
		{"2026-11-23T20:11:28.5+01:30", 1795459288500},
		{"2026-11-22T18:42:28-23:59", 1795459288000},
		{"2024-02-29T00:00:00Z", 1709164800000},
		{"2000-02-29T00:00:00Z", 951782400000},
		{"1969-12-31T23:59:59.999Z", -1},
		{"0000-01-01T00:00:00Z", -62167219200000},
		{"9999-12-31T23:59:59.999Z", 253402300799999},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = 77;

		ck_assert_msg(parse_rfc3339(str_of(rows[i].text), &ms) == 0, "%s", rows[i].text);
		ck_assert_msg(ms == rows[i].ms, "%s: %jd", rows[i].text, (intmax_t)ms);
	}
}
END_TEST

START_TEST(what_is_not_a_time_is_refused)
{
	static const char *const rows[] = {
		"",
		"2026",
		"2026-11-23",
		"2026-11-23T18:41Z",
		"2026-11-23T18:41:28",
		"2026-11-23T18:41:28.Z",
		"2026-11-23T18:41:28.",
		"2026-11-23T18:41:28.123",
		"2026-11-23T18:41:28,123Z",
		"2026-11-23T18:41:28Zx",
		"2026-11-23T18:41:28Z ",
		" 2026-11-23T18:41:28Z",
		"2026-11-23 18:41:28Z",
		"2026-11-23x18:41:28Z",
		"2026-11-23T18:41:28+0000",
		"2026-11-23T18:41:28+00",
		"2026-11-23T18:41:28+00:0",
		"2026-11-23T18:41:28+24:00",
		"2026-11-23T18:41:28+00:60",
		"2026-11-23T24:00:00Z",
		"2026-11-23T23:60:00Z",
		"2026-11-23T23:59:60Z",
		"2026-00-23T18:41:28Z",
		"2026-13-23T18:41:28Z",
		"2026-11-00T18:41:28Z",
		"2026-11-31T18:41:28Z",
		"2026-12-32T18:41:28Z",
		"2023-02-29T00:00:00Z",
		"2024-02-30T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"26-11-23T18:41:28Z",
		"-026-11-23T18:41:28Z",
		"12026-11-23T18:41:28Z",
		"2026-1-23T18:41:28Z",
		"2026-11-23T18:41:2aZ",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = 77;

		ck_assert_msg(parse_rfc3339(str_of(rows[i]), &ms) == -EINVAL, "'%s'", rows[i]);
		ck_assert_int_eq(ms, 77);
	}
	int64_t ms = 77;
	ck_fails(parse_rfc3339(STR("2026-11-23T18:41:28Z\0"), &ms), EINVAL);
}
END_TEST

START_TEST(a_time_that_was_shown_is_read_back)
{
	random_seed(7);
	for (int i = 0; i < 100000; i++) {
		int64_t ms = (int64_t)random_below(315569519999999) - 62167219200000;
		char text[CLOCK_RFC3339_SIZE];
		int64_t back = 0;

		unsigned len = clock_rfc3339(ms, text);
		if (parse_rfc3339((struct str){text, len}, &back) != 0 || back != ms)
			ck_abort_msg("%s", text);
	}
}
END_TEST

START_TEST(only_valid_utf8_is_accepted)
{
	static const struct str good[] = {
		STR(""),
		STR("plain"),
		STR("\0"),
		STR("\x7f"),
		STR("\xc2\x80"),
		STR("\xdf\xbf"),
		STR("\xe0\xa0\x80"),
		STR("\xed\x9f\xbf"),
		STR("\xee\x80\x80"),
		STR("\xef\xbf\xbf"),
		STR("\xf0\x90\x80\x80"),
		STR("\xf4\x8f\xbf\xbf"),
		STR("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x91\x8b!"),
	};
	static const struct str bad[] = {
		STR("\x80"),             /* a continuation byte alone */
		STR("a\xbf"),            /* */
		STR("\xc2"),             /* cut short */
		STR("\xe2\x82"),         /* */
		STR("\xf0\x9f\x98"),     /* */
		STR("\xc2 "),            /* no continuation byte */
		STR("\xe2\x82 "),        /* */
		STR("\xf0\x9f\x98 "),    /* */
		STR("\xf0\x9f  "),       /* */
		STR("\xe2\x28\xa1"),     /* */
		STR("\xc0\x80"),         /* overlong */
		STR("\xc1\xbf"),         /* */
		STR("\xe0\x9f\xbf"),     /* */
		STR("\xf0\x8f\xbf\xbf"), /* */
		STR("\xed\xa0\x80"),     /* surrogates */
		STR("\xed\xbf\xbf"),     /* */
		STR("\xf4\x90\x80\x80"), /* beyond U+10FFFF */
		STR("\xf5\x80\x80\x80"), /* */
		STR("\xff"),             /* bytes that never occur */
		STR("ok\xfe"),           /* */
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(parse_is_utf8(good[i]), "good %zu", i);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!parse_is_utf8(bad[i]), "bad %zu", i);
}
END_TEST

START_TEST(a_character_has_its_length)
{
	ck_assert_uint_eq(parse_utf8_char(STR("")), 0);
	ck_assert_uint_eq(parse_utf8_char(STR("ab")), 1);
	ck_assert_uint_eq(parse_utf8_char(STR("\xc3\xa9x")), 2);
	ck_assert_uint_eq(parse_utf8_char(STR("\xe2\x82\xacx")), 3);
	ck_assert_uint_eq(parse_utf8_char(STR("\xf0\x9f\x98\x80x")), 4);
	ck_assert_uint_eq(parse_utf8_char(STR("\xa9x")), 0);
}
END_TEST

START_TEST(only_ip_addresses_are_accepted)
{
	static const struct str good[] = {
		STR("0.0.0.0"),
		STR("10.0.0.1"),
		STR("255.255.255.255"),
		STR("::"),
		STR("::1"),
		STR("2001:db8::1"),
		STR("FE80::A"),
		STR("1:2:3:4:5:6:7:8"),
		STR("::ffff:10.0.0.1"),
	};
	static const struct str bad[] = {
		STR(""),
		STR("10.0.0"),
		STR("10.0.0.256"),
		STR("10.0.0.01"),
		STR("10.0.0.1 "),
		STR(" 10.0.0.1"),
		STR("10.0.0.1\0"),
		STR("0x0a.0.0.1"),
		STR("10.0.0.1/8"),
		STR("[::1]"),
		STR("fe80::1%eth0"),
		STR("1::2::3"),
		STR("host"),
		STR("12345::"),
		STR("::1\0"),
		STR("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"),
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(parse_is_ip(good[i]), "good '%s'", good[i].data);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!parse_is_ip(bad[i]), "bad '%s'", bad[i].data);
}
END_TEST

#define L10 "abcdefghij"
#define L63 L10 L10 L10 L10 L10 L10 "abc"
#define L61 L10 L10 L10 L10 L10 L10 "a"

START_TEST(only_dns_names_are_accepted)
{
	static const struct str good[] = {
		STR("a"),
		STR("localhost"),
		STR("example.com"),
		STR("example.com."),
		STR("a-b.c_d.EXAMPLE"),
		STR("_http._tcp.local"),
		STR("1.2.3.4a"),
		STR("0xg"),
		STR("x1"),
		STR("0x1f.example"),
		STR("1e3"),
		STR("3com.com"),
		STR(L63 ".x"),
		STR(L63 "." L63 "." L63 "." L61),
		STR(L63 "." L63 "." L63 "." L61 "."),
	};
	static const struct str bad[] = {
		STR(""),
		STR("."),
		STR(".a"),
		STR("a..b"),
		STR("a.."),
		STR("-a"),
		STR("a-"),
		STR("a-.b"),
		STR("a.-b"),
		STR("-"),
		STR("a b"),
		STR("a\0"),
		STR("a/b"),
		STR("a:80"),
		STR("gr\xc3\xbc.de"),
		STR("a%b"),
		STR("10.0.0.256"),
		STR("1.2"),
		STR("10.0.0.1."),
		STR("host.1"),
		STR("1"),
		STR("1."),
		STR("123456789012"),
		STR("0177"),
		STR("127.1"),
		STR("0x7f000001"),
		STR("0X7F"),
		STR("0x"),
		STR("127.0x1"),
		STR("0x7f.0.0.1"),
		STR("host.0x1."),
		STR(L63 "a"),
		STR("x." L63 "a.x"),
		STR(L63 "." L63 "." L63 "." L61 "b"),
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(parse_is_dns_name(good[i]), "good '%s'", good[i].data);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!parse_is_dns_name(bad[i]), "bad '%s'", bad[i].data);
}
END_TEST

SUITE("parse", NULL, NULL, a_number_is_digits_within_bounds_and_nothing_else,
      percent_signs_are_decoded, percent_signs_are_decoded_in_place,
      a_time_is_read_to_the_millisecond, what_is_not_a_time_is_refused,
      a_time_that_was_shown_is_read_back, only_valid_utf8_is_accepted, a_character_has_its_length,
      only_ip_addresses_are_accepted, only_dns_names_are_accepted)
