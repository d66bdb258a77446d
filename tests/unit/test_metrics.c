/* SPDX-License-Identifier: MIT */
/*
 * Metrics: counters, gauges and histograms, counted by many threads, and the text that /metrics
 * returns.
 */
#include "metrics/metrics.h"

#include "base/attr.h"
#include "base/thread.h"
#include "base/version.h"
#include "suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS 20 /* more than there are shards */

static struct buf out;

static void setup(void)
{
	buf_init(&out, 1 << 20);
}

static void teardown(void)
{
	buf_fini(&out);
}

/* All metrics as a string. */
static const char *render(void)
{
	buf_reset(&out);
	metrics_render(&out);
	buf_put_char(&out, '\0');
	ck_assert_int_eq(buf_error(&out), 0);
	return out.data;
}

/* Checks that the text occurs exactly once, as one or more whole lines. */
static void ck_line(const char *lines)
{
	const char *all = render();
	const char *at = strstr(all, lines);

	ck_assert_msg(at != NULL, "no '%s' in:\n%s", lines, all);
	ck_assert(at == all || at[-1] == '\n');
	ck_assert_int_eq(at[strlen(lines)], '\n');
	ck_assert_msg(strstr(at + 1, lines) == NULL, "'%s' occurs twice", lines);
}

static double value_of(const char *series)
{
	const char *at = strstr(render(), series);
	double value = -1;

	ck_assert_msg(at != NULL, "no '%s'", series);
	ck_assert_int_eq(sscanf(at + strlen(series), " %lf", &value), 1);
	return value;
}

START_TEST(a_counter_counts)
{
	ck_assert_uint_eq(metrics_counter(METRIC_PICKS), 0);
	metrics_count(METRIC_PICKS, 1);
	metrics_count(METRIC_PICKS, 41);
	ck_assert_uint_eq(metrics_counter(METRIC_PICKS), 42);
	ck_line("# HELP rollcall_picks_total Instances picked.\n"
	        "# TYPE rollcall_picks_total counter\n"
	        "rollcall_picks_total 42");
	ck_line("rollcall_heartbeats_total 0");
}
END_TEST

START_TEST(a_family_has_one_heading_and_its_labels_stand_together)
{
	metrics_count(METRIC_EVENTS_UPDATED, 7);
	ck_line("# HELP rollcall_events_total Durable changes, by kind.\n"
	        "# TYPE rollcall_events_total counter\n"
	        "rollcall_events_total{kind=\"registered\"} 0\n"
	        "rollcall_events_total{kind=\"updated\"} 7\n"
	        "rollcall_events_total{kind=\"deregistered\"} 0");
	ck_line("# TYPE rollcall_events_total counter");
}
END_TEST

START_TEST(a_gauge_is_set_and_moves_both_ways)
{
	metrics_set(METRIC_CONNECTIONS, 10);
	metrics_move(METRIC_CONNECTIONS, 5);
	metrics_move(METRIC_CONNECTIONS, -7);
	ck_assert_int_eq(metrics_gauge(METRIC_CONNECTIONS), 8);
	ck_line("# TYPE rollcall_http_connections gauge\nrollcall_http_connections 8");
	metrics_move(METRIC_CONNECTIONS, -9);
	ck_line("rollcall_http_connections -1");
}
END_TEST

START_TEST(a_histogram_of_times_is_cumulative_and_in_seconds)
{
	metrics_observe(METRIC_COMMIT_SECONDS, 0);
	metrics_observe(METRIC_COMMIT_SECONDS, 50); /* the bound of a bucket belongs to it */
	metrics_observe(METRIC_COMMIT_SECONDS, 51);
	metrics_observe(METRIC_COMMIT_SECONDS, 10000001);
	ck_line("# TYPE rollcall_commit_duration_seconds histogram\n"
	        "rollcall_commit_duration_seconds_bucket{le=\"0.00005\"} 2\n"
	        "rollcall_commit_duration_seconds_bucket{le=\"0.0001\"} 3\n"
	        "rollcall_commit_duration_seconds_bucket{le=\"0.00025\"} 3");
	ck_line("rollcall_commit_duration_seconds_bucket{le=\"10\"} 3\n"
	        "rollcall_commit_duration_seconds_bucket{le=\"+Inf\"} 4\n"
	        "rollcall_commit_duration_seconds_sum 10.000102\n"
	        "rollcall_commit_duration_seconds_count 4");
}
END_TEST

