/* SPDX-License-Identifier: MIT */
/*
 * The guard's checks of request heads, without sockets: a table of header fields, and heads laid
 * out in memory as libmicrohttpd leaves them. test_http_head.c tests the same over the wire.
 */
#include "suite.h"

#include "http/guard.h"

#include <string.h>

#define HEADERS_MAX 6

/* A header is "name: value", split at the first ':'; with "~" in front it is folded. */
struct row {
	const char *version;
	const char *header[HEADERS_MAX];
	enum guard_verdict verdict;
};

static const struct row rows[] = {
	{"HTTP/1.1", {"Host: x"}, GUARD_PASS},
	{"HTTP/1.1", {"hOST: x:80", "Content-Length: 0"}, GUARD_PASS},
	{"HTTP/1.1", {"Host: [::1]:7655", "Transfer-Encoding: Chunked"}, GUARD_PASS},
	{"HTTP/1.1", {"Host:"}, GUARD_PASS},
	{"HTTP/1.1", {"Host: x \t"}, GUARD_PASS},
	{"HTTP/1.1", {"Host: x", "Content-Length: 00000000000000000000000003"}, GUARD_PASS},
	{"HTTP/1.0", {NULL}, GUARD_PASS},
	{"HTTP/1.0", {"Content-Length: 3"}, GUARD_PASS},
	{"HTTP/1.1", {"Host: x", "X-Trace!#$%&'*+-.^_`|~09: \tv\x80\xff"}, GUARD_PASS},
	{"HTTP/1.1", {"Host: x", "Content-Range: 1", "Length: 2", "Content: 3"}, GUARD_PASS},
	{"HTTP/1.1", {"Host: x", "Expect: 100-Continue \t "}, GUARD_PASS},

	{"HTTP/1.1", {NULL}, GUARD_NO_HOST},
	{"HTTP/1.1", {"Accept: x"}, GUARD_NO_HOST},
	{"HTTP/1.1", {"Host: x", "Host: x"}, GUARD_HOST},
	{"HTTP/1.1", {"Host: x/y"}, GUARD_HOST},
	{"HTTP/1.1", {"Host: a b"}, GUARD_HOST},
	{"HTTP/1.1", {"Host: u@x"}, GUARD_HOST},
	{"HTTP/1.1", {"Host: a,b"}, GUARD_HOST},
	{"HTTP/2.0", {"Host: x"}, GUARD_VERSION},
	{"HTTP/1.2", {"Host: x"}, GUARD_VERSION},
	{"http/1.1", {"Host: x"}, GUARD_VERSION},
	{"", {"Host: x"}, GUARD_VERSION},
	{"HTTP/1.1", {"Host: x", "Content-Length: 3", "Transfer-Encoding: chunked"}, GUARD_BOTH},
	{"HTTP/1.1", {"Host: x", "Transfer-Encoding: chunked", "content-length: 0"}, GUARD_BOTH},
	{"HTTP/1.1", {"Host: x", "Content-Length: 3", "Content-Length: 4"}, GUARD_LENGTHS},
	{"HTTP/1.1", {"Host: x", "Content-Length: 3", "Content-Length: 3"}, GUARD_LENGTHS},
	{"HTTP/1.1", {"Host: x", "Content-Length: 3, 3"}, GUARD_LENGTH},
	{"HTTP/1.1", {"Host: x", "Content-Length: +3"}, GUARD_LENGTH},
	{"HTTP/1.1", {"Host: x", "Content-Length: -1"}, GUARD_LENGTH},
	{"HTTP/1.1", {"Host: x", "Content-Length: 0x3"}, GUARD_LENGTH},
	{"HTTP/1.1", {"Host: x", "Content-Length:"}, GUARD_LENGTH},
	{"HTTP/1.1", {"Host: x", "Content-Length: 3 "}, GUARD_LENGTH},
	{"HTTP/1.1", {"Host: x", "Content-Length: 1234567890123456789"}, GUARD_LENGTH_HUGE},
	{"HTTP/1.1", {"Host: x", "Transfer-Encoding: chunked\t"}, GUARD_ENCODING},
	{"HTTP/1.1", {"Host: x", "Content-Length : 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", "Content Length: 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", " Content-Length: 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", "Content-Length\t: 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", "X\x0b: 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", "X(y): 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", "X\xc3\xa9: 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", ": 3"}, GUARD_NAME},
	{"HTTP/1.1", {"Host: x", "Content_Length: 3"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "ContentLength: 3"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "XContent-Length: 3"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "Content-Length2: 3"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "Content--Length: 3"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "cContent-Length: 3"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "transfer.encoding: chunked"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "X-Transfer-Encoding: chunked"}, GUARD_NAME_NEARLY},
	{"HTTP/1.1", {"Host: x", "~Xb: a"}, GUARD_FOLDED},
	{"HTTP/1.1", {"Host: x", "~Content-Length: 3"}, GUARD_FOLDED},
	{"HTTP/1.1", {"Host: x", "X: a\rb"}, GUARD_VALUE},
	{"HTTP/1.1", {"Host: x", "X: a\x7f"}, GUARD_VALUE},
	{"HTTP/1.1", {"Host: x", "Transfer-Encoding: gzip"}, GUARD_ENCODING},
	{"HTTP/1.1", {"Host: x", "Transfer-Encoding: gzip, chunked"}, GUARD_ENCODING},
	{"HTTP/1.1", {"Host: x", "Transfer-Encoding:"}, GUARD_ENCODING},
	{"HTTP/1.1",
         {"Host: x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"},
         GUARD_ENCODING},
	{"HTTP/1.0", {"Transfer-Encoding: chunked"}, GUARD_ENCODING_1_0},
	{"HTTP/1.1", {"Host: x", "Content-Type: a/b", "Content-Type: c/d"}, GUARD_TYPES},
	{"HTTP/1.1", {"Host: x", "Expect: 200-ok"}, GUARD_EXPECT},
};

