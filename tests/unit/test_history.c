/* SPDX-License-Identifier: MIT */
/*
 * The background reader of the log: pages, one reading for all requests for the same page, bounded
 * turns, and a bounded queue. The registry is real. put_slowly() holds the history thread in the
 * middle of a reading, so that the test decides what happens meanwhile.
 */
#include "base/attr.h"
#include "base/clock.h"
#include "base/thread.h"
#include "registry/registry.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#define QUEUE_MAX 1024 /* as in registry/history.c's history_lane */

static struct registry *registry;
static sem_t completed;
static sem_t reading;  /* posted when the history thread enters put_slowly() */
static sem_t may_read; /* put_slowly() waits for it */
static atomic_uint events_put;
static struct history *in_order[16]; /* in the order of their answers */
static atomic_uint answered;

static void wait_for(sem_t *what)
{
	while (sem_wait(what) != 0)
		ck_assert_int_eq(errno, EINTR);
}

static void command_done(struct command *command)
{
	(void)command;
	ck_ok(sem_post(&completed));
}

static void history_done(struct history *history)
{
	unsigned n = atomic_fetch_add(&answered, 1);

	if (n < ARRAY_LEN(in_order))
		in_order[n] = history;
	ck_ok(sem_post(&completed));
}

static uint64_t events_max; /* retention; 0: none */

static void open_it(uint32_t turn)
{
	struct registry_options options = {
		.journal = {.dir = statedir_path(), .events_max_count = events_max},
		.queue_max = 1000,
		.batch_max = 100,
		.instances_max = 1000,
		.sweep_by_hand = true,
		.history_turn = turn,
	};
	struct journal_error error;

	ck_assert_msg(registry_open(&options, &registry, &error) == 0, "%s", error.text);
	ck_ok(registry_start(registry));
}

static void register_one(char id, uint16_t port)
{
	struct command command = {
		.kind = COMMAND_REGISTER,
		.instance = {.service = STR("web"),
	                     .id = {&id, 1},
	                     .host = STR("10.0.0.1"),
	                     .port = port,
	                     .ttl_ms = 30000},
		.author = STR("tester"),
		.done = command_done,
	};

	ck_ok(registry_submit(registry, &command));
	wait_for(&completed);
	ck_ok(command.error);
}

static void setup(void)
{
	thread_adopt();
	statedir_make();
	ck_ok(sem_init(&completed, 0, 0));
	ck_ok(sem_init(&reading, 0, 0));
	ck_ok(sem_init(&may_read, 0, 0));
	atomic_store(&events_put, 0);
	atomic_store(&answered, 0);
	events_max = 0;
	open_it(0);
	for (char id = 'a'; id < 'k'; id++)
		register_one(id, 80);
}

static void teardown(void)
{
	registry_stop(registry);
	registry_close(registry);
	statedir_remove();
	thread_abandon();
}

static void put_id(struct history *history, const struct event *event)
{
	atomic_fetch_add(&events_put, 1);
	buf_put_str(history->out, event->instance.id);
}

static void put_arg(struct history *history, const struct event *event)
{
	buf_put(history->out, history->arg);
	put_id(history, event);
}

static void put_slowly(struct history *history, const struct event *event)
{
	ck_ok(sem_post(&reading));
	wait_for(&may_read);
	put_id(history, event);
}

static struct history ask(struct buf *out, uint64_t since, uint32_t limit)
{
	return (struct history){.query = {.since = since, .limit = limit},
	                        .out = out,
	                        .put = put_id,
	                        .done = history_done};
}

static void read_one(struct history *history)
{
	ck_ok(registry_read_history(registry, history));
	wait_for(&completed);
	ck_ok(history->error);
}

#define ck_has(buf, text) ck_assert(str_equal((struct str){(buf).data, (buf).len}, STR(text)))

