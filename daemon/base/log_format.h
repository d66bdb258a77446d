/* SPDX-License-Identifier: MIT */
/** Formats one log message as text, as JSON or as fields of the journal. For log.c only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LOG_PAIRS_MAX    16
#define LOG_TEXT_MAX     1024 /* bytes of a message's text or of one value; more is cut */
#define LOG_RECORD_BYTES 32768

struct log_pair {
	const char *key;
	const char *value;
};

struct log_message {
	int level;
	int64_t real_ms;
	const char *text;
	struct log_pair pairs[LOG_PAIRS_MAX];
	size_t count;
};

/**
 * Write @p message to @p out without allocating memory; pairs that do not fit are left out.
 * @return the number of bytes written
 */
size_t log_format_text(const struct log_message *message, char out[LOG_RECORD_BYTES]);
size_t log_format_json(const struct log_message *message, char out[LOG_RECORD_BYTES]);
/** Fields FIELD=value, each ended by NUL; the first is MESSAGE=, which contains the pairs as
 * well. */
size_t log_format_fields(const struct log_message *message, char out[LOG_RECORD_BYTES]);
/** A line of text from the output of log_format_fields(), for when the journal refuses that. */
size_t log_format_fields_as_text(int level, int64_t real_ms, const char *fields,
                                 char out[LOG_RECORD_BYTES]);
