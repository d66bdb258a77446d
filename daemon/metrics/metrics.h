/* SPDX-License-Identifier: MIT */
/**
 * The metrics: counters, gauges and histograms, declared in one table and printed in the Prometheus
 * text format. Adding is one relaxed atomic operation on a cache line of the calling thread's
 * shard. Any thread; never blocks.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

/* identifier, exported name (with _total for counters), labels or "", help */
/* clang-format off */
#define METRIC_COUNTERS(X)                                                                                  \
	X(METRIC_EVENTS_REGISTERED,   "rollcall_events_total", "kind=\"registered\"",   "Durable changes, by kind.") \
	X(METRIC_EVENTS_UPDATED,      "rollcall_events_total", "kind=\"updated\"",      "")                  \
	X(METRIC_EVENTS_DEREGISTERED, "rollcall_events_total", "kind=\"deregistered\"", "")                  \
	X(METRIC_EVENTS_EXPIRED,      "rollcall_events_total", "kind=\"expired\"",      "")                  \
	X(METRIC_EVENTS_RECOVERED,    "rollcall_events_total", "kind=\"recovered\"",    "")                  \
	X(METRIC_EVENTS_DRAINED,      "rollcall_events_total", "kind=\"drained\"",      "")                  \
	X(METRIC_EVENTS_RESUMED,      "rollcall_events_total", "kind=\"resumed\"",      "")                  \
	X(METRIC_EVENTS_REMOVED,      "rollcall_events_total", "kind=\"removed\"",      "")                  \
	X(METRIC_EVENTS_ENTRY_PUT,     "rollcall_events_total", "kind=\"entry-put\"",     "")                \
	X(METRIC_EVENTS_ENTRY_REMOVED, "rollcall_events_total", "kind=\"entry-removed\"", "")                \
	X(METRIC_EVENTS_FAILED,       "rollcall_events_total", "kind=\"failed\"",       "")                  \
	X(METRIC_HEARTBEATS,          "rollcall_heartbeats_total", "", "Leases renewed, whether by heartbeat, batch or PUT.") \
	X(METRIC_PICKS,               "rollcall_picks_total", "", "Instances picked.")                       \
	X(METRIC_COMMITS,             "rollcall_commits_total", "", "Transactions committed to the journal.") \
	X(METRIC_COMMIT_FAILURES,     "rollcall_commit_failures_total", "", "Transactions that failed.")     \
	X(METRIC_LOCK_WAITS,          "rollcall_journal_lock_waits_total", "", "Times that another process had the database locked when a change came.") \
	X(METRIC_SALVAGES,            "rollcall_journal_salvages_total", "", "Damaged journals that the start salvaged.") \
	X(METRIC_EVENTS_LOST,         "rollcall_journal_lost_events_total", "", "Events that a salvage could not read.") \
	X(METRIC_PAST_READS,          "rollcall_past_reads_total", "", "States, differences and lives read from the log.") \
	X(METRIC_KEYFRAMES,           "rollcall_keyframes_total", "", "Keyframes written.")                  \
	X(METRIC_KEYFRAME_FAILURES,   "rollcall_keyframe_failures_total", "", "Keyframes that could not be written.") \
	X(METRIC_STALLS,              "rollcall_stalls_total", "", "Times the daemon noticed that it had stalled and pushed deadlines.") \
	X(METRIC_DISK_STALLS,         "rollcall_disk_stalls_total", "", "Times the disk kept a thread waiting for 2 s or more.") \
	X(METRIC_HOLDS,               "rollcall_expiry_holds_total", "", "Mass expiries held back.")          \
	X(METRIC_WAKEUPS_SERVICE,     "rollcall_watch_wakeups_total", "cause=\"service\"", "Long polls and streams woken, by cause.") \
	X(METRIC_WAKEUPS_ANY,         "rollcall_watch_wakeups_total", "cause=\"any\"",     "")                \
	X(METRIC_WAKEUPS_TIMEOUT,     "rollcall_watch_wakeups_total", "cause=\"timeout\"", "")                \
	X(METRIC_WAKEUPS_HANGUP,      "rollcall_watch_wakeups_total", "cause=\"hangup\"",  "")                \
	X(METRIC_WAKEUPS_STOP,        "rollcall_watch_wakeups_total", "cause=\"stop\"",    "")                \
	X(METRIC_STREAMED_EVENTS,     "rollcall_stream_events_total", "stream=\"events\"", "Events put into streams.") \
	X(METRIC_STREAMED_CHANGES,    "rollcall_stream_events_total", "stream=\"watch\"",  "")                \
	X(METRIC_STREAM_RESETS,       "rollcall_stream_resets_total", "", "Streams ended because retention overtook their readers.") \
	X(METRIC_CONNECTIONS_REFUSED, "rollcall_http_connections_refused_total", "", "Connections closed at a limit.") \
	X(METRIC_UNSENT_REFUSED,      "rollcall_http_unsent_refused_total", "", "Answers refused or ended because too much was unsent.") \
	X(METRIC_CONNECTIONS_SHED,    "rollcall_http_connections_shed_total", "", "Silent connections closed at a limit in favour of new ones.") \
	X(METRIC_REQUESTS_REFUSED,    "rollcall_http_requests_refused_total", "", "Requests refused before routing: malformed, ambiguous or late.")

