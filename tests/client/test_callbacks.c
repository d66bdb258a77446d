/* SPDX-License-Identifier: MIT */
/*
 * No callback runs after the function that ends it has returned. Each case races that function
 * against the client's thread. Each round has its own subject: the callback must find that it is
 * not over yet, and plain writes of both threads must be ordered, which the thread sanitizer
 * checks.
 */
#include "instant.h"
#include "lib/client/open.h"
#include "lib/registration/registration.h"
#include "suite.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#define ROUNDS       2000
#define CLOSE_ROUNDS 300

struct subject {
	atomic_bool over;
	int calls; /* not atomic, so that the thread sanitizer finds accesses without order */
	uint64_t id;
};

static rollcall_client *client;
static rollcall_options options;
static rollcall_registration_options record;
static rollcall_request request;
static struct subject subjects[ROUNDS];
static sem_t posted; /* by a callback */
static atomic_uint all_calls;

static void setup(void)
{
	rollcall_options_init(&options);
	options.thread = 1;
	options.discover_timeout_ms = 60000;
	ck_ok(client_open(&options, instant_transport, NULL, &client));
	rollcall_registration_options_init(&record);
	record.service = "me";
	record.host = "h";
	record.port = 1;
	rollcall_request_init(&request);
	memset(subjects, 0, sizeof(subjects));
	(void)sem_init(&posted, 0, 0);
}

static void teardown(void)
{
	(void)rollcall_close(client, 1000);
	(void)sem_destroy(&posted);
}

/* Waits from 0 to about the time that a callback needs to begin; sometimes until one has begun. */
static void pass_time(int round)
{
	if (round % 8 == 7)
		(void)sem_wait(&posted);
	for (volatile int i = 0; i < round * 37 % 4000; i = i + 1) {
	}
}

static void called(struct subject *subject)
{
	ck_assert(!atomic_load(&subject->over));
	subject->calls++;
	(void)sem_post(&posted);
	/* Widens the race: a function that does not wait for the callback returns meanwhile. */
	(void)usleep(atomic_fetch_add(&all_calls, 1) % 32 == 0 ? 5000 : 20);
	ck_assert(!atomic_load(&subject->over));
}

static void on_state(rollcall_registration *registration, rollcall_state state, void *arg)
{
	(void)registration;
	(void)state;
	called(arg);
}

static void on_change(rollcall_client *c, const char *service, void *arg)
{
	(void)c;
	(void)service;
	called(arg);
}

static void on_done(rollcall_client *c, int error, rollcall_response *response, void *arg)
{
	(void)c;
	(void)error;
	(void)response;
	called(arg);
}

static int over(struct subject *subject)
{
	atomic_store(&subject->over, true);
	while (sem_trywait(&posted) == 0) {
	}
	return subject->calls;
}

static atomic_bool enough;

/* While the client's thread is in a callback, another thread sends the heartbeats. */
static void *run_it_too(void *arg)
{
	(void)arg;
	while (!atomic_load(&enough))
		ck_ok(rollcall_wait(client, 5));
	return NULL;
}

START_TEST(deregistering_ends_on_state)
{
	rollcall_registration *another;
	pthread_t other;
	int calls = 0;

	ck_assert_int_eq(pthread_create(&other, NULL, run_it_too, NULL), 0);
	record.on_state = on_state;
	record.interval_ms = 1; /* each heartbeat changes the state */
	record.arg = &subjects[0];
	ck_ok(rollcall_register(client, &record, &another));
	for (int i = 1; i < ROUNDS; i++) {
		rollcall_registration *registration;

		record.arg = &subjects[i];
		ck_ok(rollcall_register(client, &record, &registration));
		pass_time(i);
		ck_ok(rollcall_deregister(registration, 60000));
		calls += over(&subjects[i]);
	}
	atomic_store(&enough, true);
	(void)pthread_join(other, NULL);
	ck_assert_int_gt(calls, 0);
}
END_TEST

static void know_web(void)
{
	rollcall_instances *list;

	ck_ok(rollcall_get_instances(client, "web", &list));
	rollcall_instances_free(list);
}

START_TEST(stopping_a_watch_ends_on_change)
{
	int calls = 0;

	know_web(); /* so that each watch begins with a callback */
	for (int i = 0; i < ROUNDS; i++) {
		rollcall_watch *watch;

		ck_ok(rollcall_watch_start(client, "web", on_change, &subjects[i], &watch));
		pass_time(i);
		rollcall_watch_stop(watch);
		calls += over(&subjects[i]);
	}
	ck_assert_int_gt(calls, 0);
}
END_TEST

START_TEST(cancelling_ends_done_whatever_it_returns)
{
	int calls = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t id;

		ck_ok(rollcall_call_start(client, "web", &request, on_done, &subjects[i], &id));
		pass_time(i);
		int r = rollcall_call_cancel(client, id);
		int called_before = over(&subjects[i]);
		ck_assert_int_eq(r, called_before == 0 ? 0 : -ENOENT);
		calls += called_before;
	}
	ck_assert_int_gt(calls, 0);
	ck_assert_int_lt(calls, ROUNDS);
}
END_TEST

static void check_id(rollcall_client *c, int error, rollcall_response *response, void *arg)
{
	struct subject *subject = arg;

	(void)error;
	(void)response;
	ck_assert_uint_ne(subject->id, 0);
	ck_fails(rollcall_call_cancel(c, subject->id), ENOENT); /* in its done(): no wait */
	(void)sem_post(&posted);
}

START_TEST(the_id_of_a_call_is_known_before_done)
{
	for (int i = 0; i < ROUNDS; i++) {
		ck_ok(rollcall_call_start(client, "web", &request, check_id, &subjects[i],
		                          &subjects[i].id));
		(void)sem_wait(&posted);
	}
}
END_TEST

