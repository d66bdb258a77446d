/* SPDX-License-Identifier: MIT */
/*
 * Instances and events as values: validity, JSON, packed metadata, status from lease and drains.
 */
#include "base/buf.h"
#include "model/event.h"
#include "model/valid.h"
#include "suite.h"

#include <errno.h>

static char text[4096];

static const char *rendered(struct buf *out)
{
	ck_ok(buf_error(out));
	ck_assert_uint_lt(out->len, sizeof(text));
	memcpy(text, out->data, out->len);
	text[out->len] = '\0';
	buf_fini(out);
	return text;
}

static struct instance sample(void)
{
	return (struct instance){
		.service = STR("order-service"),
		.id = STR("order-1"),
		.host = STR("10.0.0.1"),
		.port = 8080,
		.weight = 100,
		.metadata = {"a\0x\0b\0\"y\"", 10},
		.metadata_count = 2,
		.ttl_ms = 30000,
		.remove_after_ms = 600000,
		.status_reason = STR("registered"),
		.status_by = STR("instance"),
		.status_since_ms = 1000,
		.registered_ms = 500,
		.incarnation = 3,
		.revision = 17,
	};
}

START_TEST(an_instance_is_rendered_whole)
{
	struct instance instance = sample();
	struct buf out;

	buf_init(&out, sizeof(text));
	instance.metadata.len = sizeof("a\0x\0b\0\"y\"");
	instance_put_json_open(&out, &instance);
	instance_put_json_close(&out, &instance);
	ck_assert_str_eq(rendered(&out),
	                 "{\"service\":\"order-service\",\"id\":\"order-1\",\"host\":\"10.0.0.1\","
	                 "\"port\":8080,\"address\":\"10.0.0.1:8080\",\"weight\":100,"
	                 "\"metadata\":{\"a\":\"x\",\"b\":\"\\\"y\\\"\"},\"ttl_ms\":30000,"
	                 "\"remove_after_ms\":600000,\"status\":\"healthy\","
	                 "\"status_reason\":\"registered\",\"status_by\":\"instance\","
	                 "\"status_since\":\"1970-01-01T00:00:01.000Z\","
	                 "\"registered_at\":\"1970-01-01T00:00:00.500Z\","
	                 "\"incarnation\":3,\"revision\":17}");
}
END_TEST

START_TEST(an_ipv6_host_is_bracketed_in_its_address)
{
	struct instance instance = sample();
	struct buf out;

	instance.host = STR("2001:db8::1");
	buf_init(&out, sizeof(text));
	instance_put_address(&out, &instance);
	ck_assert_str_eq(rendered(&out), "[2001:db8::1]:8080");
}
END_TEST

START_TEST(the_end_of_a_drain_is_shown_while_it_lasts)
{
	struct instance instance = sample();
	struct buf out;

	instance.drained = true;
	instance.drained_until_ms = 60000;
	instance.metadata = (struct str){NULL, 0};
	buf_init(&out, sizeof(text));
	instance_put_json_open(&out, &instance);
	ck_assert_ptr_nonnull(
		strstr(rendered(&out), "\"draining_until\":\"1970-01-01T00:01:00.000Z\""));
}
END_TEST

START_TEST(status_follows_an_operator_then_the_lease_then_the_owner)
{
	struct instance instance = sample();

	ck_assert_int_eq(instance_status(&instance), STATUS_HEALTHY);
	ck_assert_int_eq(instance_status_cause(&instance), CAUSE_NONE);
	instance.wants_drain = true;
	ck_assert_int_eq(instance_status(&instance), STATUS_DRAINING);
	ck_assert_int_eq(instance_status_cause(&instance), CAUSE_OWNER);
	instance.reports_unhealthy = true;
	ck_assert_int_eq(instance_status(&instance), STATUS_UNHEALTHY);
	ck_assert_int_eq(instance_status_cause(&instance), CAUSE_REPORT);
	instance.lease_out = true;
	ck_assert_int_eq(instance_status(&instance), STATUS_UNHEALTHY);
	ck_assert_int_eq(instance_status_cause(&instance), CAUSE_LEASE);
	instance.drained = true;
	ck_assert_int_eq(instance_status(&instance), STATUS_DRAINING);
	ck_assert_int_eq(instance_status_cause(&instance), CAUSE_OPERATOR);
}
END_TEST

