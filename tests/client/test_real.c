/* SPDX-License-Identifier: MIT */
/* The client over real sockets: each way to run it, what libcurl does by itself, forks, and each
 * call that can fail, failing once. */
#include "fault.h"
#include "fault_io.h"
#include "rollcall.h"
#include "server.h"
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct server server;
static rollcall_client *client;
static rollcall_options options;
static char address[64];
static rollcall_request request;
static rollcall_response response;
static atomic_int done_count;

static void setup(void)
{
	server_start(&server);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", server.port);
	rollcall_options_init(&options);
	options.registry = address;
	rollcall_request_init(&request);
	rollcall_response_init(&response);
	client = NULL;
	atomic_store(&done_count, 0);
}

static void teardown(void)
{
	rollcall_response_clear(&response);
	(void)rollcall_close(client, 5000);
	server_stop(&server);
}

static void on_done(rollcall_client *c, int error, rollcall_response *r, void *arg)
{
	ck_assert_ptr_eq(c, client);
	ck_assert_msg(error == 0 && r->status == 200, "error %d, status %d, outcome %d", error,
	              r->status, r->outcome);
	ck_assert_ptr_eq(arg, &done_count);
	atomic_fetch_add(&done_count, 1);
}

START_TEST(a_blocking_call_needs_nobody_else)
{
	ck_ok(rollcall_open(&options, &client));
	ck_ok(rollcall_call(client, "web", &request, &response));
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.body, "ok");
	char revision[8];
	ck_ok(rollcall_response_header(&response, "x-rollcall-revision", revision,
	                               sizeof(revision)));
	ck_assert_str_eq(revision, "3");
	ck_fails(rollcall_response_header(&response, "none", revision, sizeof(revision)), ENOENT);
}
END_TEST

START_TEST(an_event_loop_runs_it_through_one_descriptor)
{
	ck_ok(rollcall_open(&options, &client));
	int fd = rollcall_get_fd(client);
	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < 5; i++)
		ck_ok(rollcall_call_start(client, "web", &request, on_done, &done_count, NULL));
	while (atomic_load(&done_count) < 5) {
		struct pollfd pollfd = {.fd = fd, .events = POLLIN};

		/* No timeout is needed: the descriptor becomes readable for timers too. */
		ck_assert_int_eq(poll(&pollfd, 1, 20000), 1);
		ck_ok(rollcall_process(client));
	}
	ck_assert_int_eq(rollcall_get_fd(client), fd);
	ck_assert_int_ge(rollcall_get_timeout(client), 0);
}
END_TEST

START_TEST(its_own_thread_runs_it)
{
	options.thread = 1;
	ck_ok(rollcall_open(&options, &client));
	ck_fails(rollcall_thread_start(client), EALREADY);
	for (int i = 0; i < 20; i++)
		ck_ok(rollcall_call_start(client, "web", &request, on_done, &done_count, NULL));
	while (atomic_load(&done_count) < 20)
		ck_ok(rollcall_wait(client, 5));
	ck_ok(rollcall_thread_stop(client));
	ck_ok(rollcall_thread_start(client));
}
END_TEST

static bool is_of(const struct server *one)
{
	rollcall_endpoint endpoint;

	rollcall_endpoint_init(&endpoint);
	ck_ok(rollcall_discover(client, "web", NULL, &endpoint));
	return endpoint.port == one->port;
}

START_TEST(a_registry_of_another_history_takes_over_an_open_long_poll)
{
	static struct server second;
	char both[64];
	rollcall_registration_options record;
	rollcall_registration *registration;

	server_start(&second);
	atomic_store(&server.history, 0xaaaaaaaa00000001);
	atomic_store(&server.retires, true);
	atomic_store(&second.history, 0xbbbbbbbb00000002);
	(void)snprintf(both, sizeof(both), "127.0.0.1:%d,127.0.0.1:%d", server.port, second.port);
	options.registry = both;
	options.cache_ttl_ms = 3600000; /* of the long poll too */
	options.thread = 1;
	ck_ok(rollcall_open(&options, &client));
	ck_assert(is_of(&server));
	rollcall_registration_options_init(&record);
	record.service = "front";
	record.port = 1;
	record.ttl_ms = 1000;
	ck_ok(rollcall_register(client, &record, &registration));
	ck_ok(rollcall_registration_wait(registration, 20000));
	for (int i = 0; i < 2000 && !is_of(&second); i++)
		ck_ok(rollcall_wait(client, 10));
	ck_assert(is_of(&second));
	for (int i = 0; i < 2000 && atomic_load(&second.puts) == 0; i++)
		ck_ok(rollcall_wait(client, 10));
	ck_assert_int_eq(atomic_load(&second.puts), 1);
	ck_ok(rollcall_close(client, 5000));
	client = NULL;
	ck_assert_int_eq(atomic_load(&second.deletes), 1);
	server_stop(&second);
}
END_TEST

