/* SPDX-License-Identifier: MIT */
/** The lines of an export, one by one. */
#include "backup/record.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct record record;
static char why[RECORD_WHY_SIZE];

/** Reads a copy of just the length of @p line, so that a sanitizer sees each read beyond it. */
static int read_line(const char *line)
{
	static char *copy; /* what the record borrows from */
	size_t len = strlen(line);

	free(copy);
	copy = malloc(len + (len == 0));
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, line, len);
	return record_read(copy, len, &record, why);
}

static const char *with(const char *field, const char *value);

static const char *const instance_parts[][2] = {
	{"service", "\"web\""},
	{"id", "\"a\""},
	{"host", "\"::1\""},
	{"port", "80"},
	{"weight", "0"},
	{"metadata", "{\"a\":\"1\",\"b\":\"\"}"},
	{"metadata_count", "2"},
	{"ttl_ms", "30000"},
	{"remove_after_ms", "0"},
	{"wants_drain", "false"},
	{"reports_unhealthy", "false"},
	{"lease_out", "true"},
	{"drained", "false"},
	{"status_reason", "\"lease expired\""},
	{"status_by", "\"sweeper\""},
	{"status_since_ms", "-5"},
	{"drained_until_ms", "0"},
	{"registered_ms", "1"},
	{"owner", "\"\""},
	{"incarnation", "3"},
	{"revision", "4"},
};

/** A sound instance, but for @p field, which is left out when @p value is NULL. */
static const char *with(const char *field, const char *value)
{
	static char line[RECORD_LINE_MAX + 100];
	size_t len = (size_t)snprintf(line, sizeof(line), "{\"instance\":{");

	for (size_t i = 0; i < ARRAY_LEN(instance_parts); i++) {
		bool is_it = strcmp(instance_parts[i][0], field) == 0;

		if (is_it && value == NULL)
			continue;
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s\"%s\":%s",
		                        line[len - 1] == '{' ? "" : ",", instance_parts[i][0],
		                        is_it ? value : instance_parts[i][1]);
	}
	(void)snprintf(line + len, sizeof(line) - len, "}}");
	return line;
}

START_TEST(an_instance_is_read)
{
	ck_assert_msg(read_line(with("", "")) == 0, "%s", why);
	ck_assert_int_eq(record.kind, RECORD_INSTANCE);
	const struct instance *instance = &record.instance;
	ck_assert(str_equal(instance->host, STR("::1")));
	ck_assert(str_equal(instance->metadata, STR("a\0001\0b\0\0")));
	ck_assert_int_eq(instance->status, STATUS_UNHEALTHY);
	ck_assert_int_eq(instance->status_since_ms, -5);
	ck_assert_uint_eq(instance->revision, 4);
}
END_TEST

START_TEST(each_field_must_be_there_once)
{
	char twice[64];
	char reason[64];

	for (size_t i = 0; i < ARRAY_LEN(instance_parts); i++) {
		const char *name = instance_parts[i][0];

		ck_fails(read_line(with(name, NULL)), EINVAL);
		(void)snprintf(reason, sizeof(reason), "%s is missing", name);
		ck_assert_str_eq(why, reason);
		(void)snprintf(twice, sizeof(twice), "%s,\"%s\":%s", instance_parts[i][1], name,
		               instance_parts[i][1]);
		ck_fails(read_line(with(name, twice)), EINVAL);
		(void)snprintf(reason, sizeof(reason), "%s appears twice", name);
		ck_assert_str_eq(why, reason);
	}
	ck_fails(read_line(with("port", "80,\"porto\":1")), EINVAL);
	ck_assert_str_eq(why, "unknown field 'porto'");
}
END_TEST

START_TEST(each_field_must_be_of_its_type)
{
	static const char *const values[] = {
		"null", "[]",  "{\"a\":1}", "\"x\\ud800\"",        "1.5", "1e3",
		"01",   "tru", "",          "9223372036854775808", "-",   "+1"};

	for (size_t i = 0; i < ARRAY_LEN(instance_parts); i++) {
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			ck_assert_msg(read_line(with(instance_parts[i][0], values[v])) == -EINVAL,
			              "%s: %s", instance_parts[i][0], values[v]);
			ck_assert_msg(strncmp(why, instance_parts[i][0],
			                      strlen(instance_parts[i][0])) == 0,
			              "%s: %s: %s", instance_parts[i][0], values[v], why);
		}
	}
}
END_TEST

