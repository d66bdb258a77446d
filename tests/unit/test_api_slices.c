/* SPDX-License-Identifier: MIT */
/*
 * Long answers that are rendered in slices: each size of a slice must give the same bytes as an
 * answer rendered whole. The registry is real, the clock virtual (api_fixture.h); some tests set
 * reads_by_hand, and then read the slices while the registry changes.
 */
#include "api_fixture.h"

#include "api/call.h"
#include "api/pretty.h"
#include "api/slices.h"
#include "base/rcu.h"
#include "v1/text.h"

#define MEMBERS 120

/* Registers a record whose text needs escaping. Records differ in length; all together have about
 * 100 KB, and one of them 10 KB. */
static void put_large(const char *service, unsigned i, unsigned version)
{
	static const char *const special[] = {"\\\"", "\\n", "\\u00e9\\u20ac", "x{},[]:"};
	struct buf record;
	char target[400];

	buf_init(&record, 65536);
	buf_printf(&record,
	           "{\"host\":\"10.0.0.1\",\"port\":80,\"ttl_ms\":86400000,\"metadata\":{");
	if (i % 3 != 0)
		buf_printf(&record, "\"version\":\"%u\",\"text\":\"", version);
	for (unsigned n = 0; i % 3 != 0 && n < (i == 118 ? 3000 : 300 + i); n++)
		buf_put(&record, special[(i + n) % ARRAY_LEN(special)]);
	buf_put(&record, i % 3 != 0 ? "\"}}" : "}}");
	(void)snprintf(target, sizeof(target), "/v1/services/%s/instances/i%.*s%u", service,
	               (int)(i % 40), "----------------------------------------", i);
	call_str("PUT", str_of(target), (struct str){record.data, record.len});
	ck_assert_uint_eq(response.status / 100, 2);
	buf_fini(&record);
}

static struct buf whole; /* the expected answer */

static void slices_setup(void)
{
	api_fixture_setup();
	reads_by_hand = false;
	slice_most = 65536;
	for (unsigned i = 0; i < MEMBERS; i++)
		put_large("web", i, 1);
	buf_init(&whole, 64u << 20);
}

static void slices_teardown(void)
{
	buf_fini(&whole);
	api_fixture_teardown();
}

/* All plain lookups share one answer, which is not rendered in slices. */
static void put_plain(void)
{
	call("GET", "/v1/services/web", NULL);
	ck_assert_ptr_nonnull(response.blob);
	ck_assert_uint_gt(sent().len, SLICE_BYTES);
	buf_put_str(&whole, sent());
}

static void put_text(void)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct service *web = snapshot_service(now, STR("web"));
	struct buf rows;

	buf_init(&rows, 16u << 20);
	text_put_heading(&rows);
	for (uint32_t i = 0; i < web->count; i++)
		text_put_member(&rows, web->members[i]);
	text_finish(&whole, &rows);
	snapshot_leave(registry_store(registry));
	ck_assert_uint_gt(whole.len, SLICE_BYTES);
}

static void ck_whole(void)
{
	ck_status(200);
	ck_assert_ptr_nonnull(response.stream);
	ck_assert_uint_eq(sent().len, whole.len);
	ck_assert(memcmp(sent().data, whole.data, whole.len) == 0);
	ck_assert(response.stream->length == 0 || response.stream->length == whole.len);
}

static const size_t sizes[] = {1, 2, 3, 5, 7, 16, 100, 1000, 4096, 65535, 65536, 65537, 1u << 20};

START_TEST(slices_of_each_size_are_the_whole)
{
	put_plain();
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		slice_most = sizes[i];
		call("GET", "/v1/services/web?limit=10000", NULL);
		ck_whole();
		ck_assert_uint_eq(response.stream->length, whole.len);
	}
}
END_TEST

START_TEST(slices_are_indented_as_the_whole_is)
{
	struct buf plain;

	put_plain();
	plain = whole;
	buf_init(&whole, 64u << 20);
	pretty_put(&whole, (struct str){plain.data, plain.len});
	buf_fini(&plain);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		slice_most = sizes[i];
		call("GET", i % 2 ? "/v1/services/web?pretty" : "/v1/services/web?pretty&limit=999",
		     NULL);
		ck_whole();
	}
}
END_TEST

START_TEST(slices_of_a_table_are_aligned_as_the_whole_is)
{
	put_text();
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		slice_most = sizes[i];
		call("GET", "/v1/services/web?format=text", NULL);
		ck_whole();
		ck_assert_str_eq(response.content_type, "text/plain; charset=utf-8");
	}
}
END_TEST

START_TEST(slices_end_at_the_limit_of_the_page)
{
	char next[400];

	call("GET", "/v1/services/web?limit=110", NULL);
	ck_assert_ptr_nonnull(response.stream);
	ck_assert_uint_eq(response.stream->length, sent().len);
	ck_assert_uint_eq(json_array_size(at("instances")), 110);
	ck_assert_str_eq(text("next"), text("instances.109.id"));
	(void)snprintf(next, sizeof(next), "/v1/services/web?after=%s", text("next"));
	call("GET", next, NULL);
	ck_assert_ptr_null(response.stream);
	ck_assert_uint_eq(json_array_size(at("instances")), MEMBERS - 110);
	ck_assert_ptr_null(at("next"));
}
END_TEST

START_TEST(a_known_etag_renders_nothing)
{
	call("GET", "/v1/services/web?limit=10000", NULL);
	char etag[48];
	(void)snprintf(etag, sizeof(etag), "%s", response.etag);
	set_header("If-None-Match", etag);
	call("GET", "/v1/services/web?limit=10000", NULL);
	ck_status(304);
	ck_assert_ptr_null(response.stream);
	ck_assert_uint_eq(api_held_bytes(api), 0);
}
END_TEST

