/* SPDX-License-Identifier: MIT */
/*
 * The limit on the memory of the registry, through the API (api_fixture.h): what is counted, what
 * is refused at the limit, and what goes on.
 */
#include "api_fixture.h"

#include "snapshot/snapshot.h"

static uint64_t counted(void)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	uint64_t bytes = snapshot_counts(now).bytes;

	snapshot_leave(registry_store(registry));
	return bytes;
}

/* The sum of the bytes of each instance. */
static uint64_t summed(void)
{
	const struct snapshot *now = snapshot_enter(registry_store(registry));
	const struct directory *directory = snapshot_directory(now);
	uint64_t bytes = 0;

	for (size_t i = 0; i < directory->count; i++) {
		const struct service *service = snapshot_service(now, directory->names[i]);

		bytes += SERVICE_COST;
		for (uint32_t m = 0; m < service->count; m++) {
			bytes += member_cost(service->members[m]);
			ck_assert_uint_eq(member_cost(service->members[m]),
			                  instance_cost(&service->members[m]->value));
			ck_assert_uint_le(member_cost(service->members[m]),
			                  instance_cost_most(&service->members[m]->value));
		}
	}
	const struct entry *entry;
	for (uint64_t pos = 0; (entry = snapshot_entries_next(now, &pos)) != NULL;)
		bytes += entry_cost(entry);
	snapshot_leave(registry_store(registry));
	return bytes;
}

/* Registers @p id with a text of @p len bytes that all need escaping. @return the status */
static unsigned put_text(const char *id, unsigned size)
{
	static char record[80000];
	char target[100];
	size_t len = (size_t)snprintf(
		record, sizeof(record),
		"{\"host\":\"10.0.0.1\",\"port\":80,\"ttl_ms\":2000,\"metadata\":{\"text\":\"");

	for (unsigned i = 0; i < size; i++)
		len += (size_t)snprintf(record + len, sizeof(record) - len, "\\\"");
	(void)snprintf(record + len, sizeof(record) - len, "\"}}");
	(void)snprintf(target, sizeof(target), "/v1/services/web/instances/%s", id);
	call("PUT", target, record);
	return response.status;
}

static void limit(uint64_t bytes)
{
	options.bytes_max = bytes;
	registry_reload(registry, &options);
	settle(); /* the limit applies from the next batch on */
}

START_TEST(what_is_counted_follows_every_change)
{
	ck_assert_uint_eq(counted(), 0);
	ck_assert_uint_eq(put_text("a", 100), 201);
	put("api", "x", NULL);
	uint64_t small = counted();
	ck_assert_uint_eq(small, summed());
	ck_assert_uint_eq(put_text("a", 5000), 200);
	ck_assert_uint_eq(counted(), small + (uint64_t)4900 * 5);
	ck_assert_uint_eq(counted(), summed());
	expire("web", "a");
	ck_assert_uint_eq(counted(), summed());
	call("PUT", "/v1/services/web/instances/a/status",
	     "{\"status\":\"draining\",\"reason\":\"\xe2\x82\xac\"}");
	ck_status(200);
	ck_assert_uint_eq(counted(), summed());

	uint64_t before = counted();
	api_fixture_close();
	api_fixture_open();
	ck_assert_uint_eq(counted(), before);
	call("DELETE", "/v1/services/web/instances/a", NULL);
	call("DELETE", "/v1/services/api/instances/x", NULL);
	ck_assert_uint_gt(counted(), 0); /* what is intended is left */
	ck_assert_uint_eq(counted(), summed());
	call("PUT", "/v1/services/web/instances/a/status", "{\"status\":\"healthy\"}");
	ck_status(204);
	ck_assert_uint_eq(counted(), 0);
}
END_TEST