/* Writes @p text, and a NUL in place of its terminator, as libmicrohttpd does. */
static char *lay(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	at[len] = '\0';
	return at + len + 1;
}

/* Lays out the head as libmicrohttpd leaves it in memory. */
static enum guard_verdict judge(const struct row *row, struct guard *guard)
{
	static char memory[1024];
	char *target = lay(memory, "GET", 3);
	char *version = lay(target, "/", 1);
	char *line = lay(version, row->version, strlen(row->version)) + 1;
	char *folded = memory + sizeof(memory) / 2;

	memset(guard, 0, sizeof(*guard));
	guard_line(guard, str_of(memory), str_of(target), str_of(version));
	for (size_t i = 0; i < HEADERS_MAX && row->header[i] != NULL; i++) {
		bool is_folded = row->header[i][0] == '~';
		const char *text = row->header[i] + is_folded;
		const char *colon = strchr(text, ':');
		struct str name = {line, (size_t)(colon - text)};
		char *value = lay(line, text, name.len);

		line = lay(value, colon + 1, strlen(colon + 1)) + 1;
		value += strspn(value, " ");
		if (is_folded) {
			(void)lay(folded, text, name.len);
			name.data = folded;
		}
		guard_header(guard, name, str_of(value));
	}
	return guard_end(guard, line + 2);
}

START_TEST(headers_that_two_parsers_may_read_differently_are_refused)
{
	struct guard guard;
	enum guard_verdict verdict = judge(&rows[_i], &guard);

	ck_assert_msg(verdict == rows[_i].verdict, "row %d, last header '%s': %d, not %d", _i,
	              rows[_i].header[1] != NULL ? rows[_i].header[1] : "", (int)verdict,
	              (int)rows[_i].verdict);
}
END_TEST

START_TEST(each_character_is_where_the_standard_has_it)
{
	for (int c = 1; c < 256; c++) {
		char name[] = "?\0x";
		char value[] = "Host\0a?a";
		struct guard guard = {0};
		bool visible = c > ' ' && c < 0x7f;
		bool token = visible && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
		bool host = visible && strchr("/?#@\\,<>\"", c) == NULL;

		guard.next = name;
		name[0] = (char)c;
		guard_header(&guard, (struct str){name, 1}, (struct str){name + 2, 1});
		ck_assert_msg(guard.fault == (token ? GUARD_PASS : GUARD_NAME), "%d", c);
		guard = (struct guard){.next = value};
		value[6] = (char)c;
		guard_header(&guard, (struct str){value, 4}, (struct str){value + 5, 3});
		ck_assert_msg((guard.fault == GUARD_PASS) == host, "%d", c);
	}
}
END_TEST

/* Lays out a valid head in which one part is @p off bytes further back. */
static enum guard_verdict judge_moved(unsigned part, size_t off)
{
	static const char memory[] = "aaaaaaHTTP/1.0aaaaaaaaaaaaaaaaaaaaaaaaaa";
	const char *version = memory + 6;
	const char *at[] = {memory,      memory + 4,  memory + 16, memory + 18,
	                    memory + 21, memory + 24, memory + 29};
	struct guard guard = {0};

	at[part] += off;
	guard_line(&guard, (struct str){at[0], 3}, (struct str){at[1], 1},
	           (struct str){version, 8});
	guard_header(&guard, (struct str){at[2], 1}, (struct str){at[3], 1});
	guard_header(&guard, (struct str){at[4], 2}, (struct str){at[5], 1});
	return guard_end(&guard, at[6]);
}