START_TEST(each_field_must_be_within_its_limits)
{
	static char longer[5000];
	static const struct {
		const char *field, *value, *reason;
	} cases[] = {
		{"service", "\"-web\"", "service '-web' is not a valid service name"},
		{"service", "\"\"", "service '' is not a valid service name"},
		{"id", "\"a b\"", "id 'a b' is not a valid id"},
		{"host", "\"\"", "host must have from 1 to 253 bytes, not 0"},
		{"port", "0", "port must be from 1 to 65535, not 0"},
		{"port", "65536", "port must be from 1 to 65535, not 65536"},
		{"weight", "-1", "weight must be from 0 to 65535, not -1"},
		{"metadata", "{\"b\":\"1\",\"a\":\"\"}", "metadata: key 'a' is not in order"},
		{"metadata", "{\"a\":\"1\",\"a\":\"\"}", "metadata: key 'a' is not in order"},
		{"metadata", "{\"\":\"1\",\"a\":\"\"}", "metadata: a key is empty"},
		{"metadata", "{\"a\":1}", "metadata: a string was expected at byte"},
		{"metadata", "{\"a\":\"1\"}",
	         "incarnation is above revision, or metadata is not of"},
		{"metadata_count", "65", "metadata_count must be from 0 to 64, not 65"},
		{"ttl_ms", "86400001", "ttl_ms must be from 0 to 86400000, not 86400001"},
		{"remove_after_ms", "31536000001", "remove_after_ms must be from 0 to 31536000000"},
		{"drained_until_ms", "-1", "drained_until_ms must be from 0 to "},
		{"incarnation", "0", "incarnation must be from 1 to 9007199254740992, not 0"},
		{"incarnation", "5", "incarnation is above revision"},
		{"revision", "9007199254740993", "revision must be from 1 to 9007199254740992"},
		{"host", longer, "host must have from 1 to 253 bytes, not 4000"},
		{"owner", longer, "owner must have from 0 to 144 bytes, not 4000"},
		{"status_by", longer, "status_by must have from 0 to 144 bytes, not 4000"},
		{"status_reason", longer, "status_reason must have from 0 to 256 bytes, not 4000"},
	};

	memset(longer, 'x', 4002);
	longer[0] = longer[4001] = '"';
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_fails(read_line(with(cases[i].field, cases[i].value)), EINVAL);
		ck_assert_msg(strncmp(why, cases[i].reason, strlen(cases[i].reason)) == 0, "%s: %s",
		              cases[i].value, why);
	}
}
END_TEST

