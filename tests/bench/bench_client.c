/* SPDX-License-Identifier: MIT */
/*
 * Measures time and memory of the client library: bench_client ADDRESS SERVICE CALLS
 *
 * ADDRESS is a registry in which SERVICE has ten instances and "self" has one, which is the
 * registry. Prints one JSON object: nanoseconds of a pick from the warm cache, alone and with two
 * threads on two services; microseconds that all layers add to a call, compared with the same
 * transfer by libcurl alone, as wall time and as CPU time of this thread; memory of 1,000
 * registrations.
 */
#include "rollcall.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PICKS         1000000
#define BATCH         50 /* calls in a row; few, so that both see the same load of the machine */
#define BATCHES_MAX   1000
#define REGISTRATIONS 1000

static rollcall_client *client;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "bench_client: %s: %s\n", what, rollcall_error_text(r));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

/* --- picks ---------------------------------------------------------------------------------- */

static double pick_ns(const char *service)
{
	rollcall_endpoint endpoint;

	rollcall_endpoint_init(&endpoint);
	must(rollcall_discover(client, service, NULL, &endpoint), "discover");
	double began = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < PICKS; i++)
		must(rollcall_discover(client, service, NULL, &endpoint), "discover");
	return (seconds(CLOCK_THREAD_CPUTIME_ID) - began) * 1e9 / PICKS;
}

static double pick_median(const char *service)
{
	double rounds[5];

	for (int i = 0; i < 5; i++)
		rounds[i] = pick_ns(service);
	return median(rounds, 5);
}

/* @return how often this thread gave up its CPU to wait, for example for a lock */
static long waits(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

struct beside {
	double ns;
	long waits;
};

static void *pick_beside(void *arg)
{
	struct beside *beside = arg;
	long before = waits();

	beside->ns = pick_median("self");
	beside->waits = waits() - before;
	return NULL;
}

static double pick_with_two_threads(const char *service, long *ret_waits)
{
	struct beside other;
	pthread_t thread;

	must(-pthread_create(&thread, NULL, pick_beside, &other), "thread");
	long before = waits();
	double mine = pick_median(service);
	*ret_waits = waits() - before;
	(void)pthread_join(thread, NULL);
	*ret_waits += other.waits;
	return mine > other.ns ? mine : other.ns;
}

/* --- calls ---------------------------------------------------------------------------------- */

static size_t keep(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	*(size_t *)arg += size * count;
	return size * count;
}

static void plain(CURL *easy, int calls)
{
	for (int i = 0; i < calls; i++)
		must(curl_easy_perform(easy) == CURLE_OK ? 0 : -5, "curl_easy_perform");
}

static void layered(int calls)
{
	rollcall_request request;
	rollcall_response response;

	rollcall_request_init(&request);
	rollcall_response_init(&response);
	request.path = "/healthz";
	for (int i = 0; i < calls; i++)
		must(rollcall_call(client, "self", &request, &response), "call");
	rollcall_response_clear(&response);
}

/* Seconds of one batch: wall time, and CPU time of this thread. */
struct cost {
	double wall;
	double cpu;
};

static struct cost cost_of(CURL *easy)
{
	struct cost before = {seconds(CLOCK_MONOTONIC), seconds(CLOCK_THREAD_CPUTIME_ID)};

	if (easy != NULL)
		plain(easy, BATCH);
	else
		layered(BATCH);
	return (struct cost){seconds(CLOCK_MONOTONIC) - before.wall,
	                     seconds(CLOCK_THREAD_CPUTIME_ID) - before.cpu};
}

/* Runs pairs of a plain and a layered batch; plain and layered take turns to be the first of a
 * pair. @return the medians of their differences */
static void compare_calls(const char *address, int calls, double *ret_wall_us, double *ret_cpu_us)
{
	static double wall[BATCHES_MAX];
	static double cpu[BATCHES_MAX];
	char url[256];
	size_t got = 0;
	size_t pairs = (size_t)calls / BATCH;
	CURL *easy = curl_easy_init();

	if (pairs < 1 || pairs > BATCHES_MAX)
		pairs = BATCHES_MAX;
	(void)snprintf(url, sizeof(url), "http://%s/healthz", address);
	(void)curl_easy_setopt(easy, CURLOPT_URL, url);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &got);
	(void)cost_of(easy);
	(void)cost_of(NULL);
	for (size_t i = 0; i < pairs; i++) {
		struct cost first = cost_of(i % 2 == 0 ? easy : NULL);
		struct cost second = cost_of(i % 2 == 0 ? NULL : easy);
		double sign = i % 2 == 0 ? 1 : -1;

		wall[i] = sign * (second.wall - first.wall);
		cpu[i] = sign * (second.cpu - first.cpu);
	}
	curl_easy_cleanup(easy);
	*ret_wall_us = median(wall, pairs) * 1e6 / BATCH;
	*ret_cpu_us = median(cpu, pairs) * 1e6 / BATCH;
}

/* --- registrations -------------------------------------------------------------------------- */

static double resident_mib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
		exit(1);
	(void)fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static double register_many(void)
{
	static rollcall_registration *all[REGISTRATIONS];
	rollcall_registration_options record;
	char name[32];
	double before = resident_mib();

	rollcall_registration_options_init(&record);
	record.host = "127.0.0.1";
	record.port = 1;
	record.service = name;
	for (int i = 0; i < REGISTRATIONS; i++) {
		(void)snprintf(name, sizeof(name), "bench-%d", i);
		must(rollcall_register(client, &record, &all[i]), "register");
	}
	for (int i = 0; i < REGISTRATIONS; i++)
		must(rollcall_registration_wait(all[i], 60000), "registering");
	must(rollcall_wait(client, 11000), "wait"); /* until each has sent a heartbeat */
	return resident_mib() - before;
}

int main(int argc, char **argv)
{
	rollcall_options options;
	double wall_us;
	double cpu_us;
	long waited;

	if (argc < 4) {
		(void)fprintf(stderr, "usage: bench_client ADDRESS SERVICE CALLS\n");
		return 2;
	}
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	double empty = resident_mib();
	rollcall_options_init(&options);
	options.registry = argv[1];
	options.thread = 1;
	must(rollcall_open(&options, &client), "open");
	double registrations = register_many();
	must(rollcall_close(client, 60000), "close");

	must(rollcall_open(&options, &client), "open");
	double one = pick_median(argv[2]);
	double two = pick_with_two_threads(argv[2], &waited);
	compare_calls(argv[1], (int)strtol(argv[3], NULL, 10), &wall_us, &cpu_us);
	must(rollcall_close(client, 1000), "close");
	(void)printf("{\"empty_mib\": %.2f, \"registrations_mib\": %.2f, \"pick_ns\": %.1f, "
	             "\"pick_two_threads_ns\": %.1f, \"waits\": %ld, \"call_wall_us\": %.2f, "
	             "\"call_cpu_us\": %.2f}\n",
	             empty, registrations, one, two, waited, wall_us, cpu_us);
	return 0;
}
