/* SPDX-License-Identifier: MIT */
/*
 * Writes log lines. The programs that read standard error and the journal may stop reading, so
 * after log_start() only the log thread writes: a thread that logs puts the finished record into a
 * ring of bytes and goes on. Invariant: in that time no thread writes while it holds log_lock.
 *
 * A record that does not fit is dropped and counted. Writing with O_NONBLOCK instead would lose
 * lines of every burst, and set that flag for all processes that share the terminal or pipe.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION /* CODE_FILE and CODE_LINE would always name this file */

#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log_format.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define RING_BYTES     (1 << 20)
#define STOP_MS        1000 /* to write the ring at a stop */
#define FATAL_MS       200  /* to write the ring before an abort, and as much for the last line */

/* Stands in the ring before the bytes of each record. */
struct record {
	int level;
	enum log_format format; /* JOURNALD: the bytes are from log_format_fields() */
	int64_t real_ms;
	size_t len;
};

enum mode {
	MODE_DIRECT, /* before log_start() and after log_stop(): the thread that logs writes */
	MODE_QUEUED,
	MODE_STUCK, /* the log thread did not end in time: lines are dropped */
};

static _Atomic(enum log_format) format_now = LOG_FORMAT_TEXT;
static atomic_int level_max = LOG_INFO;
static _Atomic(enum mode) mode_now = MODE_DIRECT;
static _Atomic(uint64_t) dropped_total;
static _Atomic(size_t) pending; /* bytes of records that are queued or being written */

static struct lock log_lock = LOCK_INIT(LOCK_LOG);
/* guarded by log_lock */
static char ring[RING_BYTES];
static size_t ring_head; /* index of the oldest record */
static size_t ring_used;
static uint64_t dropped_new; /* not yet reported */
static bool stopping;
static bool ended;
static bool conds_ready;
static pthread_cond_t filled;
static pthread_cond_t emptied;
static pthread_t log_thread; /* main only */

/* Is standard error the stream that systemd connected to the journal? (systemd.exec(5)) */
static bool is_journal_stream(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	struct stat stream;
	char actual[64];

	if (named == NULL || fstat(STDERR_FILENO, &stream) < 0)
		return false;
	(void)snprintf(actual, sizeof(actual), "%ju:%ju", (uintmax_t)stream.st_dev,
	               (uintmax_t)stream.st_ino);
	return strcmp(named, actual) == 0;
}

static enum log_format log_detect(void)
{
	if (is_journal_stream())
		return LOG_FORMAT_JOURNALD;
	return isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
}

void log_open(enum log_format format)
{
	if (format == LOG_FORMAT_AUTO)
		format = log_detect();
	/* libsystemd drops lines silently when there is no journal. */
	if (format == LOG_FORMAT_JOURNALD && access(JOURNAL_SOCKET, W_OK) < 0)
		format = LOG_FORMAT_TEXT;
	atomic_store_explicit(&format_now, format, memory_order_relaxed);
}

void log_set_level(int level)
{
	atomic_store_explicit(&level_max, level, memory_order_relaxed);
}

bool log_enabled(int level)
{
	return level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&dropped_total, memory_order_relaxed);
}

/* --- writing: blocks while the reader does not read ------------------------------------------- */

static void log_write_all(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* there is no other place to report it */
		data += n;
		len -= (size_t)n;
	}
}

/* @return 0 or a negative errno */
static int send_journal(const char *data, size_t len)
{
	struct iovec fields[LOG_PAIRS_MAX + 2];
	int count = 0;

	for (size_t at = 0; at < len && count < (int)ARRAY_LEN(fields); count++) {
		size_t field_len = strlen(data + at);

		fields[count] = (struct iovec){(void *)(uintptr_t)(data + at), field_len};
		at += field_len + 1;
	}
	return sd_journal_sendv(fields, count);
}

static void write_record(const struct record *record, const char *data)
{
	char text[LOG_RECORD_BYTES];

	if (record->format != LOG_FORMAT_JOURNALD) {
		log_write_all(data, record->len);
		return;
	}
	if (send_journal(data, record->len) < 0)
		log_write_all(text, log_format_fields_as_text(record->level, record->real_ms, data,
		                                              text));
}