START_TEST(a_change_of_any_field_makes_another_record)
{
	const struct instance a = sample();
	struct instance b = a;

	ck_assert(instance_same_record(&a, &b));
	b.status = STATUS_UNHEALTHY; /* not a field of the record */
	b.revision = 99;
	ck_assert(instance_same_record(&a, &b));
#define DIFFERS(change)                                                \
	do {                                                           \
		b = a;                                                 \
		change;                                                \
		ck_assert_msg(!instance_same_record(&a, &b), #change); \
	} while (0)
	DIFFERS(b.host = STR("10.0.0.2"));
	DIFFERS(b.port = 1);
	DIFFERS(b.weight = 1);
	DIFFERS(b.ttl_ms = 1);
	DIFFERS(b.remove_after_ms = 1);
	DIFFERS(b.wants_drain = true);
	DIFFERS(b.reports_unhealthy = true);
	DIFFERS(b.metadata.len = 4);
#undef DIFFERS
}
END_TEST

START_TEST(metadata_is_read_back_in_order)
{
	struct str metadata = {"a\0001\0bb\000\000c\0003", 10};
	struct str value;
	size_t pos = 0;
	struct str key;

	metadata.len = sizeof("a\0001\0bb\000\000c\0003");
	ck_assert(metadata_next(metadata, &pos, &key, &value));
	ck_assert(str_equal(key, STR("a")) && str_equal(value, STR("1")));
	ck_assert(metadata_next(metadata, &pos, &key, &value));
	ck_assert(str_equal(key, STR("bb")) && str_equal(value, STR("")));
	ck_assert(metadata_next(metadata, &pos, &key, &value));
	ck_assert(str_equal(key, STR("c")) && str_equal(value, STR("3")));
	ck_assert(!metadata_next(metadata, &pos, &key, &value));
	ck_assert(metadata_get(metadata, STR("bb"), &value) && value.len == 0);
	ck_assert(!metadata_get(metadata, STR("b"), &value));
	ck_assert(metadata_is_valid(metadata, 3));
}
END_TEST

START_TEST(metadata_that_is_packed_wrongly_is_noticed)
{
	static const struct {
		const char *data;
		size_t len;
		uint16_t count;
	} wrong[] = {
		{"a\0001", 3, 1},           /* no final NUL */
		{"a\0001\0", 4, 2},         /* fewer pairs than counted */
		{"a\0001\0b\0002\0", 8, 1}, /* more pairs than counted */
		{"b\0001\0a\0002\0", 8, 2}, /* not sorted */
		{"a\0001\0a\0002\0", 8, 2}, /* a key twice */
		{"a\0", 2, 1},              /* a key without value */
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!metadata_is_valid((struct str){wrong[i].data, wrong[i].len},
		                                 wrong[i].count),
		              "case %zu", i);
	ck_assert(metadata_is_valid((struct str){NULL, 0}, 0));
}
END_TEST

START_TEST(names_are_held_to_their_limits)
{
	static char longest[INSTANCE_ID_MAX + 1];
	static const char *const good_services[] = {"a", "0", "order-service", "A.b_c-1"};
	static const char *const bad_services[] = {"",    "-a",  ".a",  "_a",
	                                           "a b", "a/b", "a\n", "\xc3\xa4"};
	static const char *const good_ids[] = {"a", "10.0.0.1:80:x", "/a/b", "!~"};
	static const char *const bad_ids[] = {"", "a b", "a\x7f", "\xc3\xa4", "a\t"};
	static const char *const good_hosts[] = {"10.0.0.1",  "::1",         "db-1.example.org",
	                                         "localhost", "a_b",         "127.0.0.1",
	                                         "fe7f::1",   "fec0::1",     "fd00::1",
	                                         "0.0.0.1",   "169.254.0.1", "254.128.0.1"};
	static const char *const bad_hosts[] = {
		"",         "[::1]",      "-a",      "a..b",           "a b",        "1.2.3.4:80",
		"\xc3\xa4", "0.0.0.0",    "::",      "::ffff:0.0.0.0", "0::0",       "1",
		"127.1",    "0x7f000001", "fe80::1", "fe80::1%eth0",   "fe80::1%25", "febf::1",
		"0.0.0.0."};

#define ALL(valid, list, want)                                        \
	for (size_t i = 0; i < sizeof(list) / sizeof((list)[0]); i++) \
	ck_assert_msg(valid(str_of((list)[i])) == (want), "%s", (list)[i])
	ALL(valid_service_name, good_services, true);
	ALL(valid_service_name, bad_services, false);
	ALL(valid_instance_id, good_ids, true);
	ALL(valid_instance_id, bad_ids, false);
	for (size_t i = 0; i < sizeof(good_hosts) / sizeof(good_hosts[0]); i++)
		ck_assert_msg(host_fault(str_of(good_hosts[i])) == NULL, "%s", good_hosts[i]);
	for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(bad_hosts[0]); i++)
		ck_assert_msg(host_fault(str_of(bad_hosts[i])) != NULL, "%s", bad_hosts[i]);
#undef ALL
	memset(longest, 'a', sizeof(longest));
	ck_assert(valid_service_name((struct str){longest, SERVICE_NAME_MAX}));
	ck_assert(!valid_service_name((struct str){longest, SERVICE_NAME_MAX + 1}));
	ck_assert(valid_instance_id((struct str){longest, INSTANCE_ID_MAX}));
	ck_assert(!valid_instance_id((struct str){longest, INSTANCE_ID_MAX + 1}));
	ck_assert(valid_text(STR("caf\xc3\xa9"), 5));
	ck_assert(!valid_text(STR("caf\xc3\xa9"), 4));
	ck_assert(!valid_text(STR("two\nlines"), 100));
	ck_assert(!valid_text(STR("\xff"), 100));
	ck_assert(!valid_text(STR("a\x7f"), 100));
	ck_assert(!valid_text(STR("\xc2\x80"), 100));
	ck_assert(!valid_text(STR("\xc2\x9f"), 100));
	ck_assert(valid_text(STR("\xc2\xa0\xef\xbf\xbd"), 100));
}
END_TEST

