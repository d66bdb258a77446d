/* SPDX-License-Identifier: MIT */
/*
 * States of the past are freed on the archive thread that made them, not on the thread that
 * answers: freeing a large one takes long.
 */
#include "api_fixture.h"

#include "base/attr.h"
#include "metrics/metrics.h"

#include <semaphore.h>
#include <stdatomic.h>

static pthread_t freed_on;
static atomic_uint freed;

static void note_free(struct service_index *index)
{
	(void)index;
	freed_on = pthread_self();
	atomic_fetch_add(&freed, 1);
}

static struct service_index noted = {.free = note_free};

struct state {
	struct archive_query query;
	sem_t done;
};

static void state_done(struct archive_query *query)
{
	sem_post(&container_of(query, struct state, query)->done);
}

static void state_wait(struct state *past)
{
	while (sem_wait(&past->done) != 0)
		ck_assert_int_eq(errno, EINTR);
}

/* Rebuilds the present state, with a view whose destructor notes the thread that frees it. */
static void state_read(struct state *past)
{
	*past = (struct state){.query = {.kind = ARCHIVE_STATE, .done = state_done}};
	ck_ok(sem_init(&past->done, 0, 0));
	past->query.at.revision = 1;
	ck_ok(registry_read_past(registry, &past->query));
	state_wait(past);
	ck_ok(past->query.error);

	const struct snapshot *then = snapshot_enter(past->query.store);
	const struct service *web = snapshot_service(then, STR("web"));
	ck_assert_ptr_nonnull(web);
	atomic_store(&((struct service *)(uintptr_t)web)->view[0], &noted);
	snapshot_leave(past->query.store);
	freed = 0;
}

START_TEST(a_state_of_the_past_is_freed_where_it_was_made)
{
	struct state past;

	put("web", "a", NULL);
	state_read(&past);
	registry_drop_past(registry, &past.query);
	state_wait(&past);
	ck_assert_uint_eq(freed, 1);
	ck_assert(!pthread_equal(freed_on, pthread_self()));
	ck_assert_ptr_null(past.query.store);
}
END_TEST

START_TEST(a_state_of_the_past_is_freed_after_the_stop_too)
{
	struct state past;

	put("web", "a", NULL);
	state_read(&past);
	api_fixture_stop();
	registry_drop_past(registry, &past.query);
	state_wait(&past);
	ck_assert_uint_eq(freed, 1);
}
END_TEST

SUITE("api_heavy", api_fixture_setup, api_fixture_teardown,
      a_state_of_the_past_is_freed_where_it_was_made,
      a_state_of_the_past_is_freed_after_the_stop_too)
