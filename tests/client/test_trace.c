/* SPDX-License-Identifier: MIT */
/* Trace context: every case of tests/cases/traceparent.txt, in the fields of a request and in its
 * headers, and headers of the caller that must not be sent. */
#include "sim.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define VALUES_MOST 4
#define VALUE_MOST  8192

struct values {
	int count;
	char text[VALUES_MOST][VALUE_MOST];
};

static struct {
	char name[128];
	struct values parents;
	struct values states;
	char trace[64];
	char state[VALUE_MOST];
} expected;

static struct sim sim;
static rollcall_request request;
static rollcall_response response;
static char sent_parent[64];
static char sent_state[VALUE_MOST];
static int sent_count[2];

static void note_headers(struct sim *s, const struct sim_request *to, struct sim_reply *reply)
{
	(void)s;
	(void)reply;
	sent_parent[0] = sent_state[0] = '\0';
	sent_count[0] = sent_count[1] = 0;
	for (size_t i = 0; i < to->exchange->header_count; i++) {
		const rollcall_pair *header = &to->exchange->headers[i];

		if (strcasecmp(header->name, "traceparent") == 0) {
			sent_count[0]++;
			(void)snprintf(sent_parent, sizeof(sent_parent), "%s", header->value);
		} else if (strcasecmp(header->name, "tracestate") == 0) {
			sent_count[1]++;
			(void)snprintf(sent_state, sizeof(sent_state), "%s", header->value);
		}
	}
}

static void setup(void)
{
	sim_open(&sim, 5);
	(void)sim_add(&sim, "a");
	sim.serve = note_headers;
	rollcall_request_init(&request);
	rollcall_response_init(&response);
}

static void teardown(void)
{
	rollcall_response_clear(&response);
	sim_close(&sim);
}

/* --- the cases ------------------------------------------------------------------------------ */

static void decode(const char *from, char *to)
{
	size_t len = 0;

	while (*from != '\0') {
		unsigned byte;

		ck_assert_uint_lt(len, VALUE_MOST - 1);
		if (sscanf(from, "\\x%2x", &byte) == 1) {
			to[len++] = (char)byte;
			from += 4;
		} else {
			to[len++] = *from++;
		}
	}
	to[len] = '\0';
}

static void add(struct values *values, const char *value)
{
	ck_assert_int_lt(values->count, VALUES_MOST);
	decode(value, values->text[values->count++]);
}

static void read_line(const char *line)
{
	const char *value = strchr(line, ':');

	ck_assert_msg(value != NULL, "not \"key: value\": %s", line);
	value += value[1] == ' ' ? 2 : 1;
	if (strncmp(line, "case:", 5) == 0)
		(void)snprintf(expected.name, sizeof(expected.name), "%s", value);
	else if (strncmp(line, "traceparent:", 12) == 0)
		add(&expected.parents, value);
	else if (strncmp(line, "tracestate:", 11) == 0)
		add(&expected.states, value);
	else if (strncmp(line, "trace:", 6) == 0)
		(void)snprintf(expected.trace, sizeof(expected.trace), "%s", value);
	else if (strncmp(line, "state:", 6) == 0)
		decode(value, expected.state);
	else
		ck_abort_msg("unknown key: %s", line);
}

/* @return whether there is another case */
static bool read_case(FILE *file)
{
	static char line[VALUE_MOST];

	memset(&expected, 0, sizeof(expected));
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		if (line[0] != '\0')
			read_line(line);
		else if (expected.name[0] != '\0')
			return true;
	}
	return expected.name[0] != '\0';
}

static void check_sent(const char *way)
{
	bool is_new = strcmp(expected.trace, "none") == 0;
	char given[33] = "";

	ck_assert_msg(sent_count[0] == 1 && strlen(sent_parent) == 55, "%s, %s: sent '%s' %d times",
	              expected.name, way, sent_parent, sent_count[0]);
	ck_assert_msg(strncmp(sent_parent, "00-", 3) == 0, "%s, %s: sent %s", expected.name, way,
	              sent_parent);
	if (!is_new) {
		ck_assert_msg(strncmp(sent_parent + 3, expected.trace, 32) == 0 &&
		                      strcmp(sent_parent + 53, expected.trace + 50) == 0,
		              "%s, %s: sent %s", expected.name, way, sent_parent);
		ck_assert(strncmp(sent_parent + 36, expected.trace + 33, 16) != 0);
	} else {
		if (expected.parents.count > 0 && strlen(expected.parents.text[0]) > 35)
			memcpy(given, expected.parents.text[0] + 3, 32);
		ck_assert_msg(given[0] == '\0' || strncmp(sent_parent + 3, given, 32) != 0,
		              "%s, %s: took %s over", expected.name, way, sent_parent);
		ck_assert_str_eq(sent_parent + 53, "00");
	}
	if (strcmp(expected.state, "none") == 0)
		ck_assert_msg(sent_count[1] == 0, "%s, %s: sent state '%s'", expected.name, way,
		              sent_state);
	else
		ck_assert_msg(sent_count[1] == 1 && strcmp(sent_state, expected.state) == 0,
		              "%s, %s: sent state '%s', not '%s'", expected.name, way, sent_state,
		              expected.state);
}

static void call_with_fields(void)
{
	if (expected.parents.count > 1 || expected.states.count > 1)
		return; /* a field holds one value */
	rollcall_request_init(&request);
	request.traceparent = expected.parents.count > 0 ? expected.parents.text[0] : NULL;
	request.tracestate = expected.states.count > 0 ? expected.states.text[0] : NULL;
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	check_sent("in the fields");
}

static bool printable(const char *text)
{
	while (*text >= ' ')
		text++;
	return *text == '\0';
}