START_TEST(kinds_and_statuses_are_named)
{
	enum event_kind kind;
	enum status status;

	for (int k = EVENT_REGISTERED; k < EVENT_KIND_COUNT; k++) {
		ck_ok(event_kind_parse(str_of(event_kind_name((enum event_kind)k)), &kind));
		ck_assert_int_eq((int)kind, k);
	}
	for (int s = 0; s < STATUS_COUNT; s++) {
		ck_ok(status_parse(str_of(status_name((enum status)s)), &status));
		ck_assert_int_eq((int)status, s);
	}
	ck_fails(event_kind_parse(STR("exploded"), &kind), EINVAL);
	ck_fails(status_parse(STR("Healthy"), &status), EINVAL);
	ck_assert_str_eq(event_kind_name((enum event_kind)99), "unknown");
}
END_TEST

START_TEST(an_event_has_author_reason_and_instance)
{
	struct event event = {
		.revision = 17,
		.time_ms = 1000,
		.kind = EVENT_DRAINED,
		.author = STR("192.0.2.1:5"),
		.agent = STR("curl/8"),
		.reason = STR("disk \"swap\""),
		.instance = sample(),
	};
	struct buf out;

	event.instance.metadata = (struct str){NULL, 0};
	buf_init(&out, sizeof(text));
	event_put_json(&out, &event);
	const char *json = rendered(&out);
	ck_assert_ptr_eq(strstr(json, "{\"revision\":17,\"time\":\"1970-01-01T00:00:01.000Z\","
	                              "\"kind\":\"drained\",\"service\":\"order-service\","
	                              "\"id\":\"order-1\",\"author\":\"192.0.2.1:5\","
	                              "\"agent\":\"curl/8\",\"reason\":\"disk \\\"swap\\\"\","
	                              "\"instance\":{"),
	                 json);
	ck_assert_str_eq(json + strlen(json) - 2, "}}");
}
END_TEST

SUITE("model", NULL, NULL, an_instance_is_rendered_whole, an_ipv6_host_is_bracketed_in_its_address,
      the_end_of_a_drain_is_shown_while_it_lasts,
      status_follows_an_operator_then_the_lease_then_the_owner,
      a_change_of_any_field_makes_another_record, metadata_is_read_back_in_order,
      metadata_that_is_packed_wrongly_is_noticed, names_are_held_to_their_limits,
      kinds_and_statuses_are_named, an_event_has_author_reason_and_instance)