/* Limits that all calls of call_often() meet, even at once and on a slow machine. */
static void open_patient(void)
{
	rollcall_policy policy;

	options.discover_timeout_ms = 60000;
	options.registry_timeout_ms = 60000;
	options.registry_connect_ms = 60000;
	ck_ok(rollcall_open(&options, &client));
	rollcall_policy_default(&policy);
	policy.bulkhead.max_inflight = 1000;
	policy.time.total_ms = 60000;
	policy.time.attempt_ms = 60000;
	policy.time.connect_ms = 60000;
	ck_ok(rollcall_set_policy(client, "web", NULL, &policy));
}

static void *call_often(void *arg)
{
	rollcall_response mine;
	rollcall_endpoint endpoint;

	(void)arg;
	rollcall_response_init(&mine);
	rollcall_endpoint_init(&endpoint);
	for (int i = 0; i < 25; i++) {
		ck_ok(rollcall_call(client, "web", &request, &mine));
		ck_ok(rollcall_discover(client, "web", NULL, &endpoint));
		ck_ok(rollcall_call_start(client, "web", &request, on_done, &done_count, NULL));
	}
	rollcall_response_clear(&mine);
	return NULL;
}

START_TEST(many_threads_share_one_client)
{
	pthread_t threads[8];
	rollcall_registration_options record;
	rollcall_registration *registration;

	options.cache_ttl_ms = 20; /* refreshes keep running beside the calls */
	options.thread = 1;
	open_patient();
	rollcall_registration_options_init(&record);
	record.service = "me";
	record.port = 1;
	ck_ok(rollcall_register(client, &record, &registration));
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, NULL), 0);
	for (int i = 0; i < 8; i++)
		(void)pthread_join(threads[i], NULL);
	while (atomic_load(&done_count) < 200)
		ck_ok(rollcall_wait(client, 5));
	ck_ok(rollcall_registration_wait(registration, 10000));
	ck_ok(rollcall_deregister(registration, 10000));
	ck_assert_int_eq(atomic_load(&server.deletes), 1);
}
END_TEST

/* Two threads without the library's: the one that waits first runs the client, and the other takes
 * over. */
START_TEST(blocking_threads_take_turns_in_running_it)
{
	pthread_t threads[4];

	open_patient();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, NULL), 0);
	while (atomic_load(&done_count) < 100)
		ck_ok(rollcall_wait(client, 5));
	for (int i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
}
END_TEST

/* libcurl itself repeats a request when a connection that was kept alive turns out to be dead. */
static void die_on_a_kept_connection(const char *body)
{
	ck_ok(rollcall_open(&options, &client));
	request.method = "POST";
	request.path = "/die";
	request.body = body;
	request.body_len = body == NULL ? 0 : strlen(body);
	ck_ok(rollcall_call(client, "web", &request, &response));
	int before = atomic_load(&server.dying);
	int r = rollcall_call(client, "web", &request, &response);
	ck_assert_int_eq(atomic_load(&server.dying) - before, 1);
	ck_assert(r == 0 || r == -ECONNRESET);
	ck_assert_uint_eq(response.attempts, 1);
}

START_TEST(a_post_with_a_body_is_never_repeated_by_libcurl)
{
	die_on_a_kept_connection("x");
	ck_assert_int_eq(response.outcome, ROLLCALL_UNKNOWN);
}
END_TEST

START_TEST(nor_is_a_post_without_a_body)
{
	die_on_a_kept_connection(NULL);
}
END_TEST

START_TEST(a_slow_answer_is_cut_at_the_deadline)
{
	struct timespec began;
	struct timespec ended;

	ck_ok(rollcall_open(&options, &client));
	ck_ok(rollcall_call(client, "web", &request, &response)); /* warms the cache */
	request.path = "/slow";
	request.timeout_ms = 200;
	(void)clock_gettime(CLOCK_MONOTONIC, &began);
	ck_fails(rollcall_call(client, "web", &request, &response), ETIMEDOUT);
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	ck_assert_int_eq(response.outcome, ROLLCALL_UNKNOWN);
	ck_assert_int_ge(response.elapsed_us, 199000);
	ck_assert_int_ge((ended.tv_sec - began.tv_sec) * 1000 +
	                         (ended.tv_nsec - began.tv_nsec) / 1000000,
	                 199);
}
END_TEST

