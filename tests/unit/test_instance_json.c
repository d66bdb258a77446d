/* SPDX-License-Identifier: MIT */
/*
 * Readers of request bodies: registration records, heartbeats and status changes; each error must
 * point to its field. fault.h makes allocations fail.
 */
#include "v1/instance_json.h"

#include "api/scan.h"
#include "fault.h"
#include "suite.h"

#include <errno.h>

static struct field_errors errors;
static struct instance instance;
static char memory[API_BODY_MAX];

static void setup(void)
{
	field_errors_init(&errors);
}

static void teardown(void)
{
	field_errors_fini(&errors);
}

static int read_record(const char *body)
{
	field_errors_fini(&errors);
	field_errors_init(&errors);
	instance = (struct instance){.weight = 100, .ttl_ms = 30000, .remove_after_ms = 600000};
	return instance_from_json(str_of(body), memory, &instance, &errors);
}

static bool mentions(const char *text)
{
	return errors.list.len > 0 &&
	       memmem(errors.list.data, errors.list.len, text, strlen(text)) != NULL;
}

START_TEST(a_small_record_gets_the_defaults)
{
	ck_ok(read_record(" {\"host\": \"10.0.0.1\", \"port\": 80}\n"));
	ck_assert(str_equal(instance.host, STR("10.0.0.1")));
	ck_assert_uint_eq(instance.port, 80);
	ck_assert_uint_eq(instance.weight, 100);
	ck_assert_int_eq(instance.ttl_ms, 30000);
	ck_assert_int_eq(instance.remove_after_ms, 600000);
	ck_assert_uint_eq(instance.metadata_count, 0);
	ck_assert_uint_eq(instance.metadata.len, 0);
	ck_assert(!instance.wants_drain);
}
END_TEST

START_TEST(a_full_record_is_read_and_its_metadata_sorted)
{
	static const char packed[] = "a\0z\0ab\0\0b\0\xc3\xa4\"";

	ck_ok(read_record("{\"status\":\"draining\",\"metadata\":{\"b\":\"\\u00e4\\\"\",\"a\":"
	                  "\"z\",\"ab\":\"\"},"
	                  "\"weight\":0,\"ttl_ms\":1000,\"remove_after_ms\":0,\"port\":65535,"
	                  "\"host\":\"::1\"}"));
	ck_assert(str_equal(instance.host, STR("::1")));
	ck_assert_uint_eq(instance.port, 65535);
	ck_assert_uint_eq(instance.weight, 0);
	ck_assert_int_eq(instance.ttl_ms, 1000);
	ck_assert_int_eq(instance.remove_after_ms, 0);
	ck_assert(instance.wants_drain);
	ck_assert_uint_eq(instance.metadata_count, 3);
	ck_assert(str_equal(instance.metadata, (struct str){packed, sizeof(packed)}));
	ck_assert(metadata_is_valid(instance.metadata, instance.metadata_count));
}
END_TEST

START_TEST(what_is_no_json_object_is_malformed)
{
	static const char *const cases[] = {
		"",
		" ",
		"null",
		"[]",
		"\"host\"",
		"{",
		"{\"host\":\"a\",\"port\":1}}",
		"{\"host\":\"a\",\"port\":1} x",
		"{\"host\":\"a\",\"port\":1,}",
		"{'host':'a','port':1}",
		"{host:\"a\",\"port\":1}",
		"{\"host\":\"a\",\"port\":01}",
		"{\"host\":\"a\",\"port\":+1}",
		"{\"host\":\"a\",\"port\":0x50}",
		"{\"host\":\"a\",\"port\":NaN}",
		"{\"host\":\"a\",\"port\":99999999999999999999}",
		"{\"host\":\"a\",\"port\":1e999}",
		"{\"host\":\"a\",\"host\":\"b\",\"port\":1}",
		"{\"host\":\"a\",\"port\":1,\"metadata\":{\"a\":\"1\",\"a\":\"2\"}}",
		"{\"host\":\"a\",\"port\":1,\"\\u0068ost\":\"b\"}",
		"{\"host\":\"a\\u0000b\",\"port\":1}",
		"{\"host\":\"a\\ud800\",\"port\":1}",
		"{\"host\":\"\xff\",\"port\":1}",
		"{\"host\":\"\xc0\xaf\",\"port\":1}",
		"{\"host\":\"\xed\xa0\x80\",\"port\":1}",
		"{\"host\":\"a\tb\",\"port\":1}",
		"{\"host\":\"a\",\"port\":1,/**/\"weight\":1}",
		"\xef\xbb\xbf{\"host\":\"a\",\"port\":1}",
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_msg(read_record(cases[i]) == -EBADMSG, "%s", cases[i]);
		ck_assert_str_ne(errors.text, "");
	}
}
END_TEST

