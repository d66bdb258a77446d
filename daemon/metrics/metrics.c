/* SPDX-License-Identifier: MIT */
/*
 * The values of all metrics, in static memory; any thread.
 *
 * Invariant: a counter's value is the sum over all shards, and each thread adds to one shard. With
 * one atomic per counter all http threads would pass its cache line around.
 */
#include "metrics/metrics.h"

#include "base/attr.h"
#include "base/check.h"
#include "base/log.h"
#include "base/version.h"
#include "metrics/process.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SHARDS      16
#define CACHE_LINE  64
#define BUCKETS_MAX 18 /* the bound of the last one is infinity */
#define STATUS_MIN  100
#define STATUS_MAX  599

struct series {
	const char *name;
	const char *labels;
	const char *help;
};

/* clang-format off */
#define SERIES4(id, name, labels, help) {name, labels, help},
#define SERIES3(id, name, help)         {name, "", help},
static const struct series counter_series[] = {METRIC_COUNTERS(SERIES4)};
static const struct series gauge_series[] = {METRIC_GAUGES(SERIES4)};
static const struct series histogram_series[] = {METRIC_HISTOGRAMS(SERIES3)};
#undef SERIES4
#undef SERIES3
/* clang-format on */

struct bounds {
	uint64_t most[BUCKETS_MAX - 1];
	size_t count;
	bool seconds; /* the values are microseconds, exported as seconds */
};

static const struct bounds of_seconds = {
	.most = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
                 1000000, 2500000, 5000000, 10000000},
	.count = 17,
	.seconds = true,
};

static const struct bounds of_sizes = {
	.most = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096},
	.count = 13,
};

struct histogram {
	_Atomic(uint64_t) sum;
	_Atomic(uint64_t) buckets[BUCKETS_MAX]; /* not cumulative */
};

/* Each thread adds to one shard, so that cache lines do not move between cores. */
struct shard {
	_Alignas(CACHE_LINE) _Atomic(uint64_t) counters[METRIC_COUNTER_COUNT];
	_Atomic(uint64_t) requests[STATUS_MAX - STATUS_MIN + 1];
	struct histogram histograms[METRIC_HISTOGRAM_COUNT];
};

static struct shard shards[SHARDS];
static _Atomic(int64_t) gauges[METRIC_GAUGE_COUNT];

static struct shard *own_shard(void)
{
	static atomic_uint next;
	static _Thread_local struct shard *own;

	if (own == NULL)
		own = &shards[atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % SHARDS];
	return own;
}

static void cell_add(_Atomic(uint64_t) *counter, uint64_t n)
{
	(void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t cell_get(_Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_count(enum metric_counter counter, uint64_t n)
{
	cell_add(&own_shard()->counters[counter], n);
}

uint64_t metrics_counter(enum metric_counter counter)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SHARDS; i++)
		sum += cell_get(&shards[i].counters[counter]);
	return sum;
}

void metrics_set(enum metric_gauge gauge, int64_t value)
{
	atomic_store_explicit(&gauges[gauge], value, memory_order_relaxed);
}

void metrics_move(enum metric_gauge gauge, int64_t by)
{
	(void)atomic_fetch_add_explicit(&gauges[gauge], by, memory_order_relaxed);
}

int64_t metrics_gauge(enum metric_gauge gauge)
{
	return atomic_load_explicit(&gauges[gauge], memory_order_relaxed);
}

static const struct bounds *bounds_of(enum metric_histogram histogram)
{
	return histogram == METRIC_BATCH_SIZE ? &of_sizes : &of_seconds;
}

void metrics_observe(enum metric_histogram histogram, uint64_t value)
{
	const struct bounds *bounds = bounds_of(histogram);
	struct histogram *own = &own_shard()->histograms[histogram];
	size_t bucket = 0;

	while (bucket < bounds->count && value > bounds->most[bucket])
		bucket++;
	cell_add(&own->buckets[bucket], 1);
	cell_add(&own->sum, value);
}

void metrics_request(unsigned status)
{
	CHECK(status >= STATUS_MIN && status <= STATUS_MAX);
	cell_add(&own_shard()->requests[status - STATUS_MIN], 1);
}

static void put_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The heading stands only before the first series of a family. */
static void put_series(struct buf *out, const struct series *all, size_t i, const char *type)
{
	const struct series *series = &all[i];

	if (i == 0 || strcmp(series->name, all[i - 1].name) != 0)
		put_family(out, series->name, type, series->help);
	buf_put(out, series->name);
	if (series->labels[0] != '\0')
		buf_printf(out, "{%s}", series->labels);
	buf_put_char(out, ' ');
}

/* Microseconds as seconds, exactly. */
static void put_seconds(struct buf *out, uint64_t us)
{
	char fraction[] = "000000";
	size_t len = sizeof(fraction) - 1;

	buf_put_u64(out, us / 1000000);
	for (uint64_t left = us % 1000000, i = len; i > 0; left /= 10)
		fraction[--i] = (char)('0' + left % 10);
	while (len > 0 && fraction[len - 1] == '0')
		len--;
	if (len == 0)
		return;
	buf_put_char(out, '.');
	buf_add(out, fraction, len);
}

static void put_value(struct buf *out, const struct bounds *bounds, uint64_t value)
{
	if (bounds->seconds)
		put_seconds(out, value);
	else
		buf_put_u64(out, value);
}

static void put_histogram(struct buf *out, enum metric_histogram histogram)
{
	const struct bounds *bounds = bounds_of(histogram);
	const struct series *series = &histogram_series[histogram];
	uint64_t sum = 0;
	uint64_t count = 0; /* sum of the buckets, so that _count agrees with the last bucket */

	put_family(out, series->name, "histogram", series->help);
	for (size_t bucket = 0; bucket <= bounds->count; bucket++) {
		for (size_t i = 0; i < SHARDS; i++)
			count += cell_get(&shards[i].histograms[histogram].buckets[bucket]);
		buf_printf(out, "%s_bucket{le=\"", series->name);
		if (bucket < bounds->count)
			put_value(out, bounds, bounds->most[bucket]);
		else
			buf_put(out, "+Inf");
		buf_put(out, "\"} ");
		buf_put_u64(out, count);
		buf_put_char(out, '\n');
	}

	for (size_t i = 0; i < SHARDS; i++)
		sum += cell_get(&shards[i].histograms[histogram].sum);
	buf_printf(out, "%s_sum ", series->name);
	put_value(out, bounds, sum);
	buf_printf(out, "\n%s_count ", series->name);
	buf_put_u64(out, count);
	buf_put_char(out, '\n');
}

static void put_requests(struct buf *out)
{
	static const char name[] = "rollcall_http_requests_total";

	put_family(out, name, "counter", "Requests answered, by status code.");
	for (unsigned status = STATUS_MIN; status <= STATUS_MAX; status++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < SHARDS; i++)
			sum += cell_get(&shards[i].requests[status - STATUS_MIN]);
		if (sum == 0)
			continue;
		buf_printf(out, "%s{code=\"%u\"} ", name, status);
		buf_put_u64(out, sum);
		buf_put_char(out, '\n');
	}
}