#define METRIC_GAUGES(X)                                                                                    \
	X(METRIC_REVISION,      "rollcall_revision", "", "Revision of the published snapshot.")              \
	X(METRIC_SERVICES,      "rollcall_services", "", "Services with at least one instance.")             \
	X(METRIC_HEALTHY,       "rollcall_instances", "status=\"healthy\"", "Instances, by status.")         \
	X(METRIC_UNHEALTHY,     "rollcall_instances", "status=\"unhealthy\"", "")                            \
	X(METRIC_DRAINING,      "rollcall_instances", "status=\"draining\"", "")                             \
	X(METRIC_REGISTRY_BYTES, "rollcall_registry_bytes", "", "Memory that all instances and intents take, as max_registry_bytes counts it.") \
	X(METRIC_HELD_SERVICES, "rollcall_expiry_held_services", "", "Services whose expiries are held back now.") \
	X(METRIC_KEYFRAME,      "rollcall_keyframe_revision", "", "Revision of the newest keyframe; 0: none.") \
	X(METRIC_LOCKED,        "rollcall_journal_locked", "", "1 while another process keeps the database locked, so that changes wait or are refused.") \
	X(METRIC_QUEUE,         "rollcall_commit_queue", "", "Commands waiting for the writer.")              \
	X(METRIC_DISK_WAIT,     "rollcall_disk_wait_seconds", "", "How long the disk has kept a thread waiting by now.") \
	X(METRIC_CONNECTIONS,   "rollcall_http_connections", "", "Open HTTP connections.")                   \
	X(METRIC_PARKED,        "rollcall_http_parked_requests", "", "Requests waiting for a commit or a change.") \
	X(METRIC_UNSENT,        "rollcall_http_unsent_bytes", "", "Memory held by answers that are not yet sent, old versions of instances included.") \
	X(METRIC_EVENT_STREAMS, "rollcall_streams", "stream=\"events\"", "Open streams.")                      \
	X(METRIC_WATCH_STREAMS, "rollcall_streams", "stream=\"watch\"", "")                                    \
	X(METRIC_STREAM_LAG,    "rollcall_stream_lag_revisions", "", "How far the slowest reader of a stream is behind.")

#define METRIC_HISTOGRAMS(X)                                                                                \
	X(METRIC_REQUEST_SECONDS, "rollcall_http_request_duration_seconds", "Time from request to answer.")  \
	X(METRIC_COMMIT_SECONDS,  "rollcall_commit_duration_seconds", "Time of one journal transaction.")    \
	X(METRIC_PAST_SECONDS,    "rollcall_past_read_duration_seconds", "Time to rebuild a past state, or to read a difference or a life.") \
	X(METRIC_BATCH_SIZE,      "rollcall_commit_batch_events", "Events in one journal transaction.")
/* clang-format on */

#define METRIC_ENUM4(id, name, labels, help) id,
#define METRIC_ENUM3(id, name, help)         id,
enum metric_counter { METRIC_COUNTERS(METRIC_ENUM4) METRIC_COUNTER_COUNT };
enum metric_gauge { METRIC_GAUGES(METRIC_ENUM4) METRIC_GAUGE_COUNT };
enum metric_histogram { METRIC_HISTOGRAMS(METRIC_ENUM3) METRIC_HISTOGRAM_COUNT };
#undef METRIC_ENUM4
#undef METRIC_ENUM3

void metrics_count(enum metric_counter counter, uint64_t n);
uint64_t metrics_counter(enum metric_counter counter);
void metrics_set(enum metric_gauge gauge, int64_t value);
void metrics_move(enum metric_gauge gauge, int64_t by);
int64_t metrics_gauge(enum metric_gauge gauge);
/** @param value  microseconds for _SECONDS (exported as seconds), else the plain number */
void metrics_observe(enum metric_histogram histogram, uint64_t value);
/** Counts one answered request by status code 100-599: rollcall_http_requests_total{code="200"}. */
void metrics_request(unsigned status);
/** Appends all metrics in the Prometheus text exposition format 0.0.4, with facts of the process
 * and build info. */
void metrics_render(struct buf *out);