START_TEST(a_page_ends_with_the_event_that_fills_it)
{
	struct buf out;
	struct history history = ask(&out, 2, 100);

	buf_init(&out, 1000);
	history.bytes_max = 3;
	read_one(&history);
	ck_has(out, "cde");
	ck_assert(history.more);
	ck_assert_uint_eq(history.last, 5);
	buf_reset(&out);
	history.query.since = history.last;
	history.bytes_max = 100;
	read_one(&history);
	ck_has(out, "fghij");
	ck_assert(!history.more);
	ck_assert_uint_eq(history.last, 10);
	buf_reset(&out);
	history.query.since = 0;
	history.query.limit = 4;
	read_one(&history);
	ck_has(out, "abcd");
	ck_assert(history.more);
	ck_assert_uint_eq(history.last, 4);
	buf_fini(&out);
}
END_TEST

/* Makes the history thread wait in one event until sem_post(&may_read). */
static void keep_busy(struct history *slow)
{
	slow->put = put_slowly;
	ck_ok(registry_read_history(registry, slow));
	wait_for(&reading);
}

START_TEST(one_reading_serves_all_requests_for_the_same_page)
{
	static struct history same[50];
	static struct buf outs[50];
	struct buf slow_out;
	struct buf other_out;
	struct history slow = ask(&slow_out, 9, 1);
	struct history other = ask(&other_out, 8, 100);

	buf_init(&slow_out, 100);
	buf_init(&other_out, 100);
	keep_busy(&slow);
	for (size_t i = 0; i < 50; i++) {
		buf_init(&outs[i], 100);
		if (i % 2 == 1)
			buf_put_char(&outs[i], '>'); /* earlier content of the buffer stays */
		same[i] = ask(&outs[i], 5, 100);
		if (i == 20)
			ck_ok(registry_read_history(registry, &other));
		ck_ok(registry_read_history(registry, &same[i]));
	}
	ck_ok(sem_post(&may_read));
	for (size_t i = 0; i < 52; i++)
		wait_for(&completed);
	ck_assert_uint_eq(atomic_load(&events_put), 1 + 5 + 2);
	for (size_t i = 0; i < 50; i++) {
		ck_ok(same[i].error);
		ck_assert_uint_eq(same[i].count, 5);
		ck_assert_uint_eq(same[i].last, 10);
		if (i % 2 == 1)
			ck_has(outs[i], ">fghij");
		else
			ck_has(outs[i], "fghij");
		buf_fini(&outs[i]);
	}
	ck_has(other_out, "ij");
	buf_reset(&other_out);
	read_one(&other); /* the queue still works */
	ck_has(other_out, "ij");
	buf_fini(&other_out);
	buf_fini(&slow_out);
}
END_TEST

START_TEST(the_queue_is_bounded_except_for_requests_counted_elsewhere)
{
	static struct history queued[QUEUE_MAX];
	static struct buf outs[QUEUE_MAX];
	struct buf slow_out;
	struct buf out;
	struct history slow = ask(&slow_out, 9, 1);
	struct history more = ask(&out, 3, 1);

	buf_init(&slow_out, 100);
	buf_init(&out, 100);
	keep_busy(&slow);
	for (size_t i = 0; i < QUEUE_MAX; i++) {
		buf_init(&outs[i], 100);
		queued[i] = ask(&outs[i], 0, (uint32_t)i + 1);
		ck_ok(registry_read_history(registry, &queued[i]));
	}
	ck_assert_int_eq(registry_read_history(registry, &more), -EAGAIN);
	more.is_counted = true;
	ck_ok(registry_read_history(registry, &more));
	ck_ok(sem_post(&may_read));
	for (size_t i = 0; i < QUEUE_MAX + 2; i++)
		wait_for(&completed);
	ck_has(out, "d");
	for (size_t i = 0; i < QUEUE_MAX; i++) {
		ck_assert_uint_eq(queued[i].count, i < 10 ? i + 1 : 10);
		buf_fini(&outs[i]);
	}
	buf_fini(&slow_out);
	buf_fini(&out);
}
END_TEST

/* Opens the registry again with turns of @p events. */
static void take_turns(uint32_t events)
{
	registry_stop(registry);
	registry_close(registry);
	open_it(events);
}