static void call_with_headers(void)
{
	rollcall_pair headers[2 * VALUES_MOST];
	size_t count = 0;

	for (int i = 0; i < expected.parents.count; i++)
		headers[count++] = (rollcall_pair){"Traceparent", expected.parents.text[i]};
	for (int i = 0; i < expected.states.count; i++)
		headers[count++] = (rollcall_pair){"TraceState", expected.states.text[i]};
	for (size_t i = 0; i < count; i++)
		if (!printable(headers[i].value))
			return; /* not a header */
	rollcall_request_init(&request);
	request.headers = headers;
	request.header_count = count;
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	check_sent("in the headers");
}

START_TEST(each_case_is_read_as_the_table_says)
{
	FILE *file = fopen(CASES "/traceparent.txt", "re");
	int count = 0;

	ck_assert_msg(file != NULL, "cannot open %s/traceparent.txt", CASES);
	for (; read_case(file); count++) {
		call_with_fields();
		call_with_headers();
	}
	(void)fclose(file);
	ck_assert_int_ge(count, 60);
}
END_TEST

/* --- without cases -------------------------------------------------------------------------- */

static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
static const char other[] = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b7ad6b7169203331-00";

START_TEST(the_fields_win_over_the_headers)
{
	const rollcall_pair headers[] = {{"traceparent", other}, {"tracestate", "of=headers"}};

	request.traceparent = parent;
	request.tracestate = "of=fields";
	request.headers = headers;
	request.header_count = 2;
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_int_eq(sent_count[0], 1);
	ck_assert_int_eq(strncmp(sent_parent, parent, 36), 0);
	ck_assert_int_eq(sent_count[1], 1);
	ck_assert_str_eq(sent_state, "of=fields");
}
END_TEST

static const char *header_of_request(const char *name, void *arg)
{
	(void)arg;
	if (strcmp(name, "traceparent") == 0)
		return parent;
	return strcmp(name, "tracestate") == 0 ? "a=b" : NULL;
}

START_TEST(a_request_inherits_both)
{
	ck_ok(rollcall_request_inherit(&request, header_of_request, NULL));
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_int_eq(strncmp(sent_parent, parent, 36), 0);
	ck_assert_str_eq(sent_state, "a=b");
}
END_TEST

/* For a program built with a header whose structure had no tracestate. */
START_TEST(a_request_without_the_field_is_left_alone_behind_its_end)
{
	const size_t before = offsetof(rollcall_request, tracestate);

	memset(&request, 0x55, sizeof(request));
	rollcall_request_init_sized(&request, before);
	ck_ok(rollcall_request_inherit(&request, header_of_request, NULL));
	for (size_t i = before; i < sizeof(request); i++)
		ck_assert_int_eq(((const unsigned char *)&request)[i], 0x55);
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_int_eq(strncmp(sent_parent, parent, 36), 0);
	ck_assert_int_eq(sent_count[1], 0);
}
END_TEST

static void ended(rollcall_client *client, int error, rollcall_response *r, void *arg)
{
	(void)client;
	(void)r;
	ck_ok(error);
	*(bool *)arg = true;
}

START_TEST(an_asynchronous_call_copies_both)
{
	char lost_parent[64];
	char lost_state[] = "a=b";
	bool done = false;

	(void)snprintf(lost_parent, sizeof(lost_parent), "%s", parent);
	request.traceparent = lost_parent;
	request.tracestate = lost_state;
	ck_ok(rollcall_call_start(sim.client, "web", &request, ended, &done, NULL));
	memset(lost_parent, 'x', sizeof(lost_parent));
	memset(lost_state, 'x', sizeof(lost_state));
	sim_run_ms(&sim, 1000);
	ck_assert(done);
	ck_assert_int_eq(strncmp(sent_parent, parent, 36), 0);
	ck_assert_str_eq(sent_state, "a=b");
}
END_TEST

static void fail_first(struct sim *s, const struct sim_request *to, struct sim_reply *reply)
{
	static const char *const ours[] = {"Request-Timeout-Ms", "Idempotency-Key",
	                                   "X-Retry-Attempt", "traceparent"};

	note_headers(s, to, reply);
	for (int i = 0; i < 4; i++) {
		int count = 0;

		for (size_t j = 0; j < to->exchange->header_count; j++)
			count += strcasecmp(to->exchange->headers[j].name, ours[i]) == 0;
		ck_assert_msg(count == 1, "attempt %d: %s is sent %d times", to->nth, ours[i],
		              count);
	}
	reply->status = to->nth == 0 ? 503 : 200;
}

START_TEST(no_attempt_sends_a_header_of_ours_twice)
{
	const rollcall_pair headers[] = {{"request-timeout-ms", "1"},
	                                 {"idempotency-key", "theirs"},
	                                 {"x-retry-attempt", "7"},
	                                 {"traceparent", parent},
	                                 {"x-other", "1"}};

	sim.serve = fail_first;
	request.key = "ours";
	request.headers = headers;
	request.header_count = 5;
	ck_ok(rollcall_call(sim.client, "web", &request, &response));
	ck_assert_uint_eq(response.attempts, 2);
	ck_assert_str_eq(sim_header(&sim, "Idempotency-Key"), "ours");
	ck_assert_str_eq(sim_header(&sim, "X-Retry-Attempt"), "1");
	ck_assert_str_eq(sim_header(&sim, "x-other"), "1");
	ck_assert_int_gt(atol(sim_header(&sim, "Request-Timeout-Ms")), 1000);
}
END_TEST

SUITE("client trace context", setup, teardown, each_case_is_read_as_the_table_says,
      the_fields_win_over_the_headers, a_request_inherits_both,
      a_request_without_the_field_is_left_alone_behind_its_end, an_asynchronous_call_copies_both,
      no_attempt_sends_a_header_of_ours_twice)
