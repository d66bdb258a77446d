/* SPDX-License-Identifier: MIT */
#define SD_JOURNAL_SUPPRESS_LOCATION /* the place of every log line would be here */

#include "base/log.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define PAIRS_MAX      16
#define TEXT_MAX       1024  /* bytes of one message or value; more is cut */
#define LINE_MAX_BYTES 16384 /* of one line; pairs that do not fit are left out */
#define TAIL_BYTES     64    /* of these, kept for what ends a line */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct pair {
	const char *key;
	const char *value;
};

struct line {
	int level;
	const char *text;
	struct pair pairs[PAIRS_MAX];
	size_t count;
};

static _Atomic(enum log_format) format_now = LOG_FORMAT_TEXT;
static atomic_int level_max = LOG_INFO;
static struct lock write_lock = LOCK_INIT(LOCK_LOG); /* guards the order of lines */

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

static enum log_format detect(void)
{
	if (is_journal_stream())
		return LOG_FORMAT_JOURNALD;
	return isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
}

void log_open(enum log_format format)
{
	if (format == LOG_FORMAT_AUTO)
		format = detect();
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

static const char *level_name(int level)
{
	static const char *const names[] = {"emerg",   "alert",  "crit", "error",
	                                    "warning", "notice", "info", "debug"};

	CHECK(level >= 0 && (size_t)level < ARRAY_LEN(names));
	return names[level];
}

/* Cut to TEXT_MAX, and there not in the middle of a character. */
static struct str cut(const char *text)
{
	struct str all = {text, strnlen(text, TEXT_MAX + 1)};

	if (all.len <= TEXT_MAX)
		return all;
	all.len = TEXT_MAX;
	while (all.len > TEXT_MAX - 3 && ((unsigned char)text[all.len] & 0xc0) == 0x80)
		all.len--;
	return all;
}

static void put_bytes_escaped(struct buf *out, struct str bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i] == '\n')
			buf_put(out, "\\n");
		else
			buf_printf(out, "\\x%02x", (unsigned)(unsigned char)bytes.data[i]);
	}
}

/*
 * Values may hold anything that a peer sent: what must not reach a terminal is escaped, so that
 * nobody forges a line, an ending quote or a control sequence. @p quote is escaped too.
 */
static void put_text(struct buf *out, struct str text, char quote)
{
	while (text.len > 0) {
		struct terminal_char c = terminal_char(text);
		struct str bytes = {text.data, c.len};

		if (!c.is_safe) {
			put_bytes_escaped(out, bytes);
		} else {
			if (text.data[0] == '\\' || text.data[0] == quote)
				buf_put_char(out, '\\');
			buf_put_str(out, bytes);
		}
		text = (struct str){text.data + c.len, text.len - c.len};
	}
}

/* The same for JSON, which must be UTF-8: stray bytes become U+FFFD. */
static void put_json(struct buf *out, struct str text)
{
	buf_put_char(out, '"');
	while (text.len > 0) {
		struct terminal_char c = terminal_char(text);

		if (!c.is_safe) {
			terminal_put_escape(out, c.code);
		} else {
			if (text.data[0] == '"' || text.data[0] == '\\')
				buf_put_char(out, '\\');
			buf_put_str(out, (struct str){text.data, c.len});
		}
		text = (struct str){text.data + c.len, text.len - c.len};
	}
	buf_put_char(out, '"');
}

static bool needs_quotes(struct str value)
{
	if (value.len == 0)
		return true;
	while (value.len > 0) {
		struct terminal_char c = terminal_char(value);

		if (!c.is_safe || strchr(" \"=\\", value.data[0]) != NULL)
			return true;
		value = (struct str){value.data + c.len, value.len - c.len};
	}
	return false;
}

static void put_pair_text(struct buf *out, const struct pair *pair)
{
	struct str value = cut(pair->value);

	buf_put_char(out, ' ');
	buf_put(out, pair->key);
	buf_put_char(out, '=');
	if (!needs_quotes(value)) {
		buf_put_str(out, value);
		return;
	}
	buf_put_char(out, '"');
	put_text(out, value, '"');
	buf_put_char(out, '"');
}

static void put_pair_json(struct buf *out, const struct pair *pair)
{
	buf_put_char(out, ',');
	put_json(out, str_of(pair->key));
	buf_put_char(out, ':');
	put_json(out, cut(pair->value));
}

/* As many pairs as fit, each whole. */
static void put_pairs(struct buf *out, const struct line *line,
                      void (*put)(struct buf *, const struct pair *))
{
	for (size_t i = 0; i < line->count; i++) {
		size_t before = out->len;

		put(out, &line->pairs[i]);
		if (buf_error(out) < 0) {
			buf_reset(out);
			out->len = before;
			return;
		}
	}
}