START_TEST(a_long_search_delays_no_other_request)
{
	struct buf outs[4];
	struct history slow = ask(&outs[0], 9, 1);
	struct history search = ask(&outs[1], 0, 100);
	struct history second = ask(&outs[2], 0, 100);
	struct history quick = ask(&outs[3], 8, 2);

	take_turns(2);
	for (size_t i = 0; i < 4; i++)
		buf_init(&outs[i], 100);
	search.query.id = STR("j");
	second.query.id = STR("h");
	keep_busy(&slow);
	ck_ok(registry_read_history(registry, &search));
	ck_ok(registry_read_history(registry, &second));
	ck_ok(registry_read_history(registry, &quick));
	ck_ok(sem_post(&may_read));
	for (size_t i = 0; i < 4; i++)
		wait_for(&completed);
	ck_assert_ptr_eq(in_order[1], &quick);
	ck_assert_ptr_eq(in_order[2], &search); /* both take five turns */
	ck_assert_ptr_eq(in_order[3], &second);
	ck_has(outs[1], "j");
	ck_has(outs[2], "h");
	ck_has(outs[3], "ij");
	ck_assert_uint_eq(search.last, 10);
	ck_assert_uint_eq(second.last, 10);
	ck_assert(!search.more && !second.more);
	for (size_t i = 0; i < 4; i++)
		buf_fini(&outs[i]);
}
END_TEST

static void rebuilt_slowly(struct archive_query *query)
{
	(void)query;
	ck_ok(sem_post(&reading));
	wait_for(&may_read);
	ck_ok(sem_post(&completed));
}

START_TEST(a_long_rebuild_delays_no_reader_of_the_log)
{
	struct archive_query state = {.kind = ARCHIVE_STATE, .done = rebuilt_slowly};
	struct buf out;
	struct history history = ask(&out, 8, 100);

	buf_init(&out, 100);
	state.at.revision = 5;
	ck_ok(registry_read_past(registry, &state));
	wait_for(&reading); /* the archive lane is busy until may_read */
	read_one(&history);
	ck_has(out, "ij");
	ck_ok(sem_post(&may_read));
	wait_for(&completed);
	ck_ok(state.error);
	snapshot_store_drop(state.store);
	buf_fini(&out);
}
END_TEST

START_TEST(turns_leave_no_mark_on_the_answer)
{
	for (uint32_t turn = 1; turn <= 11; turn++) {
		static const uint32_t limits[] = {1, 3, 10, 100};

		take_turns(turn);
		for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
			uint32_t limit = limits[i];
			struct buf out;
			struct history history = ask(&out, 0, limit);

			buf_init(&out, 100);
			buf_put_char(&out, '>');
			read_one(&history);
			ck_assert_uint_eq(history.count, limit < 10 ? limit : 10);
			ck_assert_uint_eq(history.last, history.count);
			ck_assert(history.more == (limit <= 10));
			ck_assert_uint_eq(out.len, 1 + history.count);
			ck_assert(memcmp(out.data, ">abcdefghij", out.len) == 0);
			buf_fini(&out);
		}
		struct buf out;
		struct history history = ask(&out, 2, 100);

		buf_init(&out, 100);
		history.bytes_max = 4;
		read_one(&history);
		ck_has(out, "cdef");
		ck_assert(history.more);
		buf_fini(&out);
	}
}
END_TEST

START_TEST(a_later_request_for_the_same_page_gets_all_of_it)
{
	struct buf outs[3];
	struct history first = ask(&outs[0], 0, 100);
	struct history same = ask(&outs[1], 0, 100);
	struct history late = ask(&outs[2], 0, 100);

	take_turns(3);
	for (size_t i = 0; i < 3; i++)
		buf_init(&outs[i], 100);
	keep_busy(&first); /* stops in its first turn */
	same.put = late.put = put_slowly;
	ck_ok(registry_read_history(registry, &same));
	ck_ok(registry_read_history(registry, &late));
	for (size_t i = 0; i < 20; i++)
		ck_ok(sem_post(&may_read));
	for (size_t i = 0; i < 3; i++)
		wait_for(&completed);
	for (size_t i = 0; i < 3; i++) {
		ck_has(outs[i], "abcdefghij");
		buf_fini(&outs[i]);
	}
	ck_assert_uint_eq(atomic_load(&events_put), 20); /* one reading served the two */

	struct buf out;
	struct history next = ask(&out, 9, 1);
	buf_init(&out, 100);
	read_one(&next); /* the queue works after its last request was served by another reading */
	ck_has(out, "j");
	buf_fini(&out);
}
END_TEST