START_TEST(a_slow_reader_gets_the_version_that_it_began_with)
{
	char first[1000];

	put_plain();
	reads_by_hand = true;
	call("GET", "/v1/services/web?status=any", NULL);
	reads_by_hand = false;
	struct api_response slow = response;
	struct api_request asked = request;
	ck_assert_int_eq(slow.stream->read(slow.stream, first, sizeof(first)), sizeof(first));
	buf_add(&sliced, first, sizeof(first));
	struct buf begun = sliced;
	buf_init(&sliced, 64u << 20);
	api_response_init(&response);
	request_reset();

	uint64_t held = api_held_bytes(api);
	ck_assert_uint_lt(held, 4 * SLICE_BYTES);
	for (unsigned i = 0; i < MEMBERS; i++)
		put_large("web", i, 2);
	call("DELETE", "/v1/services/web/instances/i0", NULL);
	rcu_drain();
	/* only the slow answer still refers to the members that it has not rendered */
	ck_assert_uint_gt(api_held_bytes(api), held + 20000);

	api_response_fini(&response);
	response = slow;
	buf_fini(&sliced);
	sliced = begun;
	ck_assert_int_eq(read_slices(), API_STREAM_END);
	ck_whole();
	api_release(api, &asked);
	api_response_fini(&response);
	api_response_init(&response);
	ck_assert_uint_eq(api_held_bytes(api), 0);
}
END_TEST

START_TEST(an_answer_that_is_not_read_leaves_nothing_behind)
{
	reads_by_hand = true;
	call("GET", "/v1/services/web?status=any", NULL);
	reads_by_hand = false;
	struct api_response unread = response;
	struct api_request asked = request;
	api_response_init(&response);
	request_reset();
	for (unsigned i = 0; i < MEMBERS; i++)
		put_large("web", i, 2);
	rcu_drain();
	ck_assert_uint_gt(snapshot_retired_bytes(), 50000);
	api_response_fini(&unread);
	api_release(api, &asked);
	ck_assert_uint_eq(api_held_bytes(api), 0);
}
END_TEST

START_TEST(a_shared_answer_counts_once_it_is_replaced)
{
	call("GET", "/v1/services/web", NULL);
	struct blob *kept = blob_ref(response.blob);
	size_t bytes = kept->len;
	api_response_fini(&response);
	api_response_init(&response);
	ck_assert_uint_eq(snapshot_retired_bytes(), 0);
	put_large("web", 1, 2);
	rcu_drain();
	ck_assert_uint_eq(snapshot_retired_bytes(), bytes);
	blob_unref(kept);
	ck_assert_uint_eq(snapshot_retired_bytes(), 0);
}
END_TEST

START_TEST(a_peer_that_reads_nothing_gets_one_answer_whatever_its_length)
{
	_Atomic(uint64_t) unsent = 0;

	config.max_unsent_bytes_per_peer = 1;
	api_fixture_reload();
	request.peer_unsent = &unsent;
	reads_by_hand = true;
	call("GET", "/v1/services/web?status=any", NULL);
	reads_by_hand = false;
	ck_status(200);
	ck_assert_uint_gt(unsent + 100, response.stream->length);
	struct api_response unread = response;
	struct api_request asked = request;
	api_response_init(&response);

	request_reset();
	request.peer_unsent = &unsent;
	call("GET", "/v1/services/web?status=any", NULL);
	ck_problem(503, "too-much-unsent");
	ck_assert_str_eq(header("Retry-After"), "1");
	request.peer_unsent = &unsent;
	call("GET", "/v1/services/web", NULL); /* a shared answer counts as unsent too */
	ck_problem(503, "too-much-unsent");
	request.peer_unsent = &unsent;
	call("GET", "/v1/services/web?limit=1", NULL);
	ck_status(200);
	call("GET", "/v1/services/web?status=any", NULL); /* another peer */
	ck_status(200);

	api_response_fini(&unread);
	api_release(api, &asked);
	ck_assert_uint_eq(unsent, 0);
}
END_TEST

START_TEST(a_change_is_never_refused_for_its_answer)
{
	config.max_unsent_bytes = 1;
	api_fixture_reload();
	put_large("web", 118, 2); /* answered with the instance */
	call("GET", "/v1/services/web/instances/i-1", NULL);
	ck_status(200);
	call("GET", "/v1/services/web?format=text", NULL);
	ck_problem(503, "too-much-unsent");
	ck_assert_uint_eq(api_held_bytes(api), 0);
}
END_TEST

START_TEST(the_past_is_answered_in_slices_too)
{
	char target[100];

	put_plain();
	(void)snprintf(target, sizeof(target), "/v1/services/web?at=%llu",
	               (unsigned long long)response.revision);
	for (unsigned i = 0; i < MEMBERS; i++)
		put_large("web", i, 2);
	call("GET", target, NULL);
	ck_whole();
	api_response_fini(&response);
	api_response_init(&response);
	rcu_drain();
	ck_assert_uint_eq(api_held_bytes(api), 0);
}
END_TEST

SUITE("api_slices", slices_setup, slices_teardown, slices_of_each_size_are_the_whole,
      slices_are_indented_as_the_whole_is, slices_of_a_table_are_aligned_as_the_whole_is,
      slices_end_at_the_limit_of_the_page, a_known_etag_renders_nothing,
      a_slow_reader_gets_the_version_that_it_began_with,
      an_answer_that_is_not_read_leaves_nothing_behind, a_shared_answer_counts_once_it_is_replaced,
      a_peer_that_reads_nothing_gets_one_answer_whatever_its_length,
      a_change_is_never_refused_for_its_answer, the_past_is_answered_in_slices_too)
