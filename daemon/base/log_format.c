/* SPDX-License-Identifier: MIT */
/*
 * Formats log lines on the stack of the thread that logs: a line needs no allocation and no lock.
 * Invariant: values come from peers, so every character that could end a line, a quote or a string
 * is escaped here. printf() alone would let a peer forge lines.
 */
#include "base/log_format.h"

#include "base/attr.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/terminal.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 16384
#define TAIL_BYTES     64 /* of LINE_MAX_BYTES, reserved for the end of the line */

static const char *level_name(int level)
{
	static const char *const names[] = {"emerg",   "alert",  "crit", "error",
	                                    "warning", "notice", "info", "debug"};

	CHECK(level >= 0 && (size_t)level < ARRAY_LEN(names));
	return names[level];
}

/* At most LOG_TEXT_MAX bytes of @p text, not cut within a character. */
static struct str text_cut(const char *text)
{
	struct str all = {text, strnlen(text, LOG_TEXT_MAX + 1)};

	if (all.len <= LOG_TEXT_MAX)
		return all;
	all.len = LOG_TEXT_MAX;
	while (all.len > LOG_TEXT_MAX - 3 && ((unsigned char)text[all.len] & 0xc0) == 0x80)
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
 * Escapes characters that are unsafe for a terminal, so that a peer cannot forge a line or a
 * control sequence, and @p quote, so that it cannot forge the end of a value.
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

/* The same as a JSON string, which must be UTF-8: bytes that are none become U+FFFD. */
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

static void put_pair_text(struct buf *out, const struct log_pair *pair)
{
	struct str value = text_cut(pair->value);

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

static void put_pair_json(struct buf *out, const struct log_pair *pair)
{
	buf_put_char(out, ',');
	put_json(out, str_of(pair->key));
	buf_put_char(out, ':');
	put_json(out, text_cut(pair->value));
}

/* Appends as many whole pairs as fit. */
static void put_pairs(struct buf *out, const struct log_message *message,
                      void (*put)(struct buf *, const struct log_pair *))
{
	for (size_t i = 0; i < message->count; i++) {
		size_t before = out->len;

		put(out, &message->pairs[i]);
		if (buf_error(out) < 0) {
			buf_reset(out);
			out->len = before;
			return;
		}
	}
}

/* A buffer over @p size bytes of the caller, which never grows. */
static struct buf fixed_buf(char *storage, size_t size)
{
	return (struct buf){.data = storage, .size = size, .most = size};
}

static struct buf line_buf(char *storage)
{
	return fixed_buf(storage, LINE_MAX_BYTES - TAIL_BYTES);
}

static void put_tail(struct buf *out, const char *tail)
{
	out->size = LINE_MAX_BYTES;
	out->most = LINE_MAX_BYTES;
	buf_put(out, tail);
}

static void put_text_head(struct buf *out, int level, int64_t real_ms)
{
	char time[CLOCK_RFC3339_SIZE];

	(void)clock_rfc3339(real_ms, time);
	buf_printf(out, "%s %-7s ", time, level_name(level));
}

static void put_message(struct buf *out, const struct log_message *message)
{
	put_text(out, text_cut(message->text), '\0');
	put_pairs(out, message, put_pair_text);
}

/* Field names of the journal consist of capitals, digits and underscores. */
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
static void put_field(struct buf *out, const struct log_pair *pair)
{
	buf_put(out, "ROLLCALL_");
	for (const char *c = pair->key; *c != '\0'; c++)
		buf_put_char(out, field_char(*c));
	buf_put_char(out, '=');
	put_text(out, text_cut(pair->value), '\0');
}

size_t log_format_text(const struct log_message *message, char out[LOG_RECORD_BYTES])
{
	struct buf line = line_buf(out);

	put_text_head(&line, message->level, message->real_ms);
	put_message(&line, message);
	put_tail(&line, "\n");
	return line.len;
}

size_t log_format_json(const struct log_message *message, char out[LOG_RECORD_BYTES])
{
	struct buf line = line_buf(out);

	buf_put(&line, "{\"time\":");
	buf_put_time(&line, message->real_ms);
	buf_printf(&line, ",\"level\":\"%s\",\"message\":", level_name(message->level));
	put_json(&line, text_cut(message->text));
	put_pairs(&line, message, put_pair_json);
	put_tail(&line, "}\n");
	return line.len;
}

size_t log_format_fields(const struct log_message *message, char out[LOG_RECORD_BYTES])
{
	struct buf first = line_buf(out);

	buf_put(&first, "MESSAGE=");
	put_message(&first, message);

	struct buf fields = fixed_buf(out, LOG_RECORD_BYTES);
	fields.len = first.len;
	buf_put_char(&fields, '\0');
	buf_printf(&fields, "PRIORITY=%d", message->level);
	buf_put_char(&fields, '\0');
	for (size_t i = 0; i < message->count; i++) {
		size_t before = fields.len;

		put_field(&fields, &message->pairs[i]);
		buf_put_char(&fields, '\0');
		if (buf_error(&fields) < 0)
			return before;
	}
	return fields.len;
}

size_t log_format_fields_as_text(int level, int64_t real_ms, const char *fields,
                                 char out[LOG_RECORD_BYTES])
{
	struct buf line = fixed_buf(out, LOG_RECORD_BYTES);

	put_text_head(&line, level, real_ms);
	buf_put(&line, fields + strlen("MESSAGE="));
	buf_put_char(&line, '\n');
	return line.len;
}