static bool admit_none(struct history *history, size_t bytes)
{
	(void)history;
	ck_assert_uint_eq(bytes, 10);
	return false;
}

START_TEST(a_request_whose_result_is_not_admitted_gets_nothing)
{
	struct buf outs[3];
	struct history slow = ask(&outs[2], 9, 1);
	struct history first = ask(&outs[0], 0, 100);
	struct history same = ask(&outs[1], 0, 100);

	for (unsigned refused = 0; refused < 2; refused++) {
		for (size_t i = 0; i < 3; i++)
			buf_init(&outs[i], 100);
		first.admit = refused == 0 ? admit_none : NULL;
		same.admit = refused == 1 ? admit_none : NULL;
		keep_busy(&slow);
		ck_ok(registry_read_history(registry, &first));
		ck_ok(registry_read_history(registry, &same));
		ck_ok(sem_post(&may_read));
		for (size_t i = 0; i < 3; i++)
			wait_for(&completed);
		ck_assert_int_eq(first.error, refused == 0 ? -ENOBUFS : 0);
		ck_assert_int_eq(same.error, refused == 1 ? -ENOBUFS : 0);
		ck_has(outs[refused], "");
		ck_has(outs[1 - refused], "abcdefghij");
		for (size_t i = 0; i < 3; i++)
			buf_fini(&outs[i]);
	}
}
END_TEST

START_TEST(only_requests_for_the_same_page_share_a_reading)
{
	enum { COUNT = 10 };
	static struct buf outs[COUNT + 1];
	struct history slow = ask(&outs[COUNT], 9, 1);
	struct history asked[COUNT];
	static const char *const want[COUNT] = {"hij", "ij", "h",  "",       "h",
	                                        "",    "i",  NULL, "1h1i1j", "2h2i2j"};

	for (size_t i = 0; i <= COUNT; i++)
		buf_init(&outs[i], 4000);
	for (size_t i = 0; i < COUNT; i++)
		asked[i] = ask(&outs[i], 7, 100);
	asked[1].query.since = 8;
	asked[2].query.limit = 1;
	asked[3].query.kinds = 1u << EVENT_EXPIRED;
	asked[4].bytes_max = 1;
	asked[5].query.service = STR("api");
	asked[6].query.id = STR("i");
	asked[7].put = NULL; /* as JSON */
	asked[8].put = asked[9].put = put_arg;
	asked[8].arg = "1";
	asked[9].arg = "2";
	keep_busy(&slow);
	for (size_t i = 0; i < COUNT; i++)
		ck_ok(registry_read_history(registry, &asked[i]));
	ck_ok(sem_post(&may_read));
	for (size_t i = 0; i <= COUNT; i++)
		wait_for(&completed);
	for (size_t i = 0; i < COUNT; i++) {
		struct str got = {outs[i].data, outs[i].len};

		if (want[i] != NULL)
			ck_assert_msg(str_equal(got, str_of(want[i])), "%zu: %.*s", i, (int)got.len,
			              got.data);
		else
			ck_assert(got.len > 100 && got.data[0] == '{' &&
			          got.data[got.len - 1] == '}');
	}
	for (size_t i = 0; i <= COUNT; i++)
		buf_fini(&outs[i]);
}
END_TEST