START_TEST(strings_are_decoded)
{
	static const struct {
		const char *text;
		struct str value; /* data NULL: refused */
	} cases[] = {
		{"\"a\"", {"a", 1}},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", {"\"\\/\b\f\n\r\t", 8}},
		{"\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"",
	         {"A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10}},
		{"\"\xc3\xa4\"", {"\xc3\xa4", 2}},
		{"\"\\u0000\"", {NULL, 0}},
		{"\"\\ud800\"", {NULL, 0}},
		{"\"\\ud800\\u0041\"", {NULL, 0}},
		{"\"\\udc00\"", {NULL, 0}},
		{"\"\\u12g4\"", {NULL, 0}},
		{"\"\\u12\"", {NULL, 0}},
		{"\"\\x\"", {NULL, 0}},
		{"\"\t\"", {NULL, 0}},
		{"\"\xff\"", {NULL, 0}},
		{"\"\xed\xa0\x80\"", {NULL, 0}},
		{"'a'", {NULL, 0}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = read_line(with("status_reason", cases[i].text));

		ck_assert_msg(r == (cases[i].value.data != NULL ? 0 : -EINVAL), "%s: %d %s",
		              cases[i].text, r, why);
		if (r == 0)
			ck_assert_msg(str_equal(record.instance.status_reason, cases[i].value),
			              "%s", cases[i].text);
	}
}
END_TEST

#define ENTRY(document)                                                                    \
	"{\"entry\":{\"kind\":1,\"service\":\"web\",\"name\":\"a\",\"document\":" document \
	",\"author\":\"ann\",\"time_ms\":5,\"incarnation\":1,\"revision\":1}}"

START_TEST(a_document_stays_as_it_is_written)
{
	static const char *const sound[] = {
		"{}",
		"{ \"a\" : [ ] , \"b\":[1,-0,2.50,1e9,-1E+2,true,false,null,\"\\u00e4\\\"\",{}]}",
		"{\"a\":1,\"a\":2}",
		"{\"\":{\"\":{\"\":{\"\":{}}}}}",
	};
	static const char *const wrong[] = {
		"[]",
		"\"{}\"",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{,}",
		"{\"a\":01}",
		"{\"a\":1.}",
		"{\"a\":.5}",
		"{\"a\":-}",
		"{\"a\":1e}",
		"{\"a\":nul}",
		"{\"a\":'b'}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\xff\"}",
		"{\"a\":[1 2]}",
		"{\"a\":[1}",
		"{1:2}",
		"{\"a\":\"b}",
		"{\"a\":1}}",
		"{\"a\":\t1}",
		"{\"a\":[",
		"{\"a",
		"{\"a\":NaN}",
		"{\"a\":+1}",
	};
	char line[512];

	for (size_t i = 0; i < ARRAY_LEN(sound); i++) {
		(void)snprintf(line, sizeof(line), ENTRY("%s"), sound[i]);
		ck_assert_msg(read_line(line) == 0, "%s: %s", sound[i], why);
		ck_assert_int_eq(record.kind, RECORD_ENTRY);
		ck_assert(str_equal(record.entry.document, str_of(sound[i])));
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		(void)snprintf(line, sizeof(line), ENTRY("%s"), wrong[i]);
		ck_assert_msg(read_line(line) == -EINVAL, "%s", wrong[i]);
		ck_assert_str_ne(why, "");
	}
}
END_TEST

START_TEST(a_document_may_not_be_nested_without_end)
{
	static char line[20000];

	for (int depth = 30; depth < 8000; depth = depth < 40 ? depth + 1 : depth * 3) {
		size_t len =
			(size_t)snprintf(line, sizeof(line), "{\"entry\":{\"document\":{\"a\":");

		memset(line + len, '[', (size_t)depth);
		memset(line + len + depth, ']', (size_t)depth);
		(void)snprintf(line + len + 2 * depth, 100,
		               "},\"kind\":1,\"service\":\"web\",\"name\":\"a\",\"author\":\"\","
		               "\"time_ms\":5,\"incarnation\":1,\"revision\":1}}");
		ck_assert_int_eq(read_line(line), depth <= 31 ? 0 : -EINVAL);
		if (depth > 31)
			ck_assert_str_eq(why, "document: a document is nested deeper than 32");
	}
}
END_TEST

START_TEST(the_first_and_the_last_line_are_read)
{
	static const char head[] = "{\"rollcall_export\":1,\"history\":\"0123456789abcdef\","
				   "\"revision\":7,\"exported_at\":\"2026-11-30T20:00:00.000Z\","
				   "\"instances\":2,\"entries\":3}";
	static const char *const wrong[] = {
		"",
		"{",
		"{}",
		"[]",
		"{\"x\":1}",
		"{\"rollcall_export\":2}",
		"{\"rollcall_export\":1}",
		"{\"rollcall_export\":1,\"history\":\"0123456789abcde\",\"revision\":7}",
		"{\"rollcall_export\":1,\"history\":\"0123456789abcdef0\",\"revision\":7}",
		"{\"rollcall_export\":1,\"history\":\"0123456789abcdeF\",\"revision\":7}",
		"{\"end\":false,\"lines\":1,\"crc32\":\"00000000\"}",
		"{\"end\":true,\"lines\":-1,\"crc32\":\"00000000\"}",
		"{\"end\":true,\"lines\":1,\"crc32\":\"000000000\"}",
		"{\"end\":true,\"lines\":1,\"crc32\":0}",
		"{\"end\":true,\"lines\":1}",
		"{\"end\":true,\"lines\":1,\"crc32\":\"00000000\",\"x\":1}",
		"{\"end\":true,\"lines\":1,\"crc32\":\"00000000\"} x",
	};

	ck_assert_msg(read_line(head) == 0, "%s", why);
	ck_assert_int_eq(record.kind, RECORD_HEADER);
	ck_assert_uint_eq(record.header.history, UINT64_C(0x0123456789abcdef));
	ck_assert_uint_eq(record.header.revision, 7);
	ck_assert_uint_eq(record.header.instances, 2);
	ck_assert_uint_eq(record.header.entries, 3);
	ck_assert_msg(read_line("{\"end\":true,\"lines\":5,\"crc32\":\"89abcdef\"} ") == 0, "%s",
	              why);
	ck_assert_int_eq(record.kind, RECORD_END);
	ck_assert_uint_eq(record.end.lines, 5);
	ck_assert_uint_eq(record.end.crc, 0x89abcdef);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ck_assert_msg(read_line(wrong[i]) == -EINVAL, "%s", wrong[i]);
		ck_assert_str_ne(why, "");
	}
	ck_fails(read_line("{\"rollcall_export\":2,"), EINVAL);
	ck_assert_str_eq(why, "rollcall_export is 2; this version reads only 1");
}
END_TEST

/** What the registry can hold at most. */
START_TEST(the_longest_line_fits)
{
	static char text[METADATA_BYTES_MAX + 1];
	static char packed[METADATA_BYTES_MAX + 10];
	struct instance instance = {
		.service = STR("web"),
		.id = STR("a"),
		.host = STR("h"),
		.port = 1,
		.incarnation = 1,
		.revision = 1,
		.metadata_count = 1,
	};
	struct buf out;

	memset(text, '\x01', sizeof(text));
	packed[0] = 'k';
	memcpy(packed + 2, text, METADATA_BYTES_MAX - 1);
	instance.metadata = (struct str){packed, METADATA_BYTES_MAX + 2};
	instance.status_reason = (struct str){text, REASON_MAX};
	instance.owner = (struct str){text, AUTHOR_MAX};
	buf_init(&out, RECORD_LINE_MAX);
	record_put_instance(&out, &instance);
	ck_assert_int_eq(buf_error(&out), 0);
	ck_assert_msg(record_read(out.data, out.len - 1, &record, why) == 0, "%s", why);
	ck_assert(str_equal(record.instance.metadata, instance.metadata));
	buf_fini(&out);
}
END_TEST

SUITE("backup_record", NULL, NULL, an_instance_is_read, each_field_must_be_there_once,
      each_field_must_be_of_its_type, each_field_must_be_within_its_limits, strings_are_decoded,
      a_document_stays_as_it_is_written, a_document_may_not_be_nested_without_end,
      the_first_and_the_last_line_are_read, the_longest_line_fits)