START_TEST(what_would_grow_beyond_it_is_refused_and_the_rest_goes_on)
{
	ck_assert_uint_eq(put_text("a", 1000), 201);
	ck_assert_uint_eq(put_text("b", 1000), 201);
	limit(counted());
	uint64_t full = counted();

	ck_assert_uint_eq(put_text("c", 0), 507);
	ck_problem(507, "too-many-bytes");
	ck_assert_uint_eq(put_text("a", 1001), 507);
	ck_assert_uint_eq(counted(), full);
	call("GET", "/v1/services/web/instances/c", NULL);
	ck_status(404);

	call("POST", "/v1/services/web/instances/a/heartbeat", NULL);
	ck_status(200);
	ck_assert_uint_eq(put_text("a", 1000), 200);
	expire("web", "b"); /* the reason of its status becomes longer */
	call("POST", "/v1/services/web/instances/b/heartbeat", NULL);
	ck_status(200);
	ck_assert_str_eq(text("status"), "healthy");
	call("PUT", "/v1/services/web/instances/a/status",
	     "{\"status\":\"draining\",\"reason\":\"a longer reason than before\"}");
	ck_status(200);

	ck_assert_uint_eq(put_text("b", 999), 200);
	ck_assert_uint_eq(put_text("b", 500), 200);
	ck_assert_uint_eq(put_text("b", 400), 200);
	ck_assert_uint_eq(put_text("b", 450), 200);
	ck_assert_uint_eq(put_text("b", 2000), 507);
	call("DELETE", "/v1/services/web/instances/a", NULL);
	ck_status(204);
	ck_assert_uint_eq(put_text("c", 900), 201);
	ck_assert_uint_le(counted(), full);
}
END_TEST

START_TEST(the_last_byte_may_be_taken)
{
	ck_assert_uint_eq(put_text("a", 1000), 201);
	uint64_t one = counted() - SERVICE_COST;
	call("DELETE", "/v1/services/web/instances/a", NULL);

	limit(SERVICE_COST + one - 1);
	ck_assert_uint_eq(put_text("a", 1000), 507);
	limit(SERVICE_COST + 2 * one - 1);
	ck_assert_uint_eq(put_text("a", 1000), 201);
	ck_assert_uint_eq(put_text("b", 1000), 507);
	limit(SERVICE_COST + 2 * one);
	ck_assert_uint_eq(put_text("b", 1000), 201);
	call("PUT", "/v1/services/web/instances/b", "{\"host\":\"10.0.0.1\",\"port\":80}");
	ck_status(200);
}
END_TEST

START_TEST(a_start_takes_whatever_the_journal_holds)
{
	ck_assert_uint_eq(put_text("a", 1000), 201);
	ck_assert_uint_eq(put_text("b", 1000), 201);
	uint64_t before = counted();
	api_fixture_close();
	options.bytes_max = 1000;
	api_fixture_open();
	ck_assert_uint_eq(counted(), before);
	ck_assert_uint_eq(put_text("c", 0), 507);
	ck_assert_uint_eq(put_text("b", 900), 200);
}
END_TEST

START_TEST(the_status_tells_how_much_there_is)
{
	put("web", "a", NULL);
	call("GET", "/v1/status", NULL);
	ck_assert_int_eq(number("registry_bytes"), (long long)counted());
	ck_assert_int_eq(number("limits.registry_bytes"), config.max_registry_bytes);
	call("GET", "/metrics", NULL);
	char want[80];
	(void)snprintf(want, sizeof(want), "\nrollcall_registry_bytes %llu\n",
	               (unsigned long long)counted());
	ck_assert_ptr_nonnull(memmem(sent().data, sent().len, want, strlen(want)));
}
END_TEST

SUITE("registry_bytes", api_fixture_setup, api_fixture_teardown,
      what_is_counted_follows_every_change,
      what_would_grow_beyond_it_is_refused_and_the_rest_goes_on, the_last_byte_may_be_taken,
      a_start_takes_whatever_the_journal_holds, the_status_tells_how_much_there_is)