START_TEST(a_gap_in_the_head_is_refused)
{
	for (unsigned part = 0; part < 7; part++) {
		ck_assert_int_eq(judge_moved(part, 0), GUARD_PASS);
		ck_assert_msg(judge_moved(part, 1) == GUARD_GAP, "part %u", part);
	}
}
END_TEST

START_TEST(the_length_of_the_body_is_known_afterwards)
{
	struct row fixed = {"HTTP/1.1", {"Host: x", "Content-Length: 0123"}, GUARD_PASS};
	struct row chunked = {"HTTP/1.1", {"Host: x", "Transfer-Encoding: chunked"}, GUARD_PASS};
	struct guard guard;

	ck_assert_int_eq(judge(&fixed, &guard), GUARD_PASS);
	ck_assert_uint_eq(guard.length, 123);
	ck_assert(!guard.chunked);
	ck_assert_int_eq(judge(&chunked, &guard), GUARD_PASS);
	ck_assert_uint_eq(guard.length, 0);
	ck_assert(guard.chunked);
}
END_TEST

static const struct {
	const char *target;
	enum guard_verdict verdict;
	const char *path;
} targets[] = {
	{"/", GUARD_PASS, "/"},
	{"/v1/services/a%2Fb?x=%41+y&z", GUARD_PASS, "/v1/services/a%2Fb?x=%41+y&z"},
	{"/%fF|{}\"", GUARD_PASS, "/%fF|{}\""},
	{"http://host:80/p?q", GUARD_PASS, "/p?q"},
	{"HTTPS://host", GUARD_PASS, "/"},
	{"http://host?q", GUARD_TARGET_FORM, NULL},
	{"http:///p", GUARD_TARGET_FORM, NULL},
	{"http://", GUARD_TARGET_FORM, NULL},
	{"ftp://host/p", GUARD_TARGET_FORM, NULL},
	{"host:80", GUARD_TARGET_FORM, NULL},
	{"*", GUARD_TARGET_FORM, NULL},
	{"", GUARD_TARGET_FORM, NULL},
	{"/a b", GUARD_TARGET, NULL},
	{"/a\tb", GUARD_TARGET, NULL},
	{"/a#b", GUARD_TARGET, NULL},
	{"/\x7f", GUARD_TARGET, NULL},
	{"/\xc3\xa9", GUARD_TARGET, NULL},
	{"/%", GUARD_TARGET_ESCAPE, NULL},
	{"/%4", GUARD_TARGET_ESCAPE, NULL},
	{"/%4g", GUARD_TARGET_ESCAPE, NULL},
	{"/%00", GUARD_TARGET_ESCAPE, NULL},
	{"/?x=%00", GUARD_TARGET_ESCAPE, NULL},
};

START_TEST(a_target_is_a_path_without_doubtful_characters)
{
	struct str path = STR("untouched");
	enum guard_verdict verdict = guard_target(str_of(targets[_i].target), &path);
	struct str want = targets[_i].path != NULL ? str_of(targets[_i].path) : STR("untouched");

	ck_assert_msg(verdict == targets[_i].verdict, "'%s': %d", targets[_i].target, verdict);
	ck_assert_msg(str_equal(path, want), "'%s': '%.*s'", targets[_i].target, (int)path.len,
	              path.data);
}
END_TEST

START_TEST(a_nul_in_the_target_is_refused)
{
	struct str path;

	ck_assert_int_eq(guard_target((struct str){"/a\0b", 4}, &path), GUARD_TARGET);
}
END_TEST

START_TEST(every_refusal_has_a_status_and_words)
{
	for (int v = GUARD_PASS + 1; v < GUARD_VERDICT_COUNT; v++) {
		const struct guard_refusal *refusal = guard_refusal((enum guard_verdict)v);

		ck_assert_uint_lt(refusal->problem, PROBLEM_COUNT);
		ck_assert_uint_gt(strlen(refusal->detail), 0);
	}
	ck_assert_uint_eq(problem_codes[guard_refusal(GUARD_ENCODING)->problem].status, 501);
	ck_assert_uint_eq(problem_codes[guard_refusal(GUARD_EXPECT)->problem].status, 417);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_guard");
	TCase *tcase = tcase_create("http_guard");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(tcase, headers_that_two_parsers_may_read_differently_are_refused, 0,
	                    sizeof(rows) / sizeof(rows[0]));
	tcase_add_loop_test(tcase, a_target_is_a_path_without_doubtful_characters, 0,
	                    sizeof(targets) / sizeof(targets[0]));
	tcase_add_test(tcase, a_gap_in_the_head_is_refused);
	tcase_add_test(tcase, the_length_of_the_body_is_known_afterwards);
	tcase_add_test(tcase, each_character_is_where_the_standard_has_it);
	tcase_add_test(tcase, a_nul_in_the_target_is_refused);
	tcase_add_test(tcase, every_refusal_has_a_status_and_words);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