/* --- the ring --------------------------------------------------------------------------------- */

static void ring_put_locked(const void *data, size_t len)
{
	size_t at = (ring_head + ring_used) % RING_BYTES;
	size_t first = len < RING_BYTES - at ? len : RING_BYTES - at;

	memcpy(ring + at, data, first);
	memcpy(ring, (const char *)data + first, len - first);
	ring_used += len;
}

static void ring_take_locked(void *out, size_t len)
{
	size_t first = len < RING_BYTES - ring_head ? len : RING_BYTES - ring_head;

	memcpy(out, ring + ring_head, first);
	memcpy((char *)out + first, ring, len - first);
	ring_head = (ring_head + len) % RING_BYTES;
	ring_used -= len;
}

static void drop_locked(void)
{
	dropped_new++;
	(void)atomic_fetch_add_explicit(&dropped_total, 1, memory_order_relaxed);
}

/* After a dropped record all records are dropped until the thread has emptied the ring, so that the
 * line that reports the gap stands where the gap is. */
static void ring_put(const struct record *record, const char *data)
{
	lock_take(&log_lock);
	if (dropped_new > 0 || sizeof(*record) + record->len > RING_BYTES - ring_used) {
		drop_locked();
	} else {
		ring_put_locked(record, sizeof(*record));
		ring_put_locked(data, record->len);
		atomic_store(&pending, ring_used);
		CHECK_OK(pthread_cond_signal(&filled));
	}
	lock_release(&log_lock);
}

/* --- lines ------------------------------------------------------------------------------------ */

static size_t format_record(const struct log_message *message, struct record *record,
                            char out[LOG_RECORD_BYTES])
{
	*record = (struct record){
		.level = message->level,
		.format = atomic_load_explicit(&format_now, memory_order_relaxed),
		.real_ms = message->real_ms,
	};
	switch (record->format) {
	case LOG_FORMAT_JOURNALD:
		record->len = log_format_fields(message, out);
		break;
	case LOG_FORMAT_JSON:
		record->len = log_format_json(message, out);
		break;
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_TEXT:
		record->len = log_format_text(message, out);
		break;
	}
	return record->len;
}

static void emit_record(const struct record *record, const char *data)
{
	switch (atomic_load(&mode_now)) {
	case MODE_DIRECT:
		lock_take(&log_lock); /* for the order of lines */
		write_record(record, data);
		lock_release(&log_lock);
		break;
	case MODE_QUEUED:
		ring_put(record, data);
		break;
	case MODE_STUCK:
		(void)atomic_fetch_add_explicit(&dropped_total, 1, memory_order_relaxed);
		break;
	}
}

static void log_emit(struct log_message *message)
{
	char data[LOG_RECORD_BYTES];
	struct record record;

	message->real_ms = clock_real_ms();
	(void)format_record(message, &record, data);
	emit_record(&record, data);
}

void log_event(int level, const char *text, ...)
{
	struct log_message message = {.level = level, .text = text};
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, text);
	for (const char *key = va_arg(args, const char *); key != NULL;
	     key = va_arg(args, const char *)) {
		const char *value = va_arg(args, const char *);
		if (value == NULL)
			continue;
		CHECK(message.count < LOG_PAIRS_MAX);
		message.pairs[message.count++] = (struct log_pair){key, value};
	}
	va_end(args);
	log_emit(&message);
}

void log_line(int level, const char *format, ...)
{
	char text[LOG_TEXT_MAX + 1];
	struct log_message message = {.level = level, .text = text};
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len >= 0)
		log_emit(&message);
}