static void put_log(struct buf *out)
{
	static const char name[] = "rollcall_log_dropped_lines_total";

	put_family(out, name, "counter",
	           "Log lines dropped because they could not be written in time.");
	buf_printf(out, "%s ", name);
	buf_put_u64(out, log_dropped());
	buf_put_char(out, '\n');
}

/* The metrics that every process has by convention; unknown values are left out. */
static void put_process(struct buf *out)
{
	struct process_facts facts;

	process_facts(&facts);
	put_family(out, "process_start_time_seconds", "gauge",
	           "When the process started, since 1970.");
	buf_put(out, "process_start_time_seconds ");
	put_seconds(out, (uint64_t)facts.started_real_ms * 1000);
	buf_put_char(out, '\n');
	put_family(out, "process_cpu_seconds_total", "counter", "Processor time used.");
	buf_put(out, "process_cpu_seconds_total ");
	put_seconds(out, facts.cpu_us);
	buf_put_char(out, '\n');

	const struct {
		const char *name;
		const char *help;
		int64_t value;
	} gauge[] = {
		{"process_resident_memory_bytes", "Memory in RAM.", facts.resident_bytes},
		{"process_open_fds", "File descriptors in use.", facts.open_fds},
		{"process_max_fds", "File descriptors allowed.", facts.max_fds},
	};
	for (size_t i = 0; i < ARRAY_LEN(gauge); i++) {
		if (gauge[i].value < 0)
			continue;
		put_family(out, gauge[i].name, "gauge", gauge[i].help);
		buf_printf(out, "%s ", gauge[i].name);
		buf_put_i64(out, gauge[i].value);
		buf_put_char(out, '\n');
	}
}

void metrics_render(struct buf *out)
{
	put_family(out, "rollcall_build_info", "gauge", "Always 1; the version is its label.");
	buf_put(out, "rollcall_build_info{version=");
	buf_put_json(out, str_of(rollcall_version));
	buf_put(out, "} 1\n");

	for (size_t i = 0; i < METRIC_COUNTER_COUNT; i++) {
		put_series(out, counter_series, i, "counter");
		buf_put_u64(out, metrics_counter((enum metric_counter)i));
		buf_put_char(out, '\n');
	}
	put_requests(out);
	put_log(out);
	for (size_t i = 0; i < METRIC_GAUGE_COUNT; i++) {
		put_series(out, gauge_series, i, "gauge");
		buf_put_i64(out, metrics_gauge((enum metric_gauge)i));
		buf_put_char(out, '\n');
	}
	for (size_t i = 0; i < METRIC_HISTOGRAM_COUNT; i++)
		put_histogram(out, (enum metric_histogram)i);
	put_process(out);
}