START_TEST(a_histogram_of_sizes_is_in_plain_numbers)
{
	metrics_observe(METRIC_BATCH_SIZE, 1);
	metrics_observe(METRIC_BATCH_SIZE, 3);
	metrics_observe(METRIC_BATCH_SIZE, 4097);
	ck_line("rollcall_commit_batch_events_bucket{le=\"1\"} 1\n"
	        "rollcall_commit_batch_events_bucket{le=\"2\"} 1\n"
	        "rollcall_commit_batch_events_bucket{le=\"4\"} 2");
	ck_line("rollcall_commit_batch_events_bucket{le=\"4096\"} 2\n"
	        "rollcall_commit_batch_events_bucket{le=\"+Inf\"} 3\n"
	        "rollcall_commit_batch_events_sum 4101\n"
	        "rollcall_commit_batch_events_count 3");
}
END_TEST

START_TEST(requests_are_counted_by_status)
{
	metrics_request(100);
	metrics_request(200);
	metrics_request(200);
	metrics_request(599);
	ck_line("# TYPE rollcall_http_requests_total counter\n"
	        "rollcall_http_requests_total{code=\"100\"} 1\n"
	        "rollcall_http_requests_total{code=\"200\"} 2\n"
	        "rollcall_http_requests_total{code=\"599\"} 1");
}
END_TEST

START_TEST(an_invalid_status_stops_the_process)
{
	metrics_request(99);
}
END_TEST

static void count_much(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10000; i++) {
		metrics_count(METRIC_HEARTBEATS, 1);
		metrics_move(METRIC_PARKED, 1);
		metrics_observe(METRIC_REQUEST_SECONDS, 100);
		metrics_request(204);
	}
}

START_TEST(no_count_is_lost_among_threads)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_ok(thread_start(&threads[i], "count", count_much, NULL));
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(metrics_counter(METRIC_HEARTBEATS), THREADS * 10000);
	ck_assert_int_eq(metrics_gauge(METRIC_PARKED), THREADS * 10000);
	ck_line("rollcall_http_requests_total{code=\"204\"} 200000");
	ck_line("rollcall_http_request_duration_seconds_sum 20\n"
	        "rollcall_http_request_duration_seconds_count 200000");
}
END_TEST

START_TEST(the_process_describes_itself)
{
	double started = value_of("\nprocess_start_time_seconds");
	int extra = dup(STDOUT_FILENO);

	ck_assert_double_le(started, (double)time(NULL) + 1);
	ck_assert_double_ge(started, (double)time(NULL) - 600);
	ck_assert_double_eq(started, value_of("\nprocess_start_time_seconds"));
	ck_assert_double_ge(value_of("\nprocess_resident_memory_bytes"), 100000);
	ck_assert_double_gt(value_of("\nprocess_cpu_seconds_total"), 0);

	int open_fds = 0;
	for (int fd = 0; fd < 1024; fd++)
		open_fds += fcntl(fd, F_GETFD) >= 0;
	double before = value_of("\nprocess_open_fds");
	ck_assert_double_eq(before, open_fds);
	ck_assert_double_le(before, value_of("\nprocess_max_fds"));
	(void)close(extra);
	ck_assert_double_eq(value_of("\nprocess_open_fds"), before - 1);
}
END_TEST

START_TEST(the_build_has_its_version)
{
	char line[200];

	(void)snprintf(line, sizeof(line), "rollcall_build_info{version=\"%s\"} 1",
	               rollcall_version);
	ck_line(line);
}
END_TEST

/* Each line is a heading or a sample, headings precede samples, and no family occurs twice. */
START_TEST(each_line_belongs_to_the_family_above_it)
{
	char families[64][80];
	int count = 0;

	metrics_request(200);
	char *copy = strdup(render());
	ck_assert_ptr_nonnull(copy);
	for (char *rest = copy, *line = strsep(&rest, "\n"); rest != NULL;
	     line = strsep(&rest, "\n")) {
		char name[80];

		if (sscanf(line, "# HELP %79s", name) == 1) {
			for (int i = 0; i < count; i++)
				ck_assert_str_ne(families[i], name);
			ck_assert_int_lt(count, 64);
			memcpy(families[count++], name, sizeof(name));
		} else if (sscanf(line, "# TYPE %79s", name) == 1) {
			ck_assert_str_eq(families[count - 1], name);
		} else {
			ck_assert_int_eq(sscanf(line, "%79[a-z0-9_]", name), 1);
			ck_assert_int_eq(
				strncmp(name, families[count - 1], strlen(families[count - 1])), 0);
		}
	}
	free(copy);
	ck_assert_int_gt(count, 20);
}
END_TEST

SUITE_ABORTS("metrics", setup, teardown, (an_invalid_status_stops_the_process), a_counter_counts,
             a_family_has_one_heading_and_its_labels_stand_together,
             a_gauge_is_set_and_moves_both_ways, a_histogram_of_times_is_cumulative_and_in_seconds,
             a_histogram_of_sizes_is_in_plain_numbers, requests_are_counted_by_status,
             no_count_is_lost_among_threads, the_process_describes_itself,
             the_build_has_its_version, each_line_belongs_to_the_family_above_it)