void log_plain(const char *text)
{
	struct log_message message = {.level = LOG_NOTICE, .text = text};
	char line[LOG_TEXT_MAX + 2];
	struct record record = {.level = LOG_NOTICE, .format = LOG_FORMAT_TEXT};

	if (atomic_load_explicit(&format_now, memory_order_relaxed) == LOG_FORMAT_JSON) {
		log_emit(&message);
		return;
	}
	(void)snprintf(line, sizeof(line), "%.*s\n", LOG_TEXT_MAX, text);
	record.len = strlen(line);
	emit_record(&record, line);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Called by the log thread, which must not wait for room in the ring that it empties itself. */
static void report_dropped(uint64_t count)
{
	char text[100];
	struct log_message message = {
		.level = LOG_WARNING, .text = text, .real_ms = clock_real_ms()};
	char data[LOG_RECORD_BYTES];
	struct record record;

	if (!log_enabled(message.level))
		return;
	(void)snprintf(text, sizeof(text),
	               "%llu log lines were dropped: they could not be written in time",
	               (unsigned long long)count);
	(void)format_record(&message, &record, data);
	write_record(&record, data);
}

/* @return false: the ring is empty and log_stop() has been called */
static bool write_next_locked(void)
{
	char data[LOG_RECORD_BYTES];
	struct record record;
	uint64_t dropped;

	if (ring_used > 0) {
		ring_take_locked(&record, sizeof(record));
		ring_take_locked(data, record.len);
		lock_release(&log_lock);
		write_record(&record, data);
		lock_take(&log_lock);
		atomic_store(&pending, ring_used);
		return true;
	}
	if (dropped_new > 0) {
		dropped = dropped_new;
		dropped_new = 0;
		lock_release(&log_lock);
		report_dropped(dropped);
		lock_take(&log_lock);
		return true;
	}
	if (stopping)
		return false;
	lock_wait(&log_lock, &filled);
	return true;
}

static void log_main(void *arg)
{
	(void)arg;
	lock_take(&log_lock);
	while (write_next_locked())
		;
	ended = true;
	CHECK_OK(pthread_cond_signal(&emptied));
	lock_release(&log_lock);
}

int log_start(void)
{
	int r;

	CHECK(atomic_load(&mode_now) == MODE_DIRECT);
	if (!conds_ready) {
		lock_cond_init(&filled);
		lock_cond_init(&emptied);
		conds_ready = true;
	}
	stopping = false;
	ended = false;
	r = thread_start(&log_thread, "log", log_main, NULL);
	if (r == 0)
		atomic_store(&mode_now, MODE_QUEUED);
	return r;
}

void log_stop(void)
{
	struct timespec now;
	bool in_time = true;

	if (atomic_load(&mode_now) != MODE_QUEUED)
		return;
	/* Not clock_ms(), which tests may have replaced: lock_wait_until() uses CLOCK_MONOTONIC. */
	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
	int64_t deadline_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + STOP_MS;

	lock_take(&log_lock);
	stopping = true;
	CHECK_OK(pthread_cond_signal(&filled));
	while (!ended && in_time)
		in_time = lock_wait_until(&log_lock, &emptied, deadline_ms) == 0;
	atomic_store(&mode_now, ended ? MODE_DIRECT : MODE_STUCK);
	in_time = ended;
	lock_release(&log_lock);
	if (in_time)
		thread_join(log_thread);
	else
		thread_leave(log_thread);
}

/* --- the last line ---------------------------------------------------------------------------- */

static void sleep_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&time, NULL);
}

/* Writes as much as standard error takes without blocking: a pipe that polls ready takes
 * PIPE_BUF. */
static void write_some(const char *data, size_t len)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&out, 1, FATAL_MS) == 1 && (out.revents & POLLOUT) != 0)
		log_write_all(data, len < PIPE_BUF ? len : PIPE_BUF);
}

/* Takes no lock: the caller may hold any lock and may be the log thread. */
void log_fatal(const char *text)
{
	struct log_message message = {.level = LOG_CRIT, .text = text, .real_ms = clock_real_ms()};
	char data[LOG_RECORD_BYTES];

	if (atomic_load(&mode_now) == MODE_QUEUED) {
		for (int waited = 0; waited < FATAL_MS && atomic_load(&pending) > 0; waited += 2)
			sleep_ms(2);
	}
	switch (atomic_load_explicit(&format_now, memory_order_relaxed)) {
	case LOG_FORMAT_JSON:
		write_some(data, log_format_json(&message, data));
		break;
	case LOG_FORMAT_JOURNALD: /* the socket may block; the stream takes a level in brackets */
		(void)snprintf(data, sizeof(data), "<%d>%s\n", LOG_CRIT, text);
		write_some(data, strlen(data));
		break;
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_TEXT:
		write_some(data, log_format_text(&message, data));
		break;
	}
}