/* A buffer on the caller's stack that never grows, so that a line needs no memory. */
static struct buf line_buf(char *storage)
{
	const size_t most = LINE_MAX_BYTES - TAIL_BYTES;

	return (struct buf){.data = storage, .size = most, .most = most};
}

static void put_tail(struct buf *out, const char *tail)
{
	out->size = LINE_MAX_BYTES;
	out->most = LINE_MAX_BYTES;
	buf_put(out, tail);
}

static void put_message(struct buf *out, const struct line *line)
{
	put_text(out, cut(line->text), '\0');
	put_pairs(out, line, put_pair_text);
}

static void write_line(const struct buf *line)
{
	size_t at = 0;

	lock_take(&write_lock);
	while (at < line->len) {
		ssize_t n = write(STDERR_FILENO, line->data + at, line->len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* there is nowhere left to complain */
		at += (size_t)n;
	}
	lock_release(&write_lock);
}

static void write_text(const struct line *line)
{
	char storage[LINE_MAX_BYTES];
	char time[CLOCK_RFC3339_SIZE];
	struct buf out = line_buf(storage);

	(void)clock_rfc3339(clock_real_ms(), time);
	buf_printf(&out, "%s %-7s ", time, level_name(line->level));
	put_message(&out, line);
	put_tail(&out, "\n");
	write_line(&out);
}

static void write_json(const struct line *line)
{
	char storage[LINE_MAX_BYTES];
	struct buf out = line_buf(storage);

	buf_put(&out, "{\"time\":");
	buf_put_time(&out, clock_real_ms());
	buf_printf(&out, ",\"level\":\"%s\",\"message\":", level_name(line->level));
	put_json(&out, cut(line->text));
	put_pairs(&out, line, put_pair_json);
	put_tail(&out, "}\n");
	write_line(&out);
}

/* The journal takes capitals, digits and underscores. */
static char field_char(char c)
{
	static const char from[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char to[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *at = strchr(from, c);

	if (at == NULL)
		return '_';
	return to[at - from];
}

/* ROLLCALL_SERVICE=order-service */
static void put_field(struct buf *out, const struct pair *pair)
{
	buf_put(out, "ROLLCALL_");
	for (const char *c = pair->key; *c != '\0'; c++)
		buf_put_char(out, field_char(*c));
	buf_put_char(out, '=');
	put_text(out, cut(pair->value), '\0');
}

/* @return 0, or a negative error of the journal's */
static int send_journal(const struct line *line)
{
	char storage[LINE_MAX_BYTES];
	char fields_storage[LINE_MAX_BYTES];
	char priority[16];
	struct iovec fields[PAIRS_MAX + 2];
	struct buf message = line_buf(storage);
	struct buf out = line_buf(fields_storage);
	int count = 0;

	buf_put(&message, "MESSAGE=");
	put_message(&message, line);
	fields[count++] = (struct iovec){message.data, message.len};
	(void)snprintf(priority, sizeof(priority), "PRIORITY=%d", line->level);
	fields[count++] = (struct iovec){priority, strlen(priority)};
	for (size_t i = 0; i < line->count; i++) {
		size_t before = out.len;

		put_field(&out, &line->pairs[i]);
		if (buf_error(&out) < 0)
			break;
		fields[count++] = (struct iovec){out.data + before, out.len - before};
	}
	return sd_journal_sendv(fields, count);
}

static void emit(const struct line *line)
{
	switch (atomic_load_explicit(&format_now, memory_order_relaxed)) {
	case LOG_FORMAT_JOURNALD:
		if (send_journal(line) < 0)
			write_text(line);
		break;
	case LOG_FORMAT_JSON:
		write_json(line);
		break;
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_TEXT:
		write_text(line);
		break;
	}
}

void log_event(int level, const char *text, ...)
{
	struct line line = {.level = level, .text = text};
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, text);
	for (const char *key = va_arg(args, const char *); key != NULL;
	     key = va_arg(args, const char *)) {
		const char *value = va_arg(args, const char *);
		if (value == NULL)
			continue;
		CHECK(line.count < PAIRS_MAX);
		line.pairs[line.count++] = (struct pair){key, value};
	}
	va_end(args);
	emit(&line);
}

void log_line(int level, const char *format, ...)
{
	char message[TEXT_MAX + 1];
	struct line line = {.level = level, .text = message};
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	int len = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (len >= 0)
		emit(&line);
}