START_TEST(a_closed_port_is_not_sent)
{
	ck_ok(rollcall_open(&options, &client));
	ck_ok(rollcall_call(client, "web", &request, &response));
	server_stop(&server);
	ck_fails(rollcall_call(client, "web", &request, &response), ECONNREFUSED);
	ck_assert_int_eq(response.outcome, ROLLCALL_NOT_SENT);
	ck_assert_uint_eq(response.attempts, 3);
	server_start(&server);
}
END_TEST

START_TEST(addresses_that_cannot_be_are_refused)
{
	static const char *const bad[] = {"", ",", "ftp://x", "a b", "http://"};

	for (size_t i = 0; i < 4; i++) {
		options.registry = bad[i];
		ck_fails(rollcall_open(&options, &client), EINVAL);
	}
	ck_fails(rollcall_open(&options, NULL), EINVAL);
	options.registry = address;
	options.token = "a\r\nb";
	ck_fails(rollcall_open(&options, &client), EINVAL);
}
END_TEST

START_TEST(a_child_of_a_fork_is_told_and_can_only_close)
{
	rollcall_registration_options record;
	rollcall_registration *registration;
	rollcall_endpoint endpoint;
	int status = 0;

	ck_ok(rollcall_open(&options, &client));
	rollcall_registration_options_init(&record);
	record.service = "me";
	record.port = 1;
	ck_ok(rollcall_register(client, &record, &registration));
	ck_ok(rollcall_registration_wait(registration, 10000));
	rollcall_endpoint_init(&endpoint);
	ck_ok(rollcall_discover(client, "web", NULL, &endpoint));

	pid_t pid = fork();
	if (pid == 0) {
		bool ok = rollcall_discover(client, "web", NULL, &endpoint) == -ECHILD &&
		          rollcall_call(client, "web", &request, &response) == -ECHILD &&
		          rollcall_process(client) == -ECHILD &&
		          rollcall_deregister(registration, 10) == -ECHILD &&
		          rollcall_close(client, 1000) == 0;
		_exit(ok ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(atomic_load(&server.deletes), 0); /* the child has deregistered nothing */
	ck_ok(rollcall_call(client, "web", &request,
	                    &response)); /* and the parent's client works */
	ck_ok(rollcall_deregister(registration, 5000));
	ck_assert_int_eq(atomic_load(&server.deletes), 1);
}
END_TEST

static int leaking_sockets(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int leaks = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[300];
		char target[64] = "";
		int fd = atoi(entry->d_name);

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		(void)!readlink(path, target, sizeof(target) - 1);
		if ((strncmp(target, "socket", 6) == 0 || strncmp(target, "anon_inode", 10) == 0) &&
		    (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
			leaks++;
	}
	(void)closedir(dir);
	return leaks;
}

START_TEST(no_descriptor_of_ours_survives_an_exec)
{
	int accepted;

	ck_ok(rollcall_open(&options, &client));
	int multi_pairs = leaking_sockets(); /* libcurl's own wake-up pair */
	ck_ok(rollcall_thread_start(client));
	ck_assert_int_ge(rollcall_get_fd(client), 0);
	rollcall_endpoint endpoint;
	rollcall_endpoint_init(&endpoint);
	ck_ok(rollcall_discover(client, "web", NULL, &endpoint));
	(void)pthread_mutex_lock(&server.lock);
	accepted = server.thread_count; /* the server's ends, in this process too */
	(void)pthread_mutex_unlock(&server.lock);
	ck_assert_int_le(leaking_sockets(), multi_pairs + accepted);
}
END_TEST

/* --- failures, each in turn ----------------------------------------------------------------- */

static void on_any_end(rollcall_client *c, int error, rollcall_response *r, void *arg)
{
	(void)c;
	(void)r;
	(void)error; /* no assertion here: Check needs memory too */
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void on_any_change(rollcall_client *c, const char *service, void *arg)
{
	(void)c;
	(void)service;
	(void)arg;
}

/* Does everything that a program may do. @return the first error */
static int live(void)
{
	rollcall_registration_options record;
	rollcall_registration *registration = NULL;
	rollcall_watch *watch = NULL;
	rollcall_instances *list = NULL;
	rollcall_policy policy;

	client = NULL;
	int r = rollcall_open(&options, &client);
	if (r < 0)
		return r;
	rollcall_registration_options_init(&record);
	record.service = "me";
	record.port = 1;
	record.metadata = &(const rollcall_pair){"a", "b"};
	record.metadata_count = 1;
	rollcall_policy_default(&policy);
	policy.throttle.k = 2;
	r = rollcall_register(client, &record, &registration);
	if (r == 0)
		r = rollcall_registration_wait(registration, 2000);
	if (r == 0)
		r = rollcall_set_policy(client, "web", "/throttled", &policy);
	if (r == 0)
		r = rollcall_set_strategy(client, "web",
		                          rollcall_strategy_named("consistent_hash"));
	if (r == 0)
		r = rollcall_get_fd(client) < 0 ? -EMFILE : 0;
	if (r == 0)
		r = rollcall_get_instances(client, "web", &list);
	if (r == 0)
		r = rollcall_watch_start(client, "web", on_any_change, NULL, &watch);
	if (r == 0)
		r = rollcall_drain(registration, 2000);
	if (r == 0)
		r = rollcall_registration_set_load(registration, 0.5);
	if (r == 0)
		r = rollcall_call(client, "web", &request, &response);
	if (r == 0)
		r = rollcall_call_start(client, "web", &request, on_any_end, &done_count, NULL);
	for (int i = 0; r == 0 && i < 400 && atomic_load(&done_count) == 0; i++)
		r = rollcall_wait(client, 5);
	rollcall_watch_stop(watch);
	rollcall_instances_free(list);
	int left = rollcall_deregister(registration, 2000);
	r = r < 0 ? r : left;
	int closed = rollcall_close(client, 2000);
	client = NULL;
	return r < 0 ? r : closed;
}

static void quicken(void)
{
	options.retry_base_ms = 1; /* failures are retried soon */
	options.retry_max_ms = 2;
	options.discover_timeout_ms = 2000;
	request.path = "/x";
	request.body = "x";
	request.body_len = 1;
	request.method = "PUT";
	request.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	request.tracestate = "a=b";
}

START_TEST(any_lack_of_memory_is_survived)
{
	quicken();
	for (int n = 0;; n++) {
		atomic_store(&done_count, 0);
		fault_arm(n);
		int r = live();
		bool hit = fault_hit();
		if (!hit) {
			ck_assert_int_eq(r, 0);
			ck_assert_int_gt(n, 20);
			break;
		}
		ck_assert_msg(r == 0 || r == -ENOMEM, "failing allocation %d: %d", n, r);
	}
}
END_TEST

START_TEST(any_lack_of_descriptors_or_handles_is_survived)
{
	quicken();
	for (int n = 0;; n++) {
		atomic_store(&done_count, 0);
		fault_io_arm(n);
		int r = live();
		bool hit = fault_io_hit();
		if (!hit) {
			ck_assert_int_eq(r, 0);
			ck_assert_int_gt(n, 8);
			break;
		}
		ck_assert_msg(r == 0 || r == -ENOMEM || r == -EMFILE || r == -EIO || r == -ENOSPC ||
		                      r == -ECONNREFUSED,
		              "failing request %d: %d", n, r);
	}
}
END_TEST

START_TEST(a_thread_that_cannot_start_is_an_error)
{
	options.thread = 1;
	for (int n = 0;; n++) {
		fault_io_arm(n);
		int r = rollcall_open(&options, &client);
		if (!fault_io_hit()) {
			ck_assert_int_eq(r, 0);
			break;
		}
		ck_assert_int_lt(r, 0);
		ck_assert_ptr_null(client);
	}
}
END_TEST

START_TEST(errors_have_texts)
{
	ck_assert_str_eq(rollcall_error_text(-ENOENT), "unknown service");
	ck_assert_str_eq(rollcall_error_text(ENOENT), "unknown service");
	ck_assert_str_eq(rollcall_error_text(0), "no error");
	ck_assert_str_eq(rollcall_error_text(-12345), "unknown error");
	ck_assert_uint_gt(strlen(rollcall_version()), 0);
}
END_TEST

SUITE("client over sockets", setup, teardown, a_blocking_call_needs_nobody_else,
      an_event_loop_runs_it_through_one_descriptor, its_own_thread_runs_it,
      a_registry_of_another_history_takes_over_an_open_long_poll, many_threads_share_one_client,
      blocking_threads_take_turns_in_running_it, a_post_with_a_body_is_never_repeated_by_libcurl,
      nor_is_a_post_without_a_body, a_slow_answer_is_cut_at_the_deadline, a_closed_port_is_not_sent,
      addresses_that_cannot_be_are_refused, a_child_of_a_fork_is_told_and_can_only_close,
      no_descriptor_of_ours_survives_an_exec, any_lack_of_memory_is_survived,
      any_lack_of_descriptors_or_handles_is_survived, a_thread_that_cannot_start_is_an_error,
      errors_have_texts)
