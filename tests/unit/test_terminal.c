/* SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include "base/buf.h"
#include "terminal_cases.h"

#include <jansson.h>

static struct terminal_char of(uint32_t code, size_t *ret_len)
{
	char bytes[4];

	*ret_len = terminal_case_encode(code, bytes);
	return terminal_char((struct str){bytes, *ret_len});
}

START_TEST(every_code_point_is_judged_as_the_cases_say)
{
	static bool hidden[0x110000];
	struct terminal_case each;
	FILE *file = terminal_cases_open();
	unsigned shown = 0;

	while (terminal_cases_next(file, &each)) {
		for (uint32_t c = each.first; each.kind == CASE_HIDE && c <= each.last; c++)
			hidden[c] = true;
		for (uint32_t c = each.first; each.kind == CASE_SHOW && c <= each.last;
		     c++, shown++)
			ck_assert_msg(!hidden[c], "%s", each.line);
	}
	(void)fclose(file);
	ck_assert_uint_gt(shown, 100);
	for (uint32_t c = 0; c < 0x110000; c++) {
		size_t len;
		struct terminal_char got = of(c, &len);

		if (c >= 0xd800 && c <= 0xdfff) {
			ck_assert(!got.is_safe && got.len == 1 && got.code == TERMINAL_BROKEN);
			continue;
		}
		if (got.code != c || got.len != len || got.is_safe == hidden[c])
			ck_abort_msg("U+%04X: code %x, %zu bytes, safe %d", c, got.code, got.len,
			             got.is_safe);
	}
}
END_TEST

START_TEST(no_byte_of_what_is_broken_is_safe)
{
	struct terminal_case each;
	FILE *file = terminal_cases_open();
	unsigned count = 0;

	while (terminal_cases_next(file, &each)) {
		if (each.kind != CASE_BROKEN)
			continue;
		for (size_t i = 0; i < each.len; i++) {
			struct terminal_char got =
				terminal_char((struct str){each.bytes + i, each.len - i});

			ck_assert_msg(!got.is_safe && got.len == 1, "%s", each.line);
			ck_assert_uint_eq(got.code, TERMINAL_BROKEN);
		}
		count++;
	}
	(void)fclose(file);
	ck_assert_uint_gt(count, 5);
}
END_TEST

START_TEST(what_is_escaped_reads_back)
{
	static const uint32_t codes[] = {0x1b, 0x9b, 0x202e, 0xffff, 0x10000, 0xe0001, 0x10ffff};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		char want[5] = "";
		struct buf out;

		(void)terminal_case_encode(codes[i], want);
		buf_init(&out, 100);
		buf_put(&out, "[\"");
		terminal_put_escape(&out, codes[i]);
		buf_put(&out, "\"]");
		ck_assert_uint_eq(out.len, codes[i] > 0xffff ? 16 : 10);
		json_t *array = json_loadb(out.data, out.len, 0, NULL);
		ck_assert_ptr_nonnull(array);
		ck_assert_str_eq(json_string_value(json_array_get(array, 0)), want);
		json_decref(array);
		buf_fini(&out);
	}
}
END_TEST

START_TEST(what_is_plain_is_safe_by_itself)
{
	unsigned plain = 0;

	for (unsigned c = 0; c < 256; c++) {
		char byte = (char)c;
		struct terminal_char got = terminal_char((struct str){&byte, 1});

		/* ASCII only: other safe characters have more than one byte */
		ck_assert_int_eq(terminal_is_plain(byte), got.is_safe);
		plain += terminal_is_plain(byte);
	}
	ck_assert_uint_eq(plain, 95);
}
END_TEST

SUITE("terminal", NULL, NULL, every_code_point_is_judged_as_the_cases_say,
      what_is_plain_is_safe_by_itself, no_byte_of_what_is_broken_is_safe,
      what_is_escaped_reads_back)