START_TEST(each_wrong_field_is_pointed_to)
{
	static const struct {
		const char *body, *pointer;
	} cases[] = {
		{"{\"port\":1}", "/host"},
		{"{\"host\":\"a\"}", "/port"},
		{"{\"host\":null,\"port\":1}", "/host"},
		{"{\"host\":\"\",\"port\":1}", "/host"},
		{"{\"host\":1,\"port\":1}", "/host"},
		{"{\"host\":\"a b\",\"port\":1}", "/host"},
		{"{\"host\":\"[::1]\",\"port\":1}", "/host"},
		{"{\"host\":\"a/b\",\"port\":1}", "/host"},
		{"{\"host\":\"http://a\",\"port\":1}", "/host"},
		{"{\"host\":\"a\",\"port\":0}", "/port"},
		{"{\"host\":\"a\",\"port\":65536}", "/port"},
		{"{\"host\":\"a\",\"port\":-1}", "/port"},
		{"{\"host\":\"a\",\"port\":80.5}", "/port"},
		{"{\"host\":\"a\",\"port\":8e-1}", "/port"},
		{"{\"host\":\"a\",\"port\":0.0}", "/port"},
		{"{\"host\":\"a\",\"port\":65536.0}", "/port"},
		{"{\"host\":\"a\",\"port\":1e300}", "/port"},
		{"{\"host\":\"a\",\"port\":-1e300}", "/port"},
		{"{\"host\":\"a\",\"port\":1,\"weight\":0.1}", "/weight"},
		{"{\"host\":\"a\",\"port\":\"80\"}", "/port"},
		{"{\"host\":\"a\",\"port\":true}", "/port"},
		{"{\"host\":\"a\",\"port\":null}", "/port"},
		{"{\"host\":\"a\",\"port\":[80]}", "/port"},
		{"{\"host\":\"a\",\"port\":9223372036854775807}", "/port"},
		{"{\"host\":\"a\",\"port\":1,\"weight\":-1}", "/weight"},
		{"{\"host\":\"a\",\"port\":1,\"weight\":65536}", "/weight"},
		{"{\"host\":\"a\",\"port\":1,\"ttl_ms\":999}", "/ttl_ms"},
		{"{\"host\":\"a\",\"port\":1,\"ttl_ms\":1}", "/ttl_ms"},
		{"{\"host\":\"a\",\"port\":1,\"ttl_ms\":-1}", "/ttl_ms"},
		{"{\"host\":\"a\",\"port\":1,\"ttl_ms\":null}", "/ttl_ms"},
		{"{\"host\":\"a\",\"port\":1,\"ttl_ms\":86400001}", "/ttl_ms"},
		{"{\"host\":\"a\",\"port\":1,\"remove_after_ms\":-1}", "/remove_after_ms"},
		{"{\"host\":\"a\",\"port\":1,\"remove_after_ms\":31536000001}", "/remove_after_ms"},
		{"{\"host\":\"a\",\"port\":1,\"status\":\"unhealthy\"}", "/status"},
		{"{\"host\":\"a\",\"port\":1,\"status\":\"Healthy\"}", "/status"},
		{"{\"host\":\"a\",\"port\":1,\"status\":1}", "/status"},
		{"{\"host\":\"a\",\"port\":1,\"metadata\":[]}", "/metadata"},
		{"{\"host\":\"a\",\"port\":1,\"metadata\":null}", "/metadata"},
		{"{\"host\":\"a\",\"port\":1,\"metadata\":{\"a\":1}}", "/metadata"},
		{"{\"host\":\"a\",\"port\":1,\"metadata\":{\"a\":{}}}", "/metadata"},
		{"{\"host\":\"a\",\"port\":1,\"metadata\":{\"\":\"x\"}}", "/metadata"},
		{"{\"host\":\"a\",\"port\":1,\"id\":\"x\"}", "/id"},
		{"{\"host\":\"a\",\"port\":1,\"Port\":2}", "/Port"},
		{"{\"host\":\"a\",\"port\":1,\"a/b\":2}", "/a~1b"},
		{"{\"host\":\"a\",\"port\":1,\"\":2}", "/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char pointer[64];

		ck_assert_msg(read_record(cases[i].body) == -EINVAL, "%s", cases[i].body);
		ck_assert_uint_eq(errors.count, 1);
		(void)snprintf(pointer, sizeof(pointer), "{\"pointer\":\"%s\",", cases[i].pointer);
		ck_assert_msg(mentions(pointer), "%.*s", (int)errors.list.len, errors.list.data);
		ck_assert_ptr_null(instance.host.data); /* the instance is unchanged */
	}
}
END_TEST

/** JSON knows one kind of number: 80, 80.0 and 8e1 are the same. */
START_TEST(an_integer_may_be_written_as_any_number)
{
	ck_ok(read_record("{\"host\":\"a\",\"port\":80.0,\"weight\":-0.0,\"ttl_ms\":1e3,"
	                  "\"remove_after_ms\":31536000000.0}"));
	ck_assert_uint_eq(instance.port, 80);
	ck_assert_uint_eq(instance.weight, 0);
	ck_assert_int_eq(instance.ttl_ms, 1000);
	ck_assert_int_eq(instance.remove_after_ms, 31536000000);
	ck_ok(read_record("{\"host\":\"a\",\"port\":655350000e-4}"));
	ck_assert_uint_eq(instance.port, 65535);
}
END_TEST

START_TEST(a_ttl_of_0_is_no_lease)
{
	ck_ok(read_record("{\"host\":\"a\",\"port\":1,\"ttl_ms\":0}"));
	ck_assert_int_eq(instance.ttl_ms, 0);
	ck_fails(read_record("{\"host\":\"a\",\"port\":1,\"ttl_ms\":999}"), EINVAL);
	ck_assert(mentions("ttl_ms must be 0 or an integer from 1000 to 86400000, not 999"));
}
END_TEST

START_TEST(all_wrong_fields_are_reported_at_once)
{
	ck_fails(read_record("{\"port\":\"x\",\"weight\":1.5,\"colour\":\"red\"}"), EINVAL);
	ck_assert_uint_eq(errors.count, 4);
	ck_assert(mentions("host is required"));
	ck_assert(mentions("port must be an integer from 1 to 65535, not \\\"x\\\""));
	ck_assert(mentions("weight must be an integer from 0 to 65535, not 1.5"));
	ck_assert(mentions("unknown field 'colour'"));
}
END_TEST

/** A record with @p count metadata entries "kNNN" of @p value_len bytes each. */
static const char *with_metadata(int count, int value_len)
{
	static char body[API_BODY_MAX];
	int len = snprintf(body, sizeof(body), "{\"host\":\"a\",\"port\":1,\"metadata\":{");

	for (int i = 0; i < count; i++)
		len += snprintf(body + len, sizeof(body) - (size_t)len, "%s\"k%03d\":\"%0*d\"",
		                i > 0 ? "," : "", i, value_len, 0);
	(void)snprintf(body + len, sizeof(body) - (size_t)len, "}}");
	return body;
}

START_TEST(metadata_keeps_its_limits)
{
	ck_ok(read_record(with_metadata(METADATA_ENTRIES_MAX, 252)));
	ck_assert_uint_eq(instance.metadata_count, METADATA_ENTRIES_MAX);
	ck_assert(metadata_is_valid(instance.metadata, instance.metadata_count));
	ck_fails(read_record(with_metadata(METADATA_ENTRIES_MAX, 253)), EINVAL);
	ck_assert(mentions("metadata has 16448 bytes"));
	ck_fails(read_record(with_metadata(METADATA_ENTRIES_MAX + 1, 1)), EINVAL);
	ck_assert(mentions("metadata has 65 entries"));
}
END_TEST

START_TEST(depth_and_number_of_values_are_bounded)
{
	static char deep[64];
	static char wide[3 * JSON_TOKENS_MAX];

	memset(deep, '[', JSON_DEPTH_MAX);
	ck_ok(json_scan((struct str){deep, JSON_DEPTH_MAX}));
	deep[JSON_DEPTH_MAX] = '{';
	ck_fails(json_scan((struct str){deep, JSON_DEPTH_MAX + 1}), EMSGSIZE);
	ck_ok(json_scan(STR("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\"")));

	for (size_t i = 0; i + 1 < sizeof(wide); i += 2)
		memcpy(wide + i, "1,", 2);
	ck_ok(json_scan((struct str){wide, (size_t)2 * JSON_TOKENS_MAX}));
	ck_fails(json_scan((struct str){wide, (size_t)2 * JSON_TOKENS_MAX + 1}), EMSGSIZE);
	ck_fails(read_record("[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), EBADMSG);
	ck_assert_ptr_nonnull(strstr(errors.text, "nested deeper than 16"));
}
END_TEST

START_TEST(a_heartbeat_may_report_status_and_load)
{
	struct heartbeat heartbeat;

	ck_ok(heartbeat_from_json(STR("{}"), &heartbeat, &errors));
	ck_assert(!heartbeat.set_status && !heartbeat.set_load);
	ck_ok(heartbeat_from_json(STR("{\"status\":\"draining\",\"load\":0.25}"), &heartbeat,
	                          &errors));
	ck_assert(heartbeat.set_status && heartbeat.wants_drain && heartbeat.set_load);
	ck_assert(!heartbeat.reports_unhealthy);
	ck_assert_uint_eq(heartbeat.load_ppm, 250000);
	ck_ok(heartbeat_from_json(STR("{\"status\":\"healthy\",\"load\":1}"), &heartbeat, &errors));
	ck_assert(heartbeat.set_status && !heartbeat.wants_drain);
	ck_assert_uint_eq(heartbeat.load_ppm, 1000000);
	ck_ok(heartbeat_from_json(STR("{\"status\":\"unhealthy\"}"), &heartbeat, &errors));
	ck_assert(heartbeat.set_status && heartbeat.reports_unhealthy && !heartbeat.wants_drain);
	ck_fails(heartbeat_from_json(STR("{\"load\":1.01}"), &heartbeat, &errors), EINVAL);
	ck_fails(heartbeat_from_json(STR("{\"load\":-0.1}"), &heartbeat, &errors), EINVAL);
	ck_fails(heartbeat_from_json(STR("{\"load\":\"0\"}"), &heartbeat, &errors), EINVAL);
	ck_fails(heartbeat_from_json(STR("{\"status\":\"any\"}"), &heartbeat, &errors), EINVAL);
	ck_fails(heartbeat_from_json(STR("{\"port\":1}"), &heartbeat, &errors), EINVAL);
	ck_fails(heartbeat_from_json(STR("x"), &heartbeat, &errors), EBADMSG);
}
END_TEST

START_TEST(an_operator_gives_status_reason_and_time)
{
	struct intent intent;
	char body[REASON_MAX + 64];

	ck_ok(intent_from_json(
		STR("{\"status\":\"draining\",\"reason\":\"new \\u00e4\",\"for_ms\":5}"), memory,
		&intent, &errors));
	ck_assert(intent.drained);
	ck_assert_int_eq(intent.for_ms, 5);
	ck_assert(str_equal(intent.reason, STR("new \xc3\xa4")));
	ck_ok(intent_from_json(STR("{\"status\":\"healthy\"}"), memory, &intent, &errors));
	ck_assert(!intent.drained);
	ck_assert_uint_eq(intent.reason.len, 0);
	ck_assert_int_eq(intent.for_ms, 0);

	static const char *const wrong[] = {"{}",
	                                    "{\"status\":\"unhealthy\"}",
	                                    "{\"status\":\"healthy\",\"for_ms\":5}",
	                                    "{\"status\":\"draining\",\"for_ms\":0}",
	                                    "{\"status\":\"draining\",\"for_ms\":2592000001}",
	                                    "{\"status\":\"draining\",\"reason\":\"a\\nb\"}",
	                                    "{\"status\":\"draining\",\"reason\":1}",
	                                    "{\"status\":\"draining\",\"by\":\"me\"}"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert_msg(intent_from_json(str_of(wrong[i]), memory, &intent, &errors) ==
		                      -EINVAL,
		              "%s", wrong[i]);

	(void)snprintf(body, sizeof(body), "{\"status\":\"draining\",\"reason\":\"%0*d\"}",
	               REASON_MAX, 0);
	teardown();
	setup();
	ck_ok(intent_from_json(str_of(body), memory, &intent, &errors));
	(void)snprintf(body, sizeof(body), "{\"status\":\"draining\",\"reason\":\"%0*d\"}",
	               REASON_MAX + 1, 0);
	ck_fails(intent_from_json(str_of(body), memory, &intent, &errors), EINVAL);
}
END_TEST

/** Reads @p body once for each allocation that fails. @return the number of allocations */
static int with_failing_memory(const char *body, int (*read)(const char *body), int want)
{
	for (int nth = 0;; nth++) {
		field_errors_fini(&errors);
		field_errors_init(&errors);
		fault_arm(nth);
		int r = read(body);
		bool hit = fault_hit();

		if (!hit) {
			ck_assert_int_eq(r, want);
			return nth;
		}
		/* Allocations that only serve to describe the error may be missing. */
		bool shown = r == -EINVAL && want == -EINVAL;
		ck_assert_msg(r == -ENOMEM || shown, "allocation %d of %s: %d: %s", nth, body, r,
		              errors.text);
	}
}

static int read_heartbeat(const char *body)
{
	struct heartbeat heartbeat;

	return heartbeat_from_json(str_of(body), &heartbeat, &errors);
}

static int read_intent(const char *body)
{
	struct intent intent;

	return intent_from_json(str_of(body), memory, &intent, &errors);
}

static int read_plain(const char *body)
{
	return instance_from_json(str_of(body), memory, &instance, &errors);
}

START_TEST(no_memory_is_never_a_fault_of_the_body)
{
	ck_assert_int_gt(
		with_failing_memory("{\"host\":\"a\\u00e4\",\"port\":1}", read_plain, -EINVAL), 5);
	ck_assert_int_gt(with_failing_memory("{\"host\":\"10.0.0.1\",\"port\":8.0e1,\"weight\":1,"
	                                     "\"metadata\":{\"a\":\"long enough to need more\","
	                                     "\"b\":\"\\ud83d\\ude00\",\"c\":\"\"},\"status\":"
	                                     "\"healthy\"}",
	                                     read_plain, 0),
	                 10);
	ck_assert_int_gt(
		with_failing_memory("{\"status\":\"draining\",\"load\":0.5}", read_heartbeat, 0),
		5);
	ck_assert_int_gt(with_failing_memory("{\"status\":\"draining\",\"reason\":\"why\","
	                                     "\"for_ms\":5,\"wait_ms\":5}",
	                                     read_intent, 0),
	                 5);
	ck_assert_int_gt(with_failing_memory("{\"status\":\"draining\",\"x\":[1,{\"y\":null}]}",
	                                     read_intent, -EINVAL),
	                 5);
}
END_TEST

SUITE("instance_json", setup, teardown, a_small_record_gets_the_defaults,
      a_full_record_is_read_and_its_metadata_sorted, what_is_no_json_object_is_malformed,
      each_wrong_field_is_pointed_to, an_integer_may_be_written_as_any_number,
      no_memory_is_never_a_fault_of_the_body, a_ttl_of_0_is_no_lease,
      all_wrong_fields_are_reported_at_once, metadata_keeps_its_limits,
      depth_and_number_of_values_are_bounded, a_heartbeat_may_report_status_and_load,
      an_operator_gives_status_reason_and_time)