START_TEST(events_removed_between_two_turns_are_reported_after_those_found)
{
	struct journal_reader *reader;
	struct buf out;
	struct history history = ask(&out, 0, 100);
	uint64_t oldest = 0;
	int64_t oldest_ms;

	events_max = 5;
	take_turns(1);
	buf_init(&out, 100);
	ck_ok(journal_reader_open(statedir_path(), &reader));
	keep_busy(&history); /* stops in the first event */
	for (uint16_t port = 81; oldest <= 2; port++) {
		register_one('a', port);
		ck_ok(journal_reader_oldest(reader, &oldest, &oldest_ms));
	}
	ck_ok(sem_post(&may_read));
	wait_for(&completed);
	ck_ok(history.error);
	ck_has(out, "a");
	ck_assert(history.more);
	ck_assert_uint_eq(history.last, 1);

	struct buf busy_out;
	struct history busy = ask(&busy_out, oldest, 1);
	struct history late[2] = {ask(&out, 1, 100), ask(&out, 1, 100)};

	buf_init(&busy_out, 100);
	ck_ok(journal_reader_oldest(reader, &oldest, &oldest_ms));
	keep_busy(&busy);
	for (size_t i = 0; i < 2; i++)
		ck_ok(registry_read_history(registry, &late[i]));
	ck_ok(sem_post(&may_read));
	for (size_t i = 0; i < 3; i++)
		wait_for(&completed);

	/* Retention may have removed more since the last registration. */
	uint64_t oldest_after;
	int64_t oldest_after_ms;

	ck_ok(journal_reader_oldest(reader, &oldest_after, &oldest_after_ms));
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(late[i].error, -ESTALE);
		ck_assert_uint_ge(late[i].oldest, oldest);
		ck_assert_uint_le(late[i].oldest, oldest_after);
		ck_assert_int_ge(late[i].oldest_ms, oldest_ms);
		ck_assert_int_le(late[i].oldest_ms, oldest_after_ms);
	}
	journal_reader_close(reader);
	buf_fini(&busy_out);
	buf_fini(&out);
}
END_TEST

START_TEST(stopping_answers_requests_between_their_turns)
{
	struct buf outs[3];
	struct history first = ask(&outs[0], 0, 100);
	struct history search[2] = {ask(&outs[1], 0, 100), ask(&outs[2], 0, 100)};

	take_turns(1);
	for (size_t i = 0; i < 3; i++)
		buf_init(&outs[i], 100);
	search[0].query.id = search[1].query.id = STR("none");
	ck_ok(registry_read_history(registry, &search[0]));
	keep_busy(&first);
	ck_ok(registry_read_history(registry, &search[1]));
	for (size_t i = 0; i < 10; i++)
		ck_ok(sem_post(&may_read));
	registry_stop(registry);
	for (size_t i = 0; i < 3; i++)
		wait_for(&completed);
	struct history *all[] = {&first, &search[0], &search[1]};
	for (size_t i = 0; i < 3; i++) {
		ck_assert(all[i]->error == 0 || all[i]->error == -ESHUTDOWN);
		buf_fini(&outs[i]);
	}
	ck_assert_int_eq(registry_read_history(registry, &first), -ESHUTDOWN);
}
END_TEST

START_TEST(a_revision_that_is_ahead_is_refused)
{
	struct buf out;
	struct history history = ask(&out, 11, 100);

	buf_init(&out, 100);
	ck_ok(registry_read_history(registry, &history));
	wait_for(&completed);
	ck_assert_int_eq(history.error, -ERANGE);
	ck_assert_uint_eq(history.last, 10);
	buf_fini(&out);
}
END_TEST

SUITE("history", setup, teardown, a_page_ends_with_the_event_that_fills_it,
      one_reading_serves_all_requests_for_the_same_page,
      the_queue_is_bounded_except_for_requests_counted_elsewhere,
      a_long_search_delays_no_other_request, a_long_rebuild_delays_no_reader_of_the_log,
      turns_leave_no_mark_on_the_answer, a_later_request_for_the_same_page_gets_all_of_it,
      a_request_whose_result_is_not_admitted_gets_nothing,
      only_requests_for_the_same_page_share_a_reading,
      events_removed_between_two_turns_are_reported_after_those_found,
      stopping_answers_requests_between_their_turns, a_revision_that_is_ahead_is_refused)