static void deregister_itself(rollcall_registration *registration, rollcall_state state, void *arg)
{
	(void)state;
	called(arg);
	ck_ok(rollcall_deregister(registration, 60000));
	ck_assert(!atomic_load(&((struct subject *)arg)->over));
}

START_TEST(closing_ends_all_of_them)
{
	int calls = 0;

	for (int i = 0; i < CLOSE_ROUNDS; i++) {
		rollcall_registration *registration;
		rollcall_watch *watch;

		record.on_state = i % 2 == 0 ? on_state : deregister_itself;
		record.arg = &subjects[i];
		ck_ok(rollcall_register(client, &record, &registration));
		ck_ok(rollcall_watch_start(client, "web", on_change, &subjects[i], &watch));
		ck_ok(rollcall_call_start(client, "web", &request, on_done, &subjects[i], NULL));
		pass_time(i);
		ck_ok(rollcall_close(client, 60000));
		calls += over(&subjects[i]);
		ck_ok(client_open(&options, instant_transport, NULL, &client));
	}
	ck_assert_int_gt(calls, 0);
}
END_TEST

static sem_t proceed;

static void wait_inside(rollcall_registration *registration, rollcall_state state, void *arg)
{
	struct subject *subject = arg;

	(void)registration;
	(void)state;
	subject->calls++;
	(void)sem_post(&posted);
	(void)sem_wait(&proceed);
}

static void *close_it(void *arg)
{
	struct subject *subject = arg;

	ck_ok(rollcall_close(client, 60000));
	(void)over(subject);
	return NULL;
}

static bool is(const bool *flag)
{
	engine_lock(&client->engine);
	bool set = *flag;
	engine_unlock(&client->engine);
	return set;
}

static pthread_t tester;

/* The thread of the test may run the client too, and must not wait for itself. */
static void wait_elsewhere(rollcall_registration *registration, rollcall_state state, void *arg)
{
	if (pthread_equal(tester, pthread_self()) == 0)
		wait_inside(registration, state, arg);
}

START_TEST(a_blocking_function_does_not_wait_for_a_callback)
{
	rollcall_registration *registration;

	(void)sem_init(&proceed, 0, 0);
	record.on_state = wait_elsewhere;
	record.arg = &subjects[0];
	tester = pthread_self();
	for (int i = 0; i < 20; i++) {
		while (!is(&client->engine.running)) /* so that another thread runs it */
			(void)sched_yield();
		ck_ok(rollcall_register(client, &record, &registration));
		ck_ok(rollcall_registration_wait(registration, 60000));
		(void)sem_post(&proceed);
		ck_ok(rollcall_deregister(registration, 60000));
		while (sem_trywait(&proceed) == 0) {
		}
	}
	ck_assert_int_gt(subjects[0].calls, 0);
	(void)sem_destroy(&proceed);
}
END_TEST

/*
 * rollcall_close() makes the client silent and begins to deregister under one hold of the lock,
 * which only waiting for a callback interrupts. So who sees the one and not the other has seen it
 * wait.
 */
static bool is_silent_and_not_leaving(const rollcall_registration *registration)
{
	engine_lock(&client->engine);
	bool silent = client->engine.silent;
	ck_assert(!registration->leaving);
	engine_unlock(&client->engine);
	return silent;
}

START_TEST(closing_waits_for_a_callback_and_begins_no_other)
{
	rollcall_registration *registration;
	rollcall_watch *watch;
	pthread_t closer;

	(void)sem_init(&proceed, 0, 0);
	know_web(); /* so that a watch begins with a callback */
	record.on_state = wait_inside;
	record.arg = &subjects[0];
	ck_ok(rollcall_register(client, &record, &registration));
	(void)sem_wait(&posted);
	ck_ok(rollcall_watch_start(client, "web", on_change, &subjects[1], &watch));
	/* its answer comes while the closing client deregisters */
	ck_ok(rollcall_call_start(client, "web", &request, on_done, &subjects[2], NULL));
	ck_assert_int_eq(pthread_create(&closer, NULL, close_it, &subjects[0]), 0);
	while (!is_silent_and_not_leaving(registration))
		(void)sched_yield();
	ck_assert(!atomic_load(&subjects[0].over));
	(void)sem_post(&proceed);
	(void)pthread_join(closer,
	                   NULL); /* the client's thread has ended: no callback can follow */
	ck_assert_int_eq(subjects[0].calls, 1);
	ck_assert_int_eq(subjects[1].calls, 0);
	ck_assert_int_eq(subjects[2].calls, 0);
	(void)sem_destroy(&proceed);
	client = NULL;
}
END_TEST

static void try_to_end_the_client(rollcall_registration *registration, rollcall_state state,
                                  void *arg)
{
	(void)registration;
	(void)state;
	ck_fails(rollcall_close(client, 1000), EDEADLK);
	ck_fails(rollcall_thread_stop(client), EDEADLK);
	(void)arg;
	(void)sem_post(&posted);
}

START_TEST(a_callback_cannot_end_its_client)
{
	rollcall_registration *registration;

	record.on_state = try_to_end_the_client;
	ck_ok(rollcall_register(client, &record, &registration));
	(void)sem_wait(&posted);
	ck_ok(rollcall_registration_wait(registration, 60000)); /* the thread still runs it */
}
END_TEST

SUITE("client callbacks", setup, teardown, deregistering_ends_on_state,
      stopping_a_watch_ends_on_change, cancelling_ends_done_whatever_it_returns,
      the_id_of_a_call_is_known_before_done, closing_ends_all_of_them,
      a_blocking_function_does_not_wait_for_a_callback,
      closing_waits_for_a_callback_and_begins_no_other, a_callback_cannot_end_its_client)
